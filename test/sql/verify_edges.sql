-- verify(): aggregates that began later, archives that lack rows, others' rights and search_path.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA verify_edges;
SET search_path = verify_edges;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER verify_edges FOREIGN DATA WRAPPER streamagg_kafka;
CREATE ROLE verify_owner;
CREATE ROLE verify_member IN ROLE verify_owner;
CREATE ROLE verify_other;
GRANT USAGE, CREATE ON SCHEMA verify_edges TO verify_owner, verify_other;
GRANT USAGE ON FOREIGN SERVER verify_edges TO verify_owner;
GRANT streamagg_reader TO verify_owner;
SET ROLE verify_owner;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER verify_edges OPTIONS (event_time 'ts', watermark_delay '10 s');
SELECT keep('s');
SELECT streamagg.create_aggregate('first', 'SELECT w.window_start, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
CREATE FUNCTION push(part int, VARIADIC times text[]) RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(feed('s', jsonb_build_object('k', 'a', 'ts', '2024-01-01T' || t || 'Z'), part)) FROM unnest(times) t $$;
SELECT push(0, '00:00:10', '00:00:50', '00:01:10'), push(1, '00:00:20');

-- one that began later does not count what was before, in no partition; of a new partition everything
SELECT streamagg.create_aggregate('later', 'SELECT w.window_start, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2'),
  streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT * FROM streamagg.verify('later') UNION ALL SELECT * FROM streamagg.verify('total');
SELECT push(1, '00:00:30', '00:01:30'), push(0, '00:01:40'), push(2, '00:00:40');
SELECT aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE a.stream = 's'::regclass;
SELECT n FROM total;
UPDATE total_state SET n = 8;
SELECT * FROM streamagg.verify('total');
UPDATE total_state SET n = 4;

-- an archive that has lost its first rows: windows that they may have been in are left out
SELECT unlock('s');
CREATE TABLE lost (LIKE s_archive);
WITH d AS (DELETE FROM s_archive WHERE _partition = 0 AND ts < '2024-01-01 00:01' RETURNING *) INSERT INTO lost SELECT * FROM d;
UPDATE first_state SET n = 77;
SELECT problem, found FROM streamagg.verify('first') ORDER BY 2;
SELECT problem, found FROM streamagg.verify('first', '2024-01-01 00:01') ORDER BY 2;
-- the later ones had begun behind them
SELECT * FROM streamagg.verify('later') UNION ALL SELECT * FROM streamagg.verify('total');
INSERT INTO s_archive SELECT * FROM lost;
-- one that lacks a row somewhere
WITH d AS (DELETE FROM s_archive WHERE _partition = 1 AND ts = '2024-01-01 00:01:30' RETURNING *) INSERT INTO lost SELECT * FROM d;
SELECT * FROM streamagg.verify('first');

-- members of the owner only, whatever they may read, and in their search_path only what the definition means
RESET ROLE;
-- an aggregate began with its first batch, also when that had nothing but records in quarantine
CREATE FOREIGN TABLE bad_first (n int NOT NULL, ts timestamptz NOT NULL) SERVER verify_edges OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('bad_first_total', 'SELECT count(*) AS n FROM bad_first');
SELECT quarantined FROM streamagg.push('bad_first', ARRAY['{}', '{}']);
SELECT began FROM streamagg.aggregate_progress WHERE state_table = 'bad_first_total_state'::regclass;
SELECT accepted FROM streamagg.push('bad_first', ARRAY['{"n": 1, "ts": "2024-05-01T10:00:00Z"}']);
SELECT began FROM streamagg.aggregate_progress WHERE state_table = 'bad_first_total_state'::regclass;
SET ROLE verify_other;
SELECT * FROM streamagg.verify('first');
SELECT * FROM streamagg.verify('s');
SELECT * FROM streamagg.verify(NULL);
SELECT * FROM streamagg.verify(0);
CREATE FUNCTION evil(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'called as %', current_user; END $$;
CREATE OPERATOR = (FUNCTION = evil, LEFTARG = bigint, RIGHTARG = bigint);
CREATE FUNCTION to_jsonb(anyelement) RETURNS jsonb LANGUAGE sql AS 'SELECT null::jsonb';
SET ROLE verify_member;
SET search_path = verify_edges, pg_catalog;
SET DateStyle = 'German';
SELECT problem, expected, found FROM streamagg.verify('later', '2024-01-01') ORDER BY 2;
RESET DateStyle;
RESET ROLE;
SELECT current_user = session_user AS same_user, current_setting('search_path'), current_setting('DateStyle');
DROP FOREIGN TABLE s CASCADE;
SELECT * FROM streamagg.verify('first');
DROP SCHEMA verify_edges CASCADE;
DROP SERVER verify_edges;
DROP ROLE verify_owner, verify_member, verify_other;
