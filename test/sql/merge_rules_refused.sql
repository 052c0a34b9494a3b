-- Aggregate functions that cannot be merged: each is refused with its reason and what to do instead.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA refused_rules;
SET search_path = refused_rules;
CREATE SERVER refused_rules FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x float8, m int[], ts timestamptz) SERVER refused_rules OPTIONS (event_time 'ts');
-- says what the definition of this query is told
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  PERFORM streamagg.create_aggregate('tried', query);
  PERFORM streamagg.drop_aggregate('tried');
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', code || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned

-- those that collect
SELECT try('SELECT array_agg(k) FROM s');
SELECT try('SELECT string_agg(k, '','') FROM s');
SELECT try('SELECT json_agg(k) FROM s');
SELECT try('SELECT jsonb_agg(k) FROM s');
SELECT try('SELECT json_object_agg(k, n) FROM s');
SELECT try('SELECT jsonb_object_agg(k, n) FROM s');
SELECT try('SELECT xmlagg(xmlforest(k)) FROM s');
-- ordered sets, real and hypothetical
SELECT try('SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM s');
SELECT try('SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY k) FROM s');
SELECT try('SELECT mode() WITHIN GROUP (ORDER BY k) FROM s');
SELECT try('SELECT rank(1) WITHIN GROUP (ORDER BY n) FROM s');
SELECT try('SELECT dense_rank(1) WITHIN GROUP (ORDER BY n) FROM s');
SELECT try('SELECT percent_rank(1) WITHIN GROUP (ORDER BY n) FROM s');
SELECT try('SELECT cume_dist(1) WITHIN GROUP (ORDER BY n) FROM s');
SELECT try('SELECT array_agg(k ORDER BY n) FROM s');
-- each of PostgreSQL's aggregates is taken or refused with a hint of its own
CREATE VIEW left_out AS SELECT p.oid::regprocedure::text AS aggregate FROM pg_proc p WHERE prokind = 'a' AND pronamespace = 'pg_catalog'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_aggregate WHERE aggfnoid = p.oid AND aggfinalfn = 0 AND aggcombinefn <> 0)
EXCEPT SELECT to_regprocedure(aggregate)::text FROM streamagg.merge_rules WHERE extension IS NULL;
SELECT aggregate FROM left_out WHERE aggregate !~ '^((array|string|xml|jsonb?(_object)?)_?agg|percentile|mode|rank|dense_rank|percent_rank|cume_dist|any_value)';

-- of one's own
CREATE AGGREGATE no_combine(float8) (sfunc = float8mul, stype = float8);
CREATE AGGREGATE with_final(float8) (sfunc = float8mul, combinefunc = float8mul, stype = float8, finalfunc = dsqrt);
CREATE FUNCTION volatile_mul(float8, float8) RETURNS float8 LANGUAGE sql VOLATILE STRICT RETURN $1 * $2;
CREATE AGGREGATE volatile_combine(float8) (sfunc = float8mul, combinefunc = volatile_mul, stype = float8);
CREATE AGGREGATE volatile_state(float8) (sfunc = volatile_mul, combinefunc = float8mul, stype = float8);
CREATE AGGREGATE joined(anycompatiblearray) (sfunc = array_cat, stype = anycompatiblearray);
SELECT try('SELECT no_combine(x) FROM s');
SELECT try('SELECT with_final(x) FROM s');
SELECT try('SELECT volatile_combine(x) FROM s');
SELECT try('SELECT volatile_state(x) FROM s');
SELECT try('SELECT joined(m) FROM s');
DROP SCHEMA refused_rules CASCADE;
DROP SERVER refused_rules;
