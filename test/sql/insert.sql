-- INSERT into streams, as far as it needs no broker: what is refused, before one is looked for. (What is written: kafka/t/110_insert)
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA insert;
SET search_path = insert;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER insert FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');

-- a local stream has no topic
CREATE FOREIGN TABLE pushed (id int, ts timestamptz DEFAULT now()) SERVER local OPTIONS (event_time 'ts');
INSERT INTO pushed VALUES (1);
COPY pushed (id) FROM STDIN;
1
\.
CREATE TABLE parent (id int, ts timestamptz DEFAULT now()) PARTITION BY LIST (id);
ALTER TABLE parent ATTACH PARTITION pushed DEFAULT;
INSERT INTO parent VALUES (1);

-- clauses that make no sense, rows that are there
CREATE FOREIGN TABLE s (id int NOT NULL, v text CONSTRAINT few CHECK (v <> 'bad'), d date, n numeric, j jsonb, a int[], secret text OPTIONS (protect 'mask'),
  b bytea OPTIONS (encoding 'hex'), due timestamptz OPTIONS (encoding 'epoch_ms'), off bigint OPTIONS (meta 'offset'), ts timestamptz DEFAULT '2024-01-01') SERVER insert OPTIONS (event_time 'ts', topic 'topic');
INSERT INTO s VALUES (1) RETURNING id;
INSERT INTO s VALUES (1) ON CONFLICT DO NOTHING;
INSERT INTO s VALUES (1) ON CONFLICT (id) DO NOTHING;
UPDATE s SET id = 1;
DELETE FROM s;
TRUNCATE s;
CREATE VIEW checked AS SELECT * FROM s WHERE id > 1 WITH CHECK OPTION;
INSERT INTO checked VALUES (1);
CREATE TABLE routing (LIKE s) PARTITION BY LIST (id);
ALTER TABLE routing ATTACH PARTITION s DEFAULT;
INSERT INTO routing VALUES (1) RETURNING id;
INSERT INTO routing VALUES (1) ON CONFLICT DO NOTHING;
UPDATE routing SET v = '';
ALTER TABLE routing DETACH PARTITION s;
EXPLAIN (COSTS OFF) INSERT INTO s VALUES (1);
SELECT is_insertable_into FROM information_schema.tables WHERE table_schema = 'insert' AND table_name = 's';
BEGIN READ ONLY;
INSERT INTO s VALUES (1);
ROLLBACK;
-- without rows no broker is asked
INSERT INTO s SELECT 1 WHERE false;

-- rows that would go to quarantine, or come back as others
CREATE FUNCTION try(columns text, vals text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text;
BEGIN
  EXECUTE format('INSERT INTO insert.s (%s) VALUES (%s)', columns, vals);
  RETURN 'written';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
  RETURN concat_ws(' ', SQLSTATE, message);
END $$;
SELECT columns, left(vals, 40) AS vals, try(columns, vals) FROM (VALUES
  ('id', 'NULL'), ('v', '''a'''), ('id, v', '1, ''bad'''), ('id, ts', '1, NULL'), ('id, ts', '1, ''infinity'''), ('id, ts', '1, now() + interval ''1 h'''),
  ('id, secret', '1, ''x'''), ('id, off', '1, 7'), ('id, v', '1, repeat(''x'', 1100000)'),
  ('id, n', '1, ''NaN'''), ('id, n', '1, ''Infinity'''), ('id, d', '1, ''0044-03-15 BC'''), ('id, d', '1, ''294277-01-01'''), ('id, due', '1, ''infinity'''),
  ('id, j', '1, ''null'''), ('id, a', '1, ''[2:3]={1,2}'''), ('id, j', '1, (repeat(''['', 600) || repeat('']'', 600))::jsonb')) v (columns, vals);
-- S33: values of meta columns are not quoted; what a protected column reads is not written as a header either
CREATE FOREIGN TABLE m (part text OPTIONS (meta 'partition'), at text OPTIONS (meta 'timestamp'), ssn text OPTIONS (meta 'header:ssn', protect 'mask'), trace text OPTIONS (meta 'header:trace'),
  headers jsonb OPTIONS (meta 'headers'), ts timestamptz DEFAULT '2024-01-01') SERVER insert OPTIONS (event_time 'ts', topic 'topic');
INSERT INTO m (part) VALUES ('secret');
INSERT INTO m (part) VALUES ('99999999999');
INSERT INTO m (part) VALUES ('1 secret');
INSERT INTO m (at) VALUES ('secret');
INSERT INTO m (trace, headers) VALUES ('x', '{"ssn": "secret"}');
-- a name that no topic can have
DO $$ BEGIN EXECUTE format('ALTER FOREIGN TABLE m OPTIONS (SET topic %L)', repeat('x', 600)); END $$;
INSERT INTO m (trace) VALUES ('x');

-- the constraint and the column are named for programs, too
DO $$
DECLARE
  constraint_name text;
  table_name text;
BEGIN
  INSERT INTO s (id, v) VALUES (1, 'bad');
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS constraint_name = CONSTRAINT_NAME, table_name = TABLE_NAME;
  RAISE WARNING '% of %', constraint_name, table_name;
END $$;

-- rights are those of any table; the error of a row says no value
CREATE ROLE insert_writer;
GRANT USAGE ON SCHEMA insert TO insert_writer;
SET ROLE insert_writer;
INSERT INTO insert.s VALUES (1);
RESET ROLE;
GRANT INSERT (id, v) ON s TO insert_writer;
SET ROLE insert_writer;
INSERT INTO insert.s (id, v) VALUES (4711, 'bad');
INSERT INTO insert.s (id, d) VALUES (1, '2024-01-01');
RESET ROLE;

DROP SCHEMA insert CASCADE;
DROP SERVER local;
DROP SERVER insert;
DROP ROLE insert_writer;
