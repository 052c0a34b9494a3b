-- Arrays, composite types and domains over them: as jsonb_populate_record reads them, nothing rounded,
-- nothing from the clock at any depth. Scalar types and the functions try() and each(): types.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA types_nested;
SET search_path = types_nested;
CREATE SERVER types FOREIGN DATA WRAPPER streamagg_kafka;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/types.sql'
\i :file
\pset null '-'
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN percent AS int NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN tags AS text[] CHECK (cardinality(VALUE) < 3);
CREATE TYPE item AS (sku text, n percent, at timestamptz);
CREATE TYPE basket AS ("user id" int, moods mood[], items item[], note jsonb, spare text);
CREATE DOMAIN full_basket AS basket CHECK ((VALUE)."user id" IS NOT NULL);
CREATE TABLE shop (id int, gone int, name varchar(3));
ALTER TABLE shop DROP COLUMN gone;

-- arrays: of JSON arrays, one or more dimensions, and of strings in PostgreSQL's form
SELECT * FROM try('text[]', '["a", null, 1, true, {"b": 1.50}]', '[]', '[["a"], ["b"]]', '[["a"], ["b", "c"]]', '[["a"], "b"]', '"{a,NULL,\"null\"}"', '"[2:3]={a,b}"',
  '"{"', '"a"', '1', 'true', '{}', '{"0": "a"}', 'null', '["\u00e4\"\\"]', '[1e3, "NaN"]', '[1e999999]', repeat('[', 6) || repeat(']', 6), repeat('[', 7) || repeat(']', 7));
SELECT * FROM each(ARRAY['int[]', 'mood[]', 'percent[]', 'tags', 'boolean[]', 'uuid[]', 'varchar(2)[]', 'char(2)[]', 'bit(2)[]', 'json[]', 'bytea[]', 'int4range[]'],
  '[1, 2]', '["sad"]', '[101]', '[null]', '["10", "01"]', '["abc"]', '[[1], [2], [3]]', '["[1,2]"]', '"{}"');

-- no element is rounded
SELECT * FROM each(ARRAY['numeric(5,2)[]', 'numeric[]', 'float4[]'], '[1.23, 4]', '[1.23, 4.005]', '[1000]', '"{1.00,2.000}"', '"{1.001}"', '[null]', '[[1.1], [2.22]]', '[]', '["NaN"]');
SELECT * FROM each(ARRAY['timestamp(0)[]', 'timestamptz(3)[]', 'time(0)[]', 'interval(0)[]', 'timestamptz[]'],
  '["2024-01-01 10:00:00.000"]', '["2024-01-01 10:00:00", "2024-01-01 10:00:00.1234"]', '["10:00:00.5"]', '["2024-02-30"]');
-- where it could not be seen the type is refused
CREATE DOMAIN cents AS numeric(5,2);
CREATE DOMAIN many_cents AS numeric(5,2)[];
CREATE TYPE price AS (amount numeric(5,2));
CREATE TYPE plan AS (starts timestamp(0)[]);
CREATE TYPE offer AS (name text, prices price[]);
CREATE TYPE span AS RANGE (subtype = cents);
CREATE TYPE refers AS (t regclass[]);
CREATE TYPE moment AS (at timestamp(6));
SELECT r.* FROM unnest(ARRAY['cents[]', 'price', 'price[]', 'plan', 'offer', 'span', 'span_multirange', 'span[]', 'refers', 'money[]', 'name[]', 'moment']) t, try(t, '1') r;
SELECT * FROM each(ARRAY['many_cents'], '[1.23]', '[1.234]', 'null');
CREATE FOREIGN TABLE refused (c offer, ts timestamptz) SERVER types OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE refused (c regclass, ts timestamptz) SERVER types OPTIONS (event_time 'ts');

-- composite types: of JSON objects, and of strings in PostgreSQL's form; I31 inside
SELECT * FROM try('item', '{"sku": "a", "n": 1, "at": "2024-01-01T00:00:00Z", "more": [1]}', '{"n": "7"}', '{"N": 1}', '{}', '{"n": null}', '{"n": 101}', '{"n": 1.5}',
  '{"n": 1, "sku": {"b": 1, "a": null}}', '{"n": 1, "at": "soon"}', '{"n": 1, "at": "2024-02-30"}', '"(a,1,2024-01-01)"', '"(a,1)"', '"(a,1,)"', '"(a,,)"', '[]', '1', 'true', '"x"', 'null');
SELECT * FROM each(ARRAY['basket', 'full_basket', 'basket[]'], '{"user id": 7, "moods": ["sad", "happy"], "items": [{"n": 1}, {"sku": "b", "n": 2}], "note": {"b": 1e2}}',
  '{"moods": "{sad}", "items": []}', '{"user id": 1, "moods": ["glad"]}', '{"user id": 1, "items": [{"n": 1}, null]}', '{"user id": 1, "items": [{}]}', '[{"user id": 1}]', '{}', 'null');
SELECT * FROM each(ARRAY['shop'], '{"id": 1, "gone": 2, "name": "abc"}', '{"name": "abcd"}', '{"name": "abc "}');

-- words that read the clock, only where a time would read them; a string of several values is looked at as a whole
SELECT * FROM try('item', '{"n": 1, "at": "now"}', '{"n": 1, "at": "To\u0064ay"}', '{"n": 1, "sku": "now", "at": "2024-01-01"}', '{"n": 1, "at": "epoch"}', '{"n": 1, "now": "now"}',
  '"(a,1,now)"', '"(now,1,2024-01-01)"', '"(a,1,\"n\"\"ow\")"', '"(a,1,n\\\\ow)"');
SELECT * FROM try('basket', '{"user id": 1, "items": [{"n": 1}, {"n": 2, "at": "tomorrow"}]}', '{"note": "now", "spare": "now"}', '{"note": {"at": "now"}}', '{"items": "{\"(a,1,yesterday)\"}"}');
SELECT * FROM each(ARRAY['date[]', 'tstzrange', 'tsrange[]', 'tsmultirange', 'timetz[]', 'text[]', 'jsonb[]'],
  '["now"]', '[["2024-01-01"], ["today"]]', '"{today}"', '"[now,)"', '"{[now,infinity)}"', '["[n\"ow\",)"]', '["10:00 MSK"]', '["10:00 utc", null]');

-- a type is followed when it is altered
CREATE FOREIGN TABLE s (id int, c item, ts timestamptz) SERVER types OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('sums', 'SELECT (c).sku, sum((c).n) AS n, max((c).at) AS last FROM s GROUP BY 1');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"c": {"sku": "a", "n": 1, "at": "2024-01-01"}, "ts": "2024-01-01"}', '{"c": {"sku": "a", "n": 2}, "ts": "2024-01-01"}', '{"ts": "2024-01-01"}']);
ALTER TYPE item ADD ATTRIBUTE color mood;
SELECT streamagg.create_aggregate('colors', 'SELECT (c).color, count(*) AS n FROM s GROUP BY 1');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"c": {"sku": "a", "n": 4, "color": "sad"}, "ts": "2024-01-01"}', '{"c": {"n": 1, "color": "red"}, "ts": "2024-01-01"}']);
SELECT sku, n, last FROM sums ORDER BY 1;
SELECT color, n FROM colors;
SELECT record_offset AS o, code, column_name, reason FROM streamagg.quarantine;
-- what it became is refused with the next record
ALTER TYPE item ADD ATTRIBUTE price numeric(5,2);
SELECT streamagg.push('s', ARRAY['{"c": {"n": 1, "price": 1.234}, "ts": "2024-01-01"}']);

-- 10,000 rows, good and bad in turn: nothing is lost, nothing is mixed up
CREATE FOREIGN TABLE many (m mood, p percent, t text[], ts timestamptz OPTIONS (meta 'timestamp')) SERVER types OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('tally', 'SELECT m, t, count(*) AS n, sum(p) AS p FROM many GROUP BY 1, 2');
SELECT read, accepted, quarantined FROM streamagg.push('many', ARRAY(SELECT format('{"m": "%s", "p": %s, "t": %s}', CASE WHEN i % 100 = 1 THEN 'glad' WHEN i % 2 = 0 THEN 'happy' ELSE 'sad' END,
  i % 102, CASE i % 5 WHEN 0 THEN '["a", "b"]' WHEN 1 THEN '"{a}"' WHEN 2 THEN 'null' WHEN 3 THEN '[]' ELSE '["a", ["b"]]' END) FROM generate_series(1, 10000) i));
SELECT m, t, n, p FROM tally ORDER BY 1, 2;
SELECT column_name, code, count(*) FROM streamagg.quarantine WHERE stream = 'many'::regclass GROUP BY 1, 2 ORDER BY 1, 2;
SELECT (SELECT sum(n) FROM tally) + count(*) AS all FROM streamagg.quarantine WHERE stream = 'many'::regclass;
-- what a CHECK that fails leaves behind is bounded: 10,000 times 10 kB here
CREATE DOMAIN huge AS text CHECK (repeat(VALUE, 10000) = '');
CREATE FOREIGN TABLE fails (v huge[], ts timestamptz) SERVER types OPTIONS (event_time 'ts', on_violation 'drop');
CREATE FUNCTION most_memory() RETURNS bigint LANGUAGE sql AS $$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::bigint $$;
SELECT most_memory() AS before \gset
SELECT dropped FROM streamagg.push('fails', array_fill(text '{"v": ["x"]}', ARRAY[10000]));
SELECT most_memory() - :before < 50000 AS bounded;
DROP SCHEMA types_nested CASCADE;
DROP SERVER types;
