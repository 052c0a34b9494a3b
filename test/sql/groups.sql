-- Groups made by the bytes of their keys are those of PostgreSQL's own GROUP BY, for every type of key and
-- every aggregate, and queries that it is not for are as right.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA groups_of;
SET search_path = groups_of;
CREATE SERVER groups_of FOREIGN DATA WRAPPER streamagg_kafka;
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN code AS text CHECK (length(VALUE) < 9);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FOREIGN TABLE e (
  b boolean, i2 smallint, i4 int, i8 bigint, t text, v varchar(5), c char(4), nc text COLLATE no_case, d code, u uuid,
  x bytea OPTIONS (encoding 'hex'), n numeric, f float8, da date, ti time, ts timestamptz NOT NULL, lo timestamp, ip inet, iv interval, m mood
) SERVER groups_of OPTIONS (event_time 'ts');
CREATE TABLE plain (LIKE e);
-- a table to join, with values that are compressed and out of line
CREATE TABLE names (i4 int, name text, long text, filler text);
ALTER TABLE names ALTER long SET STORAGE EXTERNAL, ALTER filler SET STORAGE EXTERNAL;
INSERT INTO names SELECT i, repeat('n' || i % 3, 3000), (SELECT string_agg(md5((i % 3 * 1000 + j)::text), '') FROM generate_series(1, 60) j), repeat(i::text, 1900) FROM generate_series(-2, 2) i;

CREATE FUNCTION pick(VARIADIC given text[]) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT given[1 + floor(random() * array_length(given, 1))::int]';
SELECT FROM setseed(0.5);
CREATE TABLE records AS SELECT i, jsonb_strip_nulls(jsonb_build_object('b', pick('true', 'false', NULL)::boolean, 'i2', pick('-32768', '0', '32767', NULL)::int,
  'i4', pick('-2147483648', '-1', '0', '1', '2147483647', NULL)::int, 'i8', pick('-9223372036854775808', '0', '255', '9223372036854775807', NULL)::bigint,
  't', pick('', 'a', 'A', 'ä', 'ab', repeat('long', 100), repeat('long', 100) || '!', NULL), 'v', pick('a', 'a ', 'ab', NULL), 'c', pick('a', 'a ', 'b', NULL),
  'nc', pick('a', 'A', 'b', 'B', NULL), 'd', pick('x', 'y', NULL), 'u', pick('00000000-0000-0000-0000-000000000001', '10000000-0000-0000-0000-000000000001', NULL),
  'x', pick('', '00', '0000', 'ff', NULL), 'n', pick('1', '1.0', '1.00', '-2', '0', NULL)::numeric, 'f', pick('0', '-0', '1e300', '-1.5', NULL)::float8,
  'da', pick('2024-01-01', '1999-12-31', NULL), 'ti', pick('00:00', '23:59:59.5', NULL), 'ts', '2024-01-01T00:00:00Z'::timestamptz + i * interval '1 s', 'lo', pick('2024-01-01 00:00', '1900-01-01 00:00', NULL),
  'ip', pick('10.0.0.1', '10.0.0.2', '::1', NULL), 'iv', pick('1 day', '24 hours', '1 hour', NULL), 'm', pick('sad', 'happy', NULL))) AS record
FROM generate_series(1, 2000) i;
INSERT INTO plain SELECT b, i2, i4, i8, t, v, c, nc, d, u, x, n, f, da, ti, ts, lo, ip, iv, m FROM records, jsonb_to_record(record) AS
  r (b boolean, i2 smallint, i4 int, i8 bigint, t text, v varchar(5), c char(4), nc text, d code, u uuid, xx text, n numeric, f float8, da date, ti time, ts timestamptz, lo timestamp, ip inet, iv interval, m mood),
  LATERAL (SELECT decode(record ->> 'x', 'hex') AS x) y;

-- a query a row: over the stream, and over the plain table
CREATE TABLE queries (name text, nkeys int, keys text, calls text, source text DEFAULT '%s e', condition text DEFAULT 'true');
INSERT INTO queries (name, nkeys, keys, calls)
SELECT 'by_' || k, 1, k, 'count(*) AS total, count(t) AS texts, sum(i4) AS s4, sum(i2) AS s2, min(i8) AS low, max(ts) AS last' FROM unnest('{b,i2,i4,i8,t,v,c,nc,d,u,x,n,f,da,ti,lo,ip,iv,m}'::text[]) k;
INSERT INTO queries (name, nkeys, keys, calls)
SELECT 'of_' || k, 2, 'b, i2', format('min(%1$s) AS low, max(%1$s) AS high, count(%1$s) AS total', k) FROM unnest('{i2,i4,i8,t,v,c,nc,n,f,da,ti,ts,lo,ip,iv,m}'::text[]) k;
INSERT INTO queries VALUES
  ('several', 5, 'b, t, u, i8, x', 'count(*) AS total, max(t) AS high', '%s e', 'true'),
  ('filtered', 1, 'b', 'count(*) FILTER (WHERE i4 > 0) AS total, sum(i4) FILTER (WHERE t IS NOT NULL) AS s, max(t) FILTER (WHERE i2 < 0) AS high, count(i8) FILTER (WHERE NULL) AS none', '%s e', 'true'),
  ('guarded', 1, 'b', 'sum(10 / i4) FILTER (WHERE i4 <> 0) AS s, count(10 / i2) FILTER (WHERE i2 <> 0) AS n, max(v::code) FILTER (WHERE v IS NOT NULL) AS high', '%s e', 'true'),
  ('none', 1, 'b', 'count(*) AS total', '%s e', 'i4 > 5 AND i4 < 3'),
  ('some', 2, 'i2, coalesce(t, ''none'') AS word', 'count(*) AS total, sum(i2 * 2) AS s', '%s e', 'i4 IS NOT NULL'),
  ('averages', 1, 'b', 'avg(i4) AS a4, sum(i8) AS s8, avg(n) AS an, bool_and(b) AS every_b', '%s e', 'true'),
  ('joined', 1, 'name', 'count(*) AS total, max(long) AS high, min(long) AS low', '%s e JOIN names USING (i4)', 'true'),
  ('by_long', 1, 'long', 'count(*) AS total, max(name) AS name', '%s e JOIN names USING (i4)', 'true'),
  ('minutes', 2, 'w.window_start, b', 'count(*) AS total, sum(i4) AS s, max(v) AS v', '%s e, streamagg.tumble(ts, ''1 minute'') w', 'true');
CREATE FUNCTION query_of(q queries, relation text) RETURNS text LANGUAGE sql AS $$
  SELECT format('SELECT %s, %s FROM %s WHERE %s GROUP BY %s', (q).keys, (q).calls, format((q).source, relation), (q).condition, (SELECT string_agg(i::text, ', ') FROM generate_series(1, (q).nkeys) i)) $$;
DO $$ DECLARE q queries; BEGIN
  FOR q IN SELECT * FROM queries LOOP PERFORM streamagg.create_aggregate('a_' || q.name, query_of(q, 'groups_of.e')); END LOOP;
END $$;
-- three batches, so that groups meet what is stored
SELECT (SELECT accepted FROM streamagg.push('e', (SELECT array_agg(record::text ORDER BY i) FROM records WHERE i % 3 = k))) FROM generate_series(0, 2) k;
CREATE FUNCTION difference(q queries) RETURNS text LANGUAGE plpgsql AS $$
DECLARE columns text; missing int; surplus int; total int;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
  FROM pg_attribute WHERE attrelid = ('groups_of.a_' || q.name)::regclass AND attnum > 0 AND attname NOT IN ('is_final', 'updated_at');
  EXECUTE format('SELECT count(*) FROM (SELECT %1$s FROM groups_of.a_%2$s EXCEPT ALL (%3$s)) d', columns, q.name, query_of(q, 'groups_of.plain')) INTO surplus;
  EXECUTE format('SELECT count(*) FROM ((%3$s) EXCEPT ALL SELECT %1$s FROM groups_of.a_%2$s) d', columns, q.name, query_of(q, 'groups_of.plain')) INTO missing;
  EXECUTE format('SELECT count(*) FROM groups_of.a_%s', q.name) INTO total;
  RETURN format('%s groups, %s missing, %s surplus', total, missing, surplus);
END $$;
SELECT name, difference(q) FROM queries q ORDER BY 1;
-- the function that the statement of a batch reads
SELECT * FROM streamagg.batch_groups() g (n int);
-- its groups, when a trigger of the owner looks at them while they are written, are no other types than they are
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM * FROM streamagg.batch_groups() g (a text, b text); RETURN NEW; END $$;
CREATE TRIGGER look BEFORE INSERT ON a_by_b_state FOR EACH ROW EXECUTE FUNCTION look();
SELECT read, quarantined FROM streamagg.push('e', ARRAY['{"ts": "2024-01-01T00:00:00Z", "b": true}', '{"ts": "2024-01-01T00:00:00Z", "b": false}']);
SELECT DISTINCT code, reason FROM streamagg.quarantine WHERE stream = 'e'::regclass;
DROP SCHEMA groups_of CASCADE;
