-- Session windows: joining, bridging, keys, late rows, what is refused.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA sessions;
SET search_path = sessions;
CREATE SERVER sessions FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, v int, ts timestamptz NOT NULL) SERVER sessions OPTIONS (event_time 'ts', watermark_delay '1 min', archive 'on');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('a', 'one'), ('a', 'two'), ('b', 'one');
SELECT streamagg.create_aggregate('merged', q), streamagg.create_aggregate('dropped', q, late => 'drop'),
  streamagg.create_aggregate('final', q, emit => 'final'), streamagg.create_aggregate('later', q, late => 'drop', allowed_lateness => '1 min')
FROM (VALUES ('SELECT w.window_start AS b, w.window_end AS e, k, count(*) AS n, sum(v) AS s FROM s, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3')) v(q);
-- without other keys; expressions, several aggregates, WHERE and HAVING; a join that gives a row twice
SELECT streamagg.create_aggregate('alone', 'SELECT w.window_end - w.window_start AS length, count(*) AS n, avg(v) AS mean FROM s, streamagg.session(ts, ''10 s'') w GROUP BY window_start, window_end'),
  streamagg.create_aggregate('parity', 'SELECT k || ''!'' AS k, n % 2 AS odd, w.window_start AS b, min(v) AS lo, max(v) AS hi, count(*) FILTER (WHERE v > 4) AS big, bool_or(v > 4) AS large
    FROM s, streamagg.session(s.ts, gap => ''10 s'') w WHERE v < 100 GROUP BY 1, 2, w.window_start HAVING count(*) > 1'),
  streamagg.create_aggregate('named', 'SELECT name, w.window_start AS b, w.window_end AS e, count(*) AS n FROM s JOIN names USING (k) CROSS JOIN LATERAL streamagg.session(s.ts, interval ''10 s'') w GROUP BY 1, 2, 3');
-- values 1, 2, 4 … of one push, of times of 2024-01-01: which rows a session has can be read from its sum
CREATE FUNCTION push(part int, key text, VARIADIC times text[]) RETURNS TABLE (accepted bigint, late bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.late FROM streamagg.push('s',
    (SELECT array_agg(format('{"k": %s, "n": %s, "v": %s, "ts": "2024-01-01T00:%sZ"}', coalesce('"' || key || '"', 'null'), o, 1 << (o - 1)::int, t) ORDER BY o)
     FROM unnest(times) WITH ORDINALITY x(t, o)), part) p $$;
CREATE VIEW shown AS SELECT 'merged' AS a, b::time, e::time, k, n, s, is_final FROM merged UNION ALL SELECT 'dropped', b::time, e::time, k, n, s, is_final FROM dropped;
-- ends included: 10 s after the last event joins, a microsecond more does not; NULL is a key
SELECT * FROM push(0, 'a', '00:10', '00:20', '00:30', '00:40.000001');
SELECT * FROM push(0, NULL, '00:10', '00:20.000001', '00:30.000001');
SELECT * FROM shown ORDER BY 1, 2, 3, 4;
-- a row between two stored sessions makes them one, by both ends; the other key's stay
SELECT * FROM push(0, 'a', '00:35');
SELECT * FROM push(0, NULL, '00:15', '00:05', '00:00', '00:41');
SELECT * FROM shown ORDER BY 1, 2, 3, 4;
-- many stored ones become one in a batch, whatever the order
SELECT * FROM push(0, 'b', '00:55', '00:00', '00:22', '00:11', '00:44', '00:33');
SELECT * FROM push(0, 'b', '00:38', '00:50', '00:05', '00:28', '00:16');
SELECT * FROM shown WHERE k = 'b' ORDER BY 1, 2, 3, 4;
SELECT length, n, mean FROM alone ORDER BY 1;
SELECT k, odd, b::time, lo, hi, big, large FROM parity ORDER BY 1, 2, 3;
SELECT name, b::time, e::time, n FROM named ORDER BY 1, 2;
-- late: the watermark is 02:00. Alone it is late, with an open session it is not; a closed one is out of reach of 'drop'
SELECT * FROM push(0, 'c', '03:00', '01:45');
SELECT * FROM push(0, 'd', '01:51', '01:49', '01:41', '01:31');
SELECT * FROM push(0, 'd', '01:21');
SELECT * FROM shown WHERE k IN ('c', 'd') ORDER BY 1, 2, 3, 4;
SELECT b::time, e::time, n, s FROM later WHERE k = 'c' ORDER BY 1;
SELECT b::time, e::time, k, n FROM final WHERE k IN ('b', 'd') ORDER BY 1, 2, 3;
-- two sessions of a key that begin at the same time: one had closed when the other reached back to it
SELECT * FROM push(0, 'e', '03:00', '04:13', '03:10', '03:20');
SELECT * FROM push(0, 'e', '03:18', '03:10', '03:00');
SELECT * FROM shown WHERE k = 'e' ORDER BY 1, 2, 3, 4;
-- one that reaches back over a closed one: a row behind that joins it all the same
SELECT * FROM push(0, 'f', '10:10', '11:21', '10:29', '10:20', '10:10', '10:00', '10:35');
-- a stored one that was open for the first row of a batch, and closed for the last
SELECT * FROM push(0, 'g', '20:00');
SELECT * FROM push(0, 'g', '20:08', '22:00', '20:05');
SELECT * FROM shown WHERE k IN ('f', 'g') ORDER BY 1, 2, 3, 4;
SELECT aggregate, rows_in, late_rows, late_pairs FROM streamagg.aggregates WHERE stream = 's'::regclass ORDER BY aggregate::text;
-- the archive tells the same; drop where each key has one partition
CREATE VIEW verified AS SELECT a.aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE stream = 's'::regclass;
SELECT * FROM verified;
UPDATE merged_state SET s = s + 1 WHERE k = 'e';
UPDATE dropped_state SET e = e + interval '1 s' WHERE k = 'c' AND n = 1;
SELECT aggregate, problem, coalesce(found, expected) ->> 'b' AS b, coalesce(found, expected) ->> 's' AS s FROM verified ORDER BY 1, 2, 3;
SELECT problem, found ->> 'b' AS b FROM streamagg.verify('merged', '2024-01-01 00:04', '2024-01-01 00:05');
BEGIN; SELECT streamagg.replace_aggregate(a, 'SELECT w.window_start AS b, w.window_end AS e, k, count(*) AS n, sum(v) AS s FROM s, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3') FROM unnest('{merged,dropped}'::regclass[]) a;
SELECT * FROM verified;
SELECT * FROM push(0, 'g', '22:05');
SELECT * FROM shown WHERE k = 'g' ORDER BY 1, 2, 3, 4;
COMMIT;
SELECT streamagg.backfill('dropped', '2024-01-01');
SELECT streamagg.backfill('dropped', source => 'kafka');
UPDATE dropped_state SET n = n + 1;
SELECT streamagg.backfill('dropped');
SELECT * FROM verified;
SELECT streamagg.create_aggregate('filled', 'SELECT w.window_start AS b, count(*) AS n FROM s, streamagg.session(ts, ''10 s'') w GROUP BY 1', backfill => 'archive');
SELECT * FROM streamagg.verify('filled');
-- a key that comes from two partitions
SELECT * FROM push(1, 'g', '22:06');
SELECT * FROM streamagg.verify('merged');
SELECT * FROM streamagg.verify('dropped');

SET client_min_messages = error;
DROP SCHEMA sessions CASCADE;
DROP SERVER sessions CASCADE;
