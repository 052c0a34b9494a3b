-- Session windows: what is refused, keys of many types, errors on the way, the ends of time, how much is read.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA sessions_edges;
SET search_path = sessions_edges;
CREATE SERVER sessions_edges FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, a int, b int, v int, ts timestamptz NOT NULL) SERVER sessions_edges OPTIONS (event_time 'ts', watermark_delay '1 hour', archive 'on');
\set VERBOSITY terse
-- refused: elsewhere; where the session decides about rows; DISTINCT; gaps that are none
SELECT * FROM streamagg.session('2024-01-01', '1 min');
CREATE FUNCTION try(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
  PERFORM streamagg.create_aggregate('tried', query);
  PERFORM streamagg.drop_aggregate('tried');
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ' ' || SQLERRM || coalesce(E'\n' || nullif(hint, ''), '');
END $$;
\pset format unaligned
\pset tuples_only on
SELECT try(format('SELECT w.window_start, %s FROM s%s streamagg.session(ts, ''%s'') w %s GROUP BY 1%s', what, comma, gap, condition, more))
FROM (VALUES
  ('count(*)', ',', '1 min', '', ''),
  ('count(*)', ',', '1 min', 'WHERE w.window_end > ''2024-01-01''', ''),
  ('count(*)', ' JOIN', '1 min', 'ON w.window_start = ts', ''),
  ('count(*) FILTER (WHERE ts = w.window_start)', ',', '1 min', '', ''),
  ('max(ts - w.window_start)', ',', '1 min', '', ''),
  ('w.window_end::date, count(*)', ',', '1 min', '', ', w.window_end::date'),
  ('w.window_end::date, count(*)', ',', '1 min', '', ', w.window_end HAVING w.window_end - w.window_start > ''1 min'''),
  ('count(DISTINCT v)', ',', '1 min', '', ''),
  ('count(*)', ',', '0', '', ''),
  ('count(*)', ',', '1 mon', '', '')) q (what, comma, gap, condition, more);
\pset tuples_only off
\pset format aligned

-- keys of types and collations of all sorts, NULLs in every place, columns called as ours
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN short AS varchar(10);
CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT streamagg.create_aggregate('kinds', $$SELECT w.window_start AS _k3, w.window_end AS "end", k COLLATE folded AS "select", k::short AS _key, a, b % 2 AS _k1,
  CASE WHEN a > 0 THEN 'happy' ELSE 'sad' END::mood AS m, ARRAY[b] AS l, (a, b) IS NULL AS _row, 'x' AS c, k::char(3) AS ch, count(*) AS n, count('x') AS x, max('y'::text) AS y
  FROM s, streamagg.session(ts, '1 min') w GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, c, ch$$);
SELECT streamagg.create_aggregate('folds', $$SELECT k COLLATE folded AS k, w.window_start AS s, count(*) AS n, sum(v) AS v FROM s, streamagg.session(ts, '1 min') w GROUP BY 1, 2$$);
SELECT streamagg.create_aggregate('pairs', $$SELECT a, b, w.window_start AS s, w.window_end AS e, count(*) AS n, sum(v) AS v FROM s, streamagg.session(ts, '1 min') w GROUP BY 1, 2, 3, 4$$, late => 'drop');
CREATE FUNCTION push(VARIADIC lines text[]) RETURNS TABLE (accepted bigint, quarantined bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.quarantined FROM streamagg.push('s', (SELECT array_agg(format('{"ts": "2024-01-01T%sZ", %s}', split_part(l, ' ', 1), substring(l FROM ' (.*)')) ORDER BY o)
    FROM unnest(lines) WITH ORDINALITY x(l, o))) p $$;
SELECT * FROM push('00:00:00 "k":"a","v":1', '00:01:00 "k":"A","v":2', '00:00:30 "k":"A","a":1,"v":4', '00:00:30 "k":"A","b":1,"v":8', '00:00:30 "k":"a","a":1,"b":1,"v":16');
SELECT * FROM push('00:02:00 "k":"A","v":32', '00:01:30 "k":"a","v":64', '00:01:30 "k":"b","a":1,"v":128', '00:01:30 "k":"b","b":1,"v":256', '00:01:30 "k":"a","a":1,"b":1,"v":512');
SELECT k, s::time, n, v FROM folds ORDER BY 1, 2;
SELECT a, b, s::time, e::time, n, v FROM pairs ORDER BY 1, 2, 3;
SELECT count(*), sum(n), sum(x), min(y) FROM kinds;
SELECT a.aggregate, v.* FROM streamagg.aggregates a, streamagg.verify(a.aggregate) v WHERE stream = 's'::regclass;
SELECT streamagg.drop_aggregate('kinds'), streamagg.drop_aggregate('folds'), streamagg.drop_aggregate('pairs');

-- a row that an expression fails on is found, the others make their sessions as if it had never come
SELECT streamagg.create_aggregate('poisoned', 'SELECT w.window_start AS s, w.window_end AS e, sum(10 / v) AS v, count(*) AS n, min(a) AS a FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1, 2');
SELECT * FROM push('00:00:00 "v":1', '00:03:00 "v":2', '00:05:00 "v":5');
SELECT * FROM push('00:01:00 "v":1', '00:01:30 "v":0', '00:04:00 "v":1', '00:02:00 "v":1');
SELECT s::time, e::time, v, n FROM poisoned ORDER BY 1;
SELECT code, reason FROM streamagg.quarantine WHERE stream = 's'::regclass;
SELECT streamagg.drop_aggregate('poisoned');
-- a sum that stored sessions overflow only together is no row's fault
SELECT streamagg.create_aggregate('large', 'SELECT w.window_start AS s, sum(v * 1e308::float8) AS v FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1');
SELECT * FROM push('01:00:00 "v":1', '01:02:00 "v":1');
SELECT * FROM push('01:01:00 "v":0', '01:30:00 "v":1');
SELECT s::time, v FROM large ORDER BY 1;
SELECT streamagg.drop_aggregate('large');

-- a batch that bridges a hundred stored sessions of each of two keys, in pairs and pairs of pairs
SELECT streamagg.create_aggregate('bridged_' || late, 'SELECT w.window_start AS s, w.window_end AS e, k, count(*) AS n, sum(v) AS v FROM s, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3', late => late)
FROM unnest('{merge,drop}'::text[]) late;
SELECT accepted FROM streamagg.push('s', ARRAY(SELECT format('{"ts": "%s", "k": "%s", "v": %s}', timestamptz '2024-01-01 10:00' + i * interval '20 s', k, i) FROM generate_series(1, 101) i, unnest('{a,b}'::text[]) k));
SELECT accepted FROM streamagg.push('s', ARRAY(SELECT format('{"ts": "%s", "k": "%s", "v": %s}', timestamptz '2024-01-01 10:00' + i * interval '20 s' - interval '10 s', k, 1000 * i) FROM generate_series(1, 101) i, unnest('{a,b}'::text[]) k WHERE k = 'a' OR i <> 50));
SELECT s::time, e::time, k, n, v FROM bridged_merge ORDER BY k, s;
SELECT s::time, e::time, k, n, v FROM bridged_drop ORDER BY k, s;
SELECT streamagg.drop_aggregate('bridged_merge'), streamagg.drop_aggregate('bridged_drop');
-- near the end of time the end of a session is infinity
CREATE FOREIGN TABLE ages (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER sessions_edges OPTIONS (event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('last', 'SELECT w.window_start AS s, w.window_end AS e, count(*) AS n FROM ages, streamagg.session(ts, ''20000 days'') w GROUP BY 1, 2');
SELECT accepted, late FROM streamagg.push('ages', ARRAY(SELECT format('{"ts": %s}', t) FROM unnest('{9223372036000,9221644036000,-210866803200,9223372036800,9219916035999}'::bigint[]) t), timestamps => array_fill('294276-12-31 23:59:59+00'::timestamptz, ARRAY[5]));
SELECT accepted FROM streamagg.push('ages', ARRAY['{"ts": 9223372036600}'], timestamps => '{294276-12-31 23:59:59+00}');
SELECT s, e, n, is_final FROM last ORDER BY 1;
SELECT * FROM streamagg.verify('last');
-- what a push reads and writes does not depend on how long a session is, nor on how many there are
CREATE FOREIGN TABLE y (k text, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER sessions_edges OPTIONS (event_time 'ts', watermark_delay '1 min');
SELECT streamagg.create_aggregate('work_merge', q), streamagg.create_aggregate('work_drop', q, late => 'drop')
FROM (VALUES ('SELECT w.window_start AS s, w.window_end AS e, k, count(*) AS n FROM y, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3')) v(q);
-- of rows of the states, in one transaction; what came before is not counted
CREATE FUNCTION work(k text, VARIADIC times int[]) RETURNS TABLE (state text, found bigint, scanned bigint, inserted bigint, updated bigint, deleted bigint) LANGUAGE sql AS $$
  SELECT FROM streamagg.push('y', (SELECT array_agg(format('{"k": "%s", "ts": %s}', k, t)) FROM unnest(times) t));
  SELECT relname::text, idx_tup_fetch, seq_tup_read, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_xact_user_tables WHERE relname ~ '^work_.*_state$' ORDER BY 1 $$;
\set forget 'SELECT pg_stat_force_next_flush() \\g /dev/null'
SELECT streamagg.push('y', ARRAY['{"k": "a", "ts": 0}', '{"k": "b", "ts": 0}']);
:forget
SELECT * FROM work('a', 1);
SELECT accepted FROM streamagg.push('y', ARRAY(SELECT format('{"k": "%s", "ts": %s}', k, 100 * i) FROM generate_series(1, 5000) i, unnest('{a,b}'::text[]) k ORDER BY i));
SELECT accepted FROM streamagg.push('y', ARRAY(SELECT format('{"k": "a", "ts": %s}', i) FROM generate_series(1000001, 1100000) i));
SELECT count(*), sum(n), max(n) FROM work_merge;
SELECT count(*), sum(n), max(n) FROM work_drop;
-- onto a session of 100,000 rows, among 10,000
:forget
SELECT * FROM work('a', 1100001);
:forget
SELECT * FROM work('a', 1000500, 1050000, 1100005);
:forget
SELECT * FROM work('b', 1100000, 1100011, 1100022);
-- between two, and before one: what is told apart by what has changed moves
:forget
SELECT * FROM work('b', 1100005);
:forget
SELECT * FROM work('b', 1100020);
-- far behind: late 'merge' finds two sessions and the one row is between them
:forget
SELECT * FROM work('b', 250010);
:forget
SELECT * FROM work('b', 250020, 250030, 250040, 250050, 250060, 250070, 250080, 250090);
-- what sessions need is taken away
SELECT streamagg.create_aggregate('taken', 'SELECT w.window_start AS s, k, count(*) AS n FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1, 2');
ALTER TABLE taken_state DROP CONSTRAINT taken_state_k_s_key;
SELECT * FROM push('02:00:00 "k":"a"');
ALTER TABLE taken_state ADD UNIQUE NULLS NOT DISTINCT (k, s);
SELECT * FROM push('02:00:00 "k":"a"');
-- a stored session that stays where it should go would count twice
CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER stay BEFORE DELETE ON taken_state FOR EACH ROW EXECUTE FUNCTION stay();
SELECT * FROM push('01:59:30 "k":"a"');
DROP TRIGGER stay ON taken_state;
SELECT * FROM push('01:59:30 "k":"a"');
SELECT s::time, k, n FROM taken;
-- an archive that began within a session: what belongs to it is not taken for one of its own
CREATE FOREIGN TABLE z (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER sessions_edges OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('partly_' || late, 'SELECT w.window_start AS s, w.window_end AS e, count(*) AS n FROM z, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2', late => late) FROM unnest('{merge,drop}'::text[]) late;
SELECT accepted FROM streamagg.push('z', '{"{\"ts\": 0}","{\"ts\": 30}"}');
ALTER FOREIGN TABLE z OPTIONS (ADD archive 'on');
SELECT accepted FROM streamagg.push('z', '{"{\"ts\": 40}","{\"ts\": 50}","{\"ts\": 100}"}');
SELECT s::time, e::time, n FROM partly_merge ORDER BY 1;
SELECT * FROM streamagg.verify('partly_merge');
UPDATE partly_merge_state SET n = 7;
SELECT * FROM streamagg.verify('partly_merge');
SELECT * FROM streamagg.verify('partly_drop');
SELECT * FROM streamagg.batch_session_rows() r (a int);
SELECT * FROM streamagg.batch_session_moves();

SET client_min_messages = error;
DROP SCHEMA sessions_edges CASCADE;
DROP SERVER sessions_edges CASCADE;
