-- hop() and cumulate() as plain SQL functions: a row in several windows, or in none; the ends of time; what is refused.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA windows_hop;
SET search_path = windows_hop;

-- half-open, by their ends; a size that is no multiple of the slide; a slide longer than the size leaves rows out
SELECT t, w.* FROM unnest(ARRAY['2024-01-01 00:02', '2024-01-01 00:02:59.999999', '1999-12-31 23:59', '0044-03-15 12:00 BC']::timestamptz[]) t,
  streamagg.hop(t, '1 minute', '3 minutes') w ORDER BY t, w;
SELECT t::time, count(w), min(window_start)::time AS first, max(window_end)::time AS last
FROM unnest(ARRAY['2024-01-01 00:00', '2024-01-01 00:00:10', '2024-01-01 00:00:20', '2024-01-01 00:00:30']::timestamptz[]) t,
  streamagg.hop(t, '20 seconds', '50 seconds') w GROUP BY 1 ORDER BY 1;
SELECT t::time, count(w) FROM unnest(ARRAY['2024-01-01 00:00', '2024-01-01 00:00:14.999999', '2024-01-01 00:00:15', '2024-01-01 00:00:59.999999']::timestamptz[]) t
  LEFT JOIN LATERAL streamagg.hop(t, '1 minute', '15 seconds') w ON true GROUP BY 1 ORDER BY 1;
-- one start, the ends that lie behind the time
SELECT t, w.* FROM unnest(ARRAY['2024-01-01 00:00', '2024-01-01 00:01:59.999999', '2024-01-01 00:02', '1999-12-31 23:59:59']::timestamptz[]) t,
  streamagg.cumulate(t, '1 minute', '3 minutes') w ORDER BY t, w;
-- another origin, also one that comes after the time
SELECT o, h.*, c.window_start AS c_start, c.window_end AS c_end FROM unnest(ARRAY['2000-01-01 00:00:20', '2030-01-01 00:00:40']::timestamptz[]) o,
  streamagg.hop('2024-01-01 00:00:30', '30 s', '1 minute', o) h JOIN streamagg.cumulate('2024-01-01 00:00:30', '1 min', '2 min', o) c ON h.window_end <= c.window_end ORDER BY o, h, c;
-- a day is 24 hours in every zone
SET TimeZone = 'Europe/Berlin';
SELECT w.*, w.window_end - w.window_start AS size FROM streamagg.hop('2024-03-31 12:00+00', '12 hours', '1 day', '2000-01-01 00:00+01') w;
SET TimeZone = 'UTC';

-- by definition: starts origin + n × slide with start <= ts < start + size; and ends start + n × step <= start + size behind ts
CREATE TABLE cases AS SELECT t, slide, size, o FROM generate_series('1999-12-30', '2000-01-07', interval '4 hours 11 minutes 3 seconds') t,
  (VALUES (interval '1 h', interval '3 h'), ('7 h', '24 h'), ('5 h', '5 h'), ('6 h', '1 h'), ('2 h', '24 h')) v(slide, size),
  unnest(ARRAY['2000-01-03', '2000-01-05 03:04:05']::timestamptz[]) o;
CREATE VIEW hops AS SELECT t, slide, size, o, o + n * slide AS s, o + n * slide + size AS e FROM cases, generate_series(-250, 250) n
  WHERE o + n * slide <= t AND t < o + n * slide + size;
SELECT count(*) AS differ FROM (SELECT c.*, w.* FROM cases c, streamagg.hop(t, slide, size, o) w) a FULL JOIN hops b
  ON (a.t, a.slide, a.size, a.o, a.window_start, a.window_end) = (b.t, b.slide, b.size, b.o, b.s, b.e) WHERE a.t IS NULL OR b.t IS NULL;
CREATE VIEW cumulated AS SELECT t, slide, size, o, w.window_start AS s, w.window_start + n * slide AS e FROM cases, streamagg.tumble(t, size, o) w, generate_series(1, 24) n
  WHERE size IN ('3 h', '24 h', '5 h') AND slide <> '7 h' AND t < w.window_start + n * slide AND w.window_start + n * slide <= w.window_start + size;
SELECT count(*) AS differ FROM (SELECT c.*, w.* FROM cases c, streamagg.cumulate(t, slide, size, o) w WHERE size IN ('3 h', '24 h', '5 h') AND slide <> '7 h') a FULL JOIN cumulated b
  ON (a.t, a.slide, a.size, a.o, a.window_start, a.window_end) = (b.t, b.slide, b.size, b.o, b.s, b.e) WHERE a.t IS NULL OR b.t IS NULL;
SELECT (SELECT count(*) FROM hops) AS hops, (SELECT count(*) FROM cumulated) AS cumulated;

-- the ends of time: saturated, no window twice, no error
SELECT t, w.* FROM unnest(ARRAY['infinity', '-infinity', NULL, '294276-12-31 23:59:59.999999', '4714-11-24 BC', '4714-11-24 06:00 BC', '4714-11-25 18:00 BC']::timestamptz[]) t,
  streamagg.hop(t, '12 hours', '2 days') w ORDER BY t, w;
SELECT t, w.* FROM unnest(ARRAY['infinity', '-infinity', NULL, '294276-12-31 11:00', '294276-12-31 23:59:59.999999', '4714-11-24 BC', '4714-11-24 06:00 BC']::timestamptz[]) t,
  streamagg.cumulate(t, '12 hours', '2 days') w ORDER BY t, w;
SELECT t, count(*), count(DISTINCT w) FROM unnest(ARRAY['294276-12-31 23:59:59.999999', '4714-11-24 BC', '2024-01-01']::timestamptz[]) t,
  streamagg.hop(t, '100 days', '1000000 days') w GROUP BY 1 ORDER BY 1;

-- refused
SELECT streamagg.hop('2024-01-01', '0 s', '1 min');
SELECT streamagg.hop('2024-01-01', '1 s', '-1 min');
SELECT streamagg.hop('2024-01-01', '1 month', '1 year');
SELECT streamagg.hop('2024-01-01', '1 day', '1 month');
SELECT streamagg.hop('2024-01-01', '1 day', '7 days', 'infinity');
SELECT streamagg.hop('2024-01-01', '1 s', '1 day');
SELECT streamagg.cumulate('2024-01-01', '1 s', '1 day');
SELECT streamagg.cumulate('2024-01-01', '7 s', '1 min');
SELECT streamagg.cumulate('2024-01-01', '1 min', '7 s');
SELECT streamagg.cumulate('2024-01-01', '1 min', '1 month');
\set VERBOSITY sqlstate
SELECT streamagg.hop('2024-01-01', '1 s', '1 day');
SELECT streamagg.cumulate('2024-01-01', '7 s', '1 min');
\set VERBOSITY default
SELECT count(*) FROM streamagg.hop('2024-01-01', '1 s', '10000 s');

-- they are inlined: no call of the functions themselves is left
CREATE TABLE t AS SELECT g AS ts, 1 AS v FROM generate_series('2024-01-01', '2024-01-02', interval '7 min') g;
CREATE FUNCTION plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || query;
END $$;
SELECT f, count(*) FILTER (WHERE p ~ 'streamagg\.(hop|cumulate)\(') AS calls, count(*) FILTER (WHERE p ~ 'Seq Scan') AS scans
FROM unnest('{hop,cumulate}'::text[]) f, plan(format('SELECT w.window_start, w.window_end, sum(v) FROM t, streamagg.%s(ts, ''6 h'', ''12 h'') w GROUP BY 1, 2', f)) p
GROUP BY 1;
SELECT w.window_start, w.window_end, count(*) FROM t, streamagg.hop(ts, '6 h', '12 h') w GROUP BY 1, 2 ORDER BY 1;
SELECT w.window_start, w.window_end, count(*) FROM t, streamagg.cumulate(ts, '6 h', '12 h') w GROUP BY 1, 2 ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA windows_hop CASCADE;
