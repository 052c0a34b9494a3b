-- The closed list of the options of servers and user mappings (S1); secrets are never shown.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE FUNCTION pg_temp.try(scope text, options text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  IF scope = 'server' THEN
    EXECUTE 'CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (' || options || ')';
  ELSE
    EXECUTE 'CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers ''a:1'')';
    EXECUTE 'CREATE USER MAPPING FOR CURRENT_USER SERVER tried OPTIONS (' || options || ')';
  END IF;
  DROP SERVER tried CASCADE;
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', code || ' ' || message, regexp_replace(nullif(detail, ''), '(are: bootstrap_servers).*', '\1, …'), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned

-- what is valid
SELECT pg_temp.try('server', $$bootstrap_servers 'a:9092,b:9092', client_id 'c', security_protocol 'SASL_SSL', sasl_mechanism 'PLAIN',
  isolation_level 'read_committed', ssl_endpoint_identification_algorithm 'https', fetch_min_bytes '1', fetch_max_bytes '1000000',
  fetch_message_max_bytes '500000', fetch_wait_max_ms '100', fetch_error_backoff_ms '100', queued_min_messages '1000',
  queued_max_messages_kbytes '10000', receive_message_max_bytes '2000000', socket_timeout_ms '10000',
  socket_keepalive_enable 'true', reconnect_backoff_ms '100', reconnect_backoff_max_ms '1000', connections_max_idle_ms '0',
  metadata_max_age_ms '60000', broker_address_family 'v4'$$);
SELECT pg_temp.try('server', $$ssl_ca_location '/etc/ssl/certs/ca-certificates.crt'$$);
SELECT pg_temp.try('mapping', $$username 'u', password 'p'$$);

-- unknown names: the valid ones, and the nearest
SELECT pg_temp.try('server', $$bootstrap_server 'a:1'$$);
SELECT substring(pg_temp.try('server', $$"kafka.bootstrap.servers" 'a:1'$$) FROM 'Perhaps.*');
SELECT pg_temp.try('mapping', $$user_name 'u'$$);
SELECT pg_temp.try('mapping', $$bootstrap_servers 'a:1'$$);
-- S1, S4: what loads code, runs commands, reads or writes files, and every other property
SELECT p, split_part(pg_temp.try('server', format('%I %L', p, 'x')), ' ', 1), split_part(pg_temp.try('mapping', format('%I %L', p, 'x')), ' ', 1)
FROM unnest(ARRAY['plugin_library_paths', 'plugin.library.paths', 'ssl_engine_location', 'sasl_kerberos_kinit_cmd',
  'ssl_providers', 'ssl_key_location', 'ssl_certificate_location', 'ssl_keystore_location', 'ssl_crl_location',
  'enable_ssl_certificate_verification', 'sasl_oauthbearer_config', 'debug', 'log_level', 'group_id', 'enable_auto_commit',
  'auto_offset_reset', 'allow_auto_create_topics', 'interceptors', 'opaque', 'test_mock_num_brokers', 'security.protocol',
  'bootstrap.servers', 'BOOTSTRAP_SERVERS']) p;
-- S7: secrets belong in the user mapping
SELECT p, split_part(pg_temp.try('server', format('%I %L', p, 'hush')), E'\n', 1)
FROM unnest(ARRAY['username', 'password', 'ssl_key_pem', 'ssl_key_password', 'sasl_password', 'sasl_username']) p;

-- values: some are words, others are librdkafka's to judge
SELECT o, pg_temp.try('server', o) FROM unnest(ARRAY[$$bootstrap_servers ''$$, $$security_protocol 'telnet'$$,
  $$fetch_min_bytes 'many'$$, $$fetch_min_bytes '-1'$$, $$isolation_level 'serializable'$$, $$broker_address_family 'v5'$$,
  $$ssl_endpoint_identification_algorithm 'http'$$, $$security_protocol ' ssl'$$, $$security_protocol 'Ssl'$$, $$preset 'none'$$]) o;
-- S12: no mechanism that would find credentials by itself, and none by default
SELECT o, pg_temp.try('server', o) FROM unnest(ARRAY[$$sasl_mechanism 'GSSAPI'$$, $$sasl_mechanism 'OAUTHBEARER'$$, $$sasl_mechanism 'PLAIN,GSSAPI'$$,
  $$security_protocol 'sasl_ssl'$$, $$security_protocol 'SASL_PLAINTEXT'$$, $$security_protocol 'sasl_ssl', sasl_mechanism 'Scram-SHA-512'$$]) o;
-- presets, which leave nothing to say but what they do not know
SELECT o, split_part(pg_temp.try('server', o), E'\n', 1) FROM unnest(ARRAY[$$preset 'plain'$$, $$preset 'event_hubs'$$, $$preset 'confluent_cloud'$$,
  $$preset 'plain', security_protocol 'sasl_ssl'$$, $$preset 'event_hubs', sasl_mechanism 'SCRAM-SHA-256', security_protocol 'sasl_plaintext'$$]) o;
-- a secret is not repeated in the error
SELECT o, pg_temp.try('mapping', o) FROM unnest(ARRAY[$$password ''$$, $$pasword 'hush'$$, $$ssl_key_pem 'hush'$$]) o;
SELECT pg_temp.try('mapping', $$password 'hush', password 'hush'$$) ~ 'hush' AS shown;

-- of later versions
SELECT pg_temp.try('server', $$schema_registry 'http://localhost'$$);

-- S3: a path of the server's files only for those who may read them; S13: nobody gets the wrapper unasked
CREATE ROLE options_user;
SELECT has_foreign_data_wrapper_privilege('options_user', 'streamagg_kafka', 'USAGE');
GRANT USAGE ON FOREIGN DATA WRAPPER streamagg_kafka TO options_user;
SET ROLE options_user;
CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (ssl_ca_location '/etc/passwd');
CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'a:1');
ALTER SERVER tried OPTIONS (ADD ssl_ca_location '/etc/passwd');
RESET ROLE;
-- ALTER is checked, too, and all options together; the wrapper itself has no options
\set VERBOSITY sqlstate
ALTER SERVER tried OPTIONS (ADD debug 'all');
ALTER SERVER tried OPTIONS (SET bootstrap_servers '');
ALTER SERVER tried OPTIONS (ADD security_protocol 'sasl_ssl');
ALTER SERVER tried OPTIONS (ADD security_protocol 'sasl_ssl', ADD sasl_mechanism 'PLAIN');
ALTER SERVER tried OPTIONS (DROP sasl_mechanism);
ALTER FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (ADD bootstrap_servers 'a:1');
DROP SERVER tried;
DROP OWNED BY options_user;
DROP ROLE options_user;
