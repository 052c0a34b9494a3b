-- Too many bad records: max_bad_ratio, limits of the quarantine (I32), and a quarantine that cannot be written (I33).
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA bad_records;
SET search_path = bad_records;
CREATE SERVER bad_records FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (id int, ts timestamptz) SERVER bad_records OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('seen', 'SELECT sum(1 / id) AS x, count(*) AS n FROM s');
-- a call with so many records, and among them undecodable, unconvertible, poisoned ones and tombstones; what becomes of it
CREATE FUNCTION feed(good int, undecodable int DEFAULT 0, unconvertible int DEFAULT 0, poisoned int DEFAULT 0, tombstones int DEFAULT 0) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result record;
BEGIN
  SELECT * INTO result FROM streamagg.push('bad_records.s', array_fill('{"id": 1, "ts": "2024-01-01T00:00:00Z"}'::text, ARRAY[good]) || array_fill('{'::text, ARRAY[undecodable])
    || array_fill('{"id": "x", "ts": "2024-01-01T00:00:00Z"}'::text, ARRAY[unconvertible]) || array_fill('{"id": 0, "ts": "2024-01-01T00:00:00Z"}'::text, ARRAY[poisoned])
    || array_fill(NULL::text, ARRAY[tombstones]));
  RETURN format('%s of %s accepted, %s quarantined, %s dropped', result.accepted, result.read, result.quarantined, result.dropped);
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE VIEW kept AS SELECT next_offset, accepted, quarantined, dropped, (SELECT count(*) FROM streamagg.quarantine q WHERE q.stream = p.stream) AS kept, (SELECT n FROM seen) AS n
FROM streamagg.partitions p WHERE stream = 's'::regclass;
\pset tuples_only on
\pset format unaligned

-- I32: 1.0, the default, is never too much
SELECT 'I32', feed(0, 200), feed(1, 0, 200);
SELECT * FROM kept;
-- more than the share of the records, at least 100 of them, and the call fails and keeps nothing
ALTER FOREIGN TABLE s OPTIONS (ADD max_bad_ratio '0.5');
SELECT 'I32', feed(0, 50), feed(0, 51);
SELECT * FROM kept;
SELECT 'I32', feed(50, 0, 50), feed(50, 0, 51), feed(100, 50, 50), feed(99, 50, 51);
SELECT * FROM kept;
-- poisoned ones count; tombstones are read, and not bad
SELECT 'I32', feed(90, 30, 30, 31), feed(90, 30, 30, 30), feed(50, 60, 0, 0, 10), feed(50, 61, 0, 0, 10);
SELECT * FROM kept;
-- dropped ones count as well
ALTER FOREIGN TABLE s OPTIONS (ADD on_violation 'drop', ADD on_decode_error 'drop');
SELECT 'I32', feed(50, 25, 25), feed(50, 25, 26);
SELECT * FROM kept;
ALTER FOREIGN TABLE s OPTIONS (SET max_bad_ratio '0', DROP on_violation, DROP on_decode_error);
SELECT 'I32', feed(1000), feed(1000, 1);
ALTER FOREIGN TABLE s OPTIONS (SET max_bad_ratio '0.015');
SELECT 'I32', feed(0, 1), feed(0, 2), feed(985, 15), feed(984, 16);
-- fewer than 100 are judged as if they were 100, and 100 as they are
ALTER FOREIGN TABLE s OPTIONS (SET max_bad_ratio '0.991');
SELECT 'I32', feed(0, 99), feed(0, 100);
-- the message names stream, numbers and remedy
SELECT streamagg.push('s', array_fill('secret'::text, ARRAY[101]));
SELECT * FROM kept;
ALTER FOREIGN TABLE s OPTIONS (DROP max_bad_ratio);

-- I33: where quarantine cannot be written nothing is
ALTER TABLE streamagg.quarantine_log ADD CONSTRAINT refuse CHECK (record_offset < 0) NOT VALID;
SELECT 'I33', feed(2, 1), feed(2, 0, 1), feed(2, 0, 0, 1);
SELECT * FROM kept;
SELECT 'I33', feed(1);
ALTER TABLE streamagg.quarantine_log DROP CONSTRAINT refuse;
SELECT 'I33', feed(2, 1, 1, 1);
SELECT * FROM kept;

-- I32: quarantine is capped by number and age. A session looks once a minute, so a new one each time; this waits until it has the settings
\o /dev/null
ALTER SYSTEM SET streamagg.quarantine_max_rows = 5;
SELECT pg_reload_conf();
\c -
SET search_path = bad_records;
\set ECHO none
SELECT 'SELECT pg_sleep(0.02) WHERE current_setting(''streamagg.quarantine_max_rows'') <> ''5''' FROM generate_series(1, 1000) \gexec
\set ECHO all
\o
SHOW streamagg.quarantine_max_rows;
CREATE FOREIGN TABLE other (ts timestamptz) SERVER bad_records OPTIONS (event_time 'ts');
DELETE FROM streamagg.quarantine_log;
INSERT INTO streamagg.quarantine_log SELECT 's', 9, i, 'decode', '22P02', 'old', NULL, NULL, NULL, now() - i * interval '1 h', 'new' FROM generate_series(1, 20) i;
INSERT INTO streamagg.quarantine_log SELECT 'other', 9, i, 'decode', '22P02', 'old', NULL, NULL, NULL, now() - i * interval '1 h', 'new' FROM generate_series(1, 6) i;
SELECT streamagg.create_aggregate('others', 'SELECT count(*) AS n FROM other');
SELECT accepted FROM streamagg.push('other', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
-- without a bad record nobody looks
SELECT feed(1);
SELECT count(*) FROM streamagg.quarantine;
SELECT feed(1, 1);
SELECT stream, reason, array_agg(record_offset ORDER BY received_at DESC) FROM streamagg.quarantine WHERE partition = 9 GROUP BY 1, 2 ORDER BY 1;
SELECT count(*) FROM streamagg.quarantine WHERE stream = 's'::regclass;
SELECT event, detail FROM streamagg.events WHERE event = 'trim_quarantine';
\o /dev/null
ALTER SYSTEM RESET streamagg.quarantine_max_rows;
ALTER SYSTEM SET streamagg.quarantine_keep = '1 h';
SELECT pg_reload_conf();
\c -
SET search_path = bad_records;
\set ECHO none
SELECT 'SELECT pg_sleep(0.02) WHERE current_setting(''streamagg.quarantine_keep'') <> ''1h''' FROM generate_series(1, 1000) \gexec
\set ECHO all
\o
SHOW streamagg.quarantine_keep;
SHOW streamagg.quarantine_max_rows;
DELETE FROM streamagg.quarantine_log;
INSERT INTO streamagg.quarantine_log SELECT 's', 9, i, 'decode', '22P02', 'old', NULL, NULL, NULL, now() - i * interval '25 min', 'new' FROM generate_series(1, 20) i;
SELECT feed(1, 10);
SELECT reason, count(*) FROM streamagg.quarantine GROUP BY 1 ORDER BY 1;
SELECT event, detail FROM streamagg.events WHERE event = 'trim_quarantine' ORDER BY at;
-- the counters stay: every record is in one of them
SELECT next_offset = accepted + quarantined + dropped + tombstones AND read = next_offset, quarantined > (SELECT count(*) FROM streamagg.quarantine) FROM streamagg.partitions WHERE stream = 's'::regclass;
\o /dev/null
ALTER SYSTEM RESET streamagg.quarantine_keep;
SELECT pg_reload_conf();
\o

SET client_min_messages = warning;
DROP SCHEMA bad_records CASCADE;
DROP SERVER bad_records;
