-- The views have exactly these columns, in this order: scripts and dashboards rely on them.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SELECT plan(14);

CREATE TEMP TABLE expected (name text, columns text);
INSERT INTO expected VALUES
('streams', 'stream state state_since reason sqlstate next_retry workers rows_per_second lag lag_seconds watermark last_commit restarts busy'),
('partitions', 'stream topic partition start_offset next_offset high_offset lag watermark idle read accepted quarantined dropped duplicate tombstones gaps lost worker_pid'),
('batches', 'stream partition batch first_offset next_offset read accepted quarantined dropped duplicate tombstones gaps lost read_ms decode_ms aggregate_ms commit_ms committed_at'),
('backfills', 'aggregate source from_ts to_ts done_to rows_read state reason sqlstate started_at finished_at'),
('close_hooks', 'aggregate command since closed failures pending oldest next_try last_error last_sqlstate last_failed_at'),
('aggregates', 'aggregate stream query state_table late allowed_lateness emit retention since rows_in late_rows late_pairs groups closed_until'),
('quarantine', 'stream topic partition record_offset stage code reason column_name failed_rules record received_at status'),
('gaps', 'stream topic partition first_offset next_offset kind reason at'),
('events', 'at stream actor event detail'),
('merge_rules', 'aggregate partials merges final parts extension custom');
SELECT is((SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = ('streamagg.' || name)::regclass AND attnum > 0 AND NOT attisdropped), columns, name || ' has its columns in order')
FROM expected ORDER BY name;
SELECT set_eq($$SELECT relname::text FROM pg_class WHERE relnamespace = 'streamagg'::regnamespace AND relkind = 'v'$$,
  $$SELECT name FROM expected WHERE name <> 'merge_rules'$$, 'there is no other view');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'streamagg'::regnamespace AND relkind = 'v' AND attname IN ('stream', 'aggregate', 'state_table') AND atttypid <> 'regclass'::regtype$$,
  'streams, aggregates and state tables are regclass');
-- functions, operators and types as text: pg_upgrade refuses the other reg* types in tables
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'streamagg'::regnamespace AND relkind = 'r' AND attnum > 0
      AND attrelid <> 'streamagg.key_store'::regclass -- keys are not dumped
      AND atttypid::regtype::text IN ('oid', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regtype', 'regrole', 'regnamespace', 'regcollation', 'regconfig', 'regdictionary')$$,
  'stored references are regclass only, which dump as names');
SELECT set_eq($$SELECT unnest(extconfig)::regclass::text FROM pg_extension WHERE extname = 'streamagg'$$,
  $$SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'streamagg'::regnamespace AND relkind = 'r'
      AND relname NOT IN ('key_store', 'backfill_log', 'attempt')$$,
  'the contents of every table but the keys, the log of backfills and the markers of crashes are dumped');
SELECT * FROM finish();
ROLLBACK;
