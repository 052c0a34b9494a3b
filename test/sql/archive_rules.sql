-- An archive is only added to, by its stream's owner: neither he nor others change rows, or what keeps them.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE ROLE archive_owner LOGIN;
CREATE ROLE archive_other;
CREATE SERVER archive_rules FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER archive_rules TO archive_owner, archive_other;
CREATE SCHEMA archive_rules AUTHORIZATION archive_owner;
GRANT ALL ON SCHEMA archive_rules TO archive_other;
ALTER DEFAULT PRIVILEGES FOR ROLE archive_owner GRANT ALL ON TABLES TO PUBLIC;
-- the SQLSTATE and the hint of a statement
CREATE FUNCTION archive_rules.try(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; hint text;
BEGIN
  EXECUTE sql;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(' | ', SQLSTATE, message, nullif(hint, ''));
END $$;
SET SESSION AUTHORIZATION archive_owner;
SET search_path = archive_rules;
\pset format unaligned
\pset tuples_only on
CREATE FOREIGN TABLE s (n int, ts timestamptz) SERVER archive_rules OPTIONS (event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('a', 'SELECT count(*) AS n FROM s');
SELECT accepted FROM streamagg.push('s', ARRAY['{"n": 1, "ts": "2024-01-01T00:00:00Z"}', '{"n": 2, "ts": "2024-01-01T00:00:00Z"}']);
-- of the archive and of its days
SELECT replace(try(replace(sql, 'day', relation)), relation, 'RELATION')
FROM (SELECT 's_archive' UNION ALL (SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 's_archive'::regclass ORDER BY 1 LIMIT 1)) r (relation),
  unnest(ARRAY['UPDATE day SET n = 3', 'DELETE FROM day', 'DELETE FROM day WHERE false', 'TRUNCATE day',
  'ALTER TABLE day DISABLE TRIGGER ALL', 'ALTER TABLE day DISABLE TRIGGER USER', 'ALTER TABLE day DISABLE TRIGGER streamagg_append_only',
  'ALTER TABLE day ENABLE REPLICA TRIGGER streamagg_append_only', 'ALTER TABLE day ENABLE TRIGGER streamagg_append_only',
  'DROP TRIGGER streamagg_append_only ON day', 'DROP TRIGGER IF EXISTS streamagg_append_only ON day CASCADE',
  'ALTER TRIGGER streamagg_append_only ON day RENAME TO other', 'DROP TRIGGER other ON day', 'ALTER TABLE day DISABLE TRIGGER other', 'UPDATE day SET n = 3',
  'ALTER TRIGGER other ON day RENAME TO streamagg_append_only']) WITH ORDINALITY t (sql, i) ORDER BY relation, i;
SELECT count(*) FROM s_archive;
SELECT try('MERGE INTO s_archive a USING s_archive b ON a.n = b.n WHEN MATCHED THEN DELETE');
-- it goes with its stream only: while that fills it, it cannot be dropped
SELECT try(s) FROM unnest(ARRAY['DROP TABLE s_archive', 'DROP TABLE IF EXISTS s_archive CASCADE']) s;
-- a day may: who wants its space
SELECT try(format('DROP TABLE %s', max(inhrelid::regclass::text))) FROM pg_inherits WHERE inhparent = 's_archive'::regclass;
SELECT accepted FROM streamagg.push('s', ARRAY['{"n": 3, "ts": "2024-01-01T00:00:00Z"}']);
-- nobody else has rights on it, whatever is given by default
SELECT relkind, count(*), array_agg(DISTINCT replace(relacl::text, 'tm', 't')) FROM pg_class WHERE relnamespace = 'archive_rules'::regnamespace AND relname LIKE 's_archive%'
  AND relkind IN ('p', 'r') GROUP BY 1 ORDER BY 1;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION archive_other;
SELECT archive_rules.try(format(s, 'archive_rules.s_archive')) FROM unnest(ARRAY['SELECT FROM %s', 'INSERT INTO %s SELECT', 'DELETE FROM %s', 'DROP TABLE %s']) s;
SELECT archive_rules.try(s) FROM unnest(ARRAY['SELECT FROM streamagg.archive_catalog', 'SELECT FROM streamagg.expired_partitions', 'SELECT FROM streamagg.dedup_log']) s;
SELECT archive_rules.try(format('SELECT streamagg.batch_%s(''(0,1)'')', f)) FROM unnest(ARRAY['offset', 'partition', 'watermark', 'rest']) f;
SELECT archive_rules.try('SELECT streamagg.refuse_archive_change()');
-- a stream where its owner may not make the table
RESET SESSION AUTHORIZATION;
CREATE SCHEMA archive_closed;
GRANT USAGE ON SCHEMA archive_closed TO archive_owner;
CREATE FOREIGN TABLE archive_closed.s (ts timestamptz) SERVER archive_rules OPTIONS (event_time 'ts');
ALTER FOREIGN TABLE archive_closed.s OWNER TO archive_owner;
SET SESSION AUTHORIZATION archive_owner;
SELECT try('ALTER FOREIGN TABLE archive_closed.s OPTIONS (archive ''on'')');
RESET SESSION AUTHORIZATION;
DROP SCHEMA archive_closed CASCADE;

-- what would lose rows is found: no batch without its archive
SET SESSION AUTHORIZATION archive_owner;
CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN CASE WHEN new.n = 5 THEN NULL ELSE new END; END';
CREATE TRIGGER t BEFORE INSERT ON s_archive FOR EACH ROW EXECUTE FUNCTION skip();
SELECT try($$SELECT streamagg.push('s', ARRAY['{"n": 4, "ts": "2024-01-01T00:00:00Z"}', '{"n": 5, "ts": "2024-01-01T00:00:00Z"}'])$$);
DROP TRIGGER t ON s_archive;
CREATE RULE r AS ON INSERT TO s_archive DO INSTEAD NOTHING;
SELECT try($$SELECT streamagg.push('s', ARRAY['{"n": 4, "ts": "2024-01-01T00:00:00Z"}'])$$);
DROP RULE r ON s_archive;
ALTER TABLE s_archive ENABLE ROW LEVEL SECURITY;
ALTER TABLE s_archive FORCE ROW LEVEL SECURITY;
SELECT try($$SELECT streamagg.push('s', ARRAY['{"n": 4, "ts": "2024-01-01T00:00:00Z"}'])$$);
ALTER TABLE s_archive NO FORCE ROW LEVEL SECURITY;
ALTER TABLE s_archive ADD CHECK (n <> 6);
SELECT regexp_replace(try($$SELECT streamagg.push('s', ARRAY['{"n": 6, "ts": "2024-01-01T00:00:00Z"}'])$$), '_p[0-9]+', '_pDAY');
RESET SESSION AUTHORIZATION;
ALTER TABLE archive_rules.s_archive OWNER TO archive_other;
SET SESSION AUTHORIZATION archive_owner;
SELECT try($$SELECT streamagg.push('s', ARRAY['{"n": 4, "ts": "2024-01-01T00:00:00Z"}'])$$);
RESET SESSION AUTHORIZATION;
ALTER TABLE archive_rules.s_archive OWNER TO archive_owner;
SELECT accepted FROM streamagg.push('archive_rules.s', ARRAY['{"n": 4, "ts": "2024-01-01T00:00:00Z"}']);
SELECT array_agg(n ORDER BY n) FROM archive_rules.s_archive;
SELECT n FROM archive_rules.a;

-- names are PostgreSQL's own, whatever stands in the path; who pushes is not who owns
CREATE SCHEMA archive_trap;
CREATE FUNCTION archive_trap.batch_offset(tid) RETURNS bigint LANGUAGE sql AS 'SELECT -1::bigint';
CREATE DOMAIN archive_trap.jsonb AS text;
SET search_path = archive_trap, pg_catalog, archive_rules;
CREATE FOREIGN TABLE archive_rules.trapped (ts timestamptz) SERVER archive_rules OPTIONS (event_time 'ts', archive 'on');
ALTER FOREIGN TABLE archive_rules.trapped OWNER TO archive_owner;
SELECT accepted FROM streamagg.push('trapped', ARRAY['{"ts": "2024-01-01T00:00:00Z", "x": 1}']);
SELECT _offset, pg_typeof(rest) FROM archive_rules.trapped_archive;
SELECT tableowner FROM pg_tables WHERE tablename LIKE 'trapped_archive%' GROUP BY 1;
RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA archive_trap, archive_rules CASCADE;
DROP SERVER archive_rules;
DROP OWNED BY archive_owner, archive_other;
DROP ROLE archive_owner, archive_other;
