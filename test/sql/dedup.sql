-- dedup_key, dedup_within: duplicates of accepted rows of the partition, over batches, poison and rollback.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA dedup;
SET search_path = dedup;
CREATE SERVER dedup FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, ts timestamptz NOT NULL) SERVER dedup
OPTIONS (event_time 'ts', watermark_delay '10 s', dedup_key 'k', dedup_within '1 min', archive 'on');
SELECT streamagg.create_aggregate('a', 'SELECT sum(1 / n) AS s, count(*) AS rows FROM s');
-- records of key, seconds and n, in one batch
CREATE FUNCTION feed(records text[], partition int DEFAULT 0, stream regclass DEFAULT 'dedup.s') RETURNS text LANGUAGE sql AS $$
  SELECT p::text FROM streamagg.push(stream, (SELECT array_agg(jsonb_build_object('k', nullif(split_part(r, ' ', 1), '-'),
    'ts', timestamptz '2024-01-01 00:00:00Z' + split_part(r, ' ', 2)::float8 * interval '1 s', 'n', coalesce(nullif(split_part(r, ' ', 3), ''), '1')::int)::text ORDER BY i)
    FROM unnest(records) WITH ORDINALITY x (r, i)), partition) p $$;
SELECT feed('{a 0,a 59.999999,b 1,- 1,- 1,a 60,a 119}');
-- what was accepted in an earlier batch, on either side; another partition is another world
SELECT feed('{a 30,b 61,c 200}'), feed('{a 60}', 1);
SELECT k, ts, _partition, _offset FROM s_archive ORDER BY 3, 4;
SELECT partition, read, accepted, duplicate FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;
SELECT rows FROM a;
-- a duplicate moves no watermark: 359 is one of c 300
SELECT feed('{c 300,c 359}'), (SELECT watermark FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 0);
SELECT (SELECT watermark FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 0);
-- one that is late by minutes still is a duplicate
SELECT feed('{z 4000}'), feed('{a 15,b 2,d 15}');

-- a row that an aggregate refuses was not accepted: its equals behind it may be, and what those hide is a duplicate anew
SELECT feed('{p 5000 0,p 5001,p 5002,q 5000,q 5001}');
SELECT feed('{r 5100 0,r 5060,r 5140,r 5159,q 5030 0}');
SELECT k, ts, n, _watermark FROM s_archive WHERE k IN ('p', 'q', 'r') ORDER BY _offset;
SELECT record_offset, code FROM streamagg.quarantine WHERE stream = 's'::regclass ORDER BY 1;
SELECT feed('{p 5003}');
-- what is rolled back is forgotten
BEGIN;
SELECT feed('{e 6000}'), feed('{e 6001}');
ROLLBACK;
SELECT feed('{e 6002}');
SELECT accepted = (SELECT count(*) FROM s_archive WHERE _partition = p.partition), read = accepted + quarantined + duplicate FROM streamagg.partitions p WHERE stream = 's'::regclass;

-- a digest is stored, no value; rows that no row can match any more are forgotten, a week behind the watermark
SELECT DISTINCT length(digest) FROM streamagg.dedup_log;
SELECT feed('{f 1000000}'), feed('{f 1000000}');
SELECT feed('{a 0}'), feed('{a 0}'), feed('{f 395151,f 395150}');
-- the key's column: renamed it is the same, altered it is another
ALTER FOREIGN TABLE s RENAME COLUMN k TO key;
SELECT split_part(options, '=', 2) FROM (SELECT unnest(ftoptions) AS options FROM pg_foreign_table WHERE ftrelid = 's'::regclass) x WHERE options LIKE 'dedup_key%';
SELECT feed('{f 1000001}');
CREATE FOREIGN TABLE times (ts timestamptz) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'ts', archive 'on');
ALTER FOREIGN TABLE times RENAME ts TO at;
SELECT accepted, duplicate FROM streamagg.push('times', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:00:00Z"}']);
ALTER FOREIGN TABLE s OPTIONS (SET dedup_key 'n');
SELECT feed('{f 1000002 7,g 1000003 7}');
ALTER FOREIGN TABLE s OPTIONS (DROP dedup_key, DROP dedup_within);
SELECT feed('{f 1000002 7,g 1000003 7}');

CREATE FOREIGN TABLE two (a text, b text, ts timestamptz NOT NULL) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'a', archive 'on');
SELECT accepted, duplicate FROM streamagg.push('two', ARRAY['{"a": "x", "ts": "2024-01-01T00:00:00Z"}', '{"a": "x", "ts": "2024-01-01T00:00:00Z"}']);
ALTER FOREIGN TABLE two OPTIONS (SET dedup_key 'b');
SELECT accepted, duplicate FROM streamagg.push('two', ARRAY['{"b": "x", "ts": "2024-01-01T00:00:00Z"}', '{"b": "x", "ts": "2024-01-01T00:00:00Z"}']);

-- without dedup_within: for ever; 0: never
CREATE FOREIGN TABLE ever (k text, n int, ts timestamptz NOT NULL) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'k', archive 'on');
CREATE FOREIGN TABLE never (k text, n int, ts timestamptz NOT NULL) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'k', dedup_within '0', archive 'on');
SELECT feed('{a 0,a 9000000,b 1}', 0, t), feed('{a 90000000,b 1}', 0, t) FROM unnest('{ever,never}'::regclass[]) t;
SELECT stream, count(*) FROM streamagg.dedup_log WHERE stream IN ('ever'::regclass, 'never'::regclass) GROUP BY 1;
-- equal values of a type, however they are written; a protected key; the record's key
CREATE FUNCTION duplicates(type text, a text, b text, options text DEFAULT '') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE typed (v %s %s, ts timestamptz) SERVER dedup OPTIONS (event_time ''ts'', dedup_key ''v'')', type, options);
  EXECUTE 'SELECT streamagg.create_aggregate(''typed_n'', ''SELECT count(*) AS n FROM typed'')';
  SELECT duplicate INTO n FROM streamagg.push('typed', ARRAY[format('{"ts": "2024-01-01T00:00:00Z", "v": %s}', a),
    format('{"ts": "2024-01-01T00:00:00Z", "v": %s}', b), '{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:00:00Z"}'], keys => '{k,k,l,m}');
  DROP FOREIGN TABLE typed CASCADE;
  DROP VIEW typed_n;
  RETURN n;
END $$;
SET client_min_messages = warning;
SELECT type, duplicates(type, a, b), duplicates(type, a, c) FROM (VALUES ('text', '"1"', '1', '"1 "'), ('bytea OPTIONS (encoding ''hex'')', '"ab"', '"AB"', '"ac"'),
  ('numeric', '1.0', '1.00', '1.01'), ('bigint', '5', '"5"', '6'), ('int', '-1', '-1', '1'), ('boolean', 'true', '"t"', 'false'), ('date', '"2024-01-01"', '"2024-01-01"', '"2024-01-02"'),
  ('timestamptz OPTIONS (encoding ''iso8601'')', '"2024-01-01T01:00:00+01"', '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:01Z"'),
  ('uuid', '"00000000-0000-0000-0000-00000000000A"', '"00000000-0000-0000-0000-00000000000a"', '"00000000-0000-0000-0000-00000000000b"'),
  ('inet', '"10.0.0.1"', '"10.0.0.1/32"', '"10.0.0.1/31"'), ('varchar(3)', '"abc"', '"abc"', '"abd"')) v (type, a, b, c);
SELECT duplicates('text', '"x"', '"y"', 'OPTIONS (protect ''mask'')'), duplicates('text', '"x"', '"x"', 'OPTIONS (protect ''drop'')'), duplicates('text', '"x"', '"y"', 'OPTIONS (meta ''key'')');
RESET client_min_messages;

-- definitions that make no sense
CREATE FOREIGN TABLE bad (k text, ts timestamptz) SERVER dedup OPTIONS (event_time 'ts', dedup_within '1 min');
CREATE FOREIGN TABLE bad (k text, ts timestamptz) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'no');
CREATE FOREIGN TABLE bad (k jsonb, ts timestamptz) SERVER dedup OPTIONS (event_time 'ts', dedup_key 'k');
ALTER FOREIGN TABLE s OPTIONS (dedup_key 'key');
ALTER FOREIGN TABLE s DROP COLUMN key;
DROP FOREIGN TABLE ever, never;
SELECT count(*) FROM streamagg.dedup_log WHERE stream::text ~ '^[0-9]|ever';
SET client_min_messages = warning;
DROP SCHEMA dedup CASCADE;
DROP SERVER dedup;
SELECT count(*) FROM streamagg.dedup_log;
