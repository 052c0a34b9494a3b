-- Retention: which rows reach a window, what partitions the state has, what verify, backfill and replace make of it.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA retention;
SET search_path = retention;
CREATE SERVER retention FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER retention OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
\set minutes 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2, 3'
SELECT streamagg.create_aggregate('kept', :'minutes', retention => '2 hours'),
  streamagg.create_aggregate('dropped', :'minutes', late => 'drop', retention => '2 hours'),
  streamagg.create_aggregate('final', :'minutes', emit => 'final', allowed_lateness => '1 hour', retention => '2 hours'),
  streamagg.create_aggregate('allowed', :'minutes', allowed_lateness => '119 minutes', retention => '2 hours'),
  streamagg.create_aggregate('forever', :'minutes');
-- times of day of 2024-01-01
CREATE FUNCTION push(part int, VARIADIC times text[]) RETURNS TABLE (accepted bigint, late bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.late FROM streamagg.push('s',
    (SELECT array_agg(format('{"k": null, "ts": "2024-01-01T%sZ"}', t) ORDER BY o) FROM unnest(times) WITH ORDINALITY x(t, o)), part) p $$;
CREATE VIEW shown AS
SELECT window_start::time AS minute, v.n AS forever, k.n AS kept, d.n AS dropped, f.n AS final, a.n AS allowed
FROM forever v LEFT JOIN kept k USING (window_start) LEFT JOIN dropped d USING (window_start)
  LEFT JOIN final f USING (window_start) LEFT JOIN allowed a USING (window_start);
CREATE VIEW counters AS SELECT aggregate, retention, rows_in, late_rows, late_pairs, groups FROM streamagg.aggregates WHERE stream = 's'::regclass;
CREATE VIEW partitions AS
SELECT inhparent::regclass AS state, inhrelid::regclass AS partition, pg_get_expr(relpartbound, c.oid) AS range, reloptions
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid;

-- NULL is a group in partitions, too; hours of 2024-01-01 that have rows have a partition
SELECT * FROM push(0, '06:00:10', '06:00:20', '07:30:00', '06:59:59.999999');
SELECT * FROM push(0, '06:00:30');
SELECT * FROM shown ORDER BY 1;
SELECT * FROM partitions WHERE state = 'kept_state'::regclass ORDER BY 2;
SELECT c.relkind, pg_get_constraintdef(n.oid), pg_get_partkeydef(c.oid) FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid WHERE c.oid = 'kept_state'::regclass;

-- a window is over when a row meets a watermark of its end and the retention: not a microsecond before
SELECT * FROM push(0, '08:00:59.999999', '06:00:40');
SELECT * FROM push(0, '08:01:00', '06:00:50', '06:01:00');
SELECT * FROM shown WHERE minute < '07:00' ORDER BY 1;
SELECT * FROM counters ORDER BY 1;
-- the watermark of the row's own partition counts, too, though the other holds back the closing one
SELECT * FROM push(1, '07:00:00');
SELECT * FROM push(0, '12:00:00', '09:00:00');
SELECT * FROM push(1, '09:00:00');
SELECT minute, forever, kept, allowed FROM shown WHERE minute = '09:00';
SELECT closed_until FROM streamagg.aggregates WHERE aggregate = 'kept'::regclass;
SELECT aggregate, v.* FROM unnest(ARRAY['kept', 'dropped', 'final', 'allowed', 'forever']::regclass[]) aggregate, streamagg.verify(aggregate) v;

-- windows that may be gone are not compared, and not brought back: no row of the archive before is read
SELECT * FROM push(1, '12:00:00');
DO $$ BEGIN DELETE FROM kept_state WHERE window_start < '2024-01-01 09:59'; END $$; -- if the keeper was not there first
SELECT * FROM streamagg.verify('kept');
SELECT streamagg.backfill('kept');
SELECT window_start::time, n FROM kept ORDER BY 1;
SELECT streamagg.backfill('kept', to_ts => '2024-01-01 09:00');
SELECT streamagg.backfill('kept', '2024-01-01 06:00', '2024-01-01 12:01');
SELECT window_start::time, n FROM kept ORDER BY 1;
-- what is there is compared
UPDATE kept_state SET n = 7 WHERE window_start = '2024-01-01 12:00';
SELECT * FROM streamagg.verify('kept');
SELECT streamagg.backfill('kept');
SELECT * FROM streamagg.verify('kept');

-- made from the archive: only windows that are kept; replaced: the retention stays, and rows find their windows
SELECT * FROM push(0, '12:30:00') a, push(1, '12:30:00', '11:00:00') b;
SELECT streamagg.create_aggregate('later', :'minutes', retention => '90 minutes', backfill => 'archive');
SELECT window_start::time, n FROM later ORDER BY 1;
SELECT * FROM partitions WHERE state = 'later_state'::regclass ORDER BY 2;
SELECT streamagg.replace_aggregate('later', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT * FROM push(0, '12:31:00');
SELECT window_start::time, n FROM later ORDER BY 1;
SELECT aggregate, retention, groups FROM counters WHERE aggregate = 'later'::regclass;
SELECT * FROM streamagg.verify('later');
SELECT count(*) FROM streamagg.expired_partitions WHERE parent = 'later_state'::regclass;

-- DROP takes the partitions along; without its stream the table stays as it is
DROP VIEW shown;
SELECT streamagg.drop_aggregate('kept');
SELECT count(*) FROM pg_class WHERE relnamespace = 'retention'::regnamespace AND relname LIKE 'kept%';
SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
SELECT window_start::time, n FROM later ORDER BY 1;
SELECT aggregate, retention, groups FROM streamagg.aggregates WHERE aggregate = 'later'::regclass;

DROP SCHEMA retention CASCADE;
DROP SERVER retention;
