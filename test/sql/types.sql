-- What becomes of a JSON value in a column of each type: the value stored, or the SQLSTATE in quarantine.
-- Nothing is rounded, nothing reads the clock (I12, I18, I19, I31). Arrays and composites: types_nested.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
CREATE SCHEMA types;
SET search_path = types;
CREATE SERVER types FOREIGN DATA WRAPPER streamagg_kafka;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/types.sql'
\i :file
\pset null '-'

-- I31: an enum takes its labels only, a number among them; the labels are followed
CREATE TYPE mood AS ENUM ('sad', 'happy', '1', '');
SELECT * FROM try('mood', '"sad"', '"SAD"', '"glad"', '1', '2', '""', '" sad"', 'true', '{}', 'null', format('"%s"', repeat('x', 70)));
ALTER TYPE mood RENAME VALUE 'sad' TO 'glad';
ALTER TYPE mood ADD VALUE 'wise';
SELECT * FROM try('mood', '"sad"', '"glad"', '"wise"');
-- a value that is not committed is nobody's fault: no record is refused for it
BEGIN;
ALTER TYPE mood ADD VALUE 'new';
SELECT * FROM try('mood', '"glad"', '"old"');
SELECT * FROM try('mood', '"new"');
ROLLBACK;

-- I31: a domain is its base type and its constraints; NULL and missing break NOT NULL, or a CHECK that says so
CREATE DOMAIN percent AS int NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN even AS percent CHECK (VALUE % 2 = 0);
CREATE DOMAIN present AS text CHECK (VALUE IS NOT NULL);
CREATE DOMAIN inverse AS int CHECK (1 / VALUE >= 0);
CREATE DOMAIN cents AS numeric(5,2);
CREATE DOMAIN precise AS timestamptz(0);
CREATE DOMAIN document AS json;
SELECT * FROM each(ARRAY['percent', 'even', 'present', 'inverse'], '7', '"8"', '101', '1.5', '-1', '0', 'null', NULL);
SELECT * FROM each(ARRAY['cents', 'numeric(5,2)'], '1.23', '1.234', '1.2300', '1000', '"NaN"', 'null');
SELECT * FROM each(ARRAY['document', 'json'], '"a\"b"', '{"b": 1e2, "a": [1, 1.0]}', '[1e400]', '1', 'true');
-- a constraint is followed, too
ALTER DOMAIN even ADD CHECK (VALUE <> 8);
SELECT * FROM each(ARRAY['even'], '8', '10');
-- the reason names neither the value nor what the domain says of it
CREATE FOREIGN TABLE s (v percent, ts timestamptz OPTIONS (meta 'timestamp')) SERVER types OPTIONS (event_time 'ts');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"v": 4711}', '{}', '{"v": "4711"}']);
SELECT record_offset AS o, stage, code, column_name, reason FROM streamagg.quarantine ORDER BY 1;
SELECT count(*) AS leaks FROM streamagg.quarantine q WHERE q::text ~ '4711|percent';

-- numbers: I12 for whole ones, nothing is rounded by precision and scale; float8 is what it is
SELECT * FROM each(ARRAY['int2', 'int4', 'int8', 'numeric', 'numeric(3)', 'numeric(2,-1)', 'float4', 'float8', 'oid', 'money'],
  '7', '1.0', '1.5', '120', '1e2', '70000', '"12"', '" 12 "', '"x"', '""', '1e39', '"NaN"', 'true', '[1]', '{}');
SELECT * FROM each(ARRAY['money'], '1.25', '1.250', '1.251', '0.001', '"$1,000.50"', '"$1,000.505"', '"(1.50)"');

-- times: I18 dates that are none, I19 no zone is UTC, no precision rounds
SELECT * FROM each(ARRAY['date', 'time', 'time(0)', 'time(3)', 'timetz', 'timetz(0)', 'timestamp', 'timestamp(0)', 'timestamp(3)', 'timestamptz',
  'timestamptz(0)', 'timestamptz(3)', 'precise'], '"2024-02-29 10:00:00"', '"2024-02-30 10:00:00"', '"2024-02-29 24:00:00"', '"2024-02-29 24:00:01"',
  '"2024-02-29T10:00:00.120Z"', '"2024-02-29T10:00:00.123456+02:00"', '"infinity"', '"soon"', '12', 'true', '{}');
SELECT * FROM each(ARRAY['timestamptz(0)', 'precise', 'timestamptz'], '"2024-02-29T10:00:00.000Z"', '"2024-02-29T10:00:00.001Z"', '"-infinity"', '"1900-01-01T00:00:00.5Z"');
SELECT * FROM each(ARRAY['timestamptz OPTIONS (encoding ''epoch_ms'')', 'timestamptz(0) OPTIONS (encoding ''epoch_ms'')', 'precise OPTIONS (encoding ''epoch_ms'')'],
  '1500', '2000', '-1', '-1000', '"1000.5"', '"x"');
SELECT * FROM each(ARRAY['interval', 'interval(0)', 'interval day to second', 'interval year to month', 'interval day'],
  '"1 day 00:00:01"', '"1.5 s"', '"1 year 2 mons"', '"14 mons 1 day"', '"P1DT1H"', '"24:00:00"', '"soon"', '{}');
SELECT * FROM each(ARRAY['time'], '"10:00"', '"10:00:00.123456"', '"24:00"', '"24:01"', '"10:60"', '"noon"');
-- the record's own time is not rounded either
CREATE FOREIGN TABLE own (at timestamptz(0) OPTIONS (meta 'timestamp'), ts timestamptz) SERVER types OPTIONS (event_time 'ts');
SELECT accepted, quarantined FROM streamagg.push('own', ARRAY['{"ts": "2024-01-01"}', '{"ts": "2024-01-01"}'], timestamps => ARRAY['2024-01-01', '2024-01-01 00:00:00.5']::timestamptz[]);
-- words that read the clock, and zones that ask for today's date
SELECT * FROM each(ARRAY['date', 'time', 'timetz', 'timestamp', 'timestamptz'], '"now"', '"TODAY"', '"tomorrow 12:00"', '"12:00 yesterday"', '"no\"w"');
SELECT * FROM each(ARRAY['timetz'], '"10:00"', '"10:00Z"', '"10:00 am utc"', '"allballs"', '"10:00 -03:30"', '"10:00 MSK"', '"10:00 PST"', '"10:00 Europe/Paris"');
SELECT * FROM each(ARRAY['timestamp', 'text', 'xml'], '"epoch"', '"nowadays"', '"2024-01-01 now"');

-- bytes and bits: encodings are strict
SELECT * FROM each(ARRAY['bytea OPTIONS (encoding ''hex'')', 'bytea OPTIONS (encoding ''base64'')', 'bytea'], '""', '"00ff"', '"DEADbeef"', '"\\x00"', '"abc"', '"0g"', '"00 ff"', '12');
SELECT * FROM each(ARRAY['bytea OPTIONS (encoding ''base64'')'], '"+/+/"', '"-_-_"', '"YQ=="', '"YWI="', '"YR=="', '"YWJ="', '"YQ"', '"YQ="', '"Y==="', '"===="', '"YQ==YQ=="',
  '"YW\nI="', '" YWI="', '"YWI=\n"', 'null', '{}');
SELECT * FROM each(ARRAY['bit(3)', 'bit varying(3)'], '"101"', '"10"', '"1010"', '"102"', '101', '{}');
SELECT * FROM each(ARRAY['text OPTIONS (encoding ''hex'')', 'bytea OPTIONS (encoding ''epoch_s'')', 'timestamptz OPTIONS (encoding ''base64'')', 'bytea OPTIONS (meta ''key'', encoding ''hex'')'], '1');

-- text, and others by their input function
SELECT * FROM each(ARRAY['text', 'varchar(3)', 'char(3)', 'xml'], '"ab"', '"abcd"', '"abc  "', '12', '1e3', 'true', '{"b":1, "a":[1]}', '["a"]', '"<a>"', '""');
SELECT * FROM each(ARRAY['uuid', 'inet', 'cidr', 'macaddr', 'point', 'tsvector', 'pg_lsn', 'tid', 'boolean', 'jsonb'],
  '"10.1.2.0/24"', '"(1,2)"', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"', '"08:00:2b:01:02:03"', '1', '"0/16"', '[1]', '""', 'null');
SELECT * FROM each(ARRAY['int4range', 'numrange', 'tstzrange', 'daterange', 'int4multirange'], '"[1,3)"', '"{[1,2],[4,5)}"', '"empty"', '"[2024-01-01,]"', '"[3,1]"', '"[1"', '[1, 3]', '12');
-- what depends on the catalog, or cuts
SELECT r.* FROM unnest(ARRAY['regclass', 'regtype', 'regproc', 'regrole', 'regnamespace', 'regconfig', 'aclitem', 'name', '"char"']) t, try(t, '1') r;
-- settings of the session do not count
SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Asia/Tokyo'; SET xmloption = 'document'; SET timezone_abbreviations = 'India'; SET array_nulls = off;
SELECT * FROM each(ARRAY['timestamp', 'interval', 'xml', 'timestamptz[]', 'text[]'], '"02/03/2024"', '"-1 2:00:00"', '"a<b/>"', '["2024-01-01 12:00 IST", "2024-01-01"]', '"{null}"');
DROP SCHEMA types CASCADE;
DROP SERVER types;
