-- An aggregate over several batches holds what plain SQL finds in a table with the same rows: every
-- type and function, NULLs, FILTER, HAVING, expressions, running totals.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA aggregates;
SET search_path = aggregates;
CREATE SERVER aggregates FOREIGN DATA WRAPPER streamagg_kafka;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
CREATE FOREIGN TABLE s (
  id int NOT NULL, i2 smallint, i4 int, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 float8, b boolean, t text,
  v varchar(5), c char(5), u uuid, ip inet, d date, ti time, tz timetz, tn timestamp, iv interval, m mood, p percent, mo money,
  j jsonb, ts timestamptz NOT NULL
) SERVER aggregates OPTIONS (event_time 'ts', watermark_delay '1 day');
CREATE TABLE plain (LIKE s);
-- every seventh value is NULL, column by column; sums of floats are exact; numerics have several scales
INSERT INTO plain SELECT i, CASE WHEN i % 7 <> 1 THEN i % 50 - 25 END, CASE WHEN i % 7 <> 2 THEN i * 1000 - 99000 END,
  CASE WHEN i % 7 <> 3 THEN (i - 100) * 40000000000000000 END, CASE WHEN i % 7 <> 4 THEN trim_scale(round(i / 7.0, i % 12)) * 1e20 END,
  CASE WHEN i % 7 <> 5 THEN i / 3.0 END, CASE WHEN i % 7 <> 6 THEN i / 4.0 END, CASE WHEN i % 7 <> 0 THEN i / 8.0 - 10 END,
  CASE WHEN i % 7 <> 1 THEN i % 5 > 0 END, CASE WHEN i % 7 <> 2 THEN chr(65 + i % 5) || repeat('ä', i % 3) END,
  CASE WHEN i % 7 <> 3 THEN 'v' || i % 10 END, CASE WHEN i % 7 <> 4 THEN 'c' || i % 10 END,
  CASE WHEN i % 7 <> 5 THEN md5((i % 9)::text)::uuid END, CASE WHEN i % 7 <> 6 THEN '10.0.0.0'::inet + i % 11 END,
  CASE WHEN i % 7 <> 0 THEN date '2024-01-01' + i % 40 END, CASE WHEN i % 7 <> 1 THEN time '00:00' + i * interval '5 min' END,
  CASE WHEN i % 7 <> 2 THEN timetz '12:00+02' + i * interval '1 min' END, CASE WHEN i % 7 <> 3 THEN timestamp '2024-01-01' + i * interval '1 h' END,
  CASE WHEN i % 7 <> 4 THEN i * interval '1 day 3 min' - interval '1 month' END, CASE WHEN i % 7 <> 5 THEN (enum_range(NULL::mood))[1 + i % 3] END,
  CASE WHEN i % 7 <> 6 THEN i % 100 END, CASE WHEN i % 7 <> 0 THEN i::money END, CASE WHEN i % 7 <> 1 THEN jsonb_build_object('k', i % 4, 'x', i) END,
  timestamptz '2024-01-01' + i * interval '97 seconds'
FROM generate_series(1, 200) i;
INSERT INTO plain (id, ts) SELECT i, '2024-01-01 03:00' FROM generate_series(201, 205) i;

-- queries over %s, the stream or the table; the names of the queries are the aggregates'
CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
('counts', 'SELECT count(*) n, count(i2) a, count(t) b, count(*) FILTER (WHERE b) c, count(i4) FILTER (WHERE i4 > 0 AND NOT b) d FROM %s'),
('sums', 'SELECT sum(i2) a, sum(i4) b, sum(i8) c, sum(n) d, sum(n2) e, sum(f8) f, sum(iv) g, sum(p) h FROM %s'),
('averages', 'SELECT avg(i2) a, avg(i4) b, avg(i8) c, avg(n) d, avg(n2) e, avg(f8) f, avg(iv) g, avg(p) h FROM %s'),
('minima', 'SELECT min(i2) a, min(i4) b, min(i8) c, min(n) d, min(f4) e, min(f8) f, min(t) g, min(v) h, min(c) i, min(ip) k, min(d) l,
  min(ti) m, min(tz) o, min(tn) q, min(iv) r, min(m) u, min(p) w, min(mo) x, min(ts) y, min(n2) z FROM %s'),
('maxima', 'SELECT max(i2) a, max(i4) b, max(i8) c, max(n) d, max(f4) e, max(f8) f, max(t) g, max(v) h, max(c) i, max(ip) k, max(d) l,
  max(ti) m, max(tz) o, max(tn) q, max(iv) r, max(m) u, max(p) w, max(mo) x, max(ts) y, max(n2) z FROM %s'),
('booleans', 'SELECT t, bool_and(b) a, bool_or(b) o, every(i4 > 0) e, bool_and(b) FILTER (WHERE i2 > 0) f FROM %s GROUP BY t'),
('collated', 'SELECT max(t COLLATE "C") a, min(lower(t) COLLATE "C") b FROM %s'),
('minutes', 'SELECT w.window_start, w.window_end, t, count(*) n, sum(n) s, avg(f8) a, min(u::text) u FROM %s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1, 2, 3'),
('starts', 'SELECT w.window_start + interval ''1 s'' x, count(*) n FROM %s, streamagg.tumble(ts, ''1 h'', ''2024-01-01 00:30'') w GROUP BY w.window_start'),
('bins', 'SELECT date_bin(''7 min'', ts, ''2000-01-01'') b, sum(i4) s FROM %s GROUP BY 1'),
('days', 'SELECT date_trunc(''hour'', ts, ''Asia/Kolkata'') d, m, count(*) n FROM %s GROUP BY 1, 2'),
('null_keys', 'SELECT b, m, v, count(*) n FROM %s GROUP BY b, m, v'),
('all_types', 'SELECT i2, n, f4, c, u, ip, d, ti, tz, tn, iv, p, mo, j, count(*) x FROM %s GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14'),
('expressions', 'SELECT upper(t) || coalesce(v, ''-'') k, round(avg(i4) / nullif(count(i2), 0), 3) q, max(i4) - min(i4) r, sum(i4 * 2 + 1) s,
  count(*) FILTER (WHERE j->>''k'' = ''2'') * 100.0 / count(*) pc, CASE WHEN bool_or(b) THEN ''x'' END c FROM %s GROUP BY 1'),
('json', 'SELECT j->>''k'' k, sum((j->>''x'')::int) s FROM %s WHERE j ? ''k'' GROUP BY 1'),
('having', 'SELECT t, sum(i4) s FROM %s GROUP BY t HAVING count(*) > 20 AND (sum(i4) > 0 OR t IS NULL)'),
('having_all', 'SELECT count(*) n FROM %s HAVING count(*) > 100'),
('having_none', 'SELECT count(*) n FROM %s HAVING count(*) > 1000'),
('filtered', 'SELECT v, count(*) n FROM %s WHERE i4 > 0 AND t LIKE ''B%%'' OR d BETWEEN ''2024-01-03'' AND ''2024-01-09'' OR id IN (3, 5) GROUP BY v'),
('nothing', 'SELECT count(*) n, sum(i4) s, min(t) m, bool_and(b) a FROM %s WHERE i4 > 1000000000'),
('no_groups', 'SELECT t, count(*) n FROM %s WHERE i4 > 1000000000 GROUP BY t'),
('keys_only', 'SELECT t, b FROM %s GROUP BY 1, 2'),
('hidden_keys', 'SELECT count(*) n FROM %s GROUP BY t, b'),
('constants', 'SELECT 1 one, ''x'' x, count(*) + 1 n, NULL::text nothing FROM %s'),
('constant_key', 'SELECT ''x''::text x, count(*) n FROM %s GROUP BY 1'),
('same_twice', 'SELECT sum(i4) a, sum(i4) b, sum(i4) + sum(i4) c, avg(i4) d, sum(i4) * 1.0 / count(i4) e FROM %s'),
('casts', 'SELECT sum(n)::float8 a, sum(f4::float8) b, avg(i4)::int c, max(ts)::date d, min(n2)::numeric(8,1) e, sum(i2)::text f FROM %s'),
('rows', 'SELECT row(t, b) IS NULL r, count(x) n FROM %s x GROUP BY 1'),
('arrays', 'SELECT max(ARRAY[i2, p]) a, min(string_to_array(t, ''ä'')) b FROM %s');
SELECT count(streamagg.create_aggregate(name, format(query, 's'))) FROM queries;

-- rows of the one that the other does not have
CREATE FUNCTION differences(name text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  columns text;
  found bigint;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
  FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0 AND attname NOT IN ('is_final', 'updated_at');
  EXECUTE format('WITH a AS (SELECT %s FROM %I), p AS (%s)
    SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE p) UNION ALL (TABLE p EXCEPT ALL TABLE a)) d', columns, name, query) INTO found;
  RETURN found;
END $$;
-- before the first row: what SQL finds in an empty table
SELECT name FROM queries
WHERE differences(name, format(replace(query, '%s x', '%s'), '(SELECT * FROM plain LIMIT 0) x')) <> 0;
-- in batches of changing size over three partitions
SELECT sum(q.accepted) AS accepted, sum(q.quarantined) AS quarantined, count(*) AS batches FROM
  (SELECT array_agg(to_jsonb(plain)::text ORDER BY id) AS messages, id % 3 AS part, (id - 1) / 30 AS batch FROM plain GROUP BY 2, 3 ORDER BY 3, 2) b,
  streamagg.push('s', messages, part) q;
SELECT name, differences(name, format(query, 'plain')) AS differences FROM queries WHERE differences(name, format(query, 'plain')) <> 0;
-- and the comparison does see differences
DELETE FROM plain WHERE id = 17;
SELECT count(*) > 15 AS seen FROM queries WHERE differences(name, format(query, 'plain')) <> 0;

-- a numeric keeps the scale that plain SQL shows
SELECT d AS sum FROM sums;
SELECT e AS sum FROM sums;
SELECT a, d, e FROM averages;

SET client_min_messages = warning;
DROP SCHEMA aggregates CASCADE;
DROP SERVER aggregates;
