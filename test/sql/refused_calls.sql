-- Aggregate calls, windows and arguments of create_aggregate that are refused, with the reason.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA refused;
SET search_path = refused;
CREATE SERVER refused FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x float8, j json, other timestamptz, ts timestamptz)
SERVER refused OPTIONS (event_time 'ts');
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

-- aggregates whose results over batches cannot be merged, or not yet
SELECT try('SELECT corr(DISTINCT x, n) FROM s');
SELECT try('SELECT string_agg(DISTINCT k, '','') FROM s');
SELECT try('SELECT array_agg(DISTINCT k ORDER BY k) FROM s');
SELECT try('SELECT count(DISTINCT ROW(k, n)) FROM s');
SELECT try('SELECT count(DISTINCT j) FROM s');
-- rules that somebody adds: DISTINCT only where neither order nor NULLs can matter
BEGIN;
CREATE AGGREGATE product(float8) (sfunc = float8mul, stype = float8, initcond = 1);
CREATE FUNCTION times(float8, float8) RETURNS float8 IMMUTABLE LANGUAGE sql RETURN coalesce($1 * $2, -1);
CREATE AGGREGATE product_with_nulls(float8) (sfunc = times, stype = float8, initcond = 1);
INSERT INTO streamagg.merge_rules VALUES ('pg_catalog.array_agg(anynonarray)', '{pg_catalog.array_agg($1)}', '{"$1 || $2"}', '$1'),
  ('refused.product(double precision)', '{refused.product($1)}', '{"coalesce($1 * $2, $1, $2)"}', '$1'),
  ('refused.product_with_nulls(double precision)', '{refused.product_with_nulls($1)}', '{"$1 * $2"}', '$1');
SELECT try('SELECT array_agg(DISTINCT k) FROM s');
SELECT try('SELECT product_with_nulls(DISTINCT x) FROM s');
SELECT try('SELECT product(DISTINCT x) FROM s');
ROLLBACK;
SELECT try('SELECT sum(n ORDER BY k) FROM s');
-- system columns of the stream
SELECT e, split_part(try(format('SELECT count(%s) FROM s', e)), ' ', 1) FROM unnest('{ctid,tableoid,xmin,cmax}'::text[]) e;
-- keys that a btree cannot hold
SELECT try('SELECT j, count(*) FROM s GROUP BY j');
SELECT try('SELECT point(x, x), count(*) FROM s GROUP BY 1');

-- windows of later versions, and what hop and cumulate cannot be
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.cumulate(ts, ''1 min'', ''5 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.cumulate(ts, ''2 min'', ''5 min'') w GROUP BY 1, w.window_end');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.hop(ts, ''1 s'', ''1 day'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.hop(ts, ''1 day'', ''1 month'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.hop(other, ''1 min'', ''5 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.hop(ts, n * interval ''1 min'', ''1 h'') w GROUP BY 1');
-- a window on the nullable side of an outer join: rows without one would be in no window
SELECT try(format('SELECT w.window_start, count(*) FROM s LEFT JOIN LATERAL streamagg.%s w ON n > 0 GROUP BY 1', f))
FROM unnest(ARRAY['tumble(ts, ''1 min'')', 'hop(ts, ''1 min'', ''2 min'')', 'cumulate(ts, ''1 min'', ''2 min'')']) f;
-- two windows, a window over another column, not grouped, of arguments that are no constants
SELECT try('SELECT a.window_start, b.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 min'') a,
  streamagg.tumble(ts, ''5 min'') b GROUP BY 1, 2');
SELECT try('SELECT a.window_start, date_bin(''5 min'', ts, ''2000-01-01''), count(*) FROM s,
  streamagg.tumble(ts, ''1 min'') a GROUP BY 1, 2');
SELECT try('SELECT date_trunc(''day'', ts, ''UTC''), date_trunc(''hour'', ts, ''UTC''), count(*) FROM s GROUP BY 1, 2');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(other, ''1 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts + interval ''1 h'', ''1 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(''2000-01-01'', ''1 min'') w GROUP BY 1');
SELECT try('SELECT k, count(*) FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1');
SELECT try('SELECT count(*) FROM s, streamagg.tumble(ts, ''1 min'') w');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, n * interval ''1 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 min'', ts) w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, NULL) w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 min'', now()) w GROUP BY 1');
SELECT try('SELECT date_bin(n * interval ''1 s'', ts, ''2000-01-01''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT date_trunc(k, ts, ''UTC''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.window_start(ts, ''1 min'', ''2000-01-01'') w GROUP BY 1');
-- sizes
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 month'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 year'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''0'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''-1 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 day -24 hours'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''1 min'', ''infinity'') w GROUP BY 1');
SELECT try('SELECT date_bin(''1 month'', ts, ''2000-01-01''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT date_bin(''0'', ts, ''2000-01-01''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT date_trunc(''decade'', ts, ''UTC''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT date_trunc(''fortnight'', ts, ''UTC''), count(*) FROM s GROUP BY 1');
SELECT try('SELECT date_trunc(''day'', ts, ''Nowhere/City''), count(*) FROM s GROUP BY 1');

-- arguments
SELECT try('SELECT count(*) FROM s', 'late => ''ignore''');
SELECT try('SELECT count(*) FROM s', 'late => NULL');
SELECT try('SELECT count(*) FROM s', 'emit => ''changes''');
SELECT try('SELECT count(*) FROM s', 'allowed_lateness => ''-1 s''');
SELECT try('SELECT count(*) FROM s', 'allowed_lateness => ''1 month''');
SELECT try('SELECT count(*) FROM s', 'allowed_lateness => ''1001 days''');
SELECT try('SELECT count(*) FROM s', 'allowed_lateness => NULL');
SELECT try('SELECT count(*) FROM s', 'retention => ''90 days''');
SELECT try('SELECT count(*) FROM s', 'backfill => ''kafka''');
SELECT try('SELECT count(*) FROM s', 'backfill => NULL');

-- and nothing of all this is left
SELECT relname FROM pg_class WHERE relname ~ '^tried';
DROP SCHEMA refused CASCADE;
DROP SERVER refused;
