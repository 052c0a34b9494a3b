-- Who may do what: the stream's owner, members, others, the three roles; whose the objects are.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE ROLE rights_owner;
CREATE ROLE rights_member IN ROLE rights_owner;
CREATE ROLE rights_other;
CREATE ROLE rights_reader IN ROLE streamagg_reader;
CREATE ROLE rights_operator IN ROLE streamagg_operator;
CREATE SCHEMA rights;
GRANT ALL ON SCHEMA rights TO rights_owner;
GRANT USAGE ON SCHEMA rights TO PUBLIC;
SET search_path = rights;
CREATE SERVER rights FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER rights_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
GRANT USAGE ON FOREIGN SERVER rights, rights_kafka TO rights_owner;
-- what a role is told, without the texts that are PostgreSQL's
CREATE FUNCTION rights.told(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE;
END $$;

SET ROLE rights_owner;
CREATE FOREIGN TABLE s (k text, ts timestamptz) SERVER rights OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE remote (k text, ts timestamptz) SERVER rights_kafka OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate('by_owner', 'SELECT k, count(*) AS n FROM s GROUP BY 1');
SELECT streamagg.create_aggregate('remote_n', 'SELECT count(*) AS n FROM remote');
-- whoever makes it, all objects belong to the stream's owner
SET ROLE rights_member;
SELECT streamagg.create_aggregate('by_member', 'SELECT k, count(*) AS n FROM s GROUP BY 1');
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "ts": "2024-01-01T00:00:00Z"}']);
RESET ROLE;
SELECT streamagg.create_aggregate('by_superuser', 'SELECT k, count(*) AS n FROM s GROUP BY 1');
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "ts": "2024-01-01T00:00:00Z"}']);
SELECT relname, pg_get_userbyid(relowner) AS owner, relacl FROM pg_class
WHERE relnamespace = 'rights'::regnamespace AND relname ~ '^by_' AND relkind IN ('r', 'v') ORDER BY 1;
SELECT event, replace(actor, session_user, 'superuser') AS actor FROM streamagg.events WHERE stream = 'rights.s'::regclass AND event = 'create_aggregate' ORDER BY at;
-- where the owner may not create, nobody makes it for him
CREATE SCHEMA rights_closed;
SELECT streamagg.create_aggregate('rights_closed.x', 'SELECT count(*) AS n FROM rights.s');

-- S29, E15: others have nothing of another's
SET ROLE rights_other;
SELECT streamagg.push('s', ARRAY['{}']);
SELECT c AS call, told('SELECT ' || c) FROM unnest(ARRAY['streamagg.push(''s'', ARRAY[''{}''])',
  'streamagg.create_aggregate(''x'', ''SELECT count(*) FROM s'')', 'streamagg.drop_aggregate(''by_owner'')', 'streamagg.start(''remote'')',
  'streamagg.stop(''remote'')', 'streamagg.restart(''remote'')', 'streamagg.wait_for(''remote'')', 'streamagg.test_connection(''rights_kafka'')',
  'count(*) FROM s', 'count(*) FROM by_owner', 'count(*) FROM by_owner_state', 'count(*) FROM by_owner_query']) c;
SELECT c AS command, told(c) FROM unnest(ARRAY['INSERT INTO by_owner_state VALUES (''b'', 1, now())', 'UPDATE by_owner_state SET n = 0',
  'DELETE FROM by_owner_state', 'TRUNCATE by_owner_state', 'INSERT INTO by_owner VALUES (''b'', 1)', 'DROP VIEW by_owner', 'DROP FOREIGN TABLE s CASCADE',
  'ALTER FOREIGN TABLE s OPTIONS (ADD on_violation ''drop'')', 'CREATE FOREIGN TABLE t (ts timestamptz) SERVER rights']) c;
SELECT streamagg.start_all(), streamagg.stop_all();
-- the views of results are granted as any view: no right on state or stream is needed
RESET ROLE;
GRANT SELECT ON by_owner TO rights_other;
SET ROLE rights_other;
SELECT k, n, is_final FROM by_owner;
-- internal tables and functions, and the views of the extension: for its reader
SELECT relname, told(format('TABLE streamagg.%I', relname)), told(format('DELETE FROM streamagg.%I', relname)) FROM pg_class
WHERE relnamespace = 'streamagg'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'merge_rules' ORDER BY relkind, relname;
SELECT f, told('SELECT * FROM streamagg.' || f) FROM unnest(ARRAY['workers()', 'count_groups(''by_owner_state'')', 'topic(1)',
  'partition_watermark(1, now())', 'check_installation()', 'closed_until(''by_owner_state'')', 'tumble(now(), ''1 h'')', 'version()']) f;
SET ROLE rights_reader;
SELECT relname, told(format('TABLE streamagg.%I', relname)), told(format('DELETE FROM streamagg.%I', relname)) FROM pg_class
WHERE relnamespace = 'streamagg'::regnamespace AND relkind IN ('r', 'v') AND relname <> 'merge_rules' ORDER BY relkind, relname;
SELECT aggregate, rows_in, groups FROM streamagg.aggregates WHERE stream = 's'::regclass ORDER BY aggregate::text;
-- it counts states, nothing else: a view would run its author's functions as somebody else
CREATE FUNCTION pg_temp.who() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', current_user; RETURN true; END $$;
CREATE TEMP VIEW lured AS SELECT 1 AS x WHERE pg_temp.who();
SELECT streamagg.count_groups(t) FROM unnest(ARRAY['lured', 'pg_authid', 'streamagg.key_store', 's']::regclass[]) t;
DROP VIEW lured;
DROP FUNCTION pg_temp.who();
SELECT topic, next_offset FROM streamagg.partitions WHERE stream = 's'::regclass;
SELECT told('SELECT streamagg.stop(''remote'')');
-- the operator starts and stops any stream, and reads; but feeds none
SET ROLE rights_operator;
SELECT streamagg.stop('remote'), told('SELECT streamagg.wait_for(''remote'')'), told('SELECT streamagg.push(''s'', ''{}'')'),
  told('SELECT streamagg.create_aggregate(''x'', ''SELECT count(*) FROM s'')'), told('SELECT streamagg.drop_aggregate(''by_owner'')');
SELECT count(*) FROM streamagg.streams WHERE stream = 's'::regclass;
-- start(): workers connect as the owner, who needs LOGIN and CONNECT
SELECT streamagg.start('remote');
RESET ROLE;
SELECT streamagg.start('remote');
ALTER ROLE rights_owner LOGIN;
SELECT format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT told('SELECT streamagg.start(''remote'')');
SELECT format('GRANT CONNECT ON DATABASE %I TO PUBLIC', current_database()) \gexec
BEGIN;
SELECT streamagg.start('remote');
SELECT streamagg.start('remote');
SELECT told('SELECT streamagg.wait_for(''remote'')');
ROLLBACK;
SELECT state FROM streamagg.streams WHERE stream = 'remote'::regclass;

-- the owner drops what others made
SET ROLE rights_owner;
SELECT streamagg.drop_aggregate('by_owner'), streamagg.drop_aggregate('by_member');
DROP VIEW by_superuser;
RESET ROLE;
-- E16: an owner cannot be dropped while he has streams
\set VERBOSITY sqlstate
DROP ROLE rights_owner;
\set VERBOSITY default
SET client_min_messages = warning;
DROP SCHEMA rights, rights_closed CASCADE;
DROP SERVER rights, rights_kafka CASCADE;
DROP ROLE rights_member, rights_other, rights_reader, rights_operator, rights_owner;
