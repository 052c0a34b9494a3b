-- S7, S10, S10b, S12: secrets are in user mappings, as they are or by reference; who may, and what is said when it fails.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE secrets_owner LOGIN;
CREATE ROLE secrets_reader LOGIN IN ROLE pg_read_server_files;
CREATE ROLE secrets_super LOGIN SUPERUSER;
GRANT USAGE ON FOREIGN DATA WRAPPER streamagg_kafka TO secrets_owner, secrets_reader;
CREATE SCHEMA secrets;
GRANT ALL ON SCHEMA secrets TO PUBLIC;
SET search_path = secrets;
-- what a statement is told; whatever it did is undone
CREATE FUNCTION told(statement text, role text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
  hint text;
BEGIN
  PERFORM set_config('role', coalesce(role, 'none'), true);
  EXECUTE statement;
  RAISE 'done' USING ERRCODE = 'UDONE';
EXCEPTION
  WHEN SQLSTATE 'UDONE' THEN
    RETURN 'done';
  WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
CREATE SERVER secrets_super FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN');
CREATE SERVER secrets_reader FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN');
CREATE SERVER secrets_owner FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN');
ALTER SERVER secrets_super OWNER TO secrets_super;
ALTER SERVER secrets_reader OWNER TO secrets_reader;
ALTER SERVER secrets_owner OWNER TO secrets_owner;
GRANT USAGE ON FOREIGN SERVER secrets_super, secrets_reader, secrets_owner TO PUBLIC;
\pset tuples_only on
\pset format unaligned

-- S10b: env: for superusers, file: for those who may read the server's files; whatever the option
SELECT r, o, told(format('CREATE USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (%s)', o), r)
FROM unnest(ARRAY['secrets_owner', 'secrets_reader', 'secrets_super']) r,
  unnest(ARRAY[$$password 'env:HUSH'$$, $$password 'file:/hush'$$, $$password 'hush'$$]) o;
SELECT o, split_part(told(format('CREATE USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (%I %L)', o, s), 'secrets_owner'), E'\n', 1)
FROM unnest(ARRAY['username', 'password', 'ssl_certificate_pem', 'ssl_key_pem', 'ssl_key_password']) o, unnest(ARRAY['env:HUSH', 'file:/hush']) s;
-- only these two words, exactly; a name and an absolute path
SELECT s, told(format('CREATE USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (password %L)', s), 'secrets_owner')
FROM unnest(ARRAY['ENV:HUSH', ' env:HUSH', 'env', 'vault:hush']) s;
SELECT s, told(format('CREATE USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (password %L)', s), 'secrets_super')
FROM unnest(ARRAY['env:', 'env:A=B', 'file:', 'file:hush', 'file://hush', 'file:../hush']) s;
-- ALTER by somebody else: all that the mapping then holds
CREATE USER MAPPING FOR secrets_owner SERVER secrets_super OPTIONS (username 'u', password 'file:/hush');
SELECT told($$ALTER USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (SET username 'v')$$, 'secrets_owner');
SELECT told($$ALTER USER MAPPING FOR CURRENT_USER SERVER secrets_super OPTIONS (SET password 'hush')$$, 'secrets_owner');
DROP USER MAPPING FOR secrets_owner SERVER secrets_super;

-- streams, to see what is said at use
SET ROLE secrets_owner;
CREATE FOREIGN TABLE on_super (ts timestamptz) SERVER secrets_super OPTIONS (event_time 'ts', topic 't');
CREATE FOREIGN TABLE on_reader (ts timestamptz) SERVER secrets_reader OPTIONS (event_time 'ts', topic 't');
CREATE FOREIGN TABLE on_owner (ts timestamptz) SERVER secrets_owner OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate(s || '_n', 'SELECT count(*) AS n FROM ' || s) FROM unnest(ARRAY['on_super', 'on_reader', 'on_owner']) s;
RESET ROLE;
-- S12: SASL and no credentials, or half of them; nobody else's, not a superuser's without a mapping either
SELECT told($$SELECT streamagg.start('on_super')$$, 'secrets_owner');
SELECT split_part(replace(told($$SELECT streamagg.test_connection('secrets_super')$$), session_user, 'superuser'), E'\n', 1);
CREATE USER MAPPING FOR secrets_super SERVER secrets_super OPTIONS (username 'u', password 'hush');
SELECT o, split_part(told(format($$CREATE USER MAPPING FOR secrets_owner SERVER secrets_super %s; SELECT streamagg.start('on_super')$$, o)), E'\n', 1)
FROM unnest(ARRAY['', $$OPTIONS (username 'u')$$, $$OPTIONS (password 'hush')$$, $$OPTIONS (ssl_key_pem 'hush')$$,
  $$OPTIONS (username 'u', password 'hush')$$]) o;
-- PUBLIC's mapping, which only the server's owner can make; one of his own comes first
SELECT told($$CREATE USER MAPPING FOR PUBLIC SERVER secrets_super OPTIONS (username 'u', password 'hush')$$, 'secrets_owner');
SELECT told($$CREATE USER MAPPING FOR PUBLIC SERVER secrets_super OPTIONS (username 'u', password 'hush'); SELECT streamagg.start('on_super')$$, 'secrets_super');
SELECT split_part(told($$CREATE USER MAPPING FOR PUBLIC SERVER secrets_super OPTIONS (username 'u', password 'hush');
  CREATE USER MAPPING FOR secrets_owner SERVER secrets_super OPTIONS (username 'u'); SELECT streamagg.start('on_super')$$), E'\n', 1);
-- a preset's user name is enough
SELECT split_part(told($$ALTER SERVER secrets_super OPTIONS (ADD preset 'event_hubs'); CREATE USER MAPPING FOR secrets_owner SERVER secrets_super OPTIONS (password 'hush');
  SELECT streamagg.start('on_super')$$), E'\n', 1);

-- S10b at use: the server's owner must have the right, whoever made the mapping; LC_CTYPE is always there
SELECT current_setting('data_directory') || '/PG_VERSION' AS file \gset
SELECT s, split_part(p, '/', 1) AS source, split_part(told(format($$CREATE USER MAPPING FOR secrets_owner SERVER %I OPTIONS (username 'u', password %L); SELECT streamagg.start(%L)$$,
  'secrets_' || s, p, 'on_' || s)), E'\n', 1) FROM unnest(ARRAY['super', 'reader', 'owner']) s, unnest(ARRAY['env:LC_CTYPE', 'file:' || :'file']) p;
SELECT split_part(told(format($$CREATE USER MAPPING FOR CURRENT_USER SERVER secrets_owner OPTIONS (username 'u', password %L);
  SELECT streamagg.test_connection('secrets_owner')$$, 'file:' || :'file')), E'\n', 1);
-- what is not used is not read
SELECT told($$ALTER SERVER secrets_super OPTIONS (SET security_protocol 'plaintext'); CREATE USER MAPPING FOR secrets_owner SERVER secrets_super
  OPTIONS (username 'u', password 'file:/hush', ssl_key_pem 'env:HUSH'); SELECT streamagg.start('on_super')$$);
-- one and the same error for all that can be wrong with a source
SELECT current_setting('data_directory') || '/global/pg_control' AS binary, current_setting('data_directory') AS directory \gset
SELECT setting || '/postgres.bki' AS large FROM pg_config() WHERE name = 'SHAREDIR' \gset
SELECT told, count(*) FROM unnest(ARRAY['env:STREAMAGG_NOT_SET', 'file:/does/not/exist', 'file:/etc/shadow', 'file:' || :'binary', 'file:' || :'directory',
  'file:' || :'large', 'file:/dev/zero', 'file:/dev/null', 'file:/proc/self/mem']) s,
  told(format($$CREATE USER MAPPING FOR secrets_owner SERVER secrets_super OPTIONS (username 'u', password %L); SELECT streamagg.start('on_super')$$, s)) GROUP BY 1;

\pset tuples_only off
DROP SCHEMA secrets CASCADE;
DROP SERVER secrets_super, secrets_reader, secrets_owner CASCADE;
DROP OWNED BY secrets_owner, secrets_reader, secrets_super;
DROP ROLE secrets_owner, secrets_reader, secrets_super;
