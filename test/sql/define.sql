-- create_aggregate makes a view, a state table and a definition view: which columns they have, whose
-- they are, which names clash.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA define;
SET search_path = define;
CREATE SERVER define FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE visits (
  id int, country text, amount numeric(8,2), seconds float8, ok boolean,
  code varchar(3) COLLATE "C", ts timestamptz NOT NULL
) SERVER define OPTIONS (event_time 'ts', watermark_delay '0 s');

CREATE VIEW relations AS
SELECT c.relname, c.relkind, pg_get_userbyid(c.relowner) = current_user AS mine, c.relacl IS NULL AS ungranted
FROM pg_class c WHERE c.relnamespace = 'define'::regnamespace AND c.relkind IN ('r', 'v')
  AND c.relname NOT IN ('relations', 'columns');
CREATE VIEW columns AS
SELECT a.attrelid::regclass AS relation, a.attnum AS n, a.attname AS name,
  format_type(a.atttypid, a.atttypmod) AS type, l.collname AS coll
FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default'
WHERE a.attnum > 0 AND NOT a.attisdropped;

-- the objects
SELECT streamagg.create_aggregate('per_minute', $$
  SELECT w.window_start, w.window_end, v.country, count(*) AS visits, avg(v.seconds) AS mean,
    sum(v.amount) AS revenue, count(*) FILTER (WHERE v.ok) * 100 / count(*) AS percent_ok
  FROM visits v, streamagg.tumble(v.ts, '1 minute') w GROUP BY 1, 2, 3 $$);
SELECT * FROM relations ORDER BY relname;

-- the view: the query's columns in order and type, then is_final and updated_at
SELECT n, name, type FROM columns WHERE relation = 'per_minute'::regclass ORDER BY n;
-- the state: keys and whole outputs under their names, the parts of others as name__sum, _s1
SELECT n, name, type FROM columns WHERE relation = 'per_minute_state'::regclass ORDER BY n;
SELECT indisunique, indnullsnotdistinct, indnatts FROM pg_index WHERE indrelid = 'per_minute_state'::regclass;
SELECT reloptions FROM pg_class WHERE oid = 'per_minute_state'::regclass;
-- the definition: what the query says, readable by nobody but the owner
SELECT n, name, type FROM columns WHERE relation = 'per_minute_query'::regclass ORDER BY n;
-- each has a comment
SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c
WHERE c.relname LIKE 'per\_minute%' AND c.relkind IN ('r', 'v') ORDER BY 1;

-- the catalogue row
SELECT aggregate, stream, state_table, late, allowed_lateness, emit, retention, rows_in, late_rows,
  late_pairs, groups, closed_until FROM streamagg.aggregates WHERE stream = 'visits'::regclass;

-- keys that are not selected, aggregates inside expressions, types with modifiers and collations
SELECT streamagg.create_aggregate('hidden', $$
  SELECT round(sum(amount) / count(amount), 2) AS mean, max(code) FROM visits GROUP BY country $$);
SELECT n, name, type FROM columns WHERE relation = 'hidden_state'::regclass ORDER BY n;
SELECT streamagg.create_aggregate('typed', $$
  SELECT amount, code, country COLLATE "C" AS "C", count(*) FROM visits GROUP BY 1, 2, 3 $$);
SELECT n, name, type, coll FROM columns WHERE relation = 'typed_state'::regclass ORDER BY n;
SELECT n, name, type, coll FROM columns WHERE relation = 'typed'::regclass ORDER BY n;
-- the same aggregate twice is stored once; the same expression, too
SELECT streamagg.create_aggregate('twice', $$
  SELECT sum(id) AS total, sum(id) AS again, sum(id) + 1 AS more, avg(id) AS mean FROM visits $$);
SELECT n, name, type FROM columns WHERE relation = 'twice_state'::regclass ORDER BY n;
SELECT total, again, more, mean, is_final FROM twice;
-- names that the state uses itself do not clash with those of the query
SELECT streamagg.create_aggregate('clash', $$
  SELECT count(*) AS _k1, count(id) AS _s1, count(ok) + 1 AS x FROM visits $$);
SELECT streamagg.create_aggregate('clash_sum', $$
  SELECT country AS mean__sum, avg(id) AS mean FROM visits GROUP BY 1 $$);
SELECT streamagg.push('visits', ARRAY['{"id": 3, "country": "at", "ts": "2024-01-01T00:00:00Z"}']);
SELECT _k1, _s1, x FROM clash;
SELECT mean__sum, mean FROM clash_sum;

-- an existing name of the three is 42P07, and then nothing is made
CREATE TABLE one_state ();
CREATE VIEW two_query AS SELECT 1;
CREATE TABLE three ();
SELECT streamagg.create_aggregate('one', 'SELECT count(*) FROM visits');
SELECT streamagg.create_aggregate('two', 'SELECT count(*) FROM visits');
SELECT streamagg.create_aggregate('three', 'SELECT count(*) FROM visits');
SELECT streamagg.create_aggregate('per_minute', 'SELECT count(*) FROM visits');
SELECT relname FROM relations WHERE relname ~ '^(one|two|three)' ORDER BY 1;
-- columns that the view adds
SELECT streamagg.create_aggregate('four', 'SELECT count(*) AS is_final FROM visits');
SELECT streamagg.create_aggregate('four', 'SELECT country AS updated_at, count(*) FROM visits GROUP BY 1');
SELECT streamagg.create_aggregate('four', 'SELECT count(*), count(*) FROM visits');

SET client_min_messages = warning;
DROP SCHEMA define CASCADE;
SELECT count(*) FROM streamagg.aggregates;
DROP SERVER define;
