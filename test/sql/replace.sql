-- replace_aggregate() and create_aggregate(backfill): another query for an aggregate, and one for what was before.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA replace;
SET search_path = replace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE ROLE replace_owner IN ROLE streamagg_reader;
CREATE ROLE replace_reader;
CREATE SERVER replace FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE, CREATE ON SCHEMA replace TO replace_owner;
GRANT USAGE ON SCHEMA replace TO replace_reader;
GRANT USAGE ON FOREIGN SERVER replace TO replace_owner;
SET ROLE replace_owner;
CREATE FOREIGN TABLE s (k text, n int, ts timestamptz NOT NULL) SERVER replace OPTIONS (event_time 'ts', watermark_delay '10 s');
SELECT streamagg.create_aggregate('a', 'SELECT w.window_start, k, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', allowed_lateness => '5 s');
-- there is none to read
SELECT streamagg.create_aggregate('b', 'SELECT count(*) AS n FROM s', backfill => 'archive');
SELECT streamagg.create_aggregate('b', 'SELECT count(*) AS n FROM s', backfill => 'all');
SELECT keep('s');
CREATE FUNCTION push(from_minute int, to_minute int) RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(feed('s', jsonb_build_object('k', chr(97 + i % 3), 'n', i, 'ts', timestamptz '2024-01-01' + i * interval '1 min'), i % 2))
  FROM generate_series(from_minute, to_minute) i $$;
SELECT push(1, 20);

-- an aggregate of what was before, in every window, late rows left out where they are dropped
SELECT streamagg.create_aggregate('b', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''5 min'') w GROUP BY 1', late => 'drop', backfill => 'archive'),
  streamagg.create_aggregate('t', 'SELECT sum(n) AS n FROM s', backfill => 'archive'),
  streamagg.create_aggregate('none', 'SELECT sum(n) AS n FROM s');
SELECT push(18, 30);
SELECT window_start::time, c, is_final FROM b ORDER BY 1;
SELECT t.n, none.n FROM t, none;
CREATE VIEW problems AS SELECT aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE a.stream = 's'::regclass;
TABLE problems;
SELECT aggregate, rows_in FROM streamagg.aggregates WHERE stream = 's'::regclass ORDER BY aggregate::text;

-- the same columns: the view stays, and what depends on it
CREATE VIEW above AS SELECT k, sum(c) AS c, bool_and(is_final) AS final FROM a GROUP BY 1;
GRANT SELECT ON a, above TO replace_reader;
COMMENT ON COLUMN a.c IS 'mine';
SELECT k, c FROM above ORDER BY 1;
SELECT 'a'::regclass::oid AS old_view, 'a_state'::regclass::oid AS old_state \gset
SELECT streamagg.replace_aggregate('a', 'SELECT w.window_start, upper(k) AS k, count(*) FILTER (WHERE n % 2 = 0) AS c FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1, 2');
SELECT 'a'::regclass = :old_view AS same_view, 'a_state'::regclass = :old_state AS same_state;
SELECT k, c FROM above ORDER BY 1;
SET ROLE replace_reader;
SELECT count(*) FROM a;
SET ROLE replace_owner;
TABLE problems;
SELECT push(31, 40);
TABLE problems;
SELECT sum(c) FROM a;
SELECT late, allowed_lateness, emit, query FROM streamagg.aggregates WHERE aggregate = 'a'::regclass;
SELECT relname FROM pg_class WHERE relnamespace = 'replace'::regnamespace AND relname LIKE 'a\_%' AND relkind IN ('r', 'v') ORDER BY 1;
SELECT col_description('a'::regclass, 3), count(*) FROM pg_depend WHERE refobjid = 'a'::regclass AND deptype IN ('i', 'a') AND classid = 'pg_class'::regclass;

-- HAVING comes and goes; without a backfill it begins anew
SELECT streamagg.replace_aggregate('a', 'SELECT w.window_start, k, count(*) AS c FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1, 2 HAVING count(*) > 3', 'none');
SELECT count(*) FROM a;
SELECT reloptions FROM pg_class WHERE oid = 'a'::regclass;
SELECT push(41, 60);
SELECT window_start::time, k, c FROM a ORDER BY 1, 2;
TABLE problems;

-- other columns: another view, where nothing depends on the old one; its readers still may
SELECT streamagg.replace_aggregate('a', 'SELECT k, count(*) AS c, max(n) AS m FROM s GROUP BY 1');
DROP VIEW above;
SELECT streamagg.replace_aggregate('a', 'SELECT k, count(*) AS c, max(n) AS m FROM s GROUP BY 1');
SELECT 'a'::regclass = :old_view AS same_view;
SET ROLE replace_reader;
SELECT k, c, m FROM a ORDER BY 1;
SET ROLE replace_owner;
TABLE problems;

-- what is refused leaves everything as it was
SELECT streamagg.replace_aggregate('a', 'SELECT k, n / 0 AS z, count(*) FROM s GROUP BY 1, 2');
SELECT streamagg.replace_aggregate('a', 'SELECT k, array_agg(n) FROM s GROUP BY 1');
CREATE FOREIGN TABLE other (ts timestamptz) SERVER replace OPTIONS (event_time 'ts');
SELECT streamagg.replace_aggregate('a', 'SELECT count(*) FROM other');
SELECT streamagg.replace_aggregate('above', 'SELECT count(*) FROM s');
SELECT streamagg.replace_aggregate('a', NULL);
SELECT streamagg.replace_aggregate(NULL, 'SELECT count(*) FROM s');
CREATE VIEW above AS SELECT c FROM a_state;
SELECT streamagg.replace_aggregate('a', 'SELECT k, count(*) AS c, min(n) AS m FROM s GROUP BY 1');
DROP VIEW above;
SET ROLE replace_reader;
SELECT streamagg.replace_aggregate('a', 'SELECT count(*) FROM s');
SET ROLE replace_owner;
SELECT k, c, m FROM a ORDER BY 1;
SELECT push(61, 63);
TABLE problems;
BEGIN;
SELECT streamagg.replace_aggregate('a', 'SELECT k, count(*) AS c, min(n) AS m FROM s GROUP BY 1');
SELECT k, c, m FROM a ORDER BY 1;
ROLLBACK;
SELECT k, c, m FROM a ORDER BY 1;
SELECT push(64, 66);
TABLE problems;
SELECT event, detail FROM streamagg.events WHERE stream = 's'::regclass AND event LIKE 'replace%' ORDER BY at;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA replace CASCADE;
DROP SERVER replace;
DROP ROLE replace_owner, replace_reader;
