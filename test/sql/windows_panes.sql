-- hop and cumulate grouped by panes, against the same query grouped by pairs: many windows, many kinds of late rows, the ends of time;
-- poison rows; replace_aggregate.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA windows_panes;
SET search_path = windows_panes;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER windows_panes FOREIGN DATA WRAPPER streamagg_kafka;
-- an average is not on the list of what panes can do: the twin of each aggregate
CREATE FUNCTION twins(name text, stream text, windows text, late text DEFAULT 'drop') RETURNS void LANGUAGE sql AS $$
  SELECT streamagg.create_aggregate(name || suffix, format('SELECT w.window_start, w.window_end, k, count(*) AS c, count(n) AS cn, sum(n) AS s, min(n) AS lo, max(ts) AS t,
    min(k) FILTER (WHERE n > 2) AS f %s FROM %s, streamagg.%s w GROUP BY 1, 2, 3', more, stream, windows), late) FROM (VALUES ('', ''), ('_pairs', ', avg(n) AS a')) v(suffix, more) $$;
CREATE FUNCTION differences(name text) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY EXECUTE format('(SELECT to_jsonb(a) - ''updated_at'' FROM %1$I a EXCEPT ALL SELECT to_jsonb(b) - ''updated_at'' - ''a'' FROM %1$I_pairs b)
    UNION ALL (SELECT to_jsonb(b) - ''updated_at'' - ''a'' FROM %1$I_pairs b EXCEPT ALL SELECT to_jsonb(a) - ''updated_at'' FROM %1$I a)', name);
END $$;

-- rows that are late for any number of their 60 (30) windows within a batch
CREATE FOREIGN TABLE s (k text, n int, ts timestamptz NOT NULL) SERVER windows_panes OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
SELECT twins('hop', 's', 'hop(ts, ''1 s'', ''1 min'')'), twins('odd', 's', 'hop(ts, ''1.5 s'', ''20 s'', ''2030-01-01'')'), twins('cumulate', 's', 'cumulate(ts, ''2 s'', ''1 min'')'),
  twins('merged', 's', 'hop(ts, ''7 s'', ''1 min'')', 'merge'), twins('single', 's', 'hop(ts, ''1 min'', ''1 min'')'), twins('gaps', 's', 'hop(ts, ''1 min'', ''20 s'')');
CREATE FUNCTION message(i int) RETURNS text LANGUAGE sql AS $$ SELECT jsonb_build_object('k', CASE WHEN i % 3 > 0 THEN repeat(chr(96 + i % 3), i % 3) END, 'n', CASE WHEN i % 5 > 0 THEN i % 17 END,
  'ts', timestamptz '2024-01-01' + i * interval '0.7 s' - CASE WHEN i % 2 = 0 THEN (i * 37 % 90) * interval '0.9 s' ELSE '0' END)::text $$;
SELECT accepted, late FROM generate_series(0, 2) b, streamagg.push('s', (SELECT array_agg(message(i)) FROM generate_series(b * 200, b * 200 + 199) i));
SELECT name, count(d) AS differences FROM unnest('{hop,odd,cumulate,merged,single,gaps}'::text[]) name LEFT JOIN LATERAL differences(name) d ON true GROUP BY 1 ORDER BY 1;
SELECT a.aggregate, a.late_rows, a.late_pairs, (a.late_rows, a.late_pairs, a.groups) = (b.late_rows, b.late_pairs, b.groups) AS same FROM streamagg.aggregates a, streamagg.aggregates b
WHERE a.stream = 's'::regclass AND b.aggregate::text = a.aggregate || '_pairs' ORDER BY 1;
SELECT a.aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE a.stream = 's'::regclass;

-- more groups than are held at a time: 10,000 windows a row
CREATE FOREIGN TABLE many (k text, ts timestamptz NOT NULL) SERVER windows_panes OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('many_windows', 'SELECT w.window_start, k, count(*) AS c, min(k) AS lo FROM many, streamagg.hop(ts, ''1 s'', ''10000 s'') w GROUP BY 1, 2');
SELECT accepted FROM streamagg.push('many', (SELECT array_agg(format('{"k": "%s", "ts": "2024-01-01T00:00:0%sZ"}', i, j)) FROM generate_series(1, 11) i, generate_series(0, 1) j));
SELECT count(*), sum(c), count(*) FILTER (WHERE c = 2) AS both_rows, count(*) FILTER (WHERE lo <> k) AS mixed FROM many_windows;

-- the ends of time
CREATE FOREIGN TABLE early (k text, n int, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER windows_panes OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FOREIGN TABLE far (k text, n int, ts timestamptz NOT NULL) SERVER windows_panes OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT twins(s || '_hop', s, 'hop(ts, ''7 h'', ''1 day'')', 'merge'), twins(s || '_cumulate', s, 'cumulate(ts, ''6 h'', ''7 days'')', 'merge') FROM unnest('{early,far}'::text[]) s;
SELECT accepted FROM streamagg.push('early', (SELECT array_agg(format('{"n": 1, "ts": %s}', extract(epoch FROM t)::bigint)) FROM unnest(ARRAY['4714-11-24 00:00:00+00 BC',
  '4714-11-24 03:00:00+00 BC', '4714-11-24 13:00:00+00 BC', '4714-11-26 13:00:00+00 BC']::timestamptz[]) t));
SELECT accepted FROM streamagg.push('far', (SELECT array_agg(format('{"n": 1, "ts": "%s"}', t)) FROM unnest('{294276-12-29T11:00:00Z,294276-12-31T11:00:00Z,294276-12-31T23:59:59Z}'::text[]) t),
  timestamps => array_fill('294276-12-31 23:59:59'::timestamptz, ARRAY[3]));
SELECT name, count(d) AS differences FROM unnest('{early_hop,early_cumulate,far_hop,far_cumulate}'::text[]) name LEFT JOIN LATERAL differences(name) d ON true GROUP BY 1 ORDER BY 1;
SELECT window_start, window_end, c FROM early_hop UNION ALL SELECT window_start, window_end, c FROM far_hop ORDER BY 1, 2;
SELECT window_start, min(window_end), max(window_end), count(*), sum(c) FROM (TABLE early_cumulate UNION ALL TABLE far_cumulate) u GROUP BY 1 ORDER BY 1;

-- E25 of hop and cumulate: a row that fails in one of its windows alone goes to quarantine, and is in none
CREATE FOREIGN TABLE p (id int, ts timestamptz NOT NULL) SERVER windows_panes OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
SELECT streamagg.create_aggregate('p_hop', 'SELECT w.window_start, count(*) AS c, sum(100 / id) AS s FROM p, streamagg.hop(ts, ''20 s'', ''1 min'') w GROUP BY 1', late => 'drop'),
  streamagg.create_aggregate('p_cumulate', 'SELECT w.window_end, sum(1 / extract(epoch FROM w.window_end - ts - interval ''7 s'')::int) AS s FROM p, streamagg.cumulate(ts, ''10 s'', ''1 min'') w GROUP BY 1', late => 'drop');
SELECT accepted, quarantined, late FROM streamagg.push('p', (SELECT array_agg(format('{"id": %s, "ts": "2024-01-01T00:%sZ"}', id, at) ORDER BY o) FROM unnest(
  '{1,0,2,3,4,5,6}'::int[], '{00:05,00:06,01:11,00:30,00:43,02:59,02:53}'::text[]) WITH ORDINALITY x(id, at, o)));
SELECT record_offset, stage, code, regexp_replace(reason, ': .*', ': …') AS reason FROM streamagg.quarantine WHERE stream = 'p'::regclass ORDER BY 1;
SELECT window_start::time, c, s, is_final FROM p_hop ORDER BY 1;
SELECT window_end::time, s FROM p_cumulate ORDER BY 1;
SELECT late_rows, late_pairs FROM streamagg.aggregates WHERE stream = 'p'::regclass ORDER BY aggregate::text;
SELECT v.* FROM unnest('{p_hop,p_cumulate}'::regclass[]) a, streamagg.verify(a) v;
-- a constraint of the state fails the row whose group breaks it
ALTER TABLE p_hop_state ADD CHECK (s < 1000);
SELECT accepted, quarantined FROM streamagg.push('p', (SELECT array_agg(text '{"id": 1, "ts": "2024-01-01T00:03:50Z"}') FROM generate_series(1, 12) i));
SELECT window_start::time, c, s FROM p_hop WHERE s >= 900 ORDER BY 1;

-- another window for an aggregate
SELECT streamagg.create_aggregate('r', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1', late => 'drop');
SELECT streamagg.replace_aggregate('r', 'SELECT w.window_start, count(*) AS c FROM s, streamagg.hop(ts, ''20 s'', ''1 min'') w GROUP BY 1');
SELECT * FROM streamagg.verify('r');
SELECT count(*), sum(c) FROM r;
SELECT streamagg.replace_aggregate('r', 'SELECT w.window_start, w.window_end, count(*) AS c FROM s, streamagg.cumulate(ts, ''20 s'', ''1 min'') w GROUP BY 1, 2');
SELECT accepted FROM streamagg.push('s', ARRAY[message(605), message(601)]);
SELECT * FROM streamagg.verify('r');
SELECT count(*), sum(c) FROM r;

SET client_min_messages = warning;
DROP SCHEMA windows_panes CASCADE;
DROP SERVER windows_panes;
