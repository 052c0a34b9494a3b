-- verify(): an aggregate against its query over the archive. What was tampered with is found, nothing else.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA verify;
SET search_path = verify;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER verify FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, gone int, n int, f float8, r real, x numeric, ts timestamptz NOT NULL)
  SERVER verify OPTIONS (event_time 'ts', watermark_delay '30 s');
ALTER FOREIGN TABLE s DROP COLUMN gone;
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('a', 'Anna'), ('b', 'Bert'), ('b', 'Berta');
CREATE TABLE queries (name text, query text, late text DEFAULT 'merge', lateness interval DEFAULT '0', emit text DEFAULT 'live');
INSERT INTO queries VALUES
('tumbling', 'SELECT w.window_start, w.window_end, k, count(*) AS c, sum(f) AS f, sum(r) AS r, avg(x) AS x, max(n) FILTER (WHERE n > 3) + 1 AS m
  FROM s, streamagg.tumble(ts, ''1 min'') w WHERE n <> 7 GROUP BY 1, 2, 3', DEFAULT, DEFAULT, DEFAULT),
('having', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'', ''2000-01-01 00:00:13+00'') w GROUP BY 1 HAVING count(*) > 8', DEFAULT, DEFAULT, DEFAULT),
('dropping', 'SELECT w.window_end, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1', 'drop', '40 s', DEFAULT),
('final', 'SELECT w.window_start, k, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', DEFAULT, DEFAULT, 'final'),
('binned', 'SELECT date_bin(''2 min'', ts, ''2000-01-01''::timestamptz) AS b, min(k) AS k FROM s GROUP BY 1', 'drop', DEFAULT, DEFAULT),
('hours', 'SELECT date_trunc(''hour'', ts, ''Europe/Vienna'') AS h, avg(f) AS f, avg(r) AS r FROM s GROUP BY 1', 'drop', DEFAULT, DEFAULT),
('total', 'SELECT count(*) AS c, sum(n) AS n FROM s', DEFAULT, DEFAULT, DEFAULT),
('keyed', 'SELECT k, n % 2 AS odd, sum(x) AS x FROM s GROUP BY 1, 2', 'drop', DEFAULT, DEFAULT),
('joined', 'SELECT name, w.window_start, count(*) AS c FROM s LEFT JOIN names USING (k), streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', DEFAULT, DEFAULT, DEFAULT),
('whole_row', 'SELECT s IS NULL AS b, count(s) AS c, max(s.*::text) AS m FROM s GROUP BY 1', DEFAULT, DEFAULT, DEFAULT),
('local_day', 'SELECT ts::date AS d, extract(hour FROM ts) AS h, count(*) AS c FROM s GROUP BY 1, 2', DEFAULT, DEFAULT, DEFAULT);
SELECT streamagg.create_aggregate('no_archive', 'SELECT count(*) AS n FROM s');
\set VERBOSITY sqlstate
SELECT * FROM streamagg.verify('no_archive');
\set VERBOSITY default
SELECT * FROM streamagg.verify('no_archive');
SELECT keep('s');
SELECT count(streamagg.create_aggregate(name, query, late, lateness, emit)) FROM queries WHERE name <> 'local_day';
-- a definition of another zone, whatever the zone of who verifies
SET TimeZone = 'Pacific/Auckland';
SELECT streamagg.create_aggregate(name, query, late, lateness, emit) FROM queries WHERE name = 'local_day';
SET TimeZone = 'UTC';
CREATE VIEW problems AS SELECT name, v.* FROM queries q, streamagg.verify(q.name::regclass) v;
TABLE problems;
-- every tenth row is late, every fourth key NULL; numbers are 1, 1.0 and 1.00
SELECT sum(feed('s', jsonb_build_object('k', CASE WHEN i % 4 > 0 THEN chr(96 + i % 4) END, 'n', i % 9, 'f', i / 7.0, 'r', i / 3.0,
  'x', i || '.' || repeat('0', 1 + i % 3), 'ts', timestamptz '2024-03-30 23:50' + i * interval '31 s' - CASE WHEN i % 10 = 0 THEN interval '30 min' ELSE '0' END),
  i % 2)) AS accepted FROM generate_series(1, 200) i;
SELECT aggregate, late_rows FROM streamagg.aggregates WHERE stream = 's'::regclass AND late_rows > 0 ORDER BY aggregate::text;
TABLE problems;
SET TimeZone = 'America/New_York';
TABLE problems;
SET TimeZone = 'UTC';

-- a group changed, deleted, added, in each of them
CREATE FUNCTION tamper(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  found text;
BEGIN
  BEGIN
    EXECUTE statement;
    SELECT string_agg(format('%s %s: %s', name, problem, n), ', ' ORDER BY name, problem) INTO found
    FROM (SELECT name, problem, count(*) AS n FROM problems GROUP BY 1, 2) p;
    RAISE SQLSTATE 'XY000';
  EXCEPTION WHEN SQLSTATE 'XY000' THEN NULL; -- undone
  END;
  RETURN found;
END $$;
SELECT tamper('UPDATE tumbling_state SET c = c + 1 WHERE ctid = (SELECT min(ctid) FROM tumbling_state WHERE k IS NULL)');
SELECT tamper('DELETE FROM having_state WHERE window_start = (SELECT min(window_start) FROM having_state)');
SELECT tamper('INSERT INTO dropping_state SELECT max(_k1) + interval ''1 day'', 1, now() FROM dropping_state');
SELECT tamper('UPDATE final_state SET c = 0 WHERE window_start = (SELECT max(window_start) FROM final_state)');
SELECT tamper('UPDATE binned_state SET k = NULL WHERE b = (SELECT min(b) FROM binned_state)');
SELECT tamper('UPDATE hours_state SET f__sum = f__sum * (1 + 1e-8) WHERE h = (SELECT min(h) FROM hours_state)');
SELECT tamper('DELETE FROM total_state');
SELECT tamper('UPDATE keyed_state SET k = ''z'' WHERE k IS NULL AND odd = 1');
SELECT tamper('UPDATE names SET name = ''Berti'' WHERE name = ''Berta''');
SELECT tamper('UPDATE local_day_state SET c = -c WHERE (d, h) IN (SELECT min(d), min(h) FROM local_day_state)');
BEGIN;
DELETE FROM total_state;
UPDATE keyed_state SET k = 'z' WHERE k IS NULL AND odd = 1;
UPDATE having_state SET c = c + 1;
SELECT * FROM streamagg.verify('total');
SELECT problem, expected, found FROM streamagg.verify('keyed') ORDER BY 1;
-- of windows that start in the range, with its beginning, without its end
SELECT problem, count(*), min((found->>'window_start')::timestamptz) = (SELECT min(window_start) FROM having_state) AS from_the_first
FROM streamagg.verify('having') GROUP BY 1;
SELECT found->>'window_start' AS window_start FROM streamagg.verify('having', '2024-03-31 00:20:13', '2024-03-31 00:23:13') ORDER BY 1;
SELECT found->>'window_start' AS window_start FROM streamagg.verify('having', '2024-03-31 00:20:13.000001', '2024-03-31 00:23:13.000001') ORDER BY 1;
SELECT count(*) FROM streamagg.verify('having', '-infinity', 'infinity') UNION ALL SELECT count(*) FROM streamagg.verify('having', 'infinity', '-infinity');
ROLLBACK;

-- what is equal and looks different, what is nearly equal, and what is not
SELECT a::float8, b::float8, streamagg.nearly_equal(a, b, 1e-9) FROM (VALUES (1, 1 + 1e-10), (1, 1 + 1e-8), (0, -0.0), ('nan', 'nan'), ('nan', 1), ('inf', 1),
  ('inf', 'inf'), ('inf', '-inf'), (1.7e308, -1.7e308), (0, 1e-300), (NULL, NULL), (NULL, 1)) t(a, b);
SELECT tamper('UPDATE tumbling_state SET f = f * (1 + 1e-11), x__sum = x__sum * 1.000');
SET client_min_messages = warning;
DROP SCHEMA verify CASCADE;
DROP SERVER verify;
