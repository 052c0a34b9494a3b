-- Which sessions close, and when: each start and end once, however late rows make sessions grow and join.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA sessions_closing;
SET search_path = sessions_closing;
CREATE SERVER sessions_closing FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, v int, ts timestamptz NOT NULL) SERVER sessions_closing OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE closed (number int GENERATED ALWAYS AS IDENTITY, aggregate text, a timestamptz, b timestamptz, final boolean);
CREATE FUNCTION make(name text, keys text, VARIADIC options text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT streamagg.create_aggregate(%L, %L%s)', name,
    format('SELECT w.window_start AS a, w.window_end AS b, %s count(*) AS n FROM s, streamagg.session(ts, ''10 s'') w GROUP BY %s', keys, CASE keys WHEN '' THEN '1, 2' ELSE '1, 2, 3' END),
    (SELECT string_agg(', ' || o, '') FROM unnest(options) o));
  -- each is told of with the batch's rows in the view, as final
  PERFORM streamagg.on_close(name::regclass, format('INSERT INTO sessions_closing.closed (aggregate, a, b, final) SELECT %1$L, $1, $2, bool_and(is_final) FROM sessions_closing.%1$I WHERE a = $1 AND b = $2', name));
END $$;
SELECT make('merged', 'k,'), make('dropped', 'k,', 'late => ''drop'''), make('later', 'k,', 'allowed_lateness => ''20 s'''),
  make('single', ''), make('single_dropped', '', 'late => ''drop'''), make('final', 'k,', 'emit => ''final''', 'allowed_lateness => ''5 s''');
CREATE VIEW finals AS
SELECT DISTINCT aggregate, a, b FROM (SELECT 'merged' AS aggregate, a, b, is_final FROM merged UNION ALL SELECT 'dropped', a, b, is_final FROM dropped
  UNION ALL SELECT 'later', a, b, is_final FROM later UNION ALL SELECT 'single', a, b, is_final FROM single
  UNION ALL SELECT 'single_dropped', a, b, is_final FROM single_dropped UNION ALL SELECT 'final', a, b, is_final FROM final) x WHERE is_final;
CREATE TABLE was (aggregate text, a timestamptz, b timestamptz);
-- a push, and what closed in it; wrong: it is not what became final in it, once
CREATE FUNCTION take(partition int, VARIADIC rows text[]) RETURNS TABLE (aggregate text, closed text, wrong text) LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE was, closed RESTART IDENTITY;
  INSERT INTO was SELECT * FROM finals;
  PERFORM streamagg.push('sessions_closing.s', (SELECT array_agg(json_build_object('k', nullif(split_part(r, ' ', 1), '-'), 'ts', timestamptz '2024-01-01' + rtrim(split_part(r, ' ', 2), '!')::float8 * interval '1 s',
    'v', CASE WHEN r ~ '!' THEN 0 ELSE 1 END)::text ORDER BY o) FROM unnest(rows) WITH ORDINALITY x(r, o)), partition);
  RETURN QUERY SELECT coalesce(c.aggregate, n.aggregate), string_agg(extract(epoch FROM c.a - '2024-01-01')::float8 || '-' || extract(epoch FROM c.b - '2024-01-01')::float8, ' ' ORDER BY c.number),
    min(CASE WHEN n.a IS NULL THEN 'closed, not become final' WHEN c.a IS NULL THEN 'final, not closed' WHEN NOT c.final THEN 'final too late' WHEN c.times > 1 THEN 'not once' END)
  FROM (SELECT l.aggregate, l.a, l.b, l.final, l.number, count(*) OVER (PARTITION BY l.aggregate, l.a, l.b) AS times FROM closed l) c
  FULL JOIN (SELECT * FROM finals EXCEPT SELECT * FROM was) n USING (aggregate, a, b) GROUP BY 1 ORDER BY 1;
END $$;

-- open ones wait; a session that has grown closes with the end it has then, one between two makes them one
SELECT * FROM take(0, 'a 0', 'a 9', 'b 3', '- 9');
SELECT * FROM take(0, 'a 18.999999');
SELECT * FROM take(0, 'c 19');
SELECT * FROM take(0, 'c 29');
-- keys with the same times are told of once; NULL is a key
SELECT * FROM take(0, 'a 100', 'b 100', '- 100', 'a 115', 'a 120');
SELECT * FROM take(0, 'a 110', '- 125');
SELECT * FROM take(0, 'c 200');
-- several at once, by start and end
SELECT * FROM take(0, 'a 230', 'a 238', 'b 230', '- 215', 'c 300');
-- a late row that changes no times
SELECT * FROM take(0, 'a 235', 'b 230', '- 215');
-- late rows make closed sessions longer, join them, make one between; where they are dropped, nothing
SELECT * FROM take(0, 'a 240');
SELECT * FROM take(0, 'a 225', 'b 225', '- 221');
SELECT * FROM take(0, 'b 215', '- 205', 'b 205');
SELECT * FROM take(0, 'c 50', 'a 50', 'a 75', 'a 62');
SELECT * FROM take(0, 'a 71');
-- times that another key has closed with are known, also where that one moves on in the same batch
SELECT * FROM take(0, 'b 50');
SELECT * FROM take(0, 'b 55', 'c 55', '- 50');
-- closed, and open again: it has another end then
SELECT * FROM take(0, 'd 310', 'c 330');
SELECT * FROM take(0, 'd 319', 'd 328', 'd 331');
SELECT * FROM take(0, 'c 341', 'c 361', 'c 400');
-- late for its partition only: the slowest one closes
SELECT * FROM take(1, 'e 390');
SELECT * FROM take(0, 'a 500', 'a 391');
SELECT * FROM take(0, 'a 420', '- 395');
SELECT * FROM take(1, 'e 450');
SELECT * FROM take(1, 'e 550');

-- a row that fails takes back what it had closed, also where no row is left
SELECT streamagg.create_aggregate('divided', 'SELECT w.window_start, w.window_end, sum(1 / v) FROM s, streamagg.tumble(ts, ''1 h'') w GROUP BY 1, 2');
SELECT * FROM take(0, 'a 20!', 'a 350');
SELECT * FROM take(0, 'f 20!');
SELECT count(*) FROM streamagg.quarantine WHERE stream = 's'::regclass;
SELECT streamagg.drop_aggregate('divided');
-- not with ROLLBACK
BEGIN;
SELECT * FROM take(0, 'f 20', 'a 900');
ROLLBACK;
SELECT * FROM take(0, 'f 20', 'a 900');

-- at random: dense and thin, late by little and by much, of two partitions
SELECT setseed(0.25);
CREATE FUNCTION walk(steps int, scale float8) RETURNS TABLE (step int, aggregate text, wrong text) LANGUAGE plpgsql AS $$
DECLARE
  clock float8 := (SELECT extract(epoch FROM max(watermark) - '2024-01-01') FROM streamagg.partitions WHERE stream = 'sessions_closing.s'::regclass);
  t record;
BEGIN
  FOR i IN 1 .. steps LOOP
    clock := clock + scale * random();
    FOR t IN SELECT x.* FROM (SELECT array_agg(translate((random() * 3)::int::text, '0123', 'abc-') || ' ' || round((clock - CASE WHEN random() < 0.3 THEN scale * 9 * random() ELSE scale * random() * 0.2 END)::numeric))
      AS rows FROM generate_series(1, 1 + (random() * 8)::int)) r, take((random() * 1.2)::int, VARIADIC r.rows) x LOOP
      INSERT INTO totals SELECT t.aggregate, array_length(string_to_array(t.closed, ' '), 1);
      IF t.wrong IS NOT NULL THEN
        RETURN QUERY SELECT i, t.aggregate, t.wrong;
      END IF;
    END LOOP;
  END LOOP;
END $$;
CREATE TABLE totals (aggregate text, n int);
SELECT * FROM walk(60, 5);
SELECT * FROM walk(60, 20);
SELECT * FROM walk(60, 100);
SELECT aggregate, sum(n) > 60 AS many FROM totals GROUP BY 1 ORDER BY 1;

-- what a push reads does not depend on how many sessions there are, open ones or closed ones
CREATE FOREIGN TABLE y (k text, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER sessions_closing OPTIONS (event_time 'ts', watermark_delay '100000 s');
SELECT streamagg.create_aggregate('read_' || late, 'SELECT w.window_start AS s, w.window_end AS e, k, count(*) AS n FROM y, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3', late => late) FROM unnest('{merge,drop}'::text[]) late;
SELECT accepted FROM streamagg.push('y', ARRAY(SELECT format('{"k": "k%s", "ts": %s}', i % 100, 20 * i) FROM generate_series(1, 10000) i));
SELECT streamagg.on_close('read_' || late, format('INSERT INTO sessions_closing.closed (aggregate, a, b) VALUES (%L, $1, $2)', late)) FROM unnest('{merge,drop}'::text[]) late;
TRUNCATE closed;
SELECT pg_stat_force_next_flush() \g /dev/null
CREATE FUNCTION work(VARIADIC times int[]) RETURNS TABLE (state text, found_few boolean, scanned bigint) LANGUAGE sql AS $$
  SELECT FROM streamagg.push('y', (SELECT array_agg(format('{"k": "x", "ts": %s}', t)) FROM unnest(times) t));
  SELECT relname::text, idx_tup_fetch < 20, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname ~ '^read_.*_state$' ORDER BY 1 $$;
SELECT * FROM work(200060, 200061);
SELECT pg_stat_force_next_flush() \g /dev/null
SELECT * FROM work(0);
SELECT aggregate, a, b FROM closed ORDER BY 1, 2;
-- the index of their ends, where the unique one does not begin with them
SELECT indexdef FROM pg_indexes WHERE schemaname = 'sessions_closing' AND indexdef !~ 'UNIQUE' ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA sessions_closing CASCADE;
DROP SERVER sessions_closing CASCADE;
