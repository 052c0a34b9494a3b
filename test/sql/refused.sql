-- What an aggregate's query cannot hold is refused with the reason, never approximated.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA refused;
SET search_path = refused;
CREATE SERVER refused FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x float8, other timestamptz, ts timestamptz)
SERVER refused OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE s2 (k text, ts timestamptz) SERVER refused OPTIONS (event_time 'ts');
CREATE TABLE d (k text PRIMARY KEY, region text, at timestamptz);
CREATE VIEW v AS SELECT * FROM d;
CREATE VIEW over_s AS SELECT * FROM s;
CREATE SEQUENCE q;
-- says what the definition of this query is told
CREATE FUNCTION try(query text, VARIADIC more text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE format('SELECT streamagg.create_aggregate(%L, %L%s)', 'tried', query,
    (SELECT string_agg(', ' || m, '') FROM unnest(more) m));
  PERFORM streamagg.drop_aggregate('tried');
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', code || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned

-- clauses
SELECT try('WITH w AS (SELECT 1) SELECT count(*) FROM s');
SELECT try('WITH w AS (SELECT * FROM s) SELECT count(*) FROM w');
SELECT try('SELECT count(*) FROM s WHERE n > (SELECT 1)');
SELECT try('SELECT k, count(*) FROM s WHERE EXISTS (SELECT FROM d WHERE d.k = s.k) GROUP BY 1');
SELECT try('SELECT count(*) FROM s UNION ALL SELECT 1');
SELECT try('SELECT DISTINCT k, count(*) FROM s GROUP BY 1');
SELECT try('SELECT DISTINCT ON (k) k, count(*) FROM s GROUP BY 1');
SELECT try('SELECT k, count(*) FROM s GROUP BY 1 ORDER BY 1');
SELECT try('SELECT k, count(*) FROM s GROUP BY 1 LIMIT 1');
SELECT try('SELECT k, count(*) FROM s GROUP BY 1 OFFSET 1');
SELECT try('SELECT k, rank() OVER (ORDER BY k), count(*) FROM s GROUP BY 1');
SELECT try('SELECT k, count(*) FROM s GROUP BY GROUPING SETS (1, ())');
SELECT try('SELECT k, GROUPING(k), count(*) FROM s GROUP BY k');
SELECT try('SELECT k, n, count(*) FROM s GROUP BY ROLLUP (1, 2)');
SELECT try('SELECT k, n, count(*) FROM s GROUP BY CUBE (1, 2)');
SELECT try('SELECT k, generate_series(1, 2), count(*) FROM s GROUP BY 1');
SELECT try('SELECT k FROM s FOR UPDATE');
SELECT try('SELECT k FROM s');
SELECT try('SELECT * FROM s');
SELECT try('SELECT 1; SELECT count(*) FROM s');
SELECT try('SELECT count(*) INTO t FROM s');
SELECT try('DELETE FROM d');
SELECT try('CREATE TABLE t ()');
SELECT try('');
SELECT try('SELECT count(* FROM s');

-- FROM
SELECT try('SELECT count(*) FROM d');
SELECT try('SELECT 1');
SELECT try('SELECT count(*) FROM s, s2');
SELECT try('SELECT count(*) FROM s a JOIN s b ON a.k = b.k');
SELECT try('SELECT count(*) FROM (SELECT * FROM s) t');
SELECT try('SELECT count(*) FROM s, (SELECT 1) t');
SELECT try('SELECT count(*) FROM over_s');
SELECT try('SELECT count(*) FROM s JOIN v USING (k)');
SELECT try('SELECT count(*) FROM (s JOIN d ON s.k = d.k) AS j');
SELECT try('SELECT count(*) FROM s RIGHT JOIN d ON s.k = d.k');
SELECT try('SELECT count(*) FROM d LEFT JOIN s ON s.k = d.k');
SELECT try('SELECT count(*) FROM s FULL JOIN d ON s.k = d.k');
SELECT try('SELECT count(*) FROM d LEFT JOIN (s CROSS JOIN d d2) ON s.k = d.k');
SELECT try('SELECT count(*) FROM s, (VALUES (1)) t');
SELECT try('SELECT count(*) FROM s, generate_series(1, 2)');
SELECT try('SELECT count(*) FROM s, ROWS FROM (generate_series(1, 2), generate_series(1, 2))');
SELECT try('SELECT count(*) FROM s, streamagg.tumble(s.ts, ''1 min'') WITH ORDINALITY');
SELECT try('SELECT count(*) FROM s, q');
SELECT try('SELECT count(*) FROM s, d TABLESAMPLE system (10)');
SELECT try('SELECT d.k, d.region, count(*) FROM s JOIN d ON s.k = d.k GROUP BY d.k');

-- the clock, the session, chance
SELECT try('SELECT now(), count(*) FROM s GROUP BY 1');
SELECT e, split_part(try(format('SELECT count(*) FROM s WHERE %s IS NOT NULL', e)), ' ', 1) FROM unnest(ARRAY[
  'current_date', 'current_time', 'current_timestamp', 'localtime', 'localtimestamp', 'current_user', 'session_user',
  'user', 'current_role', 'current_catalog', 'current_schema', 'current_database()', 'current_schemas(true)',
  'transaction_timestamp()', 'statement_timestamp()', 'age(ts)', 'current_setting(''TimeZone'')', 'inet_client_addr()',
  'pg_backend_pid()', 'txid_current()', 'pg_conf_load_time()', 'pg_my_temp_schema()']) WITH ORDINALITY t(e, o) ORDER BY o;
SELECT e, try(format('SELECT count(*) FILTER (WHERE %s IS NOT NULL) FROM s', e)) FROM unnest(ARRAY[
  'random()', 'clock_timestamp()', 'nextval(''q'')', 'gen_random_uuid()', 'timeofday()']) WITH ORDINALITY t(e, o) ORDER BY o;

SET client_min_messages = warning;
DROP SCHEMA refused CASCADE;
DROP SERVER refused;
