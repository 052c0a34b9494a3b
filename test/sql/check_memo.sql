-- CHECKs of one column remember values that passed; columns that nobody reads are judged and not kept.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA check_memo;
SET search_path = check_memo;
CREATE SERVER check_memo FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FUNCTION is_even(x bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT x % 2 = 0';
CREATE FOREIGN TABLE e (
  n bigint CHECK (is_even(n)),
  label text CHECK (label ~ '^[a-z]*[0-9]*[02468]$'),
  u uuid CHECK (u::text < '8'),
  price numeric CHECK (price > 0),
  pair point CHECK (pair[0] > 0),
  ts timestamptz NOT NULL
) SERVER check_memo OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('all_of_e', 'SELECT count(*) AS n, sum(n) AS sum, max(label) AS label, max(price) AS price FROM e');
CREATE FUNCTION feed(VARIADIC records text[]) RETURNS text LANGUAGE sql AS $$
  SELECT format('%s of %s', accepted, read) FROM streamagg.push('check_memo.e', (SELECT array_agg('{"ts": "2024-01-01T00:00:00Z", ' || r || '}') FROM unnest(records) r)) $$;
\pset tuples_only on
\pset format unaligned

-- the same value again and again, good and bad ones between, NULL as well
SELECT feed('"n": 2', '"n": 2', '"n": 3', '"n": 2', '"n": 3', '"n": null', '"n": 4', '"n": -2', '"n": -1');
-- thousands of different values, so that they displace each other, each twice
SELECT feed(VARIADIC (SELECT array_agg(format('"n": %s, "label": "x%s"', i, i) ORDER BY j, i) FROM generate_series(1, 3000) i, generate_series(1, 2) j));
-- labels of one hash that differ in the middle only, the empty one, and ones too long to be remembered
SELECT feed('"label": "abcdefghijklmnopqrstuvw0"', '"label": "abcdefghiXklmnopqrstuvw0"', '"label": "abcdefghijklmnopqrstuvw0"', '"label": ""', '"label": "0"', '"label": "1"', '"label": "0"');
SELECT feed('"label": "' || repeat('a', 200) || '0"', '"label": "' || repeat('a', 200) || '1"', '"label": "' || repeat('a', 200) || '0"');
SELECT feed('"u": "10000000-0000-0000-0000-000000000000"', '"u": "10000000-0000-0000-0000-000000000000"', '"u": "90000000-0000-0000-0000-000000000000"');
-- equal numbers of other digits, and another type by reference
SELECT feed('"price": 1', '"price": 1.0', '"price": 1.00', '"price": -1', '"price": -1.0', '"price": 0', '"pair": "(1,2)"', '"pair": "(1,2)"', '"pair": "(-1,2)"');
SELECT n, sum, label, price FROM all_of_e;
-- what a function said before it was replaced does not count in the next batch
SELECT feed('"n": 10');
CREATE OR REPLACE FUNCTION is_even(x bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT x % 4 = 0';
SELECT feed('"n": 10', '"n": 12');
-- one whose verdict may change within a batch is asked each time
CREATE SEQUENCE ticks;
CREATE FUNCTION tick(x int) RETURNS boolean VOLATILE LANGUAGE sql AS $$ SELECT nextval('check_memo.ticks') % 2 = 1 $$;
CREATE FOREIGN TABLE v (n int CHECK (tick(n)), ts timestamptz NOT NULL) SERVER check_memo OPTIONS (event_time 'ts', on_violation 'drop');
SELECT streamagg.create_aggregate('all_of_v', 'SELECT count(*) AS n FROM v');
SELECT accepted, read FROM streamagg.push('v', array_fill('{"n": 1, "ts": "2024-01-01T00:00:00Z"}'::text, ARRAY[10]));

-- unread columns: a bad value counts as ever; an aggregate made later reads them
CREATE FOREIGN TABLE w (a text, b varchar(3), c uuid, d numeric, e text[], f inet, ts timestamptz NOT NULL) SERVER check_memo OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('w_n', 'SELECT count(*) AS n FROM w');
CREATE FUNCTION feed_w() RETURNS text LANGUAGE sql AS $$
  SELECT format('%s of %s', accepted, read) FROM streamagg.push('check_memo.w', ARRAY[
    '{"ts": "2024-01-01T00:00:00Z", "a": "x", "b": "abc  ", "c": "10000000-0000-0000-0000-000000000001", "d": 12.5, "e": ["p", "q"], "f": "10.1.2.3"}',
    '{"ts": "2024-01-01T00:00:00Z", "a": "y", "b": "abcd"}', '{"ts": "2024-01-01T00:00:00Z", "c": "no"}', '{"ts": "2024-01-01T00:00:00Z", "f": "no"}',
    format('{"ts": "2024-01-01T00:00:00Z", "a": %s}', to_json(repeat('long ', 20000)))]) $$;
SELECT feed_w();
SELECT streamagg.create_aggregate('w_all', 'SELECT max(length(a)) AS a, max(b) AS b, max(c::text) AS c, max(d) AS d, max(e) AS e, max(host(f)) AS f FROM w');
SELECT streamagg.create_aggregate('w_row', 'SELECT max(length(w::text)) AS length FROM w');
SELECT feed_w();
SELECT n FROM w_n;
SELECT a, b, c, d, e, f FROM w_all;
SELECT length FROM w_row;
SET client_min_messages = warning;
DROP SCHEMA check_memo CASCADE;
