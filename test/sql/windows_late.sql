-- Aggregates of hop and cumulate windows: late by pair of row and window, against plain queries over the archive; verify and backfill.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA windows_late;
SET search_path = windows_late;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER windows_late FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x numeric, ts timestamptz NOT NULL) SERVER windows_late OPTIONS (event_time 'ts', watermark_delay '30 s');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('a', 'Anna'), ('b', 'Bert'), ('b', 'Berta');
-- TAKEN is true for the aggregate, and for the plain query what makes a pair late
CREATE TABLE queries (name text, windows text, query text, late text DEFAULT 'merge', lateness interval DEFAULT '0', emit text DEFAULT 'live');
INSERT INTO queries VALUES
('hop_merged', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(n) AS n, min(n) AS lo, max(k) AS hi, count(n) FILTER (WHERE n > 3) AS f FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY 1, 2, 3', DEFAULT, DEFAULT, DEFAULT),
('hop', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(n) AS n, min(n) AS lo, max(k) AS hi, count(n) FILTER (WHERE n > 3) AS f FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY 1, 2, 3', 'drop', DEFAULT, DEFAULT),
('hop_odd', 'hop(ts, ''20 s'', ''50 s'', ''2024-01-01 00:00:07'')', 'SELECT w.window_end, count(*) AS c, max(ts) AS t FROM s JOIN LATERAL streamagg.hop(ts, ''20 s'', ''50 s'', ''2024-01-01 00:00:07'') w ON true WHERE TAKEN AND n <> 7 GROUP BY 1', 'drop', '15 s', DEFAULT),
('hop_gaps', 'hop(ts, ''40 s'', ''25 s'')', 'SELECT w.window_start, count(*) AS c, sum(n) AS n FROM s, streamagg.hop(ts, ''40 s'', ''25 s'') w WHERE TAKEN GROUP BY 1', 'drop', DEFAULT, DEFAULT),
('hop_any', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, k, avg(x) AS x, sum(x) AS s FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY 1, 2', 'drop', DEFAULT, DEFAULT),
('hop_read', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, max(w.window_end - ts) AS m, count(*) FILTER (WHERE ts < w.window_start + interval ''10 s'') AS c FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN AND ts < w.window_end - interval ''5 s'' GROUP BY 1', 'drop', DEFAULT, DEFAULT),
('hop_keyed', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, w.window_end - interval ''1 s'' AS last, extract(second FROM w.window_end)::int AS sec, count(*) AS c FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY w.window_start, w.window_end, 3', 'drop', DEFAULT, DEFAULT),
('hop_joined', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT name, w.window_start, count(*) AS c, min(n) AS m FROM s LEFT JOIN names USING (k), streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY 1, 2', 'drop', DEFAULT, DEFAULT),
('hop_final', 'hop(ts, ''20 s'', ''1 min'')', 'SELECT w.window_start, w.window_end, count(*) AS c FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w WHERE TAKEN GROUP BY 1, 2 HAVING count(*) > 1', DEFAULT, '10 s', 'final'),
('cumulate_merged', 'cumulate(ts, ''20 s'', ''2 min'')', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(n) AS n, max(ts) AS t FROM s, streamagg.cumulate(ts, ''20 s'', ''2 min'') w WHERE TAKEN GROUP BY 1, 2, 3', DEFAULT, DEFAULT, DEFAULT),
('cumulate', 'cumulate(ts, ''20 s'', ''2 min'')', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(n) AS n, max(ts) AS t FROM s, streamagg.cumulate(ts, ''20 s'', ''2 min'') w WHERE TAKEN GROUP BY 1, 2, 3', 'drop', DEFAULT, DEFAULT),
('cumulate_end', 'cumulate(ts, ''20 s'', ''2 min'', ''2030-01-01 00:00:05'')', 'SELECT w.window_end, avg(x) AS x FROM s, streamagg.cumulate(ts, ''20 s'', ''2 min'', ''2030-01-01 00:00:05'') w WHERE TAKEN GROUP BY 1', 'drop', '25 s', DEFAULT),
('cumulate_final', 'cumulate(ts, ''20 s'', ''2 min'')', 'SELECT w.window_end, w.window_start, sum(n) AS n FROM s, streamagg.cumulate(ts, ''20 s'', ''2 min'') w WHERE TAKEN GROUP BY 2, 1', DEFAULT, DEFAULT, 'final');
SELECT keep('s');
SELECT count(streamagg.create_aggregate(name, replace(query, 'TAKEN', 'true'), late, lateness, emit)) FROM queries;
-- what an aggregate shows, and what the plain query over the archive says
CREATE FUNCTION shown(name text) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format('SELECT to_jsonb(v) - ''updated_at'' - ''is_final'' FROM %I v', name);
END $$;
CREATE FUNCTION plain(name text) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  q queries;
BEGIN
  SELECT * INTO q FROM queries WHERE queries.name = plain.name;
  q.query := replace(replace(replace(q.query, 'FROM s', 'FROM s_archive s'), 'TAKEN', CASE WHEN q.late = 'merge' AND q.emit = 'live' THEN 'true'
    ELSE format('w.window_end + %L > s._watermark', q.lateness) END), 'GROUP BY', CASE q.emit WHEN 'live' THEN 'GROUP BY'
    ELSE format('AND w.window_end + %L <= (SELECT watermark FROM streamagg.streams WHERE stream = ''s''::regclass) GROUP BY', q.lateness) END);
  RETURN QUERY EXECUTE format('SELECT to_jsonb(v) FROM (%s) v', q.query);
END $$;
CREATE VIEW differences AS
SELECT name, d.* FROM queries q, LATERAL ((SELECT 'shown' AS side, v FROM shown(q.name) v EXCEPT ALL SELECT 'shown', v FROM plain(q.name) v)
  UNION ALL (SELECT 'plain', v FROM plain(q.name) v EXCEPT ALL SELECT 'plain', v FROM shown(q.name) v)) d;
CREATE FUNCTION late_of(windows text, lateness interval, OUT late_rows bigint, OUT late_pairs bigint) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE late > 0 AND late = pairs), sum(late) FROM (SELECT count(w) AS pairs, count(*) FILTER (WHERE w.window_end + %L <= a._watermark) AS late
    FROM s_archive a LEFT JOIN LATERAL streamagg.%s w ON true GROUP BY a._partition, a._offset) r', lateness, windows) INTO late_rows, late_pairs;
END $$;
CREATE VIEW counters AS
SELECT name, a.rows_in, a.late_rows, a.late_pairs, (a.late_rows, a.late_pairs) = (l.late_rows, l.late_pairs) AS right FROM queries q
  JOIN streamagg.aggregates a ON a.aggregate = q.name::regclass, late_of(q.windows, q.lateness) l;
CREATE VIEW problems AS SELECT name, v.* FROM queries q, streamagg.verify(q.name::regclass) v;

-- batches of 1 to 40 rows, two partitions, every seventh row back in time by up to 3 minutes
CREATE FUNCTION message(i int) RETURNS text LANGUAGE sql AS $$ SELECT jsonb_build_object('k', CASE WHEN i % 4 > 0 THEN chr(96 + i % 4) END, 'n', i % 9, 'x', i || '.5',
  'ts', timestamptz '2024-01-01' + i * interval '3 s' - CASE WHEN i % 7 = 0 THEN (i * 37 % 180) * interval '1 s' ELSE '0' END)::text $$;
CREATE TABLE batches AS SELECT b, b * (b - 1) / 2 + 1 AS first, b * (b + 1) / 2 AS last FROM generate_series(1, 40) b;
SELECT sum(accepted) AS accepted FROM batches, streamagg.push('s', (SELECT array_agg(message(i)) FROM generate_series(first, last) i), b % 2);
TABLE differences;
SELECT * FROM counters ORDER BY 1;
TABLE problems;
SELECT count(*), bool_or(late_pairs > late_rows * 2) AS some_partly FROM counters;
SELECT name, count(v) > 5 AS shown FROM queries, shown(name) v GROUP BY 1 ORDER BY 1;

-- a window whose state is wrong is found, and replaced; of a part of the windows, too
UPDATE hop_state SET c = c + 1 WHERE window_start = '2024-01-01 00:20';
UPDATE cumulate_state SET c = c + 1 WHERE window_start = '2024-01-01 00:20' AND window_end = '2024-01-01 00:21';
DELETE FROM hop_odd_state WHERE c % 5 = 0;
SELECT name, problem, expected->>'window_start' AS window_start, expected->>'window_end' AS window_end FROM problems WHERE name <> 'hop_odd' ORDER BY 1, 4, expected::text;
SELECT DISTINCT name, problem FROM problems ORDER BY 1;
SELECT streamagg.backfill('hop', '2024-01-01 00:19', '2024-01-01 00:20:20'), streamagg.backfill('cumulate', '2024-01-01 00:20', '2024-01-01 00:22');
SELECT DISTINCT name, problem FROM problems ORDER BY 1;
SELECT name, streamagg.backfill(name::regclass) AS rows FROM queries ORDER BY 1;
TABLE problems;
TABLE differences;
-- and the stream goes on
SELECT accepted FROM streamagg.push('s', (SELECT array_agg(message(i)) FROM generate_series(821, 900) i));
TABLE differences;
SELECT name FROM counters WHERE NOT "right";
TABLE problems;
-- one that begins in the middle counts from there; windows that were filled, what was before, too
INSERT INTO queries SELECT 'later_' || name, windows, query, late, lateness, emit FROM queries WHERE name IN ('hop', 'cumulate', 'hop_any');
SELECT count(streamagg.create_aggregate(name, replace(query, 'TAKEN', 'true'), late, lateness, emit)) FROM queries WHERE name LIKE 'later%';
SELECT accepted FROM streamagg.push('s', (SELECT array_agg(message(i)) FROM generate_series(901, 960) i));
TABLE problems;
SELECT name, streamagg.backfill(name::regclass, '2024-01-01 00:40', '2024-01-01 00:45') FROM queries WHERE name LIKE 'later%' ORDER BY 1;
TABLE problems;
SELECT name, count(*) > 0 AS filled, (SELECT count(*) FROM differences d WHERE d.name = q.name) > 0 AS not_all FROM queries q, shown(q.name) v
WHERE name LIKE 'later%' AND v->>'window_start' BETWEEN '2024-01-01T00:40' AND '2024-01-01T00:44' GROUP BY 1 ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA windows_late CASCADE;
DROP SERVER windows_late;
