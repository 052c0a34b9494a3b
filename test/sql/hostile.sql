-- What a session, a schema or a default privilege of somebody else holds does not reach the results (S17, S18).
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE ROLE hostile_reader;
CREATE SCHEMA hostile;
CREATE SCHEMA evil;
SET search_path = hostile;
CREATE SERVER hostile FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (
  k text CHECK (lower(k) = k), v varchar, n int, b boolean, ts timestamptz NOT NULL
) SERVER hostile OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE d (k text, name text);
INSERT INTO d VALUES ('a', 'A'), ('b', 'B');
SELECT streamagg.create_aggregate('plain', $$
  SELECT w.window_start, w.window_end, upper(s.k) AS k, d.name, count(*) AS n, sum(s.n) AS total, avg(s.n) AS mean, min(s.n) AS lowest,
    max(v) AS last, bool_or(b) AS anyone
  FROM s JOIN d ON d.k = s.k, streamagg.tumble(s.ts, '1 minute') w
  WHERE s.v = 'x' AND s.n + 1 > 0 AND lower(s.v) <> 'y' GROUP BY 1, 2, 3, 4 HAVING count(*) > 0 $$);

-- a schema that has everything the queries use, and matches better than pg_catalog
CREATE FUNCTION evil.refuse(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.refuse(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.refuse(varchar, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.refuse(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.refuse(regclass, regclass) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.refuse(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.add(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile operator'; END $$;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.lower(varchar) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''1999-01-01''';
CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.unnest(anyarray) RETURNS SETOF anyelement LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.pg_get_viewdef(oid) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE FUNCTION evil.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'hostile function'; END $$;
CREATE OPERATOR evil.= (leftarg = text, rightarg = text, function = evil.refuse);
CREATE OPERATOR evil.= (leftarg = varchar, rightarg = varchar, function = evil.refuse);
CREATE OPERATOR evil.= (leftarg = varchar, rightarg = text, function = evil.refuse);
CREATE OPERATOR evil.= (leftarg = int, rightarg = int, function = evil.refuse);
CREATE OPERATOR evil.= (leftarg = regclass, rightarg = regclass, function = evil.refuse);
CREATE OPERATOR evil.<> (leftarg = text, rightarg = text, function = evil.refuse);
CREATE OPERATOR evil.> (leftarg = int, rightarg = int, function = evil.refuse);
CREATE OPERATOR evil.>= (leftarg = timestamptz, rightarg = timestamptz, function = evil.refuse);
CREATE OPERATOR evil.+ (leftarg = bigint, rightarg = bigint, function = evil.add);
CREATE TABLE evil.d AS SELECT 'a' AS k, 'hostile table' AS name;
CREATE TABLE evil.plain_state AS SELECT 1 AS x;
CREATE DOMAIN evil.interval AS int;
CREATE DOMAIN evil.int8 AS text;
CREATE DOMAIN evil.timestamptz AS text;

SET search_path = evil, pg_catalog, hostile;
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 1, "b": true, "ts": "2024-01-01T00:00:10Z"}', '{"k": "b", "v": "y", "n": 1, "ts": "2024-01-01T00:00:20Z"}']);
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 3, "b": false, "ts": "2024-01-01T00:00:30Z"}', '{"k": "b", "v": "x", "n": 5, "ts": "2024-01-01T00:01:00Z"}',
  '{"k": "UPPER", "v": "x", "n": 5, "ts": "2024-01-01T00:01:00Z"}']);
SELECT window_start, k, name, n, total, mean, lowest, last, anyone, is_final, updated_at > '2020-01-01' AS now FROM hostile.plain ORDER BY 1;
SELECT code, failed_rules FROM streamagg.quarantine;
SELECT read, accepted, quarantined, watermark FROM streamagg.partitions;
SELECT rows_in, closed_until FROM streamagg.aggregates;
-- names in the query are resolved by the caller's search_path, as in CREATE VIEW; keys, merges and internals are not
SELECT streamagg.create_aggregate('hostile.under_attack', 'SELECT v, n AS number, count(*) AS n, sum(n) AS total FROM hostile.s GROUP BY 1, 2');
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 1, "ts": "2024-01-01T00:02:00Z"}', '{"k": "a", "v": "x", "n": 1, "ts": "2024-01-01T00:02:00Z"}']);
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 1, "ts": "2024-01-01T00:02:00Z"}']);
SELECT v, number, n, total FROM hostile.under_attack;
SELECT streamagg.drop_aggregate('hostile.under_attack');
-- temporary objects come last
SET search_path = hostile;
CREATE TEMP TABLE d AS SELECT 'a' AS k, 'temporary' AS name;
CREATE TEMP TABLE plain_state AS SELECT 1 AS x;
CREATE TEMP TABLE stream_progress AS SELECT 1 AS x;
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 4, "ts": "2024-01-01T00:03:00Z"}']);
SELECT k, name, n FROM plain WHERE window_start = '2024-01-01 00:03';
DROP TABLE pg_temp.d, pg_temp.plain_state, pg_temp.stream_progress;

-- default privileges are for what people read: not for states and definitions
ALTER DEFAULT PRIVILEGES IN SCHEMA hostile GRANT ALL ON TABLES TO hostile_reader, PUBLIC;
SELECT streamagg.create_aggregate('granted', 'SELECT count(*) AS n FROM s');
SELECT relname, has_table_privilege('hostile_reader', oid, 'SELECT') AS reads, has_table_privilege('hostile_reader', oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes
FROM pg_class WHERE relname ~ '^granted' AND relkind <> 'i' ORDER BY 1;
-- planner and session settings change nothing
SET enable_hashagg = off; SET enable_sort = off; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan;
SET default_transaction_isolation = 'serializable'; SET standard_conforming_strings = off; SET escape_string_warning = off; SET quote_all_identifiers = on;
SET transform_null_equals = on; SET array_nulls = off; SET session_replication_role = replica; SET row_security = off;
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": "a", "v": "x", "n": 4, "ts": "2024-01-01T00:03:00Z"}']);
SELECT n, total FROM plain WHERE window_start = '2024-01-01 00:03';
RESET ALL;

SET client_min_messages = warning;
SET search_path = pg_catalog;
DROP SCHEMA hostile, evil CASCADE;
DROP SERVER hostile;
DROP ROLE hostile_reader;
