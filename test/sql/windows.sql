-- Where windows start and end: before the origin, across clock changes, at the ends of time; and the
-- functions are plain SQL on any table.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA windows;
SET search_path = windows;

-- half-open; origin Monday 2000-01-03
SELECT t, w.* FROM unnest(ARRAY['2024-01-01 00:00', '2024-01-01 00:04:59.999999', '2024-01-01 00:05', '1999-12-31 23:59',
  '1969-12-31 23:59:59.999999', '1970-01-01', '0044-03-15 12:00 BC']::timestamptz[]) t, streamagg.tumble(t, '5 minutes') w;
SELECT t, w.* FROM unnest(ARRAY['2024-02-28 12:00', '2024-02-25 23:59:59', '2024-02-26', '2000-01-02 12:00', '1999-12-27',
  '1969-07-20']::timestamptz[]) t, streamagg.tumble(t, '7 days') w;
-- another origin, also one that comes after the time
SELECT o, w.* FROM unnest(ARRAY['2000-01-01 00:00:20', '2030-01-01 00:00:40', '2024-01-01 00:00:30', '1970-01-01']::timestamptz[]) o,
  streamagg.tumble('2024-01-01 00:00:30', '1 minute', o) w;
-- a day is 24 hours in every zone
SET TimeZone = 'Europe/Berlin';
SELECT t, w.*, w.window_end - w.window_start AS size FROM unnest(ARRAY['2024-03-30 12:00+00', '2024-03-31 12:00+00', '2024-10-27 12:00+00']::timestamptz[]) t,
  streamagg.tumble(t, '1 day', '2000-01-01 00:00+01') w;
SET TimeZone = 'UTC';
-- the same as date_bin, where both are defined
SELECT count(*) AS differ FROM generate_series('1999-12-01', '2000-02-01', interval '7 hours 11 minutes 3 seconds') t,
  unnest(ARRAY['1 s', '7 min', '1 h', '25 h', '7 days 1 us']::interval[]) s, unnest(ARRAY['2000-01-03', '2000-01-15 03:04:05']::timestamptz[]) o,
  streamagg.tumble(t, s, o) w WHERE w.window_start <> date_bin(s, t, o) OR w.window_end <> date_bin(s, t, o) + s;
-- microseconds and large sizes
SELECT w.* FROM streamagg.tumble('2024-01-01 00:00:00.000007', '3 microseconds', '2024-01-01') w;
SELECT w.* FROM streamagg.tumble('2024-01-01', '365000 days') w;
-- the ends of time
SELECT t, w.* FROM unnest(ARRAY['infinity', '-infinity', NULL, '294276-12-31 23:59:59.999999']::timestamptz[]) t
  LEFT JOIN LATERAL streamagg.tumble(t, '1 day') w ON true;
SELECT streamagg.tumble(now(), '0 s');
SELECT streamagg.tumble(now(), '1 month');
SELECT streamagg.tumble('2024-01-01', '1 day', 'infinity');

-- on an ordinary table they are inlined: no call of a set-returning function is left
CREATE TABLE t AS SELECT g AS ts, 1 AS v FROM generate_series('2024-01-01', '2024-01-02', interval '7 min') g;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) ' || query;
END $$;
SELECT count(*) FILTER (WHERE p ~ 'Function Scan|ProjectSet|SubPlan|Nested Loop|Join') AS calls, count(*) FILTER (WHERE p ~ 'Seq Scan') AS scans
FROM plan('SELECT w.window_start, w.window_end, sum(v) FROM t, streamagg.tumble(ts, ''6 h'') w GROUP BY 1, 2') p;
SELECT w.window_start, w.window_end, count(*) FROM t, streamagg.tumble(ts, '6 h') w GROUP BY 1, 2 ORDER BY 1;
-- and usable in an index
CREATE INDEX ON t (streamagg.window_start(ts, '1 hour', '2000-01-03 00:00+00'));

-- tumble, date_bin and date_trunc in a zone are windows; date_trunc without zone and others are keys
CREATE SERVER windows FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (ts timestamptz NOT NULL) SERVER windows OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FUNCTION make(name text, key text) RETURNS regclass LANGUAGE sql AS $$
  SELECT streamagg.create_aggregate(name, format('SELECT %s AS k, count(*) AS n FROM s GROUP BY 1', key)) $$;
SELECT make('bin', $$date_bin('15 min', ts, '2000-01-01 00:05+00')$$), make('berlin', $$date_trunc('day', ts, 'Europe/Berlin')$$),
  make('hour', $$date_trunc('hour', ts, 'UTC')$$), make('week', $$date_trunc('week', ts, 'Asia/Tokyo')$$),
  make('month', $$date_trunc('month', ts, 'Europe/Berlin')$$), make('quarter', $$date_trunc('Quarter', ts, 'UTC')$$),
  make('year', $$date_trunc('YEAR', ts, 'America/New_York')$$), make('unzoned', $$date_trunc('day', ts)$$),
  make('computed', $$date_trunc('day', ts, 'UTC') + interval '1 h'$$), make('dow', $$extract(dow FROM ts)$$);
-- a day of 23 hours, one of 25, a leap day, a midnight that does not exist (Sao Paulo 2018-11-04)
SELECT make('sao_paulo', $$date_trunc('day', ts, 'America/Sao_Paulo')$$);
SELECT accepted, late FROM streamagg.push('s', (SELECT array_agg(format('{"ts": "%s"}', g)) FROM unnest(ARRAY[
  '2018-11-03T12:00:00Z', '2018-11-04T02:59:59Z', '2018-11-04T03:00:00Z', '2018-11-05T01:59:59Z', '2024-02-29T22:59:59Z',
  '2024-02-29T23:00:00Z', '2024-03-30T23:00:00Z', '2024-03-31T21:59:59Z', '2024-03-31T22:00:00Z', '2024-10-26T22:00:00Z',
  '2024-10-27T22:59:59Z', '2024-10-27T23:00:00Z']) g));
SELECT k, n, is_final FROM berlin ORDER BY k;
SELECT k, n, is_final FROM sao_paulo ORDER BY k LIMIT 3;
SELECT 'bin', k, n, is_final FROM bin WHERE k > '2024-10-01' UNION ALL SELECT 'hour', k, n, is_final FROM hour WHERE k > '2024-10-01'
UNION ALL SELECT 'week', k, n, is_final FROM week WHERE k > '2024-10-01' UNION ALL SELECT 'month', k, n, is_final FROM month WHERE k > '2024-02-01'
UNION ALL SELECT 'quarter', k, n, is_final FROM quarter UNION ALL SELECT 'year', k, n, is_final FROM year ORDER BY 1, 2;
SELECT count(*) AS keys, sum(n), bool_or(is_final) FROM unzoned UNION ALL SELECT count(*), sum(n), bool_or(is_final) FROM computed
UNION ALL SELECT count(*), sum(n), bool_or(is_final) FROM dow;
-- a calendar day is closed after its 23 or 25 hours, neither before nor later
CREATE FOREIGN TABLE d (ts timestamptz NOT NULL) SERVER windows OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('day', 'SELECT date_trunc(''day'', ts, ''Europe/Berlin'') AS k, count(*) AS n FROM d GROUP BY 1', late => 'drop');
SELECT t, accepted, late FROM unnest(ARRAY['2024-03-30T23:00:00Z', '2024-03-31T21:59:59Z', '2024-03-31T22:00:00Z', '2024-03-31T21:59:59Z', '2024-10-26T22:00:00Z',
  '2024-10-27T22:59:59Z', '2024-10-27T22:00:00Z', '2024-10-27T23:00:00Z', '2024-10-27T22:59:59Z']) t, streamagg.push('d', ARRAY[format('{"ts": "%s"}', t)]);
SELECT k, n, is_final FROM day ORDER BY 1;
-- one row of the end of time does not make a view unreadable
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "294276-12-31T23:59:59Z"}'], timestamps => ARRAY['294276-12-31 23:59:59Z']::timestamptz[]);
SELECT k, n, is_final FROM berlin ORDER BY k DESC LIMIT 2;
SELECT k, n, is_final FROM year ORDER BY k DESC LIMIT 1;
SELECT k, n, is_final FROM bin ORDER BY k DESC LIMIT 1;

SET client_min_messages = warning;
DROP SCHEMA windows CASCADE;
DROP SERVER windows;
