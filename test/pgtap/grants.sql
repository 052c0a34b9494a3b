-- Who is granted what: internal tables to nobody, the views to streamagg_reader, roles in a row.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SELECT plan(19);

SELECT has_role(r) FROM unnest(ARRAY['streamagg_reader', 'streamagg_operator', 'streamagg_admin']) r;
SELECT is_empty($$SELECT rolname FROM pg_roles WHERE rolname ~ '^streamagg_' AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)$$,
  'the roles have no power of their own');
SELECT is_member_of('streamagg_reader', 'streamagg_operator');
SELECT is_member_of('streamagg_operator', 'streamagg_admin');

CREATE TEMP VIEW grants AS
SELECT c.relname::text, c.relkind, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS grantee, a.privilege_type
FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'streamagg'::regnamespace AND a.grantee <> c.relowner;
SELECT set_eq($$SELECT relname, grantee, privilege_type FROM grants WHERE relkind = 'v'$$,
  $$SELECT v, 'streamagg_reader' AS r, 'SELECT' AS p
    FROM unnest(ARRAY['streams', 'partitions', 'batches', 'aggregates', 'quarantine', 'gaps', 'events', 'backfills', 'close_hooks']) v$$,
  'the views are for streamagg_reader, to read');
SELECT set_eq($$SELECT relname, grantee, privilege_type FROM grants WHERE relkind <> 'v'$$,
  $$VALUES ('merge_rules', 'PUBLIC', 'SELECT')$$,
  'S31: no grants on internal tables, but that everybody reads the rules');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'streamagg'::regnamespace AND a.attacl IS NOT NULL$$, 'nor on their columns');
SELECT set_eq($$SELECT a.privilege_type, a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a WHERE nspname = 'streamagg' AND a.grantee <> n.nspowner$$,
  $$VALUES ('USAGE'::text, 0::oid)$$, 'nobody else may create in the schema');
SELECT is_empty($$SELECT has_foreign_data_wrapper_privilege('public', 'streamagg_kafka', 'USAGE') AS granted WHERE has_foreign_data_wrapper_privilege('public', 'streamagg_kafka', 'USAGE')$$,
  'S13: USAGE of the wrapper is not granted to PUBLIC');
SELECT set_eq($$SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'streamagg'::regnamespace AND NOT has_function_privilege('public', oid, 'EXECUTE')
    AND has_function_privilege('streamagg_reader', oid, 'EXECUTE')$$,
  $$SELECT p::regprocedure::text FROM unnest(ARRAY['streamagg.workers()', 'streamagg.identity()', 'streamagg.topic(oid)', 'streamagg.partition_watermark(oid, timestamptz)', 'streamagg.count_groups(regclass)']) p$$,
  'a reader may call what the views call');
SELECT set_has($$SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'streamagg'::regnamespace AND NOT has_function_privilege('streamagg_operator', oid, 'EXECUTE')
    AND has_function_privilege('streamagg_admin', oid, 'EXECUTE')$$,
  $$SELECT p::regprocedure::text FROM unnest(ARRAY['streamagg.create_merge_rule(regprocedure, text[], text[], text)', 'streamagg.drop_merge_rule(regprocedure)']) p$$,
  'merge rules are for streamagg_admin, and not for an operator');
SELECT ok(NOT has_function_privilege('streamagg_admin', 'streamagg.check_installation()', 'EXECUTE'), 'the installation check is the installer''s');
-- the views work for who is only a reader
CREATE ROLE some_reader IN ROLE streamagg_reader;
GRANT USAGE ON SCHEMA public TO some_reader;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz) SERVER local OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('agg', 'SELECT k, count(*) AS n FROM s GROUP BY 1'), streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{']) \g /dev/null
SET ROLE some_reader;
SELECT isnt_empty('SELECT * FROM streamagg.' || v, v || ' can be read by a reader')
FROM unnest(ARRAY['streams', 'partitions', 'batches', 'aggregates', 'quarantine']) v;
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
