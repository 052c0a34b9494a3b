-- date_trunc windows where clocks change: each ends where the next one starts, and behind its rows; date_bin with an origin of another zone.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA windows_calendar;
SET search_path = windows_calendar;
-- half an hour (Lord Howe), midnight left out (Sao Paulo, Havana) or met twice (Havana), a minute past midnight (St Johns 2010),
-- a day left out (Apia)
CREATE TABLE zones (zone text, first timestamptz, last timestamptz);
INSERT INTO zones VALUES ('Australia/Lord_Howe', '2024-03-01', '2024-11-01'), ('America/Sao_Paulo', '2018-10-01', '2019-03-01'), ('Pacific/Apia', '2011-12-20', '2012-01-10'),
  ('America/St_Johns', '2010-03-01', '2010-12-01'),
  ('Asia/Kathmandu', '2024-01-01', '2024-02-01'), ('America/Havana', '2024-03-01', '2024-12-01'), ('Europe/Berlin', '2024-03-01', '2024-12-01');
CREATE TABLE windows AS
SELECT zone, unit, s AS window_start, streamagg.window_end(s, unit, zone) AS window_end, min(t) AS first, max(t) AS last
FROM zones, generate_series(first, last, interval '37 min 7 s') t, unnest('{hour,day,week,month}'::text[]) unit, date_trunc(unit, t, zone) s GROUP BY 1, 2, 3;
SELECT zone, unit, count(*) FROM windows WHERE last >= window_end GROUP BY 1, 2;
-- the first midnight of two belongs to the day that starts with the second: PostgreSQL's own choice
SELECT * FROM windows WHERE first < window_start;
SELECT * FROM (SELECT zone, unit, window_start, window_end, lead(window_start) OVER (PARTITION BY zone, unit ORDER BY window_start) AS next FROM windows
  WHERE unit IN ('day', 'week', 'month')) w WHERE window_end <> next;
SELECT zone, window_start AT TIME ZONE zone AS day, window_end - window_start AS length FROM windows WHERE unit = 'day' AND window_end - window_start NOT IN ('1 day', '24:00:00') ORDER BY 1, 2;

-- a day without midnight is closed at its end, neither before nor later
CREATE SERVER windows_calendar FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (ts timestamptz NOT NULL) SERVER windows_calendar OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('day', 'SELECT date_trunc(''day'', ts, ''America/Sao_Paulo'') AS k, count(*) AS n FROM s GROUP BY 1', late => 'drop'),
  streamagg.create_aggregate('half', 'SELECT date_trunc(''day'', ts, ''Australia/Lord_Howe'') AS k, count(*) AS n FROM s GROUP BY 1', late => 'drop'),
  streamagg.create_aggregate('bin', 'SELECT date_bin(''1 h'', ts, ''2000-01-01 00:20+05:45'') AS k, count(*) AS n FROM s GROUP BY 1', late => 'drop'),
  streamagg.create_aggregate('plain', 'SELECT date_trunc(''day'', ts) AS k, count(*) AS n FROM s GROUP BY 1', late => 'drop');
SELECT t, accepted, late FROM unnest(ARRAY['2018-11-04T03:00:00Z', '2018-11-05T01:59:59.999999Z', '2018-11-05T01:00:00Z', '2018-11-05T02:00:00Z', '2018-11-05T01:59:59Z',
  '2024-04-06T13:00:00Z', '2024-04-07T13:29:59Z', '2024-04-07T13:30:00Z', '2024-04-07T13:29:59Z']) t, streamagg.push('s', ARRAY[format('{"ts": "%s"}', t)]);
SELECT k, n, is_final FROM day ORDER BY 1;
SELECT k, n, is_final FROM half ORDER BY 1;
SELECT k, n, is_final FROM bin ORDER BY 1;
-- without a zone it is a key like any other: never late, never final
SELECT k, n, is_final FROM plain ORDER BY 1;
-- months have no fixed length: PostgreSQL says so
SELECT date_bin('1 month', '2024-01-01', timestamptz '2000-01-01');
SELECT streamagg.create_aggregate('months', 'SELECT date_bin(''1 month'', ts, ''2000-01-01'') AS k, count(*) AS n FROM s GROUP BY 1');

SET client_min_messages = warning;
DROP SCHEMA windows_calendar CASCADE;
DROP SERVER windows_calendar;
