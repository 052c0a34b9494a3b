-- Time: what a changed watermark_delay, a partition found later and each setting of an aggregate mean for
-- lateness, is_final and the closing watermark.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA time;
SET search_path = time;
CREATE SERVER time FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (ts timestamptz NOT NULL) SERVER time OPTIONS (event_time 'ts', watermark_delay '10 s');
SELECT streamagg.create_aggregate('merged', q), streamagg.create_aggregate('dropped', q, late => 'drop', allowed_lateness => '1 min')
FROM (VALUES ('SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2')) v(q);
-- times of day of 2024-01-01
CREATE FUNCTION push(part int, VARIADIC times text[]) RETURNS TABLE (accepted bigint, late bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.late FROM streamagg.push('s',
    (SELECT array_agg(format('{"ts": "2024-01-01T%sZ"}', t) ORDER BY o) FROM unnest(times) WITH ORDINALITY x(t, o)), part) p $$;
CREATE VIEW closing AS SELECT watermark::time FROM streamagg.streams WHERE stream = 's'::regclass;
CREATE VIEW late AS SELECT aggregate, late_rows FROM streamagg.aggregates WHERE stream = 's'::regclass;

-- a longer delay holds from the next batch on: the partition's watermark goes back, the closing one does not
SELECT * FROM push(0, '10:00:00');
TABLE closing;
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '30 min');
SELECT watermark::time AS partition FROM streamagg.partitions WHERE stream = 's'::regclass;
TABLE closing;
-- rows meet the greater of the two: 9:58 ended before it, 9:59 did not
SELECT * FROM push(0, '09:58:59', '09:59:00', '10:01:00');
TABLE late ORDER BY 1;
TABLE closing;
-- and once the partition's watermark has overtaken it, that one, row by row within a batch
SELECT * FROM push(0, '10:31:00', '09:59:59', '10:00:59.999999', '10:01:00', '10:32:00', '10:01:00');
TABLE late ORDER BY 1;
TABLE closing;
-- a shorter one moves the partition's watermark for the next row, the closing one with the batch, not before
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '0 s');
TABLE closing;
SELECT * FROM push(0, '10:31:30');
TABLE late ORDER BY 1;
TABLE closing;
SELECT event, detail FROM streamagg.events WHERE event = 'alter_stream' AND stream = 's'::regclass;

-- a partition found later is active with -infinity: it holds the closing watermark, which stays as it is
SELECT read, quarantined FROM streamagg.push('s', ARRAY['{'], 1);
SELECT partition, watermark::time, idle FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;
SELECT * FROM push(0, '11:00:00');
TABLE closing;
-- its rows meet the closing watermark, not -infinity; the first accepted one lets it go on
SELECT * FROM push(1, '10:00:00', '10:40:00');
TABLE closing;
SELECT * FROM push(0, '10:59:00');
TABLE closing;
-- the watermark of each row, as the archive keeps it, is that which it met
CREATE FOREIGN TABLE a (ts timestamptz NOT NULL) SERVER time OPTIONS (event_time 'ts', watermark_delay '1 min', archive 'on');
SELECT accepted FROM streamagg.push('a', ARRAY['{"ts": "2024-01-01T10:00:00Z"}', '{"ts": "2024-01-01T10:05:00Z"}', '{"ts": "bad"}', '{"ts": "2024-01-01T10:01:00Z"}']);
SELECT accepted FROM streamagg.push('a', ARRAY['{"ts": "2024-01-01T10:02:00Z"}', '{"ts": "2024-01-01T10:03:00Z"}'], 1);
SELECT accepted FROM streamagg.push('a', ARRAY['{"ts": "2024-01-01T10:06:00Z"}', '{"ts": "2024-01-01T10:06:00Z"}']);
SELECT _partition, _offset, ts::time, CASE WHEN isfinite(_watermark) THEN _watermark::time::text ELSE _watermark::text END AS watermark
FROM a_archive ORDER BY 1, 2;

-- final: end and allowed_lateness reached, to the microsecond; emit 'final' shows these only and drops late rows
CREATE FOREIGN TABLE f (ts timestamptz NOT NULL) SERVER time OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('final', q, emit => 'final', allowed_lateness => '10 s'), streamagg.create_aggregate('live', q, allowed_lateness => '10 s')
FROM (VALUES ('SELECT w.window_start, w.window_end, count(*) AS n FROM f, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2')) v(q);
SELECT streamagg.create_aggregate('plain', 'SELECT date_part(''hour'', ts) AS hour, count(*) AS n FROM f GROUP BY 1', late => 'drop');
SELECT aggregate, late, emit FROM streamagg.aggregates WHERE stream = 'f'::regclass ORDER BY 1;
SELECT late FROM streamagg.push('f', ARRAY['{"ts": "2024-01-01T10:00:00Z"}', '{"ts": "2024-01-01T10:01:09.999999Z"}', '{"ts": "2024-01-01T10:00:59Z"}']);
SELECT (SELECT count(*) FROM final) AS final, n, is_final FROM live ORDER BY window_start;
SELECT late FROM streamagg.push('f', ARRAY['{"ts": "2024-01-01T10:01:10Z"}']);
SELECT (SELECT count(*) FROM final) AS final, n, is_final FROM live ORDER BY window_start;
SELECT late FROM streamagg.push('f', ARRAY['{"ts": "2024-01-01T10:00:59Z"}']);
SELECT (SELECT n FROM final) AS final, n FROM live ORDER BY window_start LIMIT 1;
-- a plain key and a running total are never late and never final
SELECT n, is_final FROM plain;

SET client_min_messages = warning;
DROP SCHEMA time CASCADE;
DROP SERVER time;
