-- State tables that somebody has changed: what runs there runs as the stream's owner and can change nothing else, or is refused (S19–S24).
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE ROLE targets_owner;
CREATE ROLE targets_other;
CREATE SCHEMA targets;
GRANT ALL ON SCHEMA targets TO targets_owner, targets_other;
SET search_path = targets;
CREATE SERVER targets FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER targets TO targets_owner;
CREATE TABLE secret (t text);
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  hint text;
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(hint, ''));
END $$;
\set push 'SELECT accepted, quarantined FROM streamagg.push(''s'', ARRAY[''{"k": "a", "ts": "2024-01-01T00:00:00Z"}''])'
SET ROLE targets_owner;
CREATE FOREIGN TABLE s (k text, ts timestamptz) SERVER targets OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('agg', 'SELECT k, count(*) AS n FROM s GROUP BY 1');
-- a trigger of the owner's is run as the owner, whoever pushes, a superuser too; it cannot get back what the pusher may
CREATE TABLE seen (role text, session text, path text);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO targets.seen VALUES (current_user, session_user, current_setting('search_path')); RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON agg_state FOR EACH ROW EXECUTE FUNCTION look();
RESET ROLE;
:push;
SELECT 'S19–S24' AS fault, role, session = session_user AS session, path FROM seen;
\pset tuples_only on
\pset format unaligned
CREATE FUNCTION attack(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  SET LOCAL ROLE targets_owner;
  EXECUTE format('CREATE OR REPLACE FUNCTION targets.look() RETURNS trigger LANGUAGE plpgsql AS %L', format('BEGIN EXECUTE %L; RETURN NEW; END', command));
  RESET ROLE;
  -- PostgreSQL 16 words one of these anew
  RETURN command || ': ' || replace(targets.told($q$SELECT streamagg.push('targets.s', ARRAY['{"k": "a", "ts": "2024-01-01T00:00:00Z"}'])$q$),
    'must be superuser to alter superuser roles or change superuser attribute', 'permission denied to alter role');
END $$;
SELECT 'S19–S24', attack(c) FROM unnest(ARRAY['INSERT INTO targets.secret VALUES (1)', 'RESET ROLE', 'SET ROLE targets_other', 'SET SESSION AUTHORIZATION DEFAULT', 'RESET SESSION AUTHORIZATION',
  'ALTER ROLE targets_owner SUPERUSER', 'CREATE TEMP TABLE t (a int)', 'DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'UPDATE streamagg.stream_progress SET closing = ''infinity''', 'SELECT secret FROM streamagg.key_store',
  'SELECT streamagg.create_key(''stolen'')', 'SET search_path = targets']) c;
SELECT count(*) FROM secret;
SHOW search_path;
SELECT current_user = session_user, rolsuper FROM pg_roles WHERE rolname = 'targets_owner';
DROP TRIGGER t ON agg_state;

-- rules, row security, another owner, another kind of relation: refused, and nothing is kept
CREATE RULE r AS ON INSERT TO agg_state DO ALSO INSERT INTO targets.seen VALUES ('rule');
SELECT told(:'push');
DROP RULE r ON agg_state;
ALTER TABLE agg_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SELECT told(:'push');
ALTER TABLE agg_state DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE agg_state OWNER TO targets_other;
SELECT told(:'push');
ALTER TABLE agg_state OWNER TO targets_owner;
-- E17: the owner's own rights are what counts
REVOKE INSERT ON agg_state FROM targets_owner;
SELECT 'E17', told(:'push');
GRANT INSERT ON agg_state TO targets_owner;
SELECT next_offset, read, accepted FROM streamagg.partitions WHERE stream = 's'::regclass;
:push;
-- E15: nobody else writes to it; the view takes no rows at all, the owner's neither
GRANT SELECT ON agg TO targets_other;
SET ROLE targets_other;
SELECT 'E15', c, left(told(c), 5) FROM unnest(ARRAY['INSERT INTO agg_state VALUES (''x'', 1)', 'UPDATE agg_state SET n = 0', 'DELETE FROM agg_state', 'TRUNCATE agg_state', 'ALTER TABLE agg_state ADD x int',
  'CREATE TRIGGER u BEFORE INSERT ON agg_state FOR EACH ROW EXECUTE FUNCTION look()', 'UPDATE agg SET n = 0']) c;
RESET ROLE;
SELECT k, n FROM agg;

-- a partition is no way around: ALTER TABLE … OWNER TO leaves them behind
SET ROLE targets_owner;
SELECT streamagg.create_aggregate('parted', 'SELECT w.window_start, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1', retention => '100 days');
RESET ROLE;
:push;
SELECT inhrelid::regclass AS partition FROM pg_inherits WHERE inhparent = 'parted_state'::regclass \gset
ALTER TABLE :partition OWNER TO targets_other;
SELECT told(:'push');
ALTER TABLE :partition OWNER TO targets_owner;
:push;
SELECT streamagg.drop_aggregate('parted');
-- S38: what a view leaves out, because it is not final or by HAVING, a function of the reader's does not see either
SET ROLE targets_owner;
SELECT streamagg.create_aggregate('finals', $$SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2$$, emit => 'final');
SELECT streamagg.create_aggregate('many', 'SELECT k, count(*) AS n FROM s GROUP BY 1 HAVING count(*) > 1');
GRANT SELECT ON finals, many TO targets_other;
SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'targets'::regnamespace AND relkind = 'v' ORDER BY 1;
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "shown", "ts": "2024-01-01T00:00:30Z"}', '{"k": "shown", "ts": "2024-01-01T00:00:40Z"}', '{"k": "hidden", "ts": "2024-01-01T00:01:10Z"}']);
SET ROLE targets_other;
CREATE FUNCTION peek(anyelement) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'peeks at %', $1; RETURN true; END $$;
SELECT 'S38', k FROM many WHERE peek(k);
SELECT 'S38', n FROM finals WHERE peek(window_start);
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA targets CASCADE;
DROP SERVER targets;
DROP ROLE targets_owner, targets_other;
