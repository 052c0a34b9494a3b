-- Who makes, uses and exports keys, what a key is made of, and what happens without one.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE ROLE keys_admin IN ROLE streamagg_admin;
CREATE ROLE keys_owner;
CREATE ROLE keys_other;
CREATE SCHEMA keys;
GRANT ALL ON SCHEMA keys TO PUBLIC;
SET search_path = keys;
CREATE SERVER keys FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER keys_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
GRANT USAGE ON FOREIGN SERVER keys, keys_kafka TO keys_owner, keys_other;
-- what a role is told, a path left out
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', code, message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned
SELECT current_setting('data_directory') || '/keys.key' AS file \gset
\set hex '000102030405060708090A0b0c0d0e0f101112131415161718191a1b1c1d1e1F'

-- S29: keys, their export and pseudonyms are not for everybody
SELECT proname, array_agg(coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC') ORDER BY 1) FROM pg_proc, aclexplode(proacl) a
WHERE pronamespace = 'streamagg'::regnamespace AND proname IN ('create_key', 'export_key', 'pseudonym') AND a.grantee <> proowner GROUP BY 1;
SELECT proname FROM pg_proc WHERE pronamespace = 'streamagg'::regnamespace AND proname IN ('create_key', 'export_key', 'pseudonym') AND proacl IS NULL;
SET ROLE keys_other;
SELECT 'S29 other', c, told('SELECT streamagg.' || c) FROM unnest(ARRAY['create_key(''k'')', 'export_key(''k'')', 'pseudonym(''pg_class'', ''c'', ''x'')']) c;
SET ROLE keys_admin;
SELECT 'S29 admin', c, told('SELECT streamagg.' || c) FROM unnest(ARRAY['create_key(''keys_a'')', 'export_key(''keys_a'')']) c;
RESET ROLE;
-- the right to call is not enough for the export
GRANT EXECUTE ON FUNCTION streamagg.export_key(text) TO keys_admin;
SET ROLE keys_admin;
SELECT 'S29 granted', told('SELECT streamagg.export_key(''keys_a'')');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION streamagg.export_key(text) FROM keys_admin;
SELECT 'S39: 256 bits, no two alike', streamagg.export_key('keys_a') ~ '^[0-9a-f]{64}$' FROM streamagg.create_key('keys_b');
SELECT count(DISTINCT streamagg.export_key(k)) FROM unnest(ARRAY['keys_a', 'keys_b', 'streamagg:quarantine']) k;
SELECT told('SELECT streamagg.export_key(''keys_none'')');
-- S31: no grants on the table, and no dump holds it
SELECT relacl IS NULL OR relacl::text = format('{%s=arwdDxt/%1$s}', relowner::regrole), (SELECT oid = ANY (extconfig) FROM pg_extension WHERE extname = 'streamagg') FROM pg_class WHERE oid = 'streamagg.key_store'::regclass;
SET ROLE keys_admin;
SELECT 'S31', c, told(c) FROM unnest(ARRAY['SELECT secret FROM streamagg.key_store', 'DELETE FROM streamagg.key_store', 'UPDATE streamagg.key_store SET owner = 10']) c;

-- names
SELECT left(n, 20), told(format('SELECT streamagg.create_key(%L)', n)) FROM unnest(ARRAY['keys_a', 'streamagg:mine', 'streamagg:quarantine', '', repeat('k', 64), 'S28 a"; drop--' || E'\n', repeat('ä', 31)]) n;
SELECT streamagg.create_key(NULL), streamagg.create_key('keys_null', NULL);
RESET ROLE;
SELECT name, source, owner::regrole, length(secret) FROM streamagg.key_store WHERE owner = 'keys_admin'::regrole ORDER BY name;

-- sources: not as text; env: for superusers, file: for those who may read the server's files (S10b)
SET client_min_messages = error;
COPY (SELECT :'hex') TO :'file';
SET ROLE keys_admin;
SELECT left(s, 6), replace(told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', s)), :'hex', 'LEAK') FROM unnest(ARRAY[:'hex', '', 'Random', 'file', 'vault:x', 'env:HOME', 'env:', 'file:' || :'file', 'file:/etc/passwd']) s;
RESET ROLE;
GRANT pg_read_server_files TO keys_admin;
SET ROLE keys_admin;
SELECT 'S10b', left(s, 9), told(format('SELECT streamagg.create_key(%L, %L)', 'keys_file', s)) FROM unnest(ARRAY['env:HOME', 'file:' || :'file']) s;
SELECT left(s, 12), told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', s)) FROM unnest(ARRAY['file:keys.key', 'file:', 'file:/nowhere', 'file:/etc', 'file:/dev/zero', 'file:/etc/passwd']) s;
RESET ROLE;
SELECT s, told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', s)) FROM unnest(ARRAY['env:', 'env:A=B', 'env:KEYS_NO_SUCH_VARIABLE', 'env:PATH']) s;
SELECT 'as it was in the file', streamagg.export_key('keys_file') = lower(:'hex');
-- what a file must hold: its content is not told
COPY (SELECT left(:'hex', 63)) TO :'file';
SELECT 'short', told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', 'file:' || :'file'));
COPY (SELECT :'hex' || ' ') TO :'file';
SELECT 'blank', told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', 'file:' || :'file'));
COPY (SELECT overlay(:'hex' PLACING 'secret' FROM 9)) TO :'file';
SELECT 'letters', told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', 'file:' || :'file'));
COPY (SELECT '') TO :'file';
SELECT 'empty', told(format('SELECT streamagg.create_key(%L, %L)', 'keys_s', 'file:' || :'file'));
-- a key is copied when it is made
SELECT 'copied', streamagg.export_key('keys_file') = lower(:'hex');
SELECT count(*) FROM streamagg.key_store WHERE name = 'keys_s';

-- a stream may be there before its key, and does nothing without it
SET ROLE keys_owner;
CREATE FOREIGN TABLE s (c text OPTIONS (protect 'hmac', protect_key 'keys_later'), ts timestamptz) SERVER keys OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE remote (c text OPTIONS (protect 'hmac', protect_key 'keys_later'), ts timestamptz) SERVER keys_kafka OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate('seen', 'SELECT c, count(*) AS n FROM s GROUP BY 1');
SELECT streamagg.create_aggregate('remote_seen', 'SELECT c, count(*) AS n FROM remote GROUP BY 1');
SELECT c, told('SELECT streamagg.' || c) FROM unnest(ARRAY['push(''s'', ''{}'')', 'start(''remote'')']) c;
RESET ROLE;
ALTER ROLE keys_owner LOGIN;
SELECT told('SELECT streamagg.start(''remote'')');
-- of another's key, too: the owner must be a member of the role that made it, whoever pushes
SELECT streamagg.create_key('keys_later') FROM set_config('role', 'keys_admin', false);
SET ROLE keys_owner;
SELECT told('SELECT streamagg.push(''s'', ''{}'')');
RESET ROLE;
SELECT c, told('SELECT streamagg.' || c) FROM unnest(ARRAY['push(''s'', ''{}'')', 'start(''remote'')', 'pseudonym(''s'', ''c'', ''x'')']) c;
SELECT next_offset FROM streamagg.partitions WHERE stream = 's'::regclass;
GRANT keys_admin TO keys_owner;
SET ROLE keys_owner;
SELECT accepted FROM streamagg.push('s', ARRAY['{"c": "x", "ts": "2024-01-01T00:00:00Z"}']);
-- S29: pseudonyms are for members of the stream's owner
SELECT c = streamagg.pseudonym('s', 'c', 'x') FROM seen;
SET ROLE keys_admin;
SELECT 'S29 admin', told('SELECT streamagg.pseudonym(''keys.s'', ''c'', ''x'')');
RESET ROLE;
SELECT 'S29 superuser', c = streamagg.pseudonym('s', 'c', 'x') FROM seen;
BEGIN;
SELECT streamagg.start('remote');
ROLLBACK;
REVOKE keys_admin FROM keys_owner;
SELECT 'taken away', told('SELECT streamagg.push(''s'', ''{}'')');
-- who did what is recorded, but no key
SELECT replace(actor, session_user, 'superuser'), event, detail FROM streamagg.events WHERE event ~ '_key$' AND detail ~ '^keys_' ORDER BY at;

SET client_min_messages = warning;
DELETE FROM streamagg.key_store WHERE owner = 'keys_admin'::regrole OR name ~ '^keys_';
DROP SCHEMA keys CASCADE;
DROP SERVER keys, keys_kafka CASCADE;
DROP ROLE keys_owner, keys_other, keys_admin;
COPY (SELECT '') TO :'file';
