-- Every rule of streamagg.merge_rules over rows that come in pieces: what plain SQL finds over all of them, in value
-- and printed form; within 1e-9 for floats.  Groups of many rows, of one, of NULLs, of NaN and infinities.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA rules;
SET search_path = rules;
CREATE SERVER rules FOREIGN DATA WRAPPER streamagg_kafka;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FOREIGN TABLE s (
  id int NOT NULL, k text, flag boolean NOT NULL, b boolean, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 float8, g8 float8,
  iv interval, mo money, t text, c char(5), ip inet, d date, ti time, tz timetz, tn timestamp, tt timestamptz, e mood,
  a int[], o oid, tid tid, lsn pg_lsn, x8 xid8, bits bit(8), r int4range, rs nummultirange, ts timestamptz NOT NULL, special text
) SERVER rules OPTIONS (event_time 'ts', watermark_delay '1 day', archive 'on');
CREATE TABLE plain (LIKE s);
-- every seventh value is NULL, numerics have several scales; h is no order of the rows
INSERT INTO plain SELECT i, 'many ' || i % 2, i % 3 > 0, CASE WHEN i % 7 <> 0 THEN h % 9 > 0 END,
  CASE WHEN i % 7 <> 1 THEN h % 60000 - 30000 END, CASE WHEN i % 7 <> 2 THEN h * 13 - 900000000 END,
  CASE WHEN i % 7 <> 3 THEN (h - 70000000) * 90000000000 END, CASE WHEN i % 7 <> 4 THEN round(h / 77777.0, i % 9) END,
  CASE WHEN i % 7 <> 5 THEN h / 1000.0 END, CASE WHEN i % 7 <> 6 THEN h / 7e3 + 5e5 END, CASE WHEN i % 7 <> 0 THEN sin(h) END,
  CASE WHEN i % 7 <> 1 THEN h % 1000 * interval '1 day 3 min' - interval '7 months' END, CASE WHEN i % 7 <> 2 THEN (h % 100000)::money END,
  CASE WHEN i % 7 <> 3 THEN chr(65 + h % 26) || repeat('ä', h % 3) END, CASE WHEN i % 7 <> 4 THEN 'c' || h % 1000 END,
  CASE WHEN i % 7 <> 5 THEN '10.0.0.0'::inet + h END, CASE WHEN i % 7 <> 6 THEN date '2024-01-01' + h % 999 END,
  CASE WHEN i % 7 <> 0 THEN time '00:00' + h * interval '1 s' END, CASE WHEN i % 7 <> 1 THEN timetz '12:00+02' + h * interval '1 s' END,
  CASE WHEN i % 7 <> 2 THEN timestamp '2024-01-01' + h * interval '1 s' END, CASE WHEN i % 7 <> 3 THEN timestamptz '2024-01-01' + h * interval '1 s' END,
  CASE WHEN i % 7 <> 4 THEN (enum_range(NULL::mood))[1 + h % 3] END, CASE WHEN i % 7 <> 5 THEN ARRAY[h % 100, i] END,
  CASE WHEN i % 7 <> 6 THEN h END, CASE WHEN i % 7 <> 0 THEN format('(%s,%s)', h % 1000, i)::tid END, CASE WHEN i % 7 <> 1 THEN '0/0'::pg_lsn + h END,
  CASE WHEN i % 7 <> 2 THEN h::text::xid8 END, CASE WHEN i % 7 <> 3 THEN (h % 256)::bit(8) END,
  CASE WHEN i % 7 <> 4 THEN int4range(i % 3, 500 + h % 400) END, CASE WHEN i % 7 <> 5 THEN nummultirange(numrange(h % 40, h % 40 + 3), numrange(50 + i % 2, 60)) END,
  timestamptz '2024-01-01' + i * interval '97 s'
FROM (SELECT i, (i * 7919::bigint * 104729 % 140000003)::int AS h FROM generate_series(1, 220) i) q;
-- a row alone, the same value again, NULLs alone; NaN and infinities (JSON has none) that come in different batches
INSERT INTO plain SELECT 221, 'one', true, (p).* FROM (SELECT p.b, p.i2, p.i4, p.i8, p.n, p.f4, p.f8, p.g8, p.iv, p.mo, p.t, p.c, p.ip, p.d, p.ti, p.tz, p.tn, p.tt, p.e,
  p.a, p.o, p.tid, p.lsn, p.x8, p.bits, p.r, p.rs, p.ts FROM plain p WHERE id = 105) p;
INSERT INTO plain (id, k, flag, i2, i4, i8, n, f4, f8, g8, ts) SELECT i, 'same', i % 2 > 0, 7, 7, 7, 0.10, 0.5, 0.25, i, '2024-01-01' FROM generate_series(222, 240) i;
INSERT INTO plain (id, k, flag, ts) SELECT i, 'nothing', i % 2 > 0, '2024-01-01' FROM generate_series(241, 244) i;
INSERT INTO plain (id, k, flag, special, g8, ts) SELECT i, g, true, v, i, '2024-01-01'
FROM (VALUES (245, 'NaN', '1.5'), (250, 'NaN', '2'), (255, 'NaN', 'NaN'), (246, 'inf', '1.5'), (251, 'inf', '2.25'), (256, 'inf', 'Infinity'),
  (247, 'infs', '-Infinity'), (252, 'infs', '7'), (257, 'infs', 'Infinity'), (248, '-0', '-0'), (253, '-0', '-0')) v (i, g, v);
INSERT INTO plain (id, k, flag, n, ts) SELECT i, 'long', true, v, '2024-01-01' FROM (VALUES (258, 1e40 + 0.000001), (263, -3e45), (264, 1e-30)) v (i, v);

-- an aggregate for each name, a column for each of its rules, over the columns of its arguments' types
CREATE TABLE arguments (type text, argument text);
INSERT INTO arguments VALUES ('', '*'), ('"any"', 't'), ('smallint', 'i2'), ('integer', 'i4'), ('bigint', 'i8'), ('numeric', 'coalesce(special::numeric, n)'), ('real', 'coalesce(special::real, f4)'),
  ('double precision', 'coalesce(special::float8, f8)'), ('double precision,double precision', 'coalesce(special::float8, f8), g8'), ('interval', 'iv'), ('money', 'mo'), ('text', 't'), ('character', 'c'),
  ('inet', 'ip'), ('date', 'd'), ('time without time zone', 'ti'), ('time with time zone', 'tz'), ('timestamp without time zone', 'tn'),
  ('timestamp with time zone', 'tt'), ('anyenum', 'e'), ('anyarray', 'a'), ('boolean', 'b'), ('oid', 'o'), ('tid', 'tid'), ('pg_lsn', 'lsn'), ('xid8', 'x8'),
  ('bit', 'bits'), ('anyrange', 'r'), ('anymultirange', 'rs');
CREATE VIEW calls AS
SELECT p[1] AS name, format('%s(%s)', p[1], argument) AS call, format('c%s', row_number() OVER (ORDER BY aggregate)) AS output
FROM (SELECT aggregate, regexp_match(aggregate, '^pg_catalog\.(\w+)\((.*)\)$') AS p FROM streamagg.merge_rules WHERE extension IS NULL) r
LEFT JOIN arguments ON type = p[2];
SELECT count(*) FILTER (WHERE call ~ '\(\)') AS without_argument, count(*) > 120 AS many FROM calls;
CREATE VIEW queries AS
SELECT 'agg_' || name AS name, 'SELECT k, ' || string_agg(format('%s AS %s', call, output), ', ') || ' FROM %s GROUP BY k' AS query FROM calls GROUP BY name
UNION ALL
SELECT 'all_' || name AS name, 'SELECT ' || string_agg(format('%1$s FILTER (WHERE k ~ ''^(many|same)'' AND flag) AS %2$s', call, output), ', ') || ' FROM %s' FROM calls GROUP BY name;
SELECT count(streamagg.create_aggregate(name, format(query, 's'))) > 0 AS made FROM queries;
-- every value that differs
CREATE FUNCTION differences(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  differs text;
BEGIN
  SELECT string_agg(format(CASE WHEN t.typname IN ('float4', 'float8')
      THEN 'CASE WHEN NOT streamagg.nearly_equal(v.%1$I, p.%1$I, %3$s) THEN format(''%2$s: %%s, not %%s'', v.%1$I, p.%1$I) END'
      ELSE 'CASE WHEN v.%1$I::text IS DISTINCT FROM p.%1$I::text THEN format(''%2$s: %%s, not %%s'', v.%1$I, p.%1$I) END' END,
    attname, (SELECT c.call FROM calls c WHERE c.output = attname), CASE WHEN name ~ '_(min|max)$' THEN 0 WHEN typname = 'float4' THEN 1e-6 ELSE 1e-9 END), ', ')
  INTO differs FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid WHERE attrelid = name::regclass AND attname ~ '^c\d';
  RETURN QUERY EXECUTE format('SELECT format(''%%s %%s'', coalesce(p.key, v.key), d)
    FROM (SELECT coalesce(to_jsonb(v)->>''k'', ''all'') AS key, v.* FROM %I v) v
    FULL JOIN (SELECT coalesce(to_jsonb(q)->>''k'', ''all'') AS key, q.* FROM (%s) q) p ON v.key = p.key, unnest(ARRAY[%s]) d WHERE d IS NOT NULL', name, (SELECT format(q.query, 'plain') FROM queries q WHERE q.name = differences.name), differs);
END $$;
SELECT sum(q.accepted) AS accepted, count(*) AS batches FROM
  (SELECT array_agg(to_jsonb(plain)::text ORDER BY id) AS messages, id % 3 AS part, id / 130 AS batch FROM plain GROUP BY 2, 3 ORDER BY 3, 2) b,
  streamagg.push('s', messages, part) q;
SELECT q.name, d FROM queries q, differences(q.name) d;
SELECT q.name, v.problem, v.expected, v.found FROM queries q, streamagg.verify(q.name::regclass) v;
-- statistics of the same value again and again, which is no binary fraction, are rounding alone: no difference; others are
SELECT sum(q.accepted) AS accepted FROM generate_series(1, 3) b, streamagg.push('s', ARRAY(SELECT jsonb_build_object('id', i, 'k', 'noise', 'flag', true, 'f8', 0.1, 'f4', 0.1, 'g8', i * b, 'ts', '2024-01-01')::text
  FROM generate_series(1, 7 * b) i)) q;
SELECT max(c) > 0 AND max(c) < 1e-16 AS is_noise FROM (SELECT stddev_pop(0.1::float8) FROM generate_series(1, 84) i) n (c);
SELECT q.name, v.problem, v.expected, v.found FROM queries q, streamagg.verify(q.name::regclass) v WHERE q.name ~ '_(var|std|covar|corr|regr)';
SELECT output FROM calls WHERE call ~ '^var_pop.*float8' \gset
UPDATE agg_var_pop_state SET :"output"[3] = :"output"[3] * (1 + 1e-8) WHERE k = 'many 1';
SELECT problem, expected->>:'output' <> found->>:'output' AS differs FROM streamagg.verify('agg_var_pop');

-- deviations of numerics of all sizes and scales have PostgreSQL's digits, rounded once
SELECT setseed(0.4) \g /dev/null
CREATE TABLE numerics AS SELECT g, round((random() * 10 ^ (g % 30 - 8))::numeric + (10::numeric ^ ((g % 37) / 2)) * (g % 3), g % 7) AS v
FROM generate_series(1, 3000) g, generate_series(1, 4);
SELECT count(*) FILTER (WHERE a::text <> streamagg.exact_root(v)::text) AS wrong, count(*) FILTER (WHERE a <> round(sqrt(v), scale(v))) > 0 AS rounding_twice_is_wrong
FROM (SELECT stddev_pop(v) AS a, streamagg.exact_variance(count(v), sum(v), sum(v * v), 0) AS v FROM numerics GROUP BY g) n;

-- and the comparisons do see differences: nearly every column
DELETE FROM plain WHERE id BETWEEN 20 AND 250;
SELECT count(DISTINCT d) > 250 AS seen FROM queries q, differences(q.name) d;
DROP SCHEMA rules CASCADE;
DROP SERVER rules;
