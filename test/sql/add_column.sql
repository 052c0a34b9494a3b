-- add_column(): another output; what was before is NULL, or computed anew. Renames are followed.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA add_column;
SET search_path = add_column;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER add_column FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x numeric, ts timestamptz NOT NULL) SERVER add_column OPTIONS (event_time 'ts');
SELECT keep('s');
CREATE FUNCTION load(first int, last int) RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(feed('s', jsonb_build_object('k', CASE WHEN i % 3 > 0 THEN chr(96 + i % 3) END, 'n', i % 9, 'x', i / 4.0,
    'ts', timestamptz '2024-05-01 10:00' + i * interval '10 s'))) FROM generate_series(first, last) i $$;
SELECT streamagg.create_aggregate('a', $$
  SELECT w.window_start, k, count(*) AS c FROM s, streamagg.tumble(ts, '2 min') w GROUP BY w.window_start, w.window_end, k HAVING min(n) < 100 $$);
CREATE VIEW problems AS SELECT aggregate, v.problem, v.expected, v.found FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE a.stream = 's'::regclass;
CREATE ROLE add_column_reader;
GRANT SELECT ON a TO add_column_reader;
CREATE VIEW over_a AS SELECT window_start, sum(c) AS c FROM a GROUP BY 1;
SELECT load(1, 20);
-- fast grouping, and with avg the executor's; a call that is there already, one twice, an expression over a key
SELECT streamagg.add_column('a', 'total', 'sum(n) FILTER (WHERE n > 2)');
SELECT streamagg.add_column('a', 'mean', 'round(avg(x), 2) + sum(n) FILTER (WHERE n > 2)');
SELECT streamagg.add_column('a', 'per minute', 'count(*) / 2.0');
SELECT streamagg.add_column('a', 'window_end', 'w.window_end');
SELECT streamagg.add_column('a', 'k2', 'upper(s.k)');
TABLE problems;
SELECT load(21, 30);
-- the open windows' groups had rows that nobody has seen: they stay NULL
SELECT window_start, k, c, is_final, total, mean, "per minute", window_end, k2 FROM a ORDER BY 1, 2;
TABLE problems;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'a_state'::regclass AND attnum > 0 ORDER BY attnum;
-- known values are compared
UPDATE a_state SET total = total + 1 WHERE window_start = '2024-05-01 10:04' AND k = 'a';
SELECT problem, found ->> 'k' AS k, (expected ->> 'total')::int - (found ->> 'total')::int AS lacks FROM problems;
SELECT streamagg.backfill('a', '2024-05-01 10:02', '2024-05-01 10:06');
SELECT window_start, k, c, total, mean FROM a ORDER BY 1, 2;
TABLE problems;
SELECT streamagg.backfill('a');
SELECT count(*) FILTER (WHERE total IS NULL OR mean IS NULL) AS unknown FROM a;
-- at once with what was before
SELECT streamagg.add_column('a', 'top', 'max(x)', 'archive');
SELECT load(31, 40);
SELECT window_start, k, c, top FROM a ORDER BY 1, 2;
TABLE problems;
-- the view is the same: grants, and what reads it
SELECT has_table_privilege('add_column_reader', 'a', 'SELECT') AS readable, (SELECT sum(c) FROM over_a) AS c;
SELECT pg_get_viewdef('a_query');
-- a rollup has the columns, and grows by itself
SELECT streamagg.create_rollup('r', 'a', '10 min');
SELECT streamagg.add_column('r', 'least', 'min(x)');
SELECT load(41, 50);
SELECT window_start, k, c, total, top, least FROM r ORDER BY 1, 2;
TABLE problems;
-- columns of the stream under new names
ALTER FOREIGN TABLE s RENAME COLUMN n TO number;
ALTER FOREIGN TABLE s RENAME COLUMN ts TO happened;
ALTER FOREIGN TABLE s OPTIONS (SET event_time 'happened');
SELECT streamagg.add_column('a', 'numbers', 'count(number)', 'archive');
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "n": 4, "x": 7, "ts": "2024-05-01T10:08:50Z"}']);
SELECT window_start, k, c, total, numbers FROM a WHERE window_start >= '2024-05-01 10:08' ORDER BY 1, 2;
TABLE problems;
-- a key that is called as a marker might be; and what it shows of the state
SELECT streamagg.create_aggregate('named', 'SELECT k AS _known1, count(*) AS c FROM s GROUP BY 1');
SELECT streamagg.add_column('named', 'least', 'min(x)');
SELECT line FROM streamagg.explain('named') WHERE part = 'state';
-- no rule goes that it is about to use
BEGIN;
SELECT streamagg.add_column('named', 'greatest', 'max(x)');
SELECT mode FROM pg_locks WHERE relation = 'streamagg.merge_rules'::regclass AND pid = pg_backend_pid() ORDER BY 1;
ROLLBACK;
SELECT streamagg.drop_aggregate('named');
-- refused
SELECT streamagg.add_column('a', 'total', 'max(number)');
SELECT streamagg.add_column('a', 'is_final', 'max(number)');
SELECT streamagg.add_column('a', 'y', 'number');
SELECT streamagg.add_column('a', 'y', 'max(nothing)');
SELECT streamagg.add_column('a', 'y', 'max(number), min(number)');
SELECT streamagg.add_column('a', 'y', 'max(number) FROM s; DROP TABLE problems; --');
SELECT streamagg.add_column('a', 'y', 'max(number) AS z');
SELECT streamagg.add_column('a', 'y', 'max(number) -- not more');
SELECT streamagg.add_column('a', 'y2', '(SELECT 1)');
SELECT streamagg.add_column('a', 'y2', 'max(random())');
SELECT streamagg.add_column('a', 'y2', 'array_agg(number)');
SELECT streamagg.add_column('a', 'y2', 'count(DISTINCT number)');
SELECT streamagg.add_column('a', NULL, 'max(number)');
SELECT streamagg.add_column(NULL, 'y2', 'max(number)');
SELECT streamagg.add_column('a', 'y2', 'max(number)', 'twice');
SELECT streamagg.add_column('a_state', 'y2', 'max(number)');
-- greater groups of what some do not know
SELECT streamagg.create_rollup('r2', 'a', '1 h');
GRANT USAGE ON SCHEMA add_column TO add_column_reader;
SET ROLE add_column_reader;
SELECT streamagg.add_column('add_column.a', 'y2', 'max(number)');
RESET ROLE;
TABLE problems;
SET client_min_messages = warning;
DROP SCHEMA add_column CASCADE;
DROP ROLE add_column_reader;
