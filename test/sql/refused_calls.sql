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
CREATE AGGREGATE product(float8) (sfunc = float8mul, stype = float8);
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
SELECT try('SELECT count(DISTINCT k) FROM s');
SELECT try('SELECT sum(DISTINCT n) + 1 FROM s');
SELECT try('SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM s');
SELECT try('SELECT mode() WITHIN GROUP (ORDER BY k) FROM s');
SELECT try('SELECT rank(1) WITHIN GROUP (ORDER BY n) FROM s');
SELECT try('SELECT array_agg(k) FROM s');
SELECT try('SELECT string_agg(k, '','') FROM s');
SELECT try('SELECT sum(n ORDER BY k) FROM s');
SELECT try('SELECT stddev(x) FROM s');
SELECT try('SELECT corr(x, x) FROM s');
SELECT try('SELECT jsonb_agg(k) FROM s');
SELECT try('SELECT product(x) FROM s');
SELECT try('SELECT k, count(*) FROM s GROUP BY 1 HAVING count(DISTINCT n) > 1');
-- system columns of the stream
SELECT e, split_part(try(format('SELECT count(%s) FROM s', e)), ' ', 1) FROM unnest('{ctid,tableoid,xmin,cmax}'::text[]) e;
-- keys that a btree cannot hold
SELECT try('SELECT j, count(*) FROM s GROUP BY j');
SELECT try('SELECT point(x, x), count(*) FROM s GROUP BY 1');

-- windows of later versions
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.hop(ts, ''1 min'', ''5 min'') w GROUP BY 1');
SELECT try('SELECT w.window_start, count(*) FROM s, streamagg.cumulate(ts, ''1 min'', ''5 min'') w GROUP BY 1');
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
