-- What becomes of records that are no rows: stage, code, reason, column and rule, without a value of
-- the record; and the policies drop and stop.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA quarantine;
SET search_path = quarantine;
CREATE SERVER quarantine FOREIGN DATA WRAPPER streamagg_kafka;
CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FOREIGN TABLE s (
  id int, big bigint, n numeric(5,2), f float8, b boolean, t text, v varchar(3), u uuid, ip inet, d date, p percent, m mood,
  deep int OPTIONS (path 'a.b'), at timestamptz OPTIONS (encoding 'epoch_s'), must text NOT NULL DEFAULT 'x',
  k text OPTIONS (meta 'key'), ts timestamptz,
  CONSTRAINT positive CHECK (id > 0), CONSTRAINT ordered CHECK (big > id), CONSTRAINT not_secret CHECK (t <> 'secret')
) SERVER quarantine OPTIONS (event_time 'ts', topic 'the topic', max_message_bytes '2kB', max_future '1 min');
SELECT streamagg.create_aggregate('seen', 'SELECT count(*) AS n FROM s');
CREATE TABLE cases (fault text, code text, message text);
INSERT INTO cases VALUES
('I1', '22P05', '{"t": "secret\u0000"}'), ('I3', '22P02', '{"t": "secret\ud800"}'), ('I6 trailing garbage', '22P02', '{"t": "secret"} x'),
('I6 two documents', '22P02', '{} {}'), ('I7', '54001', repeat('[', 600)), ('I24 array', '22023', '["secret"]'), ('I24 scalar', '22023', '"secret"'),
('not JSON', '22P02', 'secret'), ('empty', '22P02', ''), ('too long', '54000', '{"t": "' || repeat('secret', 400) || '"}'),
('I9', '22003', '{"f": 1e400}'), ('I10', '22003', '{"n": 1e999999}'), ('I11', '22003', '{"big": 9223372036854775808}'), ('I12', '22P02', '{"id": 1.5}'),
('I12 scale', '22003', '{"n": 1.005}'), ('I12 precision', '22003', '{"n": 12345}'), ('I13', '22003', '{"n": "NaN"}'), ('boolean', '22P02', '{"b": "secret"}'),
('I18', '22008', '{"d": "2024-02-30"}'), ('no time', '22007', '{"ts": "secret"}'), ('clock', '22007', '{"ts": "now"}'), ('varchar', '22001', '{"v": "secret"}'),
('uuid', '22P02', '{"u": "secret"}'), ('inet', '22P02', '{"ip": "300.1.1.1"}'), ('I31 enum', '22P02', '{"m": "secret"}'), ('I31 domain', '23514', '{"p": 101}'),
('object for a number', '22P02', '{"id": {"secret": 1}}'), ('path', '22P02', '{"a": {"b": "secret"}}'), ('epoch', '22P02', '{"at": "secret"}'),
('I17', '22008', '{"at": 1e15}'), ('I22', '23502', '{"ts": "2024-01-01T00:00:00Z"}'), ('null is missing', '23502', '{"must": null, "ts": "2024-01-01T00:00:00Z"}'),
('event time', '23502', '{"must": "x"}'), ('infinite', '22008', '{"must": "x", "ts": "infinity"}'),
('I17 max_future', '22008', '{"must": "x", "ts": "2024-01-01T12:01:00.000001Z"}'),
('check', '23514', '{"must": "x", "ts": "2024-01-01T00:00:00Z", "id": 0}'), ('check of two', '23514', '{"must": "x", "ts": "2024-01-01T00:00:00Z", "id": 2, "big": 1}'),
('two checks', '23514', '{"must": "x", "ts": "2024-01-01T00:00:00Z", "id": 0, "t": "secret"}'),
('type before check', '22P02', '{"must": "x", "ts": "2024-01-01T00:00:00Z", "id": 0, "u": "secret"}'),
('not null before check', '23502', '{"ts": "2024-01-01T00:00:00Z", "id": 0}');
SELECT read, accepted, quarantined, tombstones FROM streamagg.push('s', (SELECT array_agg(message ORDER BY fault) FROM cases), 0, NULL,
  (SELECT array_agg(timestamptz '2024-01-01 12:00') FROM cases));
SELECT fault, stage, q.code, column_name, failed_rules, reason FROM streamagg.quarantine q
JOIN (SELECT *, row_number() OVER (ORDER BY fault) - 1 AS o FROM cases) c ON o = record_offset WHERE stream = 's'::regclass ORDER BY record_offset;
SELECT fault, c.code AS expected, q.code FROM streamagg.quarantine q
JOIN (SELECT *, row_number() OVER (ORDER BY fault) - 1 AS o FROM cases) c ON o = record_offset WHERE q.code <> c.code;
-- no value of a record, nor another error's text
SELECT count(*) AS leaks FROM streamagg.quarantine q WHERE q::text ~ 'secret|300\.1|1e400' AND q.failed_rules::text !~ 'not_secret';
SELECT DISTINCT stream, topic, partition, status, received_at > now() - interval '1 hour' AS just_now FROM streamagg.quarantine;
-- what is accepted: I5, I8, I19, I23; an id of NULL passes the checks
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[
  U&'\FEFF' || '{"must": "x", "ts": "2024-01-01T00:00:00Z"}', '{"id": "no", "id": 1, "big": 2, "must": "x", "ts": "2024-01-01 00:00"}',
  '{"must": "x", "ts": "2024-01-01T00:00:00Z", "else": [1e999999, {"deep": null}]}', '{"must": "", "ts": "2024-01-01T00:00:00+05:30", "p": "7", "n": 1.50}'],
  timestamps => (SELECT array_agg(timestamptz '2024-01-01 12:00') FROM generate_series(1, 4)));
SELECT n FROM seen;

-- on_decode_error and on_violation: drop counts and keeps nothing
ALTER FOREIGN TABLE s OPTIONS (ADD on_decode_error 'drop');
SELECT * FROM streamagg.push('s', ARRAY['{', '{"id": "x"}', '{"must": "x", "ts": "2024-01-01T00:00:00Z"}'], 1);
ALTER FOREIGN TABLE s OPTIONS (SET on_decode_error 'quarantine', ADD on_violation 'drop');
SELECT * FROM streamagg.push('s', ARRAY['{', '{"id": "x"}', '{"must": "x", "ts": "2024-01-01T00:00:00Z", "id": 0}'], 1);
SELECT partition, record_offset, stage FROM streamagg.quarantine WHERE partition = 1 ORDER BY 2;
-- stop: the call fails with the record's code and keeps nothing of it
ALTER FOREIGN TABLE s OPTIONS (SET on_decode_error 'stop', SET on_violation 'stop');
SELECT streamagg.push('s', ARRAY['{"must": "x", "ts": "2024-01-01T00:00:00Z"}', '{"secret'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "x", "ts": "2024-01-01T00:00:00Z"}', NULL, '{"u": "secret"}'], 2);
SELECT streamagg.push('s', ARRAY['{"must": "x", "ts": "2024-01-01T00:00:00Z", "t": "secret"}'], 2);
\set VERBOSITY sqlstate
SELECT streamagg.push('s', ARRAY['{"secret'], 2);
SELECT streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}'], 2);
\set VERBOSITY default
SELECT partition, next_offset, read, accepted, quarantined, dropped FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;
SELECT n FROM seen;

SET client_min_messages = warning;
DROP SCHEMA quarantine CASCADE;
SELECT count(*) FROM streamagg.quarantine;
DROP SERVER quarantine;
