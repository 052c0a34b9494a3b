-- S3, S14, S15: what only superusers may do with servers, and that it is asked again when they are used.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE ROLE server_owner LOGIN;
CREATE ROLE server_reader LOGIN IN ROLE pg_read_server_files;
GRANT USAGE ON FOREIGN DATA WRAPPER streamagg_kafka TO server_owner, server_reader;
CREATE SCHEMA server;
GRANT ALL ON SCHEMA server TO PUBLIC;
SET search_path = server;
-- what a statement is told; whatever it did is undone
CREATE FUNCTION told(statement text, role text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('role', coalesce(role, 'none'), true);
  EXECUTE statement;
  RAISE 'done' USING ERRCODE = 'UDONE';
EXCEPTION
  WHEN SQLSTATE 'UDONE' THEN
    RETURN 'done';
  WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION create_server(options text, role text) RETURNS text LANGUAGE sql
RETURN told('CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (' || options || ')', role);
\pset tuples_only on
\pset format unaligned

-- S14: PLAIN over a connection without TLS
SELECT o, create_server(o, 'server_owner'), create_server(o, NULL) FROM unnest(ARRAY[
  $$security_protocol 'sasl_plaintext', sasl_mechanism 'PLAIN'$$, $$security_protocol 'SASL_PLAINTEXT', sasl_mechanism 'plain'$$,
  $$preset 'confluent_cloud', security_protocol 'sasl_plaintext'$$, $$preset 'EVENT_HUBS', security_protocol 'sasl_plaintext'$$,
  $$security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN'$$, $$security_protocol 'sasl_plaintext', sasl_mechanism 'SCRAM-SHA-512'$$, $$preset 'event_hubs'$$]) o;
-- S15: brokers whose name is not checked
SELECT o, create_server(o, 'server_owner'), create_server(o, NULL) FROM unnest(ARRAY[$$ssl_endpoint_identification_algorithm 'none'$$,
  $$security_protocol 'ssl', ssl_endpoint_identification_algorithm 'None'$$, $$security_protocol 'ssl', ssl_endpoint_identification_algorithm 'https'$$]) o;
-- S3: files of the server
SELECT r, create_server($$security_protocol 'ssl', ssl_ca_location '/etc/passwd'$$, r) FROM unnest(ARRAY['server_owner', 'server_reader', NULL]) r;

-- by ALTER: all options together
CREATE SERVER plain FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER tls FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'ssl');
CREATE SERVER sasl FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN');
CREATE SERVER cloud FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1', preset 'confluent_cloud');
DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY['plain', 'tls', 'sasl', 'cloud'] LOOP EXECUTE format('ALTER SERVER %I OWNER TO server_owner', s); END LOOP; END $$;
SELECT told($$ALTER SERVER plain OPTIONS (ADD security_protocol 'sasl_plaintext', ADD sasl_mechanism 'PLAIN')$$, 'server_owner');
SELECT told($$ALTER SERVER plain OPTIONS (ADD ssl_endpoint_identification_algorithm 'none')$$, 'server_owner');
SELECT told($$ALTER SERVER tls OPTIONS (ADD ssl_ca_location '/etc/passwd')$$, 'server_owner');
-- S15: TLS is not taken away, however it is said; superusers may
SELECT s, o, told(format('ALTER SERVER %I OPTIONS (%s)', s, o), 'server_owner'), told(format('ALTER SERVER %I OPTIONS (%s)', s, o)) FROM (VALUES
  ('tls', $$SET security_protocol 'plaintext'$$), ('tls', $$SET security_protocol 'PLAINTEXT'$$), ('tls', $$DROP security_protocol$$),
  ('tls', $$SET security_protocol 'sasl_plaintext', ADD sasl_mechanism 'SCRAM-SHA-256'$$), ('tls', $$DROP security_protocol, ADD preset 'plain'$$),
  ('sasl', $$SET security_protocol 'plaintext', DROP sasl_mechanism$$), ('sasl', $$SET security_protocol 'sasl_plaintext', SET sasl_mechanism 'SCRAM-SHA-256'$$),
  ('cloud', $$DROP preset$$), ('cloud', $$SET preset 'plain'$$), ('cloud', $$ADD security_protocol 'plaintext'$$),
  -- and what stays safe, or becomes safer
  ('tls', $$SET bootstrap_servers 'a:1'$$), ('tls', $$SET security_protocol 'sasl_ssl', ADD sasl_mechanism 'PLAIN'$$), ('tls', $$DROP security_protocol, ADD preset 'event_hubs'$$),
  ('sasl', $$SET security_protocol 'SSL', DROP sasl_mechanism$$), ('cloud', $$SET preset 'event_hubs'$$), ('cloud', $$DROP preset, ADD security_protocol 'ssl'$$),
  ('plain', $$ADD security_protocol 'ssl'$$), ('plain', $$ADD security_protocol 'plaintext'$$)) t (s, o);
-- nothing of it has stayed, and a refused one changes nothing
SET ROLE server_owner;
ALTER SERVER tls OPTIONS (SET security_protocol 'plaintext');
ALTER SERVER tls OPTIONS (ADD client_id 'c');
-- inside a function and a block it is no other
DO $$ BEGIN ALTER SERVER tls OPTIONS (DROP security_protocol); END $$;
RESET ROLE;
SELECT srvname, srvoptions FROM pg_foreign_server WHERE srvowner = 'server_owner'::regrole ORDER BY 1;
-- another's server is PostgreSQL's to refuse
SELECT told($$ALTER SERVER tls OPTIONS (DROP security_protocol)$$, 'server_reader');
SELECT told($$ALTER SERVER nobody OPTIONS (DROP security_protocol)$$, 'server_owner');
-- of another wrapper it is none of ours
CREATE FOREIGN DATA WRAPPER server_other;
GRANT USAGE ON FOREIGN DATA WRAPPER server_other TO server_owner;
SELECT told($$CREATE SERVER other FOREIGN DATA WRAPPER server_other OPTIONS (security_protocol 'ssl'); ALTER SERVER other OPTIONS (DROP security_protocol)$$, 'server_owner');
DROP FOREIGN DATA WRAPPER server_other;

-- at use: what a superuser wrote must belong to one who may, whoever owns the stream
CREATE FUNCTION use_server(options text, owner text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN told(format($sql$CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1', %s);
    CREATE USER MAPPING FOR server_owner SERVER tried OPTIONS (username 'u', password 'hush');
    CREATE FOREIGN TABLE used (ts timestamptz) SERVER tried OPTIONS (event_time 'ts', topic 't');
    SELECT streamagg.create_aggregate('used_n', 'SELECT count(*) AS n FROM used');
    ALTER FOREIGN TABLE used OWNER TO server_owner;
    %s; SELECT streamagg.start('used')$sql$, options, 'ALTER SERVER tried OWNER TO ' || owner));
END $$;
SELECT o, r, use_server(o, r) FROM unnest(ARRAY[$$security_protocol 'sasl_plaintext', sasl_mechanism 'PLAIN'$$,
  $$security_protocol 'ssl', ssl_endpoint_identification_algorithm 'none'$$, $$security_protocol 'ssl', ssl_ca_location '/etc/passwd'$$]) o,
  unnest(ARRAY['server_owner', 'server_reader', 'session_user']) r;
-- what never went through the validator
CREATE FUNCTION forge(options text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  CREATE FOREIGN TABLE used (ts timestamptz) SERVER plain OPTIONS (event_time 'ts', topic 't');
  PERFORM streamagg.create_aggregate('used_n', 'SELECT count(*) AS n FROM used');
  UPDATE pg_foreign_server SET srvoptions = srvoptions || options WHERE srvname = 'plain';
  RETURN told($sql$SELECT streamagg.start('used')$sql$);
END $$;
BEGIN;
SELECT split_part(forge(ARRAY['plugin.library.paths=/tmp/x.so']), E'\n', 1);
ROLLBACK;
BEGIN;
SELECT split_part(forge(ARRAY['sasl_mechanism=GSSAPI', 'security_protocol=sasl_ssl']), E'\n', 1);
ROLLBACK;

\pset tuples_only off
DROP SERVER plain, tls, sasl, cloud;
DROP SCHEMA server CASCADE;
DROP OWNED BY server_owner, server_reader;
DROP ROLE server_owner, server_reader;
