-- Meta columns: what is known of a record beside its values, the whole document, and what no other column takes. (rest beside protection: protection_options)
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA meta;
SET search_path = meta;
CREATE SERVER meta FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (
  id int,
  part int OPTIONS (meta 'partition'),
  part_text text OPTIONS (meta 'partition'),
  off bigint OPTIONS (meta 'offset'),
  off_numeric numeric OPTIONS (meta 'offset'),
  at timestamptz OPTIONS (meta 'timestamp'),
  at_text text OPTIONS (meta 'timestamp'),
  key text OPTIONS (meta 'key'),
  key_bytes bytea OPTIONS (meta 'key'),
  topic text OPTIONS (meta 'topic'),
  header text OPTIONS (meta 'header:trace'),
  headers jsonb OPTIONS (meta 'headers'),
  raw text OPTIONS (meta 'raw'),
  raw_bytes bytea OPTIONS (meta 'raw'),
  doc jsonb OPTIONS (path '$'),
  doc_text text OPTIONS (path '$'),
  deep text OPTIONS (path 'a.b'),
  rest jsonb OPTIONS (meta 'rest'),
  ts timestamptz NOT NULL
) SERVER meta OPTIONS (event_time 'ts', topic 'the topic', max_future '1000 days');
SELECT streamagg.create_aggregate('seen', $$
  SELECT part, off, part_text, off_numeric, at, at_text, key, key_bytes, topic, header, headers, raw, raw_bytes, doc, doc_text, deep, rest, count(*) AS n FROM s
  GROUP BY part, off, part_text, off_numeric, at, at_text, key, key_bytes, topic, header, headers, raw, raw_bytes, doc, doc_text, deep, rest $$);
CREATE TABLE messages (o int, message text, key text, at timestamptz);
INSERT INTO messages VALUES
  (0, '{"id": 1, "ts": "2024-01-01T00:00:00Z"}', 'k', '2024-01-01 00:00:01.5+02'),
  (1, E'{ "id":1 ,\n"ts": "2024-01-01T00:00:00Z", "a": {"b": "\\u0062", "c": [1.50, {"b": null}]}, "x": "\\u00e4\\n", "x": 2}', '', '2023-12-31 23:59:59.999999+00'),
  (2, U&'\FEFF' || '{"ts": "2024-01-01T00:00:00Z", "": "", "a": {"b": 1}, "null": null}', NULL, '2024-01-01 00:00+00'),
  (3, '{"ts": "2024-01-01T00:00:00Z", "a": "no object", "id": null, "big": 12345678901234567890.123456789}', 'ключ', '2024-01-01 00:00+00'),
  (4, '{"ts": "2024-01-01T00:00:00Z", "a": [{"b": 1}]}', repeat('k', 1000), '2024-01-01 00:00+00');
SELECT accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(message ORDER BY o) FROM messages), 7, (SELECT array_agg(key ORDER BY o) FROM messages), (SELECT array_agg(at ORDER BY o) FROM messages));
SELECT part, off, part_text, off_numeric, at, at_text, topic, header, headers FROM seen ORDER BY off;
-- I15: a key that is NULL and one that is empty are two
SELECT 'I15' AS fault, off, left(seen.key, 10) AS key, seen.key IS NULL AS none, left(key_bytes::text, 20) AS key_bytes, seen.key IS NOT DISTINCT FROM m.key AND key_bytes IS NOT DISTINCT FROM convert_to(m.key, 'UTF8') AS same
FROM seen JOIN messages m ON o = off ORDER BY off;
-- the message as it came
SELECT off, raw = message AS raw, raw_bytes = convert_to(message, 'UTF8') AS raw_bytes, doc = ltrim(message, U&'\FEFF')::jsonb AS doc FROM seen JOIN messages ON o = off ORDER BY off;
SELECT off, doc_text FROM seen ORDER BY off;
-- what no other column takes: emptied objects stay, a path through a scalar or an array is none
SELECT off, deep, doc, rest FROM seen ORDER BY off;
-- aggregates may group and filter by them
SELECT streamagg.create_aggregate('by_key', 'SELECT key, part, max(off) AS last, count(*) FILTER (WHERE at > ''2024-01-01'') AS n FROM s GROUP BY 1, 2');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:00:00Z"}'], 0, ARRAY['a', 'a', ''], ARRAY[timestamptz '2024-01-01', '2024-01-02', '2024-01-03']);
SELECT key, part, last, n FROM by_key ORDER BY 1;
-- a push without keys and times: no key, the time of the push
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}'], 1);
SELECT key, at = now() AS now, at > now() - interval '1 h' AS recent FROM seen WHERE part = 1;
-- tombstones are none of them (I15)
SELECT read, accepted, tombstones FROM streamagg.push('s', ARRAY[NULL::text], 1, ARRAY['k']);

-- a local stream without a topic; types that convert from what there is
CREATE FOREIGN TABLE t (
  topic text OPTIONS (meta 'topic'),
  key int OPTIONS (meta 'key') CHECK (key < 10),
  part smallint OPTIONS (meta 'partition'),
  at date OPTIONS (meta 'timestamp'),
  rest jsonb OPTIONS (meta 'rest') CHECK (NOT rest ? 'forbidden'),
  ts timestamptz OPTIONS (meta 'timestamp')
) SERVER meta OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('converted', 'SELECT topic, key, part, at, rest, ts, count(*) AS n FROM t GROUP BY topic, key, part, at, rest, ts');
SELECT accepted, quarantined FROM streamagg.push('t', ARRAY['{}', '{"a": 1}', '{}', '{}', '{"forbidden": "secret"}', '{}'], 3, ARRAY['7', NULL, 'secret', '11', '1', '1.5'], ARRAY[timestamptz '2024-01-01 23:59:59.999999', '2024-01-02', '2024-01-03', '2024-01-03', '2024-01-03', '2024-01-03']);
SELECT accepted, quarantined FROM streamagg.push('t', ARRAY['{}'], 40000);
SELECT accepted, quarantined FROM streamagg.push('t', ARRAY['{"n": 1e999999}'], 5);
SELECT topic, key, part, at, rest, ts, n FROM converted ORDER BY at;
SELECT partition, record_offset, stage, code, column_name, failed_rules, reason, record - 'digest' AS record FROM streamagg.quarantine WHERE stream = 't'::regclass ORDER BY 1, 2;
-- the time of the record as event time has no future (I17 infinite)
SELECT accepted, quarantined FROM streamagg.push('t', ARRAY['{}', '{}'], 4, NULL, ARRAY[timestamptz 'infinity', '294276-12-31']);
SELECT 'I17' AS fault, stage, code, column_name, reason FROM streamagg.quarantine WHERE stream = 't'::regclass AND partition = 4;

-- wrong types are refused
CREATE FUNCTION try(meta text, type text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE tried (c %s OPTIONS (meta %L), ts timestamptz) SERVER meta OPTIONS (event_time ''ts'')', type, meta);
  DROP FOREIGN TABLE tried;
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;
SELECT meta, string_agg(type || ' ' || try(meta, type), ', ' ORDER BY o) FROM unnest(ARRAY['headers', 'rest', 'raw', 'header:x', 'key', 'topic', 'partition', 'timestamp']) WITH ORDINALITY m(meta, place),
  unnest(ARRAY['text', 'bytea', 'jsonb', 'int', 'json', 'text[]', 'timestamptz']) WITH ORDINALITY t(type, o) GROUP BY place, meta ORDER BY place;

SET client_min_messages = warning;
DROP SCHEMA meta CASCADE;
DROP SERVER meta;
