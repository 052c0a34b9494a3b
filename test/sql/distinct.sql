-- Exact DISTINCT: calls with it over many batches are what PostgreSQL says of a plain table, for every type of value, with FILTER, several of them,
-- late rows merged and dropped.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA distinct_of;
SET search_path = distinct_of;
CREATE SERVER distinct_of FOREIGN DATA WRAPPER streamagg_kafka;
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN code AS text NOT NULL CHECK (length(VALUE) < 9);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE FOREIGN TABLE e (
  i int, b boolean, i2 smallint, i4 int, i8 bigint, t text, v varchar(5), c char(4), nc text COLLATE no_case, d code, u uuid,
  n numeric, p numeric(6, 2), f4 real, f float8, da date, ti time, ts timestamptz NOT NULL, ip inet, iv interval, m mood, j jsonb, a int[], r pair
) SERVER distinct_of OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE plain (LIKE e);
CREATE TABLE names (i4 int, name text);
INSERT INTO names VALUES (-1, 'few'), (0, 'none'), (1, 'few'), (1, 'one');

CREATE FUNCTION pick(VARIADIC given text[]) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT given[1 + floor(random() * array_length(given, 1))::int]';
SELECT FROM setseed(0.5);
INSERT INTO plain SELECT i, pick('t', 'f', NULL)::boolean, pick('-32768', '0', '7', NULL)::int2, pick('-1', '0', '1', '2147483647', NULL)::int4,
  pick('-9223372036854775808', '0', '255', NULL)::int8, pick('', 'a', 'A', 'ä', repeat('long', 100), NULL), pick('a', 'a ', 'ab', NULL), pick('a', 'a ', 'b', NULL),
  pick('a', 'A', 'b', 'B', NULL), pick('x', 'y'), pick('00000000-0000-0000-0000-000000000001', '10000000-0000-0000-0000-000000000001', NULL)::uuid,
  pick('1', '1.0', '1.00', '-2', '0', NULL)::numeric, pick('1', '1.50', '-2', NULL)::numeric, pick('0', '-0', '1e30', '0.1', NULL)::real,
  pick('0', '-0', '1e100', '-1.5', NULL)::float8, pick('2024-01-01', '1999-12-31', NULL)::date, pick('00:00', '23:59:59.5', NULL)::time,
  '2024-01-01T00:00:00Z'::timestamptz + i % 400 * interval '1 s', pick('10.0.0.1', '10.0.0.2', '::1', NULL)::inet, pick('1 day', '24 hours', '1 hour', NULL)::interval,
  pick('sad', 'happy', NULL)::mood, pick('{"a": 1}', '{"a": 1.0}', '[]', NULL)::jsonb, pick('{1}', '{2,1}', NULL)::int[], pick('(1,a)', '(,a)', '(1,)', NULL)::pair
FROM generate_series(1, 1500) i;

-- a query a row: over the stream, and over the plain table
CREATE TABLE queries (name text, nkeys int, keys text, calls text, source text DEFAULT '%s e', condition text DEFAULT 'true');
INSERT INTO queries (name, nkeys, keys, calls, source)
SELECT 'of_' || k, 2, 'w.window_start, b', format('count(DISTINCT %1$s) AS many, count(*) AS total, count(%1$s) AS values', k), '%s e, streamagg.tumble(ts, ''1 minute'') w'
FROM unnest('{b,i2,i4,i8,t,v,c,nc,d,u,n,p,f4,f,da,ti,ts,ip,iv,m,j,a,r}'::text[]) k;
INSERT INTO queries (name, nkeys, keys, calls)
SELECT 'sum_' || k, 1, 'm', format('sum(DISTINCT %1$s) AS s, avg(DISTINCT %1$s) AS a, count(DISTINCT %1$s) AS many', k) FROM unnest('{i2,i4,i8,n,p,f4,f,iv}'::text[]) k;
INSERT INTO queries (name, nkeys, keys, calls)
SELECT 'by_' || k, 1, k, 'count(DISTINCT i4) AS many, count(DISTINCT t) AS texts' FROM unnest('{t,v,c,nc,d,n,f,ip,iv,a}'::text[]) k;
INSERT INTO queries VALUES
  ('only', 1, 'b', 'count(DISTINCT i4) AS n', '%s e', 'true'),
  ('expression', 1, 'b', 'count(DISTINCT i4 / 2 + i2) AS n, sum(DISTINCT i4 % 3) AS s, count(DISTINCT lower(t)) - count(DISTINCT t) AS less', '%s e', 'true'),
  ('filtered', 1, 'b', 'count(DISTINCT i4) FILTER (WHERE i2 > 0) AS n, sum(DISTINCT i4) FILTER (WHERE i2 > 0) AS s, count(DISTINCT i4) FILTER (WHERE m = ''sad'') AS sad, count(DISTINCT t) FILTER (WHERE NULL) AS none, count(DISTINCT d) FILTER (WHERE b) AS d', '%s e', 'true'),
  ('guarded', 1, 'b', 'count(DISTINCT 10 / i4) FILTER (WHERE i4 <> 0) AS n', '%s e', 'true'),
  ('plainly', 1, 'b', 'min(DISTINCT i4) AS low, max(DISTINCT t) AS high, bool_or(DISTINCT b) AS some', '%s e', 'true'),
  ('joined', 1, 'name', 'count(DISTINCT t) AS n, sum(DISTINCT i4) AS s', '%s e JOIN names USING (i4)', 'true'),
  ('joined_guarded', 1, 'b', 'count(DISTINCT 10 / (e.i4 - 2147483647)) AS n', '%s e JOIN names USING (i4)', 'true'),
  ('value', 2, 'i2 AS value, i8 AS _value', 'count(DISTINCT i4) AS n', '%s e', 'true'),
  ('nothing', 1, 'b', 'count(DISTINCT i4) AS n, sum(DISTINCT i4) AS s', '%s e', 'i4 > 5 AND i4 < 3'),
  ('total', 0, '', 'count(DISTINCT i4) AS n, avg(DISTINCT i8) AS a, sum(i2) AS s', '%s e', 'true'),
  ('total_only', 0, '', 'count(DISTINCT t) AS n', '%s e', 'b'),
  ('having', 1, 't', 'count(DISTINCT i4) AS n', '%s e', 'true');
CREATE FUNCTION query_of(q queries, relation text) RETURNS text LANGUAGE sql AS $$
  SELECT format('SELECT %s%s FROM %s WHERE %s%s', nullif((q).keys, '') || ', ', (q).calls, format((q).source, relation), (q).condition,
    ' GROUP BY ' || (SELECT string_agg(i::text, ', ') FROM generate_series(1, (q).nkeys) i))
    || CASE (q).name WHEN 'having' THEN ' HAVING count(DISTINCT i8) > 1' ELSE '' END $$;
DO $$ DECLARE q queries; BEGIN
  FOR q IN SELECT * FROM queries LOOP PERFORM streamagg.create_aggregate('a_' || q.name, query_of(q, 'distinct_of.e')); END LOOP;
  PERFORM streamagg.create_aggregate('dropping', 'SELECT w.window_start, w.window_end, count(DISTINCT i % 50) AS n, count(*) AS c FROM e, streamagg.tumble(ts, ''1 minute'') w GROUP BY 1, 2', late => 'drop');
END $$;
-- a partition each, so that hardly a row is late, in batches, so that groups and values meet what is stored
SELECT sum(accepted), sum(quarantined) FROM generate_series(0, 3) k, streamagg.push('e', (SELECT array_agg(to_json(plain)::text ORDER BY i) FROM plain WHERE (i - 1) / 400 = k), k);
SELECT read, accepted, late FROM streamagg.push('e', (SELECT array_agg(to_json(plain)::text) FROM plain WHERE i % 7 = 0));
INSERT INTO plain SELECT * FROM plain WHERE i % 7 = 0;
CREATE FUNCTION difference(q queries) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  columns text;
  missing int;
  surplus int;
  total int;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
  FROM pg_attribute WHERE attrelid = ('a_' || q.name)::regclass AND attname NOT IN ('is_final', 'updated_at');
  EXECUTE format('SELECT count(*) FROM (SELECT %1$s FROM (%2$s) x EXCEPT SELECT %1$s FROM a_%3$s) d', columns, query_of(q, 'plain'), q.name) INTO missing;
  EXECUTE format('SELECT count(*) FROM (SELECT %1$s FROM a_%3$s EXCEPT SELECT %1$s FROM (%2$s) x) d', columns, query_of(q, 'plain'), q.name) INTO surplus;
  EXECUTE format('SELECT count(*) FROM a_%s', q.name) INTO total;
  RETURN format('%s groups', total) || CASE WHEN missing + surplus > 0 THEN format(', %s missing, %s surplus', missing, surplus) ELSE '' END;
END $$;
SELECT name, difference(q) FROM queries q ORDER BY name COLLATE "C";
-- late rows that are dropped are in no side table
SELECT streamagg.push('e', ARRAY['{"i": 1, "d": "x", "ts": "2024-01-01T00:00:10Z"}', '{"i": 49, "d": "x", "ts": "2024-01-01T00:30:00Z"}', '{"i": 999, "d": "x", "ts": "2024-01-01T00:31:00Z"}', '{"i": 38, "d": "x", "ts": "2024-01-01T00:30:01Z"}', '{"i": 31, "d": "x", "ts": "2024-01-01T00:31:01Z"}'], 9);
SELECT * FROM dropping_distinct WHERE window_start >= '2024-01-01 00:30' OR value > 49 ORDER BY 1, 2;
SELECT window_start, n, c FROM dropping WHERE window_start >= '2024-01-01 00:30' ORDER BY 1;
DROP SCHEMA distinct_of CASCADE;
