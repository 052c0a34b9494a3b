-- What create_merge_rule() refuses: other objects, lists that do not fit, anything but one immutable expression.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA invalid;
SET search_path = invalid, public;
CREATE FUNCTION step(float8[], float8) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT RETURN ARRAY[$1[1] + 1, $1[2] + ln($2)];
CREATE FUNCTION done(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN exp($1[2] / nullif($1[1], 0));
CREATE AGGREGATE geometric_mean(float8) (sfunc = step, stype = float8[], finalfunc = done, initcond = '{0,0}');
CREATE AGGREGATE product(float8) (sfunc = float8mul, combinefunc = float8mul, stype = float8);
CREATE AGGREGATE collect(anynonarray) (sfunc = array_agg_transfn, stype = internal, finalfunc = array_agg_finalfn, finalfunc_extra);
CREATE FUNCTION volatile_add(float8, float8) RETURNS float8 LANGUAGE sql VOLATILE STRICT RETURN $1 + $2;
CREATE AGGREGATE volatile_sum(float8) (sfunc = volatile_add, stype = float8);
CREATE FUNCTION "f$1"(float8) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN $1;
CREATE TABLE precious (x int);
-- the code, message and hint of a refusal
CREATE FUNCTION try(aggregate text, partials text[], merges text[], final text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
  detail text;
  hint text;
BEGIN
  PERFORM streamagg.create_merge_rule(aggregate::regprocedure, partials, merges, final);
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
-- with one template of a rule that is good in the place of the other
CREATE FUNCTION try_partial(template text) RETURNS text LANGUAGE sql AS $$SELECT try('geometric_mean(float8)', ARRAY[template], '{$1}', '$1::float8')$$;
CREATE FUNCTION try_merge(template text) RETURNS text LANGUAGE sql AS $$SELECT try('geometric_mean(float8)', '{sum($1)}', ARRAY[template], '$1')$$;
CREATE FUNCTION try_final(template text) RETURNS text LANGUAGE sql AS $$SELECT try('geometric_mean(float8)', '{sum($1)}', '{$1 + $2}', template)$$;
\pset tuples_only on
\pset format unaligned

-- of what
SELECT try('lower(text)', '{max($1)}', '{"greatest($1, $2)"}', '$1');
SELECT try('mode(anyelement)', '{max($1)}', '{"greatest($1, $2)"}', '$1');
SELECT try('collect(anynonarray)', '{array_agg($1)}', '{$1 || $2}', '$1');
SELECT try('sum(float8)', '{sum($1)}', '{$1 + $2}', '$1');
SELECT try('product(float8)', '{product($1)}', '{$1 * $2}', '$1');
-- lists
SELECT try('geometric_mean(float8)', '{}', '{}', '1.0::float8');
SELECT try('geometric_mean(float8)', '{{sum($1)}}', '{$1 + $2}', '$1');
SELECT try('geometric_mean(float8)', '{NULL}', '{$1 + $2}', '$1');
SELECT try('geometric_mean(float8)', '{sum($1),count($1)}', '{$1 + $2}', '$1');
SELECT try('geometric_mean(float8)', NULL, '{$1 + $2}', '$1');
SELECT try('geometric_mean(float8)', '{sum($1)}', '{$1 + $2}', NULL);
-- partials: one plain call of an aggregate function
SELECT try_partial('$1');
SELECT try_partial('coalesce(sum($1), 0)');
SELECT try_partial('sum(DISTINCT $1)');
SELECT try_partial('array_agg($1 ORDER BY $1)');
SELECT try_partial('sum($1) FILTER (WHERE $1 > 0)');
SELECT try_partial('percentile_cont(0.5) WITHIN GROUP (ORDER BY $1)');
SELECT try_partial('sum($1) OVER ()');
SELECT try_partial('sum($1 + random())');
SELECT try_partial('max($1::text || now())');
SELECT try_partial('volatile_sum($1)');
SELECT try_partial('sum($2)');
SELECT try_partial('sum(x)');
SELECT try_partial('sum(sum($1))');
SELECT try_partial('no_such($1)');
-- merges: an immutable expression of the partial's type
SELECT try_merge('sum($1 + $2)');
SELECT try_merge('$1 + $2 + $3');
SELECT try_merge('volatile_add($1, $2)');
SELECT try_merge('$1 + $2 + extract(epoch FROM now())');
SELECT try_merge('$1 + $2 + extract(epoch FROM current_timestamp)');
SELECT try_merge('($1 + $2)::int');
SELECT try_merge('ARRAY[$1, $2]');
SELECT try_merge('generate_series(1, 2)');
SELECT try_merge('(SELECT $1 + $2)');
SELECT try_merge('CASE WHEN EXISTS (TABLE invalid.precious) THEN $1 END');
SELECT try_merge('nextval(''s''::regclass)');
-- the final
SELECT try_final('max($1)');
SELECT try_final('$1::numeric');
SELECT try_final('$1, $1');
SELECT try_final('');
-- no statement, no clause, nothing behind it
SELECT try_final('$1; DROP TABLE invalid.precious');
SELECT try_final('$1); DROP TABLE invalid.precious; --');
SELECT try_final('$1 FROM invalid.precious');
SELECT try_final('$1 INTO invalid.other');
SELECT try_final('$1 WHERE true');
SELECT try_final('$1 GROUP BY 1');
SELECT try_final('$1 LIMIT 1');
SELECT try_final('$1 UNION SELECT 1');
SELECT try_final('DISTINCT $1');
SELECT try_final('$1 ORDER BY 1');
SELECT try_final('$1 FOR UPDATE');
-- what only looks like a parameter
SELECT try_final('$1 + length(''$2'')');
SELECT try_final('invalid.f$1($1)');

-- only for streamagg_admin
CREATE ROLE rules_nobody;
CREATE ROLE rules_admin IN ROLE streamagg_admin;
GRANT USAGE ON SCHEMA invalid TO rules_nobody, rules_admin;
SET ROLE rules_nobody;
SELECT try('geometric_mean(float8)', '{sum($1)}', '{$1 + $2}', '$1');
SELECT streamagg.drop_merge_rule('geometric_mean(float8)');
INSERT INTO streamagg.merge_rules (aggregate, partials, merges, final) VALUES ('a', '{}', '{}', '');
-- nor who has not made the function: a rule runs wherever it is called
SET ROLE rules_admin;
SELECT try(a, '{sum($1)}', '{$1 + $2}', '$1') FROM unnest(ARRAY['geometric_mean(float8)', 'string_agg(text,text)']) a;
RESET ROLE;
ALTER AGGREGATE geometric_mean(float8) OWNER TO rules_admin;
SET ROLE rules_admin;
SELECT try('geometric_mean(float8)', '{sum($1)}', '{$1 + $2}', '$1');
DELETE FROM streamagg.merge_rules;
RESET ROLE;
SELECT final FROM streamagg.merge_rules WHERE custom;
-- goes with its function
DROP AGGREGATE geometric_mean(float8);
SELECT count(*) FROM streamagg.merge_rules WHERE custom;
SELECT count(*) FROM precious;
DROP SCHEMA invalid CASCADE;
DROP ROLE rules_nobody, rules_admin;
