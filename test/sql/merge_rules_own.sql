-- Aggregate functions of one's own: a combine function merges without a rule, create_merge_rule() gives one.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA own;
SET search_path = own, public;
CREATE SERVER own FOREIGN DATA WRAPPER streamagg_kafka;
CREATE TYPE pair AS (a int, b int);
CREATE FOREIGN TABLE s (id int NOT NULL, k text, x float8, n numeric, a int, b int, ts timestamptz NOT NULL)
SERVER own OPTIONS (event_time 'ts', watermark_delay '1 day', archive 'on');
CREATE TABLE plain (LIKE s);
INSERT INTO plain SELECT i, chr(97 + i % 4), CASE WHEN i % 5 > 0 THEN 1 + i % 3 / 8.0 END, CASE WHEN i % 4 <> 2 THEN i / 4.0 END, nullif(i % 6, 0), nullif(i % 9, 3),
  timestamptz '2024-01-01' + i * interval '1 min' FROM generate_series(1, 60) i;

-- strict and not strict, with and without a first state, over several arguments, a row, a list of arguments
CREATE AGGREGATE product(float8) (sfunc = float8mul, combinefunc = float8mul, stype = float8);
CREATE AGGREGATE product_of_1(numeric) (sfunc = numeric_mul, combinefunc = numeric_mul, stype = numeric, initcond = '1');
CREATE FUNCTION count_null(bigint, text) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN coalesce($1, 0) + CASE WHEN $2 IS NULL THEN 1 ELSE 0 END;
CREATE FUNCTION add_null(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN coalesce($1, 0) + coalesce($2, 0);
CREATE AGGREGATE "count null"(text) (sfunc = count_null, combinefunc = add_null, stype = bigint);
CREATE FUNCTION dot_step(numeric, a int, b int, scale numeric) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN coalesce($1, 0) + coalesce(a * b * scale, 0);
CREATE AGGREGATE dot(a int, b int, scale numeric) (sfunc = dot_step, combinefunc = numeric_add, stype = numeric);
CREATE FUNCTION least_pair(pair, pair) RETURNS pair LANGUAGE sql IMMUTABLE STRICT RETURN CASE WHEN $2 < $1 THEN $2 ELSE $1 END;
CREATE AGGREGATE min_pair(pair) (sfunc = least_pair, combinefunc = least_pair, stype = pair);
CREATE FUNCTION add_list(bigint, VARIADIC int[]) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN $1 + coalesce($2[1], 0) + coalesce($2[2], 0);
CREATE AGGREGATE sum_list(VARIADIC int[]) (sfunc = add_list, combinefunc = int8pl, stype = bigint, initcond = '0');
CREATE FUNCTION max_any(anyelement, anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE STRICT AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE any_largest(anyelement) (sfunc = max_any, combinefunc = max_any, stype = anyelement);

-- what has a final function gets a rule
CREATE FUNCTION ln_step(float8[], float8) RETURNS float8[] LANGUAGE sql IMMUTABLE STRICT RETURN ARRAY[$1[1] + 1, $1[2] + ln($2)];
CREATE FUNCTION ln_end(float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN exp($1[2] / nullif($1[1], 0));
CREATE AGGREGATE geometric_mean(float8) (sfunc = ln_step, stype = float8[], finalfunc = ln_end, initcond = '{0,0}');
SELECT streamagg.create_merge_rule('geometric_mean(float8)', '{sum(ln($1)) /* of logarithms */, count($1)}', '{"coalesce($1 + $2, $1, $2) -- either",$1 + $2}',
  'exp($1 / nullif($2, 0))');
CREATE FUNCTION join_texts(text, text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1 || $2;
CREATE FUNCTION dot_end(numeric) RETURNS text LANGUAGE sql IMMUTABLE RETURN own.join_texts('dot ', $1::text);
CREATE FUNCTION dot_step_2(numeric, int, int) RETURNS numeric LANGUAGE sql IMMUTABLE RETURN dot_step($1, $2, $3, 2);
CREATE AGGREGATE "Dot Text"(a int, b int) (sfunc = dot_step_2, stype = numeric, finalfunc = dot_end);
SELECT streamagg.create_merge_rule('"Dot Text"(int, int)', '{"dot($1, $2, 2)"}', '{"coalesce($1 + $2, $1, $2)"}', 'dot_end($1)');
SELECT aggregate, partials, merges, final, parts, extension, custom FROM streamagg.merge_rules WHERE custom ORDER BY aggregate;

CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
('combined', 'SELECT k, product(x) p, product(x) FILTER (WHERE a > 2) pf, product_of_1(n) q, product_of_1(n) FILTER (WHERE id < 0) none, "count null"(n::text) c,
  dot(a, b, 0.5) d, dot(a, b, n) e, min_pair(ROW(a, b)::pair) m, sum_list(a, b) l, sum_list(VARIADIC ARRAY[a]) v, any_largest(n) g, any_largest(k) h FROM %s GROUP BY k'),
('ruled', 'SELECT k, geometric_mean(x) g, geometric_mean(x) FILTER (WHERE a > 2) + 1 f, "Dot Text"(a, b) d, "Dot Text"(b, b) IS NULL e FROM %s GROUP BY k'),
('whole', 'SELECT geometric_mean(x) g, min_pair(ROW(a, b)::pair) m, "Dot Text"(a, b) d FROM %s');
SELECT streamagg.create_aggregate(name, format(query, 's')) FROM queries;
SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = 'ruled_state'::regclass AND attnum > 0 ORDER BY attnum;
SELECT sum(q.accepted) AS accepted, count(*) AS batches FROM (SELECT array_agg(to_jsonb(plain)::text ORDER BY id) AS messages, id / 7 AS batch FROM plain GROUP BY 2 ORDER BY 2) b,
  streamagg.push('s', messages) q;
SELECT q.name, v.problem, v.expected, v.found FROM queries q, streamagg.verify(q.name::regclass) v;
SELECT k, p, pf, q, none, c, d, e, m, l, v, g, h FROM combined EXCEPT SELECT k, product(x) p, product(x) FILTER (WHERE a > 2) pf, product_of_1(n) q, product_of_1(n) FILTER (WHERE id < 0), "count null"(n::text) c,
  dot(a, b, 0.5) d, dot(a, b, n) e, min_pair(ROW(a, b)::pair) m, sum_list(a, b) l, sum_list(VARIADIC ARRAY[a]), any_largest(n), any_largest(k) FROM plain GROUP BY k;
SELECT streamagg.nearly_equal(g, (SELECT geometric_mean(x) FROM plain), 1e-9) AS near, m, d FROM whole;
SELECT k, round(g::numeric, 9) AS g, d FROM ruled ORDER BY k;

-- a rule in use stays, and one of the extension
SELECT streamagg.drop_merge_rule('geometric_mean(float8)');
SELECT streamagg.drop_aggregate('ruled'), streamagg.drop_aggregate('whole');
SELECT streamagg.drop_merge_rule('geometric_mean(float8)');
SELECT streamagg.drop_merge_rule('geometric_mean(float8)');
SELECT streamagg.drop_merge_rule('pg_catalog.stddev(float8)');
SELECT streamagg.create_aggregate('ruled', 'SELECT geometric_mean(x) FROM s');
-- names are found and forgotten however a session quotes them
SET quote_all_identifiers = on;
CREATE AGGREGATE "Q ""uoted"(int) (sfunc = int4_avg_accum, stype = int8[], finalfunc = int8_avg, initcond = '{0,0}');
SELECT streamagg.create_merge_rule('"Q ""uoted"(int)', '{sum($1)}', '{"coalesce($1 + $2, $1, $2)"}', '$1::numeric');
RESET quote_all_identifiers;
SELECT streamagg.create_aggregate('quoted', 'SELECT "Q ""uoted"(a) AS a FROM s');
SELECT streamagg.drop_aggregate('quoted');
DROP AGGREGATE "Q ""uoted"(int);
SELECT aggregate FROM streamagg.merge_rules WHERE custom ORDER BY aggregate;
-- another function of the name has no part in what is left of a rule
DROP AGGREGATE "Dot Text"(int, int);
SELECT streamagg.create_merge_rule('geometric_mean(float8)', '{sum(ln($1)),count($1)}', '{"coalesce($1 + $2, $1, $2)",$1 + $2}', 'exp($1 / nullif($2, 0))');
SELECT aggregate FROM streamagg.merge_rules WHERE custom ORDER BY aggregate;
SELECT streamagg.drop_merge_rule('geometric_mean(float8)');
DROP SCHEMA own CASCADE;
DROP SERVER own;
