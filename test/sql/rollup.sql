-- Rollups: hours from minutes, days from hours. Each equals the plain query at the coarser grain.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA rollup;
SET search_path = rollup;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER rollup FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, f float8, x numeric, b boolean, ts timestamptz NOT NULL)
  SERVER rollup OPTIONS (event_time 'ts', watermark_delay '30 s');
SELECT keep('s');
CREATE FUNCTION load(first int, last int) RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(feed('s', jsonb_build_object('k', CASE WHEN i % 4 > 0 THEN chr(96 + i % 4) END, 'n', i % 9, 'f', i / 7.0,
    'x', i || '.' || repeat('0', 1 + i % 3), 'b', i % 5 = 0,
    'ts', timestamptz '2024-03-30 20:50' + i * interval '97 s' - CASE WHEN i % 10 = 0 THEN interval '50 min' ELSE '0' END), i % 2))
  FROM generate_series(first, last) i $$;
CREATE TABLE base (name text, query text, size interval[], late text DEFAULT 'merge', lateness interval DEFAULT '0', emit text DEFAULT 'live');
INSERT INTO base VALUES
('minutes', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(n) AS n, avg(n) AS a, avg(f) AS f, max(x) AS x, min(n) FILTER (WHERE b) + 1 AS m, count(DISTINCT x) AS d, avg(DISTINCT n) FILTER (WHERE b) AS ad
  FROM s, streamagg.tumble(ts, ''1 min'') w WHERE n <> 7 GROUP BY 1, 2, 3', '{1 h,1 day,7 days}', DEFAULT, DEFAULT, DEFAULT),
('having', 'SELECT k, avg(x), w.window_end, bool_or(b) FROM s CROSS JOIN streamagg.tumble(size => ''5 min'', ts => ts, origin => ''2000-01-01 00:02:30+00'') w
  GROUP BY w.window_end, k HAVING count(*) > 2', '{15 min,2 h}', DEFAULT, DEFAULT, DEFAULT),
('dropping', 'SELECT w.window_end, w.window_end - w.window_start AS size, count(*) AS c FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY w.window_start, w.window_end', '{30 min,1 day}', 'drop', '40 s', DEFAULT),
('final', 'SELECT w.window_start, k, avg(n) AS a FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', '{1 h}', DEFAULT, DEFAULT, 'final'),
('binned', 'SELECT date_bin(''2 min'', ts, ''2000-01-01''::timestamptz) AS b, date_bin(''2 min'', ts, ''2000-01-01''::timestamptz) + ''1 s'' AS later, min(k) AS k FROM s GROUP BY 1', '{2 h}', 'drop', DEFAULT, DEFAULT),
('vienna', 'SELECT date_trunc(''hour'', ts, ''Europe/Vienna'') AS h, avg(f) AS f, count(k) FROM s GROUP BY 1', '{1 day,1 month,1 year}', 'drop', DEFAULT, DEFAULT);
SELECT count(streamagg.create_aggregate(name, query, late, lateness, emit)) FROM base;
CREATE TABLE rollups (name text, of text, size interval);
-- of an aggregate that has no row yet, and a rollup of each rollup
INSERT INTO rollups SELECT name || '_' || i, CASE WHEN i = 1 THEN name ELSE name || '_' || i - 1 END, size[i]
  FROM base, generate_subscripts(size, 1) i;
SELECT streamagg.create_rollup(name, of::regclass, size) FROM rollups ORDER BY name;
SELECT load(1, 60);
CREATE VIEW problems AS SELECT aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE a.stream = 's'::regclass;
TABLE problems;
-- of aggregates that have rows: what they hold comes along, without the archive
SELECT count(streamagg.create_rollup(name || '_then', of::regclass, size)) FROM rollups WHERE name ~ '1$|dropping';
TABLE problems;
SELECT load(61, 130);
TABLE problems;
-- both are the same, and the same as the plain query
SELECT window_start, window_end, k, c, n, a, x, m, d, ad, is_final FROM minutes_1 WHERE k IN ('a', 'b') ORDER BY window_start, k;
SELECT count(*) AS rows, count(*) FILTER (WHERE t IS NULL) AS differ FROM minutes_1 r LEFT JOIN minutes_1_then t
  ON r.window_start = t.window_start AND r.k IS NOT DISTINCT FROM t.k AND (r.c, r.n, r.a, r.x, r.m, r.d, r.ad) IS NOT DISTINCT FROM (t.c, t.n, t.a, t.x, t.m, t.d, t.ad);
SELECT k, avg, window_end, bool_or, is_final FROM having_1 EXCEPT SELECT k, avg, window_end, bool_or, is_final FROM having_1_then;
SELECT window_start, k, count(*) AS c, avg(n) AS a FROM s_archive, streamagg.tumble(ts, '1 day') w WHERE n <> 7 AND k = 'a' GROUP BY 1, 2
EXCEPT SELECT window_start, k, c, a FROM minutes_2 WHERE k = 'a';
-- late by the windows that it is made of: an hour has what its minutes have
SELECT (SELECT sum(c) FROM dropping) AS fine, (SELECT sum(c) FROM dropping_1) AS coarse, (SELECT sum(c) FROM dropping_2) AS coarser;
SELECT aggregate, late, allowed_lateness, emit, late_rows FROM streamagg.aggregates WHERE aggregate::text ~ '^(dropping|final)' ORDER BY aggregate::text;
SELECT is_final, count(*) FROM final_1 GROUP BY 1;
SELECT h, is_final FROM vienna_1 ORDER BY 1;
SELECT h, round(f::numeric, 9) AS f, count, is_final FROM vienna_2;
-- a rollup outlives its aggregate, is tampered with and mended, and goes with DROP VIEW
SELECT streamagg.drop_aggregate('minutes');
UPDATE minutes_1_state SET c = c + 1 WHERE k = 'b';
SELECT aggregate, problem, found ->> 'window_start' AS hour FROM problems ORDER BY 3;
SELECT streamagg.backfill('minutes_1', '2024-03-30 21:30', '2024-03-30 22:30');
SELECT aggregate, problem, found ->> 'window_start' AS hour FROM problems ORDER BY 3;
SELECT streamagg.backfill('minutes_1');
TABLE problems;
SELECT load(131, 150);
TABLE problems;
DROP VIEW minutes_1;
SELECT count(*) FROM pg_class WHERE relnamespace = 'rollup'::regnamespace AND relname LIKE 'minutes_1_%' AND relname NOT LIKE '%then%';
SELECT count(*) AS tables_left FROM pg_class WHERE relname LIKE '%streamagg_rollup%';
SELECT event, count(*) FROM streamagg.events WHERE stream = 's'::regclass GROUP BY 1 ORDER BY 1;
SELECT pg_get_viewdef('vienna_1_query') ~ 'date_trunc\(''day''::text, (s.)?ts, ''Europe/Vienna''::text\) AS h' AS by_day;
-- of an aggregate that began in the middle, and was partly filled with what was before: as much, not more
SELECT streamagg.create_aggregate('young', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1');
SELECT streamagg.create_rollup('young_1', 'young', '1 h');
SELECT load(151, 152);
SELECT streamagg.backfill('young', '2024-03-30 21:30', '2024-03-30 22:30');
SELECT streamagg.create_rollup('young_2', 'young', '1 h');
SELECT load(153, 160);
TABLE problems;
SELECT window_start, c FROM young_1 ORDER BY 1;
SELECT window_start, c FROM young_2 ORDER BY 1;
-- hours that begin in the range, whole
SELECT streamagg.backfill('young_2', '2024-03-30 22:15', '2024-03-30 23:15');
TABLE problems;
SELECT window_start, c FROM young_2 ORDER BY 1;
SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
DROP SCHEMA rollup CASCADE;
