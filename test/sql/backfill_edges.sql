-- backfill(): aggregates that began later, archives that lack rows, what is refused and what is undone.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA backfill_edges;
SET search_path = backfill_edges;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE ROLE backfill_owner IN ROLE streamagg_reader;
CREATE ROLE backfill_other;
CREATE SERVER backfill_edges FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE, CREATE ON SCHEMA backfill_edges TO backfill_owner;
GRANT USAGE ON SCHEMA backfill_edges TO backfill_other;
GRANT USAGE ON FOREIGN SERVER backfill_edges TO backfill_owner;
SET ROLE backfill_owner;
CREATE FOREIGN TABLE s (k text, n int, ts timestamptz NOT NULL) SERVER backfill_edges OPTIONS (event_time 'ts', watermark_delay '10 s');
SELECT streamagg.create_aggregate('a', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1');
SELECT streamagg.backfill('a');
SELECT keep('s');
CREATE FUNCTION push(from_minute int, to_minute int) RETURNS bigint LANGUAGE sql AS $$
  SELECT sum(feed('s', jsonb_build_object('k', 'a', 'n', i, 'ts', timestamptz '2024-01-01' + i * interval '30 s'), i % 2))
  FROM generate_series(from_minute, to_minute) i $$;
SELECT streamagg.backfill('a');
SELECT push(1, 10);

-- one that began later gets what was before: in the windows of the range
SELECT streamagg.create_aggregate('later', 'SELECT w.window_start, count(*) AS c, 6 / (sum(n) - 13) AS z FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1'),
  streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT push(11, 12);
SELECT window_start::time, c FROM later ORDER BY 1;
SELECT streamagg.backfill('later', '2024-01-01 00:04', '2024-01-01 00:06');
SELECT window_start::time, c FROM later ORDER BY 1;
SELECT * FROM streamagg.verify('later');
DELETE FROM later_state WHERE window_start = '2024-01-01 00:04';
SELECT * FROM streamagg.verify('later');
SELECT streamagg.backfill('later'), streamagg.backfill('total'), (SELECT n FROM total) AS total_before;
SELECT (SELECT count(*) FROM later), (SELECT n FROM total);
SELECT * FROM streamagg.verify('later') UNION ALL SELECT * FROM streamagg.verify('total');

-- an archive that has lost its first rows: nothing is replaced that they were in
SELECT unlock('s');
CREATE TABLE lost (LIKE s_archive);
WITH d AS (DELETE FROM s_archive WHERE ts < '2024-01-01 00:02' RETURNING *) INSERT INTO lost SELECT * FROM d;
SELECT streamagg.backfill('a');
SELECT streamagg.backfill('a', '2024-01-01 00:01');
SELECT streamagg.backfill('a', '2024-01-01 00:02');
SELECT streamagg.backfill('total');
SELECT count(*), sum(c) FROM a;
INSERT INTO s_archive SELECT * FROM lost;
WITH d AS (DELETE FROM s_archive WHERE ts = '2024-01-01 00:04' RETURNING *) INSERT INTO lost SELECT * FROM d;
SELECT streamagg.backfill('a');
SELECT count(*), sum(c) FROM a;
INSERT INTO s_archive SELECT * FROM lost WHERE ts = '2024-01-01 00:04';

-- a slice that fails leaves its windows as they were
SELECT streamagg.replace_aggregate('later', 'SELECT w.window_start, count(*) AS c, max(6 / (n - 13)) AS z FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1');
INSERT INTO s_archive SELECT k, 13, ts, rest, _partition, 99, _watermark, _received_at FROM s_archive WHERE n = 12;
SELECT streamagg.backfill('later');
SELECT sum(c) FROM later;
SELECT aggregate, state, reason, sqlstate, rows_read FROM streamagg.backfills WHERE state = 'failed' ORDER BY started_at DESC LIMIT 1;

-- refused
BEGIN;
SELECT streamagg.backfill('a');
ROLLBACK;
SELECT streamagg.backfill(NULL);
SELECT streamagg.backfill('s');
SELECT streamagg.backfill('a', source => 'somewhere');
SELECT streamagg.backfill('a', source => NULL);
SET default_transaction_read_only = on;
SELECT streamagg.backfill('a');
RESET default_transaction_read_only;
SET ROLE backfill_other;
SELECT streamagg.backfill('a');
SELECT count(*) FROM streamagg.backfills;
RESET ROLE;
-- what this statement holds, the process would wait for
SELECT streamagg.backfill('a') FROM streamagg.push('s', ARRAY['{"n": 20, "ts": "2024-01-01T01:00:00Z"}']);
SET client_min_messages = warning;
DROP SCHEMA backfill_edges CASCADE;
SELECT count(*) FROM streamagg.backfills b WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = b.aggregate);
DROP SERVER backfill_edges;
DROP ROLE backfill_owner, backfill_other;
