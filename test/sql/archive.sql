-- The archive: every accepted row, protected, with what no column holds; it follows the stream's columns.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA archive;
SET search_path = archive;
CREATE SERVER archive FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (
  k text, ip text OPTIONS (path 'net.ip', protect 'mask'), n int CHECK (n < 100), ts timestamptz NOT NULL
) SERVER archive OPTIONS (event_time 'ts', watermark_delay '10 s', archive 'on');
-- CREATE makes no table: a dump brings it; the first use does
SELECT to_regclass('s_archive');
SELECT * FROM streamagg.push('s', ARRAY['{"k": "a", "n": 1, "ts": "2024-01-01T00:00:10Z", "net": {"ip": "192.168.100.200", "port": 5}, "more": [1, {"x": null}]}',
  '{"k": "b", "n": 2, "ts": "2024-01-01T00:01:00Z", "net": {"ip": "192.168.100.201"}}', '{"n": 100, "ts": "2024-01-01T00:00:00Z"}', '{', NULL,
  '{"ts": "2024-01-01T00:00:30Z", "net": "192.168.100.202", "n": 3}', '{"ts": "2024-01-01T00:00:31Z", "net": {"ip": null}, "huge": 1e999999, "n": 4}'], 3);
SELECT k, ip, n, ts, rest, _partition, _offset, _watermark FROM s_archive ORDER BY _offset;
-- of a stream without an aggregate, too; accepted is what was added
SELECT accepted = (SELECT count(*) FROM s_archive) FROM streamagg.partitions WHERE stream = 's'::regclass;
SELECT count(DISTINCT _received_at), bool_and(_received_at BETWEEN now() - interval '1 min' AND clock_timestamp()) FROM s_archive;
-- the watermark that the row met: its partition's before it, or the closing one at the batch's start
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:20Z", "n": 5}', '{"ts": "2024-01-01T00:02:00Z", "n": 6}', '{"ts": "2024-01-01T00:02:00Z", "n": 7}'], 3);
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:20Z", "n": 8}'], 4);
SELECT n, _partition, _offset, _watermark FROM s_archive WHERE n > 4 ORDER BY n;
-- columns and their comments; partitions are days of UTC
SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum) FROM pg_attribute
WHERE attrelid = 's_archive'::regclass AND attnum > 0 ORDER BY attnum;
SELECT replace(inhrelid::regclass::text, to_char(now() AT TIME ZONE 'UTC' + i * interval '1 day', 'YYYYMMDD'), 'DAY+' || i)
FROM (SELECT inhrelid, row_number() OVER (ORDER BY inhrelid::regclass::text) - 1 AS i FROM pg_inherits WHERE inhparent = 's_archive'::regclass) x;

-- what an aggregate refuses was not accepted
SELECT streamagg.create_aggregate('inverse', 'SELECT sum(1 / n) AS s FROM s');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:03:00Z", "n": 20}', '{"ts": "2024-01-01T00:09:00Z", "n": 0}', '{"ts": "2024-01-01T00:03:01Z", "n": 21}'], 3);
SELECT n, _offset, _watermark FROM s_archive WHERE n IN (0, 20, 21) ORDER BY _offset;
-- what is rolled back was never there
BEGIN;
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:03:00Z", "n": 30}']);
ROLLBACK;
SELECT count(*) FROM s_archive WHERE n = 30;

-- columns that are added and renamed are followed; one that takes the name of ours as well
ALTER FOREIGN TABLE s ADD COLUMN more jsonb, ADD COLUMN rest varchar(5) COLLATE "C";
ALTER FOREIGN TABLE s RENAME COLUMN k TO "a ""key""";
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:04:00Z", "k": "c", "n": 40, "more": {}, "rest": "x", "other": true}']);
SELECT "a ""key""", n, more, rest, _rest FROM s_archive WHERE _offset < 1 OR n = 40 ORDER BY n;
SELECT attname, attcollation::regcollation FROM pg_attribute WHERE attrelid = 's_archive'::regclass AND attname = 'rest';
-- a dropped one stays for the rows that have it
ALTER FOREIGN TABLE s DROP COLUMN more;
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:04:00Z", "n": 41, "more": 1}']);
SELECT n, more, _rest FROM s_archive WHERE n IN (40, 41) ORDER BY n;
-- another type is refused, until its column has a place of its own
ALTER FOREIGN TABLE s ALTER COLUMN rest TYPE int;
ALTER FOREIGN TABLE s ADD COLUMN more int;
ALTER TABLE s_archive RENAME COLUMN more TO more_before;
ALTER FOREIGN TABLE s ADD COLUMN more int;
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:04:00Z", "n": 42, "more": 1}']);
SELECT n, more_before, more FROM s_archive WHERE n BETWEEN 40 AND 42 ORDER BY n;
-- names that are the archive's
ALTER FOREIGN TABLE s ADD COLUMN _offset bigint;
ALTER FOREIGN TABLE s RENAME COLUMN rest TO _rest;

-- off: no more rows, the table stays; on again: it goes on
ALTER FOREIGN TABLE s OPTIONS (SET archive 'off');
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:05:00Z", "n": 50}']);
ALTER FOREIGN TABLE s OPTIONS (SET archive 'on');
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:05:00Z", "n": 51}']);
SELECT n FROM s_archive WHERE n >= 50;
-- a document that some column has as a whole leaves nothing
CREATE FOREIGN TABLE whole (doc jsonb OPTIONS (path '$'), ts timestamptz) SERVER archive OPTIONS (event_time 'ts', archive 'on');
CREATE FOREIGN TABLE others (others jsonb OPTIONS (meta 'rest'), ts timestamptz) SERVER archive OPTIONS (event_time 'ts', archive 'on');
CREATE FOREIGN TABLE none (at timestamptz OPTIONS (meta 'timestamp')) SERVER archive OPTIONS (event_time 'at', archive 'on');
SELECT count(streamagg.push(t::regclass, ARRAY['{"ts": "2024-01-01T00:00:00Z", "x": 1}', '{}'])) FROM unnest(ARRAY['whole', 'others', 'none']) t;
SELECT doc, rest FROM whole_archive;
SELECT others, rest FROM others_archive;
SELECT rest FROM none_archive;

-- columns that no aggregate reads are kept, protected ones too, each row its own
SET client_min_messages = error;
CREATE FOREIGN TABLE many (v text, h text OPTIONS (protect 'sha256'), ts timestamptz) SERVER archive OPTIONS (event_time 'ts', archive 'on');
RESET client_min_messages;
SELECT streamagg.create_aggregate('many_n', 'SELECT count(*) AS n FROM many');
SELECT accepted FROM streamagg.push('many', (SELECT array_agg(format('{"ts": "2024-01-01T00:00:00Z", "v": "%s", "h": "%s"}', i, i)) FROM generate_series(1, 3000) i));
SELECT count(DISTINCT v), count(DISTINCT h), bool_and(h = encode(sha256(v::bytea), 'hex')) FROM many_archive;

-- a name of 63 bytes, another relation of the archive's name, days whose names are taken
CREATE FOREIGN TABLE "sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ 1234567" (ts timestamptz) SERVER archive OPTIONS (event_time 'ts');
CREATE TABLE "sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ_archive" ();
ALTER FOREIGN TABLE "sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ 1234567" OPTIONS (archive 'on');
DROP TABLE "sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ_archive";
ALTER FOREIGN TABLE "sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ 1234567" OPTIONS (archive 'on');
SELECT accepted FROM streamagg.push('"sixty-three bytes: ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ 1234567"', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
SELECT relname, relkind FROM pg_class WHERE relname LIKE 'sixty%' AND relkind = 'p';
CREATE FOREIGN TABLE t (ts timestamptz) SERVER archive OPTIONS (event_time 'ts', archive 'on');
DO $$ BEGIN
  EXECUTE format('CREATE TYPE t_archive_p%s AS (x int)', to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'));
  EXECUTE format('CREATE TABLE t_archive_p%s ()', to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD'));
END $$;
SELECT accepted FROM streamagg.push('t', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
SELECT count(*) FROM pg_inherits WHERE inhparent = 't_archive'::regclass AND inhrelid::regclass::text ~ '_p[0-9]{8}_1$';

-- 10 MB in a value: kept whole
CREATE FOREIGN TABLE large (v text, ts timestamptz) SERVER archive OPTIONS (event_time 'ts', archive 'on', max_message_bytes '30MB');
SELECT accepted FROM streamagg.push('large', ARRAY[format('{"ts": "2024-01-01T00:00:00Z", "v": "%s", "w": "%s"}', repeat('v', 10000000), repeat('w', 10000000))]);
SELECT length(v), length(rest ->> 'w') FROM large_archive;
DROP FOREIGN TABLE s CASCADE;
SELECT count(*) FROM s_archive;
SET client_min_messages = warning;
DROP SCHEMA archive CASCADE;
DROP SERVER archive;
SELECT count(*) FROM streamagg.archive_catalog;
