-- Names of aggregates and of their columns: schema-qualified, quoted, with quotes and newlines, longer
-- than an identifier can be (S28).
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA names;
CREATE SCHEMA "Other; schema";
SET search_path = names;
CREATE SERVER names FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE "Odd "" stream" (
  id int, "a ""column""" text, ts timestamptz
) SERVER names OPTIONS (event_time 'ts');

-- the first schema of search_path, or the one that is named
SELECT streamagg.create_aggregate('plain', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('"Other; schema".plain', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('Folded', 'SELECT count(*) AS n FROM "Odd "" stream"');
-- S28: quotes, semicolons, newlines
SELECT streamagg.create_aggregate('"a""; drop table x; --"', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate(E'"two\nlines"', E'SELECT id AS "key\n1", count(*) AS "n\n""1", avg(id) AS "m\n1"
  FROM "Odd "" stream" GROUP BY 1');
SELECT streamagg.create_aggregate('columns', $$
  SELECT "a ""column""" AS "Key ""k""", count(*) AS "Count; n", avg(id) AS "Mean: ""m"""
  FROM "Odd "" stream" GROUP BY "a ""column""" $$);
SELECT attname FROM pg_attribute WHERE attrelid = 'columns_state'::regclass AND attnum > 0 ORDER BY attnum;

-- 63 bytes: the view's name is kept, those of its parts are cut
SELECT streamagg.create_aggregate(repeat('x', 63), 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate(repeat('y', 57), 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate(repeat('z', 58) || 'cut', 'SELECT count(*) AS n FROM "Odd "" stream"');
-- never within a character
SELECT streamagg.create_aggregate(repeat('ä', 31) || 'b', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('b' || repeat('ö', 31), 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT relname, octet_length(relname) FROM pg_class
WHERE relnamespace = 'names'::regnamespace AND relkind IN ('r', 'v') AND octet_length(relname) > 40
ORDER BY relname;
-- two that differ only behind that clash
SELECT streamagg.create_aggregate(repeat('z', 58) || 'cat', 'SELECT count(*) AS n FROM "Odd "" stream"');
-- longer than an identifier: cut as everywhere in PostgreSQL
SELECT streamagg.create_aggregate(repeat('w', 70), 'SELECT count(*) AS n FROM "Odd "" stream"');

-- columns of 63 bytes, also when several states hang on one
SELECT streamagg.create_aggregate('long_columns', format($$
  SELECT "a ""column""" AS %s, avg(id) AS %s, avg(id + 1) AS %s, count(id) AS %s, sum(id) AS %s
  FROM "Odd "" stream" GROUP BY 1 $$,
  repeat('k', 63), repeat('a', 63), repeat('a', 62) || 'b', repeat('ä', 31) || 'c', 'd' || repeat('ö', 31)));
SELECT attname, octet_length(attname) FROM pg_attribute
WHERE attrelid = 'long_columns_state'::regclass AND attnum > 0 ORDER BY attnum;
SELECT streamagg.create_aggregate('multibyte', format('SELECT avg(id) AS %s FROM "Odd "" stream"', 'a' || repeat('ß', 31)));
SELECT attname, octet_length(attname) FROM pg_attribute
WHERE attrelid = 'multibyte_state'::regclass AND attnum > 0 ORDER BY attnum;

-- not a name
SELECT streamagg.create_aggregate('', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('""', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('two words', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('a.b.c.d', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('no_such_schema.x', 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate(NULL, 'SELECT count(*) AS n FROM "Odd "" stream"');
SELECT streamagg.create_aggregate('x', NULL);

-- all of them take rows
SELECT accepted FROM streamagg.push('"Odd "" stream"', ARRAY[
  '{"id": 1, "a \"column\"": "x", "ts": "2024-01-01T00:00:00Z"}',
  '{"id": 3, "a \"column\"": "x", "ts": "2024-01-01T00:00:00Z"}']);
SELECT accepted FROM streamagg.push('"Odd "" stream"', ARRAY['{"id": 2, "ts": "2024-01-01T00:00:00Z"}']);
SELECT "Key ""k""", "Count; n", "Mean: ""m""" FROM columns ORDER BY 1;
SELECT array_agg(ARRAY[k, n, m]::text ORDER BY k) AS two_lines FROM "two
lines" t(k, n, m, f, u);
SELECT count(*) AS aggregates, count(*) FILTER (WHERE rows_in = 3) AS with_all_rows
FROM streamagg.aggregates WHERE stream = '"Odd "" stream"'::regclass;
SELECT sum(n) FROM "Other; schema".plain;

-- renamed and moved they go on
ALTER VIEW plain RENAME TO "renamed; view";
ALTER VIEW "renamed; view" SET SCHEMA "Other; schema";
ALTER TABLE plain_state RENAME TO "renamed; state";
ALTER VIEW plain_query RENAME TO "renamed; query";
ALTER FOREIGN TABLE "Odd "" stream" RENAME TO "New 'name'";
ALTER SCHEMA names RENAME TO "names; new";
SET search_path = "names; new";
SELECT accepted FROM streamagg.push('"New ''name''"', ARRAY['{"id": 5, "ts": "2024-01-01T00:00:00Z"}']);
SELECT n FROM "Other; schema"."renamed; view";
SELECT streamagg.drop_aggregate('"Other; schema"."renamed; view"');
SELECT relname FROM pg_class WHERE relname ~ '^renamed';

SET client_min_messages = warning;
DROP SCHEMA "names; new", "Other; schema" CASCADE;
SELECT count(*) FROM streamagg.aggregates;
DROP SERVER names;
