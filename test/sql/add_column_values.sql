-- add_column(): NULL is not made a value of, and constants mean what they mean in the query.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA add_column_values;
SET search_path = add_column_values;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER add_column_values FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, at timestamptz, ts timestamptz NOT NULL) SERVER add_column_values OPTIONS (event_time 'ts');
SELECT keep('s');
CREATE FUNCTION load(key text, value int) RETURNS bigint LANGUAGE sql AS $$
  SELECT feed('s', jsonb_build_object('k', key, 'n', value, 'at', '2024-05-01T09:00:00Z', 'ts', '2024-05-01T09:00:00Z'), 0) $$;
SET TimeZone = 'Asia/Kathmandu';
SET DateStyle = 'German';
SELECT streamagg.create_aggregate('a', $$SELECT k, count(*) AS c, count(*) FILTER (WHERE at < '01.05.2024 15:00') AS early FROM s GROUP BY k$$);
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SELECT load('before', 1);
-- of one that is new, of it and one that is not, of two
SELECT streamagg.add_column('a', 'least', 'coalesce(min(n), -1)');
SELECT streamagg.add_column('a', 'any_n', 'max(n) IS NOT NULL OR count(*) > 0');
SELECT streamagg.add_column('a', 'both', 'coalesce(sum(n), 0) + coalesce(min(n), 0)');
SELECT streamagg.add_column('a', 'morning', $$count(n) FILTER (WHERE at < '01.05.2024 15:00')$$);
SELECT streamagg.add_column('a', 'half', 'count(*) / 2.0');
SELECT load('before', 2), load('after', 3);
SELECT k, c, early, least, any_n, "both", morning, half FROM a ORDER BY 1 DESC;
SELECT * FROM streamagg.verify('a');
UPDATE a_state SET early = 5;
SELECT problem, found FROM streamagg.verify('a') ORDER BY 2;
SELECT streamagg.backfill('a');
SELECT k, c, early, least, any_n, "both", morning, half FROM a ORDER BY 1 DESC;
SELECT * FROM streamagg.verify('a');
-- the query's own constants stay what they are, whatever settings it was made under
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SELECT streamagg.create_aggregate('b', $$SELECT count(*) AS c FROM s WHERE ts >= '2024-03-01 00:00+00'$$);
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SELECT streamagg.add_column('b', 'top', 'max(n)');
SELECT substring(pg_get_viewdef('b_query') FROM '''(.*)''') AS since;
SET client_min_messages = warning;
DROP SCHEMA add_column_values CASCADE;
DROP SERVER add_column_values;
