-- The side tables of calls with DISTINCT: what they are, that they go where the state goes, and what becomes of rows that fail on them.
\set SHOW_CONTEXT never
\set VERBOSITY default
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET client_min_messages = warning;
CREATE ROLE distinct_edges_owner IN ROLE streamagg_reader;
CREATE ROLE distinct_edges_reader;
CREATE SCHEMA edges;
GRANT ALL ON SCHEMA edges TO distinct_edges_owner;
SET search_path = edges;
CREATE SERVER edges FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER edges TO distinct_edges_owner;
SET ROLE distinct_edges_owner;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO distinct_edges_reader;
CREATE FOREIGN TABLE s (k text, v text, n int, x float8, ts timestamptz NOT NULL) SERVER edges OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
CREATE FUNCTION m(k text, v text, n int, x text, at text) RETURNS text LANGUAGE sql RETURN json_build_object('k', k, 'v', v, 'n', n, 'x', x, 'ts', '2024-01-01T00:' || at || 'Z')::text;
CREATE FUNCTION sides() RETURNS TABLE (side text, state text, number int) LANGUAGE sql SECURITY DEFINER AS
  'SELECT relname, state_table::text, number FROM streamagg.side_tables JOIN pg_class ON oid = side_table WHERE relnamespace = ''edges''::regnamespace ORDER BY 2, 3';
RESET ROLE;
ALTER FUNCTION sides() OWNER TO CURRENT_USER;
SET ROLE distinct_edges_owner;

-- one table for each argument and filter; the window first; nobody else's
SELECT streamagg.create_aggregate('visits', $$
  SELECT w.window_start, w.window_end, k, count(*) AS c, count(DISTINCT v) AS people, sum(DISTINCT n) AS s, avg(DISTINCT n) AS a,
    count(DISTINCT n) FILTER (WHERE v = 'x') AS xs, sum(DISTINCT n) FILTER (WHERE v = 'x') AS sx
  FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3 $$);
SELECT * FROM sides();
SELECT c.relname, pg_get_userbyid(relowner) AS owner, regexp_replace(relacl::text, 'm(?=/)', '') AS relacl, obj_description(c.oid) AS comment, pg_get_constraintdef(o.oid) AS constraint, deptype, refobjid::regclass
FROM pg_class c JOIN pg_constraint o ON conrelid = c.oid JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = d.classid WHERE c.relname ~ '^visits_distinct' ORDER BY 1;
DROP TABLE visits_distinct;
SELECT attname, pg_get_expr(adbin, adrelid) FROM pg_attribute a JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = 'visits_state'::regclass ORDER BY attnum;
SELECT streamagg.push('s', ARRAY[m('a', 'x', 1, '1', '00:01'), m('a', 'y', 2, '1', '00:02'), m('b', NULL, NULL, '1', '00:03'), m(NULL, 'x', 3, '1', '00:04'), m('a', 'x', 2, '1', '00:05')]);
SELECT streamagg.push('s', ARRAY[m('a', 'y', 1, '1', '00:06'), m('a', 'z', 5, '1', '00:07'), m(NULL, 'x', 3, '1', '01:30')]);
SELECT window_start, k, c, people, s, a, xs, sx, is_final FROM visits ORDER BY 1, 2;
TABLE visits_distinct_2 ORDER BY 1, 2, 3;
SELECT * FROM streamagg.verify('visits');
-- columns of the stream under other names
ALTER FOREIGN TABLE s RENAME v TO person;
SELECT streamagg.push('s', ARRAY[m('a', 'z', 1, '1', '00:06'), m('a', 'new', 5, '1', '00:07')]);
SELECT c, people, s, a FROM visits WHERE k = 'a' ORDER BY 1;
SELECT * FROM streamagg.verify('visits');

-- a rule on a side table is refused, as one on the state is
CREATE RULE r AS ON INSERT TO visits_distinct DO ALSO SELECT 1;
SELECT streamagg.push('s', ARRAY[m('a', 'y', 1, '1', '00:06')]);
SELECT streamagg.backfill('visits');
DROP RULE r ON visits_distinct;
-- what was tampered with is seen in the state and put right from the archive; what is in a side table only is put right, too
DELETE FROM visits_distinct WHERE value = 'x';
INSERT INTO visits_distinct_2 VALUES ('2024-01-01 00:00:00Z', 'a', 77);
UPDATE visits_state SET people = 100 WHERE k = 'a';
SELECT problem, expected ->> 'people' AS expected, found ->> 'people' AS found FROM streamagg.verify('visits');
SELECT streamagg.backfill('visits', '2024-01-01 00:00:00Z', '2024-01-01 00:01:00Z');
SELECT * FROM streamagg.verify('visits');
SELECT streamagg.push('s', ARRAY[m('a', 'x', 77, '1', '00:08'), m('a', 'y', 77, '1', '00:08')]);
SELECT * FROM streamagg.verify('visits');
SELECT count(*), count(*) FILTER (WHERE window_start >= '2024-01-01 00:01Z') AS untouched FROM visits_distinct;

-- E25, I28: rows that fail on a side table go to quarantine, and nothing of them is anywhere: a value that no index holds, one that cannot be computed
SELECT streamagg.create_aggregate('divided', 'SELECT k, count(*) AS c, count(DISTINCT 10 / (n - 50)) AS d, count(DISTINCT (n * 40)::smallint) AS small FROM s GROUP BY 1');
SELECT read, accepted, quarantined FROM streamagg.push('s', ARRAY[m('p', 'x', 1, '1', '01:01'), m('p', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i), 2, '1', '01:01'),
  m('p', 'y', 50, '1', '01:02'), m('p', 'z', 32000, '1', '01:03'), m('p', 'x', 4, '1', '01:04')]);
SELECT 'E25, I28' AS fault, record_offset, stage, code, column_name, reason ~ 'aggregate' AS told FROM streamagg.quarantine WHERE stream = 's'::regclass ORDER BY 2;
SELECT k, c, d, small FROM divided;
SELECT c, people, s FROM visits WHERE k = 'p';
SELECT value FROM visits_distinct_2 WHERE k = 'p' ORDER BY 1;
SELECT * FROM streamagg.verify('visits');
SELECT * FROM streamagg.verify('divided');
-- I14: a sum that comes to its type's end stops the stream, and names the column
SELECT streamagg.create_aggregate('far', 'SELECT k, count(*) AS c, sum(DISTINCT x) AS far FROM s GROUP BY 1');
SELECT streamagg.push('s', ARRAY[m('q', 'x', 1, '1e308', '01:05')]);
SELECT 'I14' AS fault, streamagg.push('s', ARRAY[m('q', 'x', 1, '1.5e308', '01:05')]);
SELECT c, far FROM far;
SELECT streamagg.drop_aggregate('far'), streamagg.drop_aggregate('divided');

-- another query, the view kept and not kept
CREATE VIEW above AS SELECT people FROM visits;
SELECT streamagg.replace_aggregate('visits', $$
  SELECT w.window_start, w.window_end, k, count(*) AS c, count(DISTINCT n) AS people, sum(DISTINCT n) AS s, avg(DISTINCT n) AS a, 0::bigint AS xs, 0::bigint AS sx
  FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3 $$, 'archive');
SELECT * FROM sides();
SELECT relname FROM pg_class WHERE relnamespace = 'edges'::regnamespace AND relkind = 'r' AND relname ~ '_distinct|_replacing' ORDER BY 1;
SELECT * FROM streamagg.verify('visits');
SELECT streamagg.push('s', ARRAY[m('a', 'x', 78, '1', '00:08'), m('a', 'y', 77, '1', '00:08')]);
SELECT * FROM streamagg.verify('visits');
DROP VIEW above;
SELECT streamagg.replace_aggregate('visits', 'SELECT k, count(DISTINCT n) AS n, count(DISTINCT person) AS people FROM s GROUP BY 1', 'archive');
SELECT * FROM sides();
SELECT * FROM streamagg.verify('visits');
DROP VIEW visits;
SELECT * FROM sides();

-- names: cut to fit, and refused when they are taken
SELECT streamagg.create_aggregate(repeat('n', 63), 'SELECT count(DISTINCT n) AS n, count(DISTINCT x) AS x FROM s');
SELECT side, length(side) FROM sides();
SELECT streamagg.drop_aggregate(repeat('n', 63)::regclass);
CREATE TABLE taken_distinct ();
SELECT streamagg.create_aggregate('taken', 'SELECT count(DISTINCT n) AS n FROM s');
-- another owner's table is not written
SELECT streamagg.create_aggregate('owned', 'SELECT count(DISTINCT n) AS n FROM s');
RESET ROLE;
ALTER TABLE edges.owned_distinct OWNER TO distinct_edges_reader;
SET ROLE distinct_edges_owner;
SELECT streamagg.push('s', ARRAY[m('a', 'x', 1, '1', '00:08')]);
RESET ROLE;
ALTER TABLE edges.owned_distinct OWNER TO distinct_edges_owner;
SET ROLE distinct_edges_owner;
-- from Kafka it cannot be filled yet
SELECT streamagg.create_aggregate('topic', 'SELECT count(DISTINCT n) AS n FROM s', backfill => 'kafka');
-- the extension goes: the tables stay
RESET ROLE;
BEGIN;
DROP EXTENSION streamagg CASCADE;
SELECT relname FROM pg_class WHERE relnamespace = 'edges'::regnamespace AND relname ~ '^owned' AND relkind IN ('r', 'v') ORDER BY 1;
ROLLBACK;
SET ROLE distinct_edges_owner;
-- the stream goes: the tables stay, and go with the view
SET client_min_messages = notice;
DROP FOREIGN TABLE s CASCADE;
SELECT * FROM sides();
SELECT n FROM owned;
SELECT streamagg.drop_aggregate('owned');
SELECT * FROM sides();
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA edges CASCADE;
DROP OWNED BY distinct_edges_owner;
DROP ROLE distinct_edges_owner, distinct_edges_reader;
