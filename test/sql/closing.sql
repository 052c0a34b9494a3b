-- Which windows close, and when: each one once, whatever the batches and the late rows.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA closing;
SET search_path = closing;
CREATE SERVER closing FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER closing OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE closed (aggregate text, a timestamptz, b timestamptz);
CREATE FUNCTION make(name text, call text, VARIADIC options text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT streamagg.create_aggregate(%L, %L%s)', name, call, (SELECT string_agg(', ' || o, '') FROM unnest(options) o));
  PERFORM streamagg.on_close(name::regclass, format('INSERT INTO closing.closed SELECT %L, $1, $2', name));
END $$;
SELECT make('merged', 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2, 3');
SELECT make('dropped', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', 'late => ''drop''');
SELECT make('later', 'SELECT k, w.window_end, w.window_start, min(ts) FROM s, streamagg.tumble(ts, ''90 s'', ''2024-01-01 00:00:17Z'') w GROUP BY 1, 2, 3', 'allowed_lateness => ''2 min''');
SELECT make('binned', 'SELECT k, date_bin(''20 s'', ts, ''2001-01-01Z'') AS window_start, count(*) AS n FROM s GROUP BY 1, 2');
SELECT make('hours', 'SELECT date_trunc(''hour'', ts, ''Asia/Kathmandu'') AS window_start, k, count(*) AS n FROM s GROUP BY 1, 2');
SELECT make('days', 'SELECT date_trunc(''day'', ts, ''America/Havana'') AS window_start, count(*) AS n FROM s GROUP BY 1', 'allowed_lateness => ''1 h''');
SELECT make('weeks', 'SELECT date_trunc(''week'', ts, ''Europe/Berlin'') AS window_start, k, count(*) AS n FROM s WHERE k <> ''b'' GROUP BY 1, 2');
SELECT make('months', 'SELECT date_trunc(''month'', ts, ''Asia/Beirut'') AS window_start, k, count(*) AS n FROM s GROUP BY 1, 2');
SELECT make('final', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''7 min'') w GROUP BY 1, 2', 'emit => ''final''');
SELECT make('hops', 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.hop(ts, ''1 min'', ''150 s'') w GROUP BY 1, 2, 3');
SELECT make('apart', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.hop(ts, ''1 h'', ''20 min'') w GROUP BY 1, 2', 'allowed_lateness => ''1 min''');
SELECT make('grows', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.cumulate(ts, ''1 h'', ''6 h'') w GROUP BY 1, 2');
CREATE VIEW finals AS
SELECT 'merged' AS aggregate, window_start, window_end - window_start AS length, is_final FROM merged UNION SELECT 'dropped', window_start, NULL, is_final FROM dropped
UNION SELECT 'later', window_start, NULL, is_final FROM later UNION SELECT 'binned', window_start, NULL, is_final FROM binned
UNION SELECT 'hours', window_start, NULL, is_final FROM hours UNION SELECT 'days', window_start, NULL, is_final FROM days
UNION SELECT 'weeks', window_start, NULL, is_final FROM weeks UNION SELECT 'months', window_start, NULL, is_final FROM months
UNION SELECT 'final', window_start, NULL, is_final FROM final
UNION SELECT 'hops', window_start, window_end - window_start, is_final FROM hops UNION SELECT 'apart', window_start, NULL, is_final FROM apart
UNION SELECT 'grows', window_start, window_end - window_start, is_final FROM grows;
CREATE VIEW told AS SELECT aggregate, a, CASE WHEN aggregate IN ('merged', 'hops', 'grows') THEN b - a END AS l FROM closed;
-- what closed is what is final, once
CREATE VIEW wrong AS
SELECT 'not once' AS what, aggregate, a FROM closed GROUP BY 2, 3, b HAVING count(*) > 1
UNION ALL SELECT 'closed, not final', aggregate, a FROM (SELECT aggregate, a, l FROM told EXCEPT SELECT aggregate, window_start, length FROM finals WHERE is_final) x
UNION ALL SELECT 'final, not closed', aggregate, window_start FROM (SELECT aggregate, window_start, length FROM finals WHERE is_final EXCEPT SELECT aggregate, a, l FROM told) x;
CREATE FUNCTION push(VARIADIC times timestamptz[]) RETURNS bigint LANGUAGE sql AS $$
  SELECT p.accepted FROM streamagg.push('closing.s',
    (SELECT array_agg(json_build_object('k', chr(97 + (o % 3)::int), 'ts', t)::text ORDER BY o) FROM unnest(times) WITH ORDINALITY x(t, o))) p $$;

-- the first batch has no watermark behind it
SELECT push('2024-01-01 00:00:10Z', '2024-01-01 00:00:59.999999Z');
SELECT count(*) FROM closed WHERE aggregate = 'merged';
SELECT push('2024-01-01 00:01:00Z', '2023-12-31 23:59:59.999999Z');
SELECT * FROM closed WHERE aggregate IN ('merged', 'dropped') ORDER BY 1, 2;
SELECT * FROM wrong;
-- a window whose first row is late was never open: that batch closes it; the next late row does not
SELECT push('2023-12-31 22:00:00Z', '2023-12-31 22:00:30Z', '2023-12-31 21:00:30Z');
SELECT * FROM closed WHERE aggregate = 'merged' ORDER BY 2;
SELECT push('2023-12-31 22:00:10Z', '2023-12-31 21:00:10Z', '2023-12-31 21:59:10Z', '2023-12-31 20:59:10Z');
SELECT * FROM closed WHERE aggregate = 'merged' ORDER BY 2;
-- dropped, they make none
SELECT * FROM closed WHERE aggregate = 'dropped' ORDER BY 2;
SELECT * FROM wrong;
-- late for its partition only: still open, so closed by the watermark
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:30Z"}'], 1);
SELECT push('2024-01-01 00:10:00Z', '2024-01-01 00:04:00Z');
SELECT count(*) FROM closed WHERE aggregate = 'merged' AND a >= '2024-01-01 00:01Z';
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:05:00Z"}'], 1);
SELECT a, b FROM closed WHERE aggregate = 'merged' AND a >= '2024-01-01 00:01Z' ORDER BY 1;
SELECT * FROM wrong;

-- at random: steps of seconds to weeks, rows that are late by as much
SELECT setseed(0.5);
CREATE FUNCTION walk(steps int, scale interval) RETURNS TABLE (step int, aggregates bigint, what text) LANGUAGE plpgsql AS $$
DECLARE
  clock timestamptz := (SELECT max(watermark) FROM streamagg.partitions WHERE stream = 'closing.s'::regclass);
BEGIN
  FOR i IN 1 .. steps LOOP
    clock := clock + scale * random() * random();
    PERFORM streamagg.push('closing.s', (SELECT array_agg(json_build_object('k', chr(97 + (random() * 2)::int),
      'ts', clock - CASE WHEN random() < 0.3 THEN scale * 3 * random() ELSE scale * random() * 0.1 END)::text)
      FROM generate_series(1, 1 + (random() * 8)::int)), (random() * 1.2)::int);
    CONTINUE WHEN i % 10 > 0;
    RETURN QUERY SELECT i, count(DISTINCT w.aggregate), min(w.what) FROM wrong w HAVING count(*) > 0;
  END LOOP;
END $$;
SELECT * FROM walk(40, '40 s');
SELECT * FROM walk(40, '10 min');
SELECT * FROM walk(40, '3 h');
SELECT * FROM walk(40, '5 days');
SELECT * FROM walk(30, '50 days');
SELECT aggregate, count(*) > 5 AS many FROM closed GROUP BY 1 ORDER BY 1;
-- where midnight comes twice, and where a day has no midnight: Havana's clock changes at one and at midnight
SELECT push('2025-10-31 12:00Z'), (SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2025-10-31T12:00Z"}'], 1));
CREATE FUNCTION hours(a timestamptz, b timestamptz) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  t timestamptz;
BEGIN
  FOR t IN SELECT generate_series(a, b, '1 h') LOOP
    PERFORM push(t), streamagg.push('s', ARRAY[json_build_object('ts', t)::text], 1);
    CONTINUE WHEN extract(hour FROM t) NOT IN (4, 5, 6);
    RETURN QUERY SELECT concat_ws(' ', t, w.what, w.aggregate) FROM wrong w;
  END LOOP;
END $$;
SELECT * FROM hours('2025-11-01 12:00Z', '2025-11-04 12:00Z');
SELECT push('2026-03-07 12:00Z'), (SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2026-03-07T12:00Z"}'], 1));
SELECT * FROM hours('2026-03-07 12:00Z', '2026-03-10 12:00Z');
SELECT a, b - a AS length FROM closed WHERE aggregate = 'days' AND a >= '2025-11-01Z' ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA closing CASCADE;
DROP SERVER closing;
