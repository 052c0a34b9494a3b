-- backfill(): what was tampered with is repaired, in every kind of aggregate; in slices; nothing else is touched.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA backfill;
SET search_path = backfill;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER backfill FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, f float8, x numeric, ts timestamptz NOT NULL)
  SERVER backfill OPTIONS (event_time 'ts', watermark_delay '30 s');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('a', 'Anna'), ('b', 'Bert'), ('b', 'Berta');
CREATE TABLE queries (name text, query text, late text DEFAULT 'merge', lateness interval DEFAULT '0', emit text DEFAULT 'live');
INSERT INTO queries VALUES
('tumbling', 'SELECT w.window_start, k, count(*) AS c, sum(f) AS f, avg(x) AS x, max(n) FILTER (WHERE n > 3) AS m
  FROM s, streamagg.tumble(ts, ''1 min'') w WHERE n <> 7 GROUP BY 1, 2', DEFAULT, DEFAULT, DEFAULT),
('many', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'', ''2000-01-01 00:00:13+00'') w GROUP BY 1 HAVING count(*) > 8', DEFAULT, DEFAULT, DEFAULT),
('dropping', 'SELECT w.window_end, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1', 'drop', '40 s', DEFAULT),
('final', 'SELECT w.window_start, k, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', DEFAULT, DEFAULT, 'final'),
('binned', 'SELECT date_bin(''2 min'', ts, ''2000-01-01''::timestamptz) AS b, min(k) AS k, count(*) AS c FROM s GROUP BY 1', 'drop', DEFAULT, DEFAULT),
('days', 'SELECT date_trunc(''day'', ts, ''America/Havana'') AS d, avg(f) AS f, count(*) AS c FROM s GROUP BY 1', DEFAULT, DEFAULT, DEFAULT),
('total', 'SELECT count(*) AS c, sum(n) AS n FROM s', DEFAULT, DEFAULT, DEFAULT),
('keyed', 'SELECT k, n % 2 AS odd, count(*) AS c FROM s GROUP BY 1, 2', 'drop', DEFAULT, DEFAULT),
('joined', 'SELECT name, w.window_start, count(*) AS c FROM s LEFT JOIN names USING (k), streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', DEFAULT, DEFAULT, DEFAULT);
SELECT keep('s');
SELECT count(streamagg.create_aggregate(name, query, late, lateness, emit)) FROM queries;
SELECT sum(feed('s', jsonb_build_object('k', CASE WHEN i % 4 > 0 THEN chr(96 + i % 4) END, 'n', i % 9, 'f', i / 7.0,
  'x', i || '.' || repeat('0', 1 + i % 3), 'ts', timestamptz '2024-11-03 03:50' + i * interval '31 s' - CASE WHEN i % 10 = 0 THEN interval '30 min' ELSE '0' END),
  i % 2)) AS accepted FROM generate_series(1, 200) i;
SET TimeZone = 'Pacific/Auckland';
CREATE VIEW problems AS SELECT name, v.problem FROM queries q, streamagg.verify(q.name::regclass) v;
SELECT count(*) FROM problems;
-- of each the first group changed, the last deleted, another added
CREATE FUNCTION tamper(name text, key text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('DELETE FROM %1$I_state WHERE ctid = (SELECT max(ctid) FROM %1$I_state)', name);
  EXECUTE format('UPDATE %1$I_state SET c = c + 1 WHERE ctid = (SELECT min(ctid) FROM %1$I_state)', name);
  EXECUTE format('INSERT INTO %1$I_state (%2$s, c, updated_at) SELECT %3$s, 1, now() ON CONFLICT DO NOTHING', name, key,
    CASE key WHEN 'k, odd' THEN '''new'', 1' WHEN '_k1' THEN CASE name WHEN 'total' THEN '0' ELSE '''2030-01-01''' END ELSE '''2030-01-01''' END);
END $$;
SELECT count(tamper(q.name, CASE q.name WHEN 'keyed' THEN 'k, odd' WHEN 'total' THEN '_k1' WHEN 'dropping' THEN '_k1' WHEN 'binned' THEN 'b' WHEN 'days' THEN 'd' ELSE 'window_start' END))
FROM queries q;
SELECT name, string_agg(DISTINCT problem, ', ' ORDER BY problem) FROM problems GROUP BY 1 ORDER BY 1;
SELECT name, streamagg.backfill(name::regclass) AS rows_read FROM queries ORDER BY 1;
TABLE problems;
SELECT aggregate, source, from_ts, to_ts, done_to, rows_read, state FROM streamagg.backfills WHERE aggregate IN ('binned'::regclass, 'days'::regclass) ORDER BY started_at;
SET TimeZone = 'UTC';
-- the stream goes on
SELECT feed('s', '{"k": "a", "n": 1, "ts": "2024-11-03T06:00:00Z"}');
TABLE problems;

-- only windows that start in the range
UPDATE tumbling_state SET c = 0;
SELECT streamagg.backfill('tumbling', '2024-11-03 04:00', '2024-11-03 04:02');
SELECT window_start::time, sum(c) FROM tumbling WHERE window_start BETWEEN '2024-11-03 03:59' AND '2024-11-03 04:02' GROUP BY 1 ORDER BY 1;
SELECT streamagg.backfill('tumbling', NULL, '2024-11-03 04:00'), streamagg.backfill('tumbling', '2024-11-03 04:02');
SELECT streamagg.backfill('tumbling', 'infinity'), streamagg.backfill('tumbling', NULL, '-infinity');
TABLE problems;

-- slices: as many transactions
INSERT INTO s_archive (k, n, ts, _partition, _offset, _watermark, _received_at)
SELECT 'x', 1, timestamptz '2024-12-01' + i / 100 * interval '1 min', 0, i, '-infinity', now() FROM generate_series(1, 450000) i;
SELECT problem, count(*) FROM streamagg.verify('many') GROUP BY 1;
SELECT streamagg.backfill('many', '2024-12-01 00:00:13');
SELECT count(*), sum(c), count(DISTINCT updated_at) AS transactions FROM many WHERE window_start >= '2024-12-01';
SELECT problem, found->>'window_start' AS window_start FROM streamagg.verify('many');
CREATE INDEX ON s_archive USING brin (ts);
SELECT streamagg.backfill('many', '2024-11-30 23:59:13');
SELECT count(*), sum(c), count(DISTINCT updated_at) AS transactions FROM many WHERE window_start >= '2024-11-30 23:59:13';
SELECT * FROM streamagg.verify('many');
SET client_min_messages = warning;
DROP SCHEMA backfill CASCADE;
DROP SERVER backfill;
