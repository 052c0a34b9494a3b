-- Retention: what is refused, how wide partitions are, times at both ends of the calendar, rows that fail.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA retention_edges;
SET search_path = retention_edges;
CREATE SERVER retention_edges FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (n int, ts timestamptz NOT NULL) SERVER retention_edges OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FUNCTION make(name text, start text, more text) RETURNS text LANGUAGE sql AS
$$ SELECT told(format('SELECT streamagg.create_aggregate(%L, ''SELECT %s AS w, count(*) AS n FROM s GROUP BY 1'', %s)', name, replace(start, '''', ''''''), more)) $$;
CREATE FUNCTION ranges(state regclass) RETURNS SETOF text LANGUAGE sql AS
$$ SELECT substr(pg_get_expr(relpartbound, c.oid), 12) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = state ORDER BY 1 $$;
\pset tuples_only on
\pset format unaligned

-- refused
SELECT r, make('refused', $$date_bin('1 day', ts, '2024-01-01')$$, format('retention => %L', r))
FROM unnest(ARRAY['0 s', '-1 day', '1 month', '1 day -1 second', '100000 days']) r;
SELECT make('refused', 'n', $$retention => '1 day'$$);
SELECT make('refused', $$date_bin('1 day', ts, '2024-01-01')$$, $$retention => '2 days', allowed_lateness => '2 days'$$);
SELECT count(*) FROM pg_class WHERE relnamespace = 'retention_edges'::regnamespace AND relname LIKE 'refused%';

-- a twentieth of the retention, in round numbers, and no less than a window or an hour
CREATE TABLE widths (w text, r text, i serial);
INSERT INTO widths VALUES ($$date_bin('1 minute', ts, '2024-01-01')$$, '1 second'), ($$date_bin('1 minute', ts, '2024-01-01')$$, '3 days'),
  ($$date_bin('1 minute', ts, '2024-01-01')$$, '90 days'), ($$date_bin('1 minute', ts, '2024-01-01')$$, '99000 days'), ($$date_bin('10 days', ts, '2024-01-01')$$, '90 days'),
  ($$date_bin('100 days', ts, '2024-01-01')$$, '90 days'), ($$date_trunc('hour', ts, 'UTC')$$, '7 days'), ($$date_trunc('day', ts, 'Europe/Berlin')$$, '7 days'),
  ($$date_trunc('month', ts, 'Europe/Berlin')$$, '7 days'), ($$date_trunc('year', ts, 'UTC')$$, '3650 days');
SELECT bool_and(make('width' || i, w, format('retention => %L', r)) = 'done') FROM widths;
SELECT w, r, partition_width, kept FROM widths JOIN streamagg.aggregate_catalog ON aggregate = to_regclass('width' || i) ORDER BY i;
SELECT bool_and(told('DROP VIEW width' || i) = 'done') FROM widths;

-- a month in a zone is over by its own end
SELECT make('months', $$date_trunc('month', ts, 'Europe/Berlin')$$, $$retention => '1 day'$$);
CREATE FUNCTION push(VARIADIC times text[]) RETURNS text LANGUAGE sql AS $$
  SELECT p.accepted || ' accepted, ' || p.quarantined || ' quarantined, ' || p.late || ' late' FROM streamagg.push('s',
    (SELECT array_agg(format('{"n": %s, "ts": "%s"}', extract(day FROM t::timestamptz), t) ORDER BY o) FROM unnest(times) WITH ORDINALITY x(t, o)),
    timestamps => times::timestamptz[]) p $$;
BEGIN;
SELECT push('2024-02-20T00:00:00Z', '2024-03-01T22:59:59Z', '2024-02-01T00:00:00Z', '2024-03-01T23:00:00Z', '2024-02-29T22:00:00Z', '2024-02-29T23:00:00Z');
SELECT w, n FROM months ORDER BY 1;
SELECT ranges('months_state');
ROLLBACK;
SELECT count(*) || ' partitions after a rollback' FROM ranges('months_state');

-- the ends of time, and more times at once than there shall be partitions: the oldest share one
SELECT make('ends', $$date_bin('1 hour', ts, '2024-01-01')$$, $$retention => '1 hour'$$);
DROP VIEW months;
CREATE FOREIGN TABLE e (n int, ts timestamptz OPTIONS (meta 'timestamp') NOT NULL) SERVER retention_edges OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('centuries', $$SELECT w.window_start AS w, count(*) AS n FROM e, streamagg.tumble(ts, '400 days') w GROUP BY 1$$, retention => '1 hour');
BEGIN;
SELECT accepted, late FROM streamagg.push('e', ARRAY['{}', '{}', '{}', '{}', '{}'], timestamps => ARRAY['4714-11-24 00:30Z BC', '4714-11-24 00:40Z BC', '2024-01-01 00:00Z', '2020-01-01 00:00Z', '294276-12-31 23:59Z']::timestamptz[]);
SELECT w, n, is_final FROM centuries ORDER BY 1;
SELECT * FROM ranges('centuries_state');
ROLLBACK;
BEGIN;
SELECT accepted FROM streamagg.push('s', ARRAY['{"n": 1, "ts": "2022-06-15T12:00:00Z"}']);
SELECT accepted, late FROM streamagg.push('s', (SELECT array_agg(format('{"n": 1, "ts": "%s"}', to_char('2020-01-01'::timestamp + i * interval '7 days', 'YYYY-MM-DD"T"HH24:MI:SSZ')) ORDER BY i) FROM generate_series(1, 300) i), 1);
SELECT count(*), sum(n) FROM ends;
SELECT count(*) FROM ranges('ends_state');
SELECT ranges('ends_state') LIMIT 3;
ROLLBACK;
DROP VIEW ends;

-- rows that an aggregate fails on, while others need new partitions: the last one is not over once the one before is refused
SELECT told($$SELECT streamagg.create_aggregate('failing', 'SELECT date_bin(''1 hour'', ts, ''2024-01-01'') AS w, sum(1 / (n - 7)) AS n FROM s GROUP BY 1', retention => '1 day')$$);
SELECT push('2024-01-06T00:00:00Z', '2024-01-06T01:30:00Z', '2024-01-07T12:00:00Z', '2024-01-06T02:30:00Z');
SELECT w, n FROM failing ORDER BY 1;
SELECT ranges('failing_state');

-- a table of somebody's has the name; a partition that was detached by hand is made anew
CREATE TABLE failing_state_p20240106_03 ();
SELECT push('2024-01-06T03:30:00Z');
ALTER TABLE failing_state DETACH PARTITION failing_state_p20240106_03_1;
SELECT push('2024-01-06T03:30:00Z');
SELECT w, n FROM failing WHERE w >= '2024-01-06 03:00' ORDER BY 1;
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'failing_state'::regclass ORDER BY 1;

-- a new partition is attached while the same session is reading
BEGIN;
DECLARE c CURSOR FOR SELECT w, n FROM failing ORDER BY 1;
FETCH 1 FROM c;
SELECT push('2024-01-06T03:40:00Z');
SELECT push('2024-01-06T04:30:00Z');
FETCH 1 FROM c;
COMMIT;
SELECT w, n FROM failing WHERE w >= '2024-01-06 03:00' ORDER BY 1;
SELECT groups FROM streamagg.aggregates WHERE aggregate = 'failing'::regclass;

-- tables of the users stay when the extension goes
BEGIN;
DROP EXTENSION streamagg CASCADE;
SELECT count(*) FROM failing_state;
SELECT count(*) FROM pg_inherits WHERE inhparent = 'failing_state'::regclass;
ROLLBACK;

DROP SCHEMA retention_edges CASCADE;
DROP SERVER retention_edges;
