-- The views after a story: streams, partitions, batches (a ring of 1000), aggregates, quarantine, events.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
CREATE SCHEMA views;
SET search_path = views;
CREATE SERVER views FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER views_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (k text NOT NULL, ts timestamptz) SERVER views OPTIONS (event_time 'ts', watermark_delay '10 s', topic 'the topic');
CREATE FOREIGN TABLE quiet (ts timestamptz) SERVER views OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE remote (ts timestamptz) SERVER views_kafka OPTIONS (event_time 'ts', topic 't');

-- before anything happened
SELECT stream, state, reason, sqlstate, next_retry, workers, rows_per_second, lag, lag_seconds, watermark, last_commit, restarts, busy
FROM streamagg.streams WHERE stream::text IN ('s', 'quiet', 'remote') ORDER BY stream::text;
SELECT (SELECT count(*) FROM streamagg.partitions) AS partitions, (SELECT count(*) FROM streamagg.batches) AS batches;

-- the story
SELECT streamagg.create_aggregate('minutes', $$
  SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3 $$,
  late => 'drop', allowed_lateness => '1 min');
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT read FROM streamagg.push('s', ARRAY['{"k": "a", "ts": "2024-01-01T00:00:00Z"}', NULL, '{']);
SELECT read FROM streamagg.push('s', ARRAY['{"k": "b", "ts": "2024-01-01T00:05:00Z"}', '{"k": "a", "ts": "2024-01-01T00:01:00Z"}'], 1);
SELECT read FROM streamagg.push('s', ARRAY['{"k": "a", "ts": "2024-01-01T00:07:00Z"}', '{}'], 0);

SELECT stream, state, workers, lag, lag_seconds, watermark, last_commit > now() - interval '1 h' AS now, restarts
FROM streamagg.streams WHERE stream = 's'::regclass;
SELECT stream, topic, partition, start_offset, next_offset, high_offset, lag, watermark, idle, worker_pid
FROM streamagg.partitions ORDER BY partition;
SELECT stream, partition, read, accepted, quarantined, dropped, duplicate, tombstones, gaps, lost FROM streamagg.partitions ORDER BY partition;
SELECT stream, partition, batch, first_offset, next_offset, read, accepted, quarantined, dropped, duplicate, tombstones, gaps, lost
FROM streamagg.batches ORDER BY batch;
SELECT count(*) FILTER (WHERE decode_ms >= 0 AND aggregate_ms >= 0 AND read_ms >= 0) AS timed,
  count(DISTINCT committed_at) AS moments FROM streamagg.batches;
SELECT aggregate, stream, state_table, late, allowed_lateness, emit, retention, rows_in, late_rows, late_pairs, groups, closed_until
FROM streamagg.aggregates ORDER BY since, aggregate::text;
SELECT query ~ 'tumble\(.*GROUP BY' AS its_query FROM streamagg.aggregates WHERE aggregate = 'minutes'::regclass;
SELECT stream, topic, partition, record_offset, stage, code, column_name, failed_rules, record - 'digest' AS record, status FROM streamagg.quarantine ORDER BY partition, record_offset;
SELECT stream, actor = current_user AS me, event, detail FROM streamagg.events WHERE stream::text IN ('s', 'quiet') AND event !~ '_stream' ORDER BY at;
SELECT DISTINCT event FROM streamagg.events WHERE stream::text IN ('s', 'quiet', 'remote') ORDER BY 1;

-- promise 2: the parts are the whole
SELECT count(*) AS wrong FROM streamagg.partitions
WHERE read <> accepted + quarantined + dropped + duplicate + tombstones OR next_offset - start_offset <> read + gaps + lost;
SELECT count(*) AS wrong FROM (
  SELECT stream, partition, sum(read) AS read, sum(accepted) AS accepted, max(next_offset) AS next FROM streamagg.batches GROUP BY 1, 2) b
  JOIN streamagg.partitions p USING (stream, partition) WHERE (b.read, b.accepted, next) <> (p.read, p.accepted, p.next_offset);

-- the ring keeps the last 1000 shares, of each stream its own
SELECT sum(p.accepted) FROM generate_series(1, 1005) i, streamagg.push('s', ARRAY[format('{"k": "%s", "ts": "2024-01-01T00:10:00Z"}', i % 3)], i % 2) p;
SELECT count(*), min(batch), max(batch), count(DISTINCT batch) FROM streamagg.batches WHERE stream = 's'::regclass;
SELECT accepted FROM streamagg.push('quiet', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
SELECT stream, count(*) FROM streamagg.batches GROUP BY 1 ORDER BY 2;
SELECT k, n FROM minutes WHERE window_start = '2024-01-01 00:10' ORDER BY 1;
SELECT n FROM total;
SELECT rows_in FROM streamagg.aggregates WHERE aggregate = 'total'::regclass;

-- control: starts nothing here, and says why
SELECT streamagg.start_all(), streamagg.stop_all();
SELECT streamagg.stop('s'), streamagg.stop('remote', 'abort', '1 s');
SELECT streamagg.stop('s', 'later');
SELECT streamagg.start('minutes');
SELECT streamagg.wait_for('remote');
SELECT streamagg.start('quiet');
SELECT component FROM streamagg.version() ORDER BY 1;
SELECT a.version = e.extversion AND b.version = e.extversion AS same FROM pg_extension e, streamagg.version() a, streamagg.version() b
WHERE e.extname = 'streamagg' AND a.component = 'streamagg' AND b.component = 'streamagg library';

SET client_min_messages = warning;
DROP SCHEMA views CASCADE;
SELECT (SELECT count(*) FROM streamagg.partitions) AS partitions, (SELECT count(*) FROM streamagg.batches) AS batches,
  (SELECT count(*) FROM streamagg.quarantine) AS quarantine, (SELECT count(*) FROM streamagg.streams) AS streams;
DROP SERVER views, views_kafka;
