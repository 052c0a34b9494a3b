-- Where a batch fails for its rows and where for something else: E26, I14, expressions of CHECKs that raise, triggers that push.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA poison_batch;
SET search_path = poison_batch;
CREATE SERVER poison_batch FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FUNCTION m(id int, n text DEFAULT '1') RETURNS text LANGUAGE sql RETURN format('{"id": %s, "n": %s, "ts": "2024-01-01T00:00:00Z"}', id, n);
-- the message of an error, with its code
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE FOREIGN TABLE s (id int, n int, ts timestamptz) SERVER poison_batch OPTIONS (event_time 'ts');
CREATE VIEW progress AS SELECT next_offset, read, accepted, quarantined, (SELECT count(*) FROM streamagg.quarantine q WHERE q.stream = p.stream) AS kept FROM streamagg.partitions p WHERE stream = 's'::regclass;
CREATE TABLE d (id int, divisor int);
INSERT INTO d SELECT i, 1 FROM generate_series(1, 2000) i;
SELECT streamagg.create_aggregate('joined', 'SELECT s.id, sum(s.n / d.divisor) AS x FROM s JOIN d ON d.id = s.id GROUP BY 1');
SELECT streamagg.create_aggregate('counted', 'SELECT count(*) AS n FROM s');
SELECT accepted FROM streamagg.push('s', ARRAY[m(1), m(2)]);
\pset tuples_only on
\pset format unaligned

-- E26: where every row fails it is not for the rows: the call fails, nothing is kept
UPDATE d SET divisor = 0;
SELECT 'E26', told('SELECT streamagg.push(''s'', ARRAY[m(1), m(2)])');
SELECT 'E26', told('SELECT streamagg.push(''s'', (SELECT array_agg(m(i)) FROM generate_series(1, 1000) i))');
SELECT * FROM progress;
SELECT n FROM counted;
-- what is put right is all it takes
UPDATE d SET divisor = 1;
SELECT accepted FROM streamagg.push('s', ARRAY[m(1), m(2)]);
-- some rows of many, wherever they stand
UPDATE d SET divisor = 0 WHERE id BETWEEN 990 AND 1000;
SELECT accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(m(i) ORDER BY i) FROM generate_series(1, 1000) i));
SELECT accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(m(i) ORDER BY i DESC) FROM generate_series(1, 1000) i));
-- what no row is to blame for: the error is the server's or the definition's, and no row is tried alone
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now' USING errcode = TG_ARGV[0]; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON counted_state FOR EACH ROW EXECUTE FUNCTION refuse('42501');
SELECT told('SELECT streamagg.push(''s'', ARRAY[m(1)])');
DROP TRIGGER refuse ON counted_state;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON counted_state FOR EACH ROW EXECUTE FUNCTION refuse('53100');
SELECT told('SELECT streamagg.push(''s'', ARRAY[m(1)])');
DROP TRIGGER refuse ON counted_state;
SELECT * FROM progress;
SELECT n FROM counted;

-- I14: a stored sum at the end of its type: no row is quarantined for it
SELECT streamagg.create_aggregate('sums', 'SELECT id % 2 AS k, min(id) AS least, sum(n) AS total, count(*) AS rows, bool_or(n > 0) AS any FROM s GROUP BY 1');
SELECT accepted FROM streamagg.push('s', ARRAY[m(1), m(2)]);
UPDATE sums_state SET total = 9223372036854775807 WHERE k = 1;
SELECT 'I14', told('SELECT streamagg.push(''s'', ARRAY[m(2), m(3), m(4), m(5)])');
UPDATE sums_state SET total = 0, rows = 9223372036854775807 WHERE k = 1;
SELECT 'I14', told('SELECT streamagg.push(''s'', ARRAY[m(3)])');
SELECT * FROM progress;
-- up to the end it goes, and a negative value brings it back
UPDATE sums_state SET total = 9223372036854775806, rows = 0 WHERE k = 1;
SELECT accepted FROM streamagg.push('s', ARRAY[m(1)]);
SELECT total FROM sums WHERE k = 1;
SELECT accepted FROM streamagg.push('s', ARRAY[m(1, '-5')]);
SELECT total FROM sums WHERE k = 1;
SELECT streamagg.drop_aggregate('sums');
-- an overflow of the row's own is the row's
SELECT streamagg.create_aggregate('products', 'SELECT sum(n * 100000) AS x, count(*) AS rows FROM s');
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[m(1), m(1, '1000000'), m(1)]);
SELECT stage, code, record ->> 'n' FROM streamagg.quarantine WHERE code = '22003';
SELECT x, rows FROM products;
SELECT streamagg.drop_aggregate('products');

-- expressions of CHECKs and domains that raise: the row's own fault, by the rule's name
CREATE DOMAIN inverse AS int CONSTRAINT inverted CHECK (1 / value >= 0);
CREATE FUNCTION strict_check(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN IF $1 = 3 THEN RAISE 'secret %', $1; ELSIF $1 = 4 THEN RAISE insufficient_privilege; ELSIF $1 = 5 THEN PERFORM 1 FROM nowhere; END IF; RETURN true; END $$;
CREATE FOREIGN TABLE c (a int CONSTRAINT inverted CHECK (1 / a >= 0), b inverse, z int CONSTRAINT strict CHECK (strict_check(z)), e int, ts timestamptz, CONSTRAINT pair CHECK (a / e > -5))
  SERVER poison_batch OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('checked', 'SELECT count(*) AS n FROM c');
SELECT accepted, quarantined FROM streamagg.push('c', ARRAY['{"a": 0, "e": 0, "ts": "2024-01-01T00:00:00Z"}', '{"b": 0, "ts": "2024-01-01T00:00:00Z"}', '{"z": 3, "a": 0, "ts": "2024-01-01T00:00:00Z"}',
  '{"a": 1, "e": 0, "ts": "2024-01-01T00:00:00Z"}', '{"a": 1, "b": 1, "z": 1, "ts": "2024-01-01T00:00:00Z"}', '{"z": 3, "b": 1, "e": 3, "ts": "2024-01-01T00:00:00Z"}']);
SELECT record_offset, stage, code, column_name, failed_rules, reason, record - 'ts' FROM streamagg.quarantine WHERE stream = 'c'::regclass ORDER BY 1;
-- but not what the definition is to blame for
SELECT told($$SELECT streamagg.push('c', ARRAY['{"z": 4, "ts": "2024-01-01T00:00:00Z"}'])$$);
SELECT told($$SELECT streamagg.push('c', ARRAY['{"z": 5, "ts": "2024-01-01T00:00:00Z"}'])$$);
SELECT next_offset FROM streamagg.partitions WHERE stream = 'c'::regclass;

-- a trigger of a state table may push into another stream, not into its own
CREATE FOREIGN TABLE other (id int CHECK (id <> 13), ts timestamptz) SERVER poison_batch OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('others', 'SELECT sum(100 / id) AS x, count(*) AS n FROM other');
CREATE FUNCTION pass_on() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM streamagg.push(TG_ARGV[0]::regclass, ARRAY[format('{"id": %s, "ts": "2024-01-01T00:00:00Z"}', NEW.id)]); RETURN NULL; END $$;
CREATE TRIGGER pass_on AFTER INSERT OR UPDATE ON joined_state FOR EACH ROW EXECUTE FUNCTION pass_on('poison_batch.other');
INSERT INTO d VALUES (0, 1), (13, 1), (14, 0);
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[m(5), m(14), m(7), m(0), m(13)]);
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[m(5)]);
SELECT x, n FROM others;
SELECT record_offset, stage, code FROM streamagg.quarantine WHERE stream = 'other'::regclass ORDER BY 1;
SELECT next_offset, read, accepted, quarantined FROM streamagg.partitions WHERE stream = 'other'::regclass;
DROP TRIGGER pass_on ON joined_state;
CREATE TRIGGER pass_on AFTER INSERT OR UPDATE ON joined_state FOR EACH ROW EXECUTE FUNCTION pass_on('poison_batch.s');
SELECT told('SELECT streamagg.push(''s'', ARRAY[m(5)])');
-- nor round about
DROP TRIGGER pass_on ON joined_state;
CREATE TRIGGER pass_on AFTER INSERT OR UPDATE ON joined_state FOR EACH ROW EXECUTE FUNCTION pass_on('poison_batch.other');
CREATE FUNCTION pass_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM streamagg.push('poison_batch.s', ARRAY[poison_batch.m(1)]); RETURN NULL; END $$;
CREATE TRIGGER pass_back AFTER INSERT OR UPDATE ON others_state FOR EACH ROW EXECUTE FUNCTION pass_back();
SELECT left(told('SELECT streamagg.push(''s'', ARRAY[m(5)])'), 5);
DROP TRIGGER pass_on ON joined_state;
SELECT accepted FROM streamagg.push('s', ARRAY[m(5)]);
SELECT read = accepted + quarantined AND next_offset = read AND quarantined = kept FROM progress;

SET client_min_messages = warning;
DROP SCHEMA poison_batch CASCADE;
DROP SERVER poison_batch;
