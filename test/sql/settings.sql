-- G5: the settings of the definition count, not those of the session that pushes (promise 4).
\set SHOW_CONTEXT never
CREATE SCHEMA settings;
SET search_path = settings;
CREATE SERVER settings FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (x float8, b bytea, iv interval, d text, z text, ts timestamptz) SERVER settings OPTIONS (event_time 'ts', watermark_delay '0 s');
-- what depends on settings: text of times and intervals, days, zone-less times; constants in the query
CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
('texts', 'SELECT ts::text AS a, iv::text AS b, (ts AT TIME ZONE ''UTC'')::text AS c, count(*) AS n FROM s GROUP BY 1, 2, 3'),
('days', 'SELECT date_trunc(''day'', ts) AS a, ts::date AS b, extract(hour FROM ts) AS c, count(*) AS n FROM s GROUP BY 1, 2, 3'),
('parsed', 'SELECT d::date AS a, z::timestamptz AS b, count(*) AS n FROM s GROUP BY 1, 2'),
('constants', 'SELECT ''2024-04-03 05:06+00''::timestamptz AS a, ''2024-04-03''::date AS b, interval ''-1 day -2 hours'' AS c,
   ''0.12345678901234567''::float8 AS d, ''2024-04-03 05:06''::timestamp AS e, time ''05:06'' AS f, count(*) AS n,
   count(*) FILTER (WHERE ts >= ''2024-04-03 05:06+00'') AS o, count(*) FILTER (WHERE x = ''0.12345678901234567''::float8) AS p FROM s GROUP BY 1, 2, 3, 4, 5, 6'),
('bins', 'SELECT date_bin(''1 h'', ts, ''2024-04-03 00:30+00'') AS a, count(*) AS n FROM s GROUP BY 1'),
('windows', 'SELECT w.window_start AS a, count(*) AS n FROM s, streamagg.tumble(ts, ''1 day'', ''2024-04-03 22:00+00'') w GROUP BY 1'),
('numbers', 'SELECT x::text AS a, b::text AS c, count(*) AS n FROM s GROUP BY 1, 2');
CREATE FUNCTION push() RETURNS bigint LANGUAGE sql AS $$
  SELECT accepted FROM streamagg.push('s', ARRAY[
    '{"ts": "2024-04-03T05:06:00Z", "iv": "-1 day -2 hours", "d": "03/04/2024", "z": "2024-04-03 23:30", "x": 0.12345678901234567, "b": "\\x00ff41"}',
    '{"ts": "2024-04-03T22:30:00.5Z", "iv": "1 year 2 mons", "d": "2024-04-03", "z": "2024-07-03 23:30", "x": 100000000000000000000, "b": "\\x41"}'])
$$;
-- three definitions, each pushed to by sessions with other settings
CREATE FUNCTION define() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  RETURN (SELECT count(streamagg.create_aggregate(format('%I', name || '_' || current_setting('TimeZone')), query)) FROM queries);
END $$;
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';
SELECT define();
SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard';
SELECT define();
SET TimeZone = 'America/St_Johns'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601';
SELECT define();
SET TimeZone = 'Australia/Lord_Howe'; SET DateStyle = 'Postgres, MDY'; SET IntervalStyle = 'postgres_verbose';
SELECT define();

-- one and the same session setting for all pushes would not show it: four pushes, four kinds of session
SELECT push();
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; SET extra_float_digits = -10; SET bytea_output = 'escape';
SELECT push();
SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'; SET extra_float_digits = 3; SET bytea_output = 'hex';
SELECT push();
SET TimeZone = 'America/St_Johns'; SET DateStyle = 'German, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 0;
SELECT push();
-- the session's own settings are untouched
SHOW TimeZone;
SHOW DateStyle;
SHOW IntervalStyle;
SHOW search_path;

-- each as plain SQL finds it under the definition's settings: each record four times
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres'; RESET extra_float_digits; SET bytea_output = 'hex';
CREATE TABLE plain (LIKE s);
INSERT INTO plain SELECT v.* FROM generate_series(1, 4), (VALUES
  (0.12345678901234567::float8, '\x00ff41'::bytea, interval '-1 day -2 hours', '03/04/2024', '2024-04-03 23:30', timestamptz '2024-04-03 05:06+00'),
  (1e20, '\x41', '1 year 2 mons', '2024-04-03', '2024-07-03 23:30', '2024-04-03 22:30:00.5+00')) v;
CREATE FUNCTION differences(zone text, style text, intervals text) RETURNS TABLE (name text, differences bigint) LANGUAGE plpgsql AS $$
DECLARE
  q record;
  columns text;
BEGIN
  FOR q IN SELECT * FROM queries LOOP
    name := q.name || '_' || zone;
    SELECT string_agg(attname, ', ' ORDER BY attnum) INTO columns FROM pg_attribute
    WHERE attrelid = format('%I', name)::regclass AND attnum > 0 AND attname NOT IN ('is_final', 'updated_at');
    PERFORM set_config('TimeZone', zone, true), set_config('DateStyle', style, true), set_config('IntervalStyle', intervals, true);
    EXECUTE format('WITH a AS (SELECT %s FROM %I), p AS (%s) SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE p) UNION ALL (TABLE p EXCEPT ALL TABLE a)) d',
      columns, name, replace(q.query, 'FROM s', 'FROM plain')) INTO differences;
    PERFORM set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true), set_config('IntervalStyle', 'postgres', true);
    RETURN NEXT;
  END LOOP;
END $$;
SELECT * FROM differences('UTC', 'ISO, MDY', 'postgres') WHERE differences <> 0;
SELECT * FROM differences('Asia/Kolkata', 'SQL, DMY', 'sql_standard') WHERE differences <> 0;
SELECT * FROM differences('America/St_Johns', 'German', 'iso_8601') WHERE differences <> 0;
SELECT * FROM differences('Australia/Lord_Howe', 'Postgres, MDY', 'postgres_verbose') WHERE differences <> 0;
SELECT a, b, c, n FROM "texts_Asia/Kolkata" ORDER BY 1;
SELECT a, b, c, n FROM "days_America/St_Johns" ORDER BY 1;
SELECT n, o, p FROM "constants_Asia/Kolkata";
SELECT a, n FROM "windows_Australia/Lord_Howe" ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA settings CASCADE;
DROP SERVER settings;
