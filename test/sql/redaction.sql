-- The record in quarantine: good values of open columns, and of all else type and length; of what is no JSON length and keyed digest (S34).
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA redaction;
SET search_path = redaction;
CREATE SERVER redaction FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (
  id int CONSTRAINT positive CHECK (id > 0),
  name text CONSTRAINT named CHECK (name <> 'secret') CONSTRAINT "S28 a"", {b}
'c" CHECK (name <> 'secret'),
  n numeric,
  f float8,
  b boolean,
  mail text OPTIONS (protect 'mask') CONSTRAINT masked CHECK (mail <> '******'),
  ip text OPTIONS (protect 'truncate'),
  first text OPTIONS (path 'user.name'),
  second text OPTIONS (path 'user.mail', protect 'mask'),
  doc jsonb CONSTRAINT documented CHECK (doc ->> 'k' IS DISTINCT FROM 'secret'),
  inside int OPTIONS (path 'doc.inside'),
  part int OPTIONS (meta 'partition'),
  must text NOT NULL,
  ts timestamptz,
  CONSTRAINT ordered CHECK (id < n)
) SERVER redaction OPTIONS (event_time 'ts', max_message_bytes '4kB', max_future '1 day');
SELECT streamagg.create_aggregate('seen', 'SELECT 1 / (id - 77) AS x, count(*) AS n FROM s GROUP BY 1');
-- each message is completed by what makes a good row; what must not be seen is called secret
CREATE TABLE cases (fault text, part text);
CREATE FUNCTION run() RETURNS TABLE (accepted bigint, quarantined bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.quarantined FROM streamagg.push('redaction.s', (SELECT array_agg(format('{"must": "m", "ts": "2024-01-01T00:00:00Z", %s}', part) ORDER BY ctid) FROM redaction.cases),
    timestamps => (SELECT array_agg(timestamptz '2024-01-01 12:00') FROM redaction.cases)) p $$;
CREATE VIEW result AS SELECT fault, stage, code, column_name, failed_rules, record - CASE record ->> 'must' WHEN 'm' THEN 'must' ELSE '-' END
  - CASE record ->> 'ts' WHEN '2024-01-01T00:00:00Z' THEN 'ts' ELSE '-' END AS record FROM streamagg.quarantine
  JOIN (SELECT fault, row_number() OVER (ORDER BY ctid) - 1 + (SELECT max(next_offset) FROM streamagg.partitions WHERE stream = 's'::regclass) - (SELECT count(*) FROM cases) AS o FROM cases) c ON o = record_offset
  WHERE stream = 's'::regclass ORDER BY o;

-- stage convert: the failed values, all of them, in each type; and good ones before and behind
INSERT INTO cases VALUES ('integer', '"id": "secret", "name": "shown", "n": 1.5'), ('all that fail', '"id": "secret", "n": "secret", "f": "secret", "b": "secret", "name": "shown"'),
  ('boolean', '"id": true'), ('number', '"id": 1.500'), ('array', '"id": ["secret", 2]'), ('object', '"id": {"secret": 1}'), ('characters', '"id": "€€😀"'), ('null is good', '"id": null, "b": "secret"'),
  ('big number', '"f": 1e400'), ('in a path', '"user": {"name": "shown", "mail": {"secret": 1}}'), ('below a path', '"doc": {"inside": "shown as part of an open column", "k": 1}'),
  ('escaped', '"\u0069d": "secret", "na\u006de": "sh\u006fwn"');
SELECT * FROM run();
SELECT fault, stage, code, column_name, failed_rules, record FROM result;
-- stage protect
TRUNCATE cases;
INSERT INTO cases VALUES ('no address', '"ip": "secret", "mail": "secret", "id": 1'), ('protected object', '"mail": {"secret": 1}, "ip": "1.2.3.4"');
SELECT * FROM run();
SELECT fault, stage, code, column_name, failed_rules, record FROM result;
-- stage check: all rules that are broken, and the columns that they read; protected ones are never shown
TRUNCATE cases;
INSERT INTO cases VALUES ('one', '"id": 0, "name": "shown"'), ('all', '"id": 0, "n": -1, "name": "secret", "doc": {"k": "secret"}, "mail": "secret", "must": null, "b": true'), ('of two', '"id": 2, "n": 1, "f": 1.5'),
  ('protected', '"mail": "secret", "id": 1'), ('document', '"doc": {"k": "secret", "inside": 3}'), ('max_future', '"ts": "2024-01-03T00:00:00Z", "id": 1'), ('infinite', '"ts": "infinity", "id": 1'),
  ('no event time', '"ts": null, "id": 0');
SELECT * FROM run();
SELECT fault, stage, code, column_name, failed_rules, record FROM result;
-- stage aggregate: nothing is wrong with the record's values
TRUNCATE cases;
INSERT INTO cases VALUES ('poison', '"id": 77, "n": 100, "name": "shown", "mail": "secret@x", "ip": "1.2.3.4", "doc": {"k": [1, {"deep": null}]}, "else": "secret"');
SELECT * FROM run();
SELECT fault, stage, code, column_name, failed_rules, record FROM result;

-- what is not declared: names that look like names, and no values
TRUNCATE cases;
INSERT INTO cases VALUES ('misspelt', '"id": 0, "nmae": "secret"'), ('no names', '"id": 0, "secret@example.org": 1, "4111111111111111": 1, "": 1, "sec ret": 1, "secret€": 1, "123": 2'), ('a long name', format('"id": 0, "%s": 1, "%s": 2', repeat('a', 63), repeat('secret', 11))),
  ('nested', '"id": 0, "user": {"name": "shown", "mail": "secret", "secret@example.org": 1, "else": {"secret": 1}}'), ('no object', '"id": 0, "user": "secret"'), ('an array', '"id": 0, "user": [{"name": "secret"}]'),
  ('duplicates', '"id": "secret", "id": 0, "name": "secret", "na\u006de": "shown", "user": {"mail": "secret"}, "user": {"name": "shown"}'), ('duplicate that is null', '"id": 0, "name": "secret", "name": null'),
  ('of other kinds', '"id": 0, "e1": null, "e2": true, "e3": -1.50, "e4": "secret", "e5": ["secret"], "e6": {"secret": "secret"}');
SELECT * FROM run();
SELECT fault, record FROM result;
-- what is long
TRUNCATE cases;
INSERT INTO cases VALUES ('1000 bytes', format('"id": 0, "name": "%s", "user": {"name": "%s"}', repeat('a', 1000), repeat('€', 333))), ('1001 bytes', format('"id": 0, "name": "%s", "user": {"name": "%s"}', repeat('a', 1001), repeat('€', 334))),
  ('digits', format('"id": 0, "n": %s1', repeat('1', 1000))), ('a document', format('"id": 0, "doc": {"k": "%s"}', repeat('a', 1001)));
INSERT INTO cases SELECT '70 members', format('"id": 0, "name": "shown", %s', string_agg(format('"k%s": "secret"', i), ', ')) FROM generate_series(10, 79) i;
INSERT INTO cases SELECT '70 in an object', format('"id": 0, "user": {"name": "shown", %s}', string_agg(format('"k%s": "secret"', i), ', ')) FROM generate_series(10, 79) i;
SELECT * FROM run();
SELECT fault, length(record ->> 'name') AS name, length(record -> 'user' ->> 'name') AS first, left(record ->> 'name', 12) AS name, left(record -> 'user' ->> 'name', 12) AS first, record ->> 'n' AS n, record ->> 'doc' AS doc,
  record ->> '(more)' AS more, record -> 'user' ->> '(more)' AS more, (SELECT count(*) FROM jsonb_object_keys(record)) AS members, record ? 'k10' AS k10, record ? 'k79' AS k79 FROM result;

-- stage decode: length and a keyed digest, the same of the same bytes
CREATE TABLE messages (message text);
INSERT INTO messages VALUES ('{"secret'), ('{"secret'), ('{"secret '), (''), ('["secret"]'), ('{"id": "\ud800"}'), ('{"id": "' || repeat('secret', 1000) || '"}'), ('{"must": "m", "ts": "2024-01-01T00:00:00Z", "id": 0, "else": 1e999999}');
SELECT accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(message ORDER BY ctid) FROM messages), 1);
SELECT streamagg.export_key('streamagg:quarantine') AS key \gset
CREATE FUNCTION padded(secret bytea, pad int) RETURNS bytea LANGUAGE sql AS $$
  SELECT string_agg(set_byte('\x00', 0, pad # CASE WHEN i < length(secret) THEN get_byte(secret, i) ELSE 0 END), NULL ORDER BY i) FROM generate_series(0, 63) i $$;
CREATE FUNCTION hmac(secret bytea, message text) RETURNS bytea LANGUAGE sql AS $$
  SELECT sha256(padded(secret, 92) || sha256(padded(secret, 54) || convert_to(message, 'UTF8'))) $$;
SELECT record_offset, stage, code, record -> 'length' AS length, (record ->> 'length')::int = octet_length(message) AS right,
  record ->> 'digest' = encode(hmac(hmac(decode(:'key', 'hex'), 'streamagg:1:quarantine'), message), 'hex') AS keyed, record ->> 'digest' = encode(sha256(convert_to(message, 'UTF8')), 'hex') AS plain,
  (SELECT count(*) FROM jsonb_object_keys(record)) AS members, count(*) OVER (PARTITION BY record -> 'digest') AS alike
FROM streamagg.quarantine JOIN (SELECT message, row_number() OVER (ORDER BY ctid) - 1 AS o FROM messages) m ON o = record_offset WHERE partition = 1 ORDER BY 1;

-- S34: nothing of what is called secret is anywhere in it
SELECT count(*) AS records, count(*) FILTER (WHERE record::text ~ 'secret' OR reason ~ 'secret') AS leaks FROM streamagg.quarantine WHERE stream = 's'::regclass;
-- S33: nor in what an error says
ALTER FOREIGN TABLE s OPTIONS (ADD on_violation 'stop', ADD on_decode_error 'stop');
SELECT streamagg.push('s', ARRAY['{"secret'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "m", "ts": "2024-01-01T00:00:00Z", "id": "secret"}'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "m", "ts": "2024-01-01T00:00:00Z", "ip": "secret"}'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "m", "ts": "2024-01-01T00:00:00Z", "name": "secret"}'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "m", "ts": "2024-01-01T00:00:00Z", "id": 77, "name": "secret not"}'], 2);

SET client_min_messages = warning;
DROP SCHEMA redaction CASCADE;
DROP SERVER redaction;
