-- Late rows, watermarks and is_final: merge, drop, allowed_lateness, emit final.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA lateness;
SET search_path = lateness;
CREATE SERVER lateness FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER lateness OPTIONS (event_time 'ts', watermark_delay '30 s');
SELECT streamagg.create_aggregate('merged', q), streamagg.create_aggregate('dropped', q, late => 'drop'),
  streamagg.create_aggregate('allowed', q, late => 'drop', allowed_lateness => '1 min'),
  streamagg.create_aggregate('final', q, emit => 'final'),
  streamagg.create_aggregate('final_later', q, allowed_lateness => '1 min', emit => 'final')
FROM (VALUES ('SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2')) v(q);
SELECT streamagg.create_aggregate('total', 'SELECT k, count(*) AS n FROM s GROUP BY 1', late => 'drop');
-- times of day of 2024-01-01
CREATE FUNCTION push(part int, VARIADIC times text[]) RETURNS TABLE (accepted bigint, late bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.late FROM streamagg.push('s',
    (SELECT array_agg(format('{"k": "a", "ts": "2024-01-01T%sZ"}', t) ORDER BY o) FROM unnest(times) WITH ORDINALITY x(t, o)), part) p $$;
CREATE VIEW shown AS
SELECT window_start::time AS minute, m.n AS merged, d.n AS dropped, a.n AS allowed, f.n AS final, l.n AS final_later,
  m.is_final, a.is_final AS allowed_final
FROM merged m LEFT JOIN dropped d USING (window_start) LEFT JOIN allowed a USING (window_start)
  LEFT JOIN final f USING (window_start) LEFT JOIN final_later l USING (window_start);
CREATE VIEW counters AS
SELECT aggregate, rows_in, late_rows, late_pairs, closed_until::time FROM streamagg.aggregates WHERE stream = 's'::regclass;

-- the watermark is the maximum less 30 s: minute 0 closes when it reaches 1:00, not before
SELECT * FROM push(0, '00:00:10', '00:01:29.999999', '00:00:20');
SELECT * FROM shown ORDER BY 1;
-- within a batch the row before counts: 1:30 closes minute 0 for the row behind it
SELECT * FROM push(0, '00:00:30', '00:01:30', '00:00:40', '00:01:00');
SELECT * FROM shown ORDER BY 1;
SELECT * FROM counters ORDER BY 1;
-- allowed_lateness moves the end by a minute
SELECT * FROM push(0, '00:02:29.999999', '00:00:50', '00:02:30', '00:00:55');
SELECT * FROM shown ORDER BY 1;
SELECT * FROM counters ORDER BY 1;
-- record by record it is the same
SELECT * FROM push(0, '00:03:30');
SELECT * FROM push(0, '00:02:59');
SELECT * FROM push(0, '00:03:29');
SELECT * FROM shown ORDER BY 1;
-- a running total is never late and never final
SELECT k, n, is_final FROM total;

-- a second partition: found late it holds the closing watermark where it is, which judges its rows
SELECT * FROM push(1, '00:02:30', '00:03:10');
SELECT * FROM counters ORDER BY 1;
SELECT * FROM push(0, '00:09:00');
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
SELECT partition, watermark::time FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;
-- its own watermark lets partition 0 be late where partition 1 is not
SELECT * FROM push(0, '00:04:00');
SELECT * FROM push(1, '00:04:00');
SELECT * FROM push(1, '00:06:00');
SELECT * FROM shown ORDER BY 1;
-- a partition without an accepted row holds it, too; what is refused moves nothing
SELECT read, quarantined FROM streamagg.push('s', ARRAY['{', NULL, '{"k": "x", "ts": "2024-13-01"}', '{"ts": null}'], 2);
SELECT * FROM push(0, '00:20:00') a, push(1, '00:20:00') b;
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
SELECT partition, watermark FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;

-- a longer delay does not take the closing watermark back, a shorter one moves it with the next batch
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '1 hour');
SELECT * FROM push(2, '00:20:00');
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '0 s');
SELECT read FROM streamagg.push('s', '{}', 2);
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
SELECT count(*) = 0 AS all_final FROM merged WHERE NOT is_final AND window_end <= '2024-01-01 00:20';
-- the slowest partition counts, whichever it is
SELECT * FROM push(0, '00:30:00') a, push(1, '00:31:00') b, push(2, '00:32:00') c;
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
SELECT * FROM push(2, '00:40:00') a, push(0, '00:40:00') b;
SELECT closed_until::time FROM streamagg.aggregates WHERE aggregate = 'merged'::regclass;
-- late rows are counted before WHERE and HAVING
SELECT streamagg.create_aggregate('filtered', $$
  SELECT w.window_start, w.window_end, count(*) FROM s, streamagg.tumble(ts, '1 min') w WHERE k = 'b' GROUP BY 1, 2 HAVING count(*) > 1 $$, late => 'drop');
SELECT * FROM push(0, '00:00:00', '00:00:00', '00:20:00');
SELECT * FROM counters WHERE aggregate = 'filtered'::regclass;

-- idle keys do not matter: updated_at is of the transaction that changed the row
BEGIN;
SELECT * FROM push(0, '00:41:00');
SELECT window_start::time, updated_at = now() AS changed FROM merged WHERE window_start >= '2024-01-01 00:40' ORDER BY 1;
COMMIT;

SET client_min_messages = warning;
DROP SCHEMA lateness CASCADE;
DROP SERVER lateness;
