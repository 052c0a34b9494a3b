-- push(): counters, tombstones, keys, timestamps, offsets, partitions, and what it refuses.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA push;
SET search_path = push;
CREATE SERVER push FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER push_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (
  v int CHECK (v < 100), k text OPTIONS (meta 'key'), p int OPTIONS (meta 'partition'),
  o bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp'), t text OPTIONS (meta 'topic'),
  ts timestamptz NOT NULL
) SERVER push OPTIONS (event_time 'ts', watermark_delay '0 s', topic 'a topic');
SELECT streamagg.create_aggregate('seen', $$
  SELECT p, o, v, k, at, t, count(*) AS times FROM s GROUP BY 1, 2, 3, 4, 5, 6 $$);
SELECT streamagg.create_aggregate('minutes', $$
  SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2 $$);

-- one of each: accepted, tombstone, not JSON, a violated rule, accepted; offsets count them all
SELECT * FROM streamagg.push('s', ARRAY['{"v": 1, "ts": "2024-01-01T00:00:00Z"}', NULL, '{"v": 1,',
  '{"v": 100, "ts": "2024-01-01T00:00:00Z"}', '{"v": 2, "ts": "2024-01-01T00:01:00Z"}']);
SELECT p, o, v, k, t FROM seen ORDER BY o;
-- I15: a tombstone is no empty message, an empty key is no missing key
SELECT * FROM streamagg.push('s', ARRAY[NULL, '', ' ', '{"v": 3, "ts": "2024-01-01T00:02:00Z"}', '{"v": 4, "ts": "2024-01-01T00:02:00Z"}'],
  keys => ARRAY['a', 'b', 'c', '', NULL]);
SELECT o, v, k, k IS NULL AS missing FROM seen WHERE v IN (3, 4) ORDER BY o;
-- timestamps: NULL is now(); more than max_future ahead of it is a violation
SELECT * FROM streamagg.push('s', ARRAY['{"v": 5, "ts": "2024-01-01T00:02:00Z"}', '{"v": 6, "ts": "2024-01-01T00:02:00Z"}',
    '{"v": 7, "ts": "2024-01-01T00:02:00Z"}'], 0, NULL, ARRAY['2024-01-01 00:02:10', '2023-12-31', NULL]::timestamptz[]);
SELECT o, v, at IS NOT DISTINCT FROM '2024-01-01 00:02:10' AS given FROM seen WHERE o > 9 ORDER BY o;
-- late: for every window of some aggregate, outside the sum
SELECT * FROM streamagg.push('s', ARRAY['{"v": 8, "ts": "2024-01-01T00:01:59Z"}', '{"v": 9, "ts": "2024-01-01T00:02:00Z"}']);
-- other partitions have offsets and watermarks of their own
SELECT accepted, late FROM streamagg.push('s', ARRAY['{"v": 1, "ts": "2024-01-01T00:03:00Z"}'], 7, ARRAY['k7']);
SELECT accepted, late FROM streamagg.push('s', ARRAY['{"v": 1, "ts": "2024-01-01T00:03:00Z"}', NULL], 2);
SELECT accepted, late FROM streamagg.push('s', ARRAY['{"v": 2, "ts": "2024-01-01T00:04:00Z"}'], 7);
SELECT p, o, v, k FROM seen WHERE p > 0 ORDER BY p, o;
SELECT partition, start_offset, next_offset, high_offset, lag, watermark, read, accepted, quarantined, tombstones
FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;
-- no message is a batch, too: the partition exists from then on
SELECT * FROM streamagg.push('s', '{}', 9);
SELECT partition, next_offset, watermark FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 9;
SELECT max(batch) FROM streamagg.batches WHERE stream = 's'::regclass;
-- a matrix of messages is a list of them
SELECT read, accepted FROM streamagg.push('s', ARRAY[['{"ts": "2024-01-01T00:05:00Z"}', NULL], [NULL, '{"ts": "2024-01-01T00:05:00Z"}']]);

-- what was rolled back was never there
BEGIN;
SELECT read FROM streamagg.push('s', ARRAY['{"v": 50, "ts": "2030-01-01T00:00:00Z"}', '{'], timestamps => ARRAY['2030-01-01', NULL]::timestamptz[]);
SAVEPOINT a;
SELECT read FROM streamagg.push('s', ARRAY['{"v": 51, "ts": "2030-01-01T00:00:00Z"}'], timestamps => ARRAY['2030-01-01']::timestamptz[]);
ROLLBACK TO a;
SELECT o - max(o) OVER () AS o, v FROM seen WHERE v > 20;
ROLLBACK;
SELECT next_offset, read, watermark FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 0;
SELECT count(*) FROM seen WHERE v > 20;
-- two in one transaction follow each other
BEGIN;
SELECT accepted FROM streamagg.push('s', ARRAY['{"v": 30, "ts": "2024-01-01T00:05:00Z"}']);
SELECT accepted FROM streamagg.push('s', ARRAY['{"v": 30, "ts": "2024-01-01T00:05:00Z"}']);
COMMIT;
SELECT max(o) - min(o) AS apart, count(*) FROM seen WHERE v = 30;
-- in one statement as well
SELECT sum(accepted), sum(n) FROM generate_series(31, 35) n, streamagg.push('s', ARRAY[format('{"v": %s, "ts": "2024-01-01T00:05:00Z"}', n)]);
SELECT count(*), sum(v), max(o) - min(o) + 1 AS offsets FROM seen WHERE v BETWEEN 31 AND 35;

-- refused
SELECT streamagg.push('s', ARRAY['{}'], keys => ARRAY['a', 'b']);
SELECT streamagg.push('s', ARRAY['{}'], timestamps => '{}');
SELECT streamagg.push('s', ARRAY['{}'], -1);
SELECT streamagg.push('s', ARRAY['{}'], NULL);
SELECT streamagg.push('s', NULL);
SELECT streamagg.push(NULL, ARRAY['{}']);
SELECT streamagg.push('no_such_stream', ARRAY['{}']);
SELECT streamagg.push('seen', ARRAY['{}']);
SELECT streamagg.push('pg_class', ARRAY['{}']);
SELECT streamagg.push(1::oid, ARRAY['{}']);
-- a stream of a broker takes none; a local one gives none and cannot be started
CREATE FOREIGN TABLE remote (ts timestamptz) SERVER push_kafka OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.push('remote', ARRAY['{}']);
SELECT * FROM s;
SELECT count(*) FROM s WHERE p = 0;
INSERT INTO s (v) VALUES (1);
UPDATE s SET v = 1;
DELETE FROM s;
SELECT streamagg.wait_for('s');
SELECT streamagg.start('s');
SELECT streamagg.stop('s');
SELECT streamagg.start('remote');
START TRANSACTION READ ONLY;
SELECT streamagg.push('s', ARRAY['{}']);
ROLLBACK;
SELECT next_offset FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 0;

SET client_min_messages = warning;
DROP SCHEMA push CASCADE;
DROP SERVER push, push_kafka;
