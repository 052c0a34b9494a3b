-- E25: a row on which an aggregate fails goes to quarantine, and all else is as if it had never been accepted: a twin stream never gets it.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA poison;
SET search_path = poison;
CREATE SERVER poison FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (id int, k text, v text, ts timestamptz) SERVER poison OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FOREIGN TABLE twin (id int, k text, v text, ts timestamptz) SERVER poison OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE names (id int PRIMARY KEY, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');
CREATE TABLE kinds (k text PRIMARY KEY);
INSERT INTO kinds VALUES ('a'), ('b'), ('c'), ('raised'), ('checked'), ('B');
-- on each stream the same: an expression that may fail, a join that may, one with a trigger and constraints of its state, one that never fails
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.k = 'raised' THEN RAISE 'secret % is not wanted', NEW.k; END IF; RETURN NEW; END $$;
CREATE FUNCTION define(stream text, prefix text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamagg.create_aggregate(prefix || '_divided', format('SELECT w.window_start, w.window_end, sum(100 / id) AS x, count(*) AS n FROM %s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', stream), late => 'drop');
  PERFORM streamagg.create_aggregate(prefix || '_joined', format('SELECT name, count(*) AS n FROM %s s JOIN names ON names.id = v::int GROUP BY 1', stream));
  PERFORM streamagg.create_aggregate(prefix || '_guarded', format('SELECT k, count(*) AS n FROM %s GROUP BY 1', stream));
  PERFORM streamagg.create_aggregate(prefix || '_all', format('SELECT w.window_start, w.window_end, k, count(*) AS n FROM %s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2, 3', stream));
  EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON %s_guarded_state FOR EACH ROW EXECUTE FUNCTION refuse()', prefix);
  EXECUTE format('ALTER TABLE %s_guarded_state ADD CONSTRAINT checked CHECK (k <> ''checked''), ADD FOREIGN KEY (k) REFERENCES kinds', prefix);
  EXECUTE format('CREATE UNIQUE INDEX ON %s_guarded_state (lower(k))', prefix);
END $$;
SELECT define('s', 's'), define('twin', 't');
CREATE FUNCTION good(id int, k text, v text, at text) RETURNS text LANGUAGE sql RETURN format('{"id": %s, "k": "%s", "v": "%s", "ts": "2024-01-01T00:%sZ"}', id, k, v, at);
CREATE FUNCTION bad(id int, k text, v text, at text) RETURNS text LANGUAGE sql RETURN replace(good(id, k, v, at), '{', '{"bad": "secret", ');
-- how the two differ, but for the rows that only one got
CREATE FUNCTION differences() RETURNS TABLE (what text) LANGUAGE plpgsql AS $$
DECLARE
  view text;
BEGIN
  FOREACH view IN ARRAY ARRAY['divided', 'joined', 'guarded', 'all'] LOOP
    RETURN QUERY EXECUTE format('SELECT %L || to_jsonb(d)::text FROM (SELECT to_jsonb(a) - ''updated_at'' FROM s_%1$s a EXCEPT SELECT to_jsonb(b) - ''updated_at'' FROM t_%1$s b) d', view);
    RETURN QUERY EXECUTE format('SELECT %L || to_jsonb(d)::text FROM (SELECT to_jsonb(a) - ''updated_at'' FROM t_%1$s a EXCEPT SELECT to_jsonb(b) - ''updated_at'' FROM s_%1$s b) d', view);
  END LOOP;
  RETURN QUERY SELECT 'partition ' || s.partition FROM streamagg.partitions s FULL JOIN streamagg.partitions t ON s.partition = t.partition
    WHERE s.stream = 's'::regclass AND t.stream = 'twin'::regclass AND (s.accepted, s.watermark, s.read - s.quarantined - s.dropped) IS DISTINCT FROM (t.accepted, t.watermark, t.read);
  RETURN QUERY SELECT 'watermark' FROM streamagg.streams s, streamagg.streams t WHERE s.stream = 's'::regclass AND t.stream = 'twin'::regclass AND s.watermark IS DISTINCT FROM t.watermark;
  RETURN QUERY SELECT s.aggregate::text FROM streamagg.aggregates s, streamagg.aggregates t WHERE s.stream = 's'::regclass AND t.stream = 'twin'::regclass
    AND substr(s.aggregate::text, 2) = substr(t.aggregate::text, 2) AND (s.rows_in, s.late_rows, s.late_pairs, s.groups) IS DISTINCT FROM (t.rows_in, t.late_rows, t.late_pairs, t.groups);
END $$;
-- feeds both, the bad ones to s only; and what is new in quarantine
CREATE FUNCTION feed(messages text[], partition int DEFAULT 0) RETURNS TABLE (accepted bigint, quarantined bigint, dropped bigint, late bigint, twins_late bigint) LANGUAGE sql AS $$
  SELECT s.accepted, s.quarantined, s.dropped, s.late, t.late FROM streamagg.push('poison.s', messages, partition) s,
    streamagg.push('poison.twin', (SELECT coalesce(array_agg(m ORDER BY o), '{}') FROM unnest(messages) WITH ORDINALITY u(m, o) WHERE m !~ 'bad'), partition) t $$;
CREATE FUNCTION fresh() RETURNS TABLE (fault text, record_offset bigint, stage text, code text, reason text, column_name text, failed_rules text[], record text) LANGUAGE sql AS $$
  WITH gone AS (DELETE FROM streamagg.quarantine_log RETURNING *)
  SELECT 'E25', record_offset, stage, code, regexp_replace(reason, ': .*', ': …'), column_name, failed_rules, (record - 'ts')::text FROM gone ORDER BY partition, record_offset $$;

-- an expression; with its time the row behind it would be late, and windows final
SELECT * FROM feed(ARRAY[good(1, 'a', '1', '00:10'), bad(0, 'a', '1', '30:00'), good(2, 'b', '2', '00:20'), good(3, 'b', '2', '01:00'), good(4, 'a', '9', '00:59')]);
SELECT * FROM fresh();
SELECT * FROM differences();
SELECT window_start, x, n, is_final FROM s_divided ORDER BY 1;
-- alone, first and last
SELECT * FROM feed(ARRAY[bad(0, 'a', '1', '59:00')]);
SELECT * FROM feed(ARRAY[bad(0, 'a', '1', '59:00'), good(1, 'a', '1', '01:10')]);
SELECT * FROM feed(ARRAY[good(1, 'a', '1', '01:10'), bad(0, 'a', '1', '59:00')]);
SELECT record_offset, code FROM fresh();
SELECT * FROM differences();
-- a join
SELECT * FROM feed(ARRAY[good(1, 'a', '1', '01:10'), bad(1, 'a', 'secret', '59:00'), good(1, 'a', '2', '01:20')]);
SELECT * FROM fresh();
SELECT * FROM differences();
-- a trigger, a CHECK, a foreign key and a unique index of the state table, and a key that no index holds (I28)
SELECT * FROM feed(ARRAY[good(1, 'a', '1', '01:20'), bad(1, 'raised', '1', '59:00'), good(1, 'c', '2', '01:30'), bad(1, 'checked', '1', '59:00'), bad(1, 'unknown', '1', '59:00'), bad(1, 'B', '1', '59:00'),
  bad(1, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i), '1', '59:00')]);
SELECT fault, record_offset, stage, code, reason, column_name, failed_rules, left(record, 60) FROM fresh();
SELECT * FROM differences();
SELECT k, n FROM s_guarded ORDER BY 1;
-- two aggregates, each with rows of its own that it fails on, and one row that both do: none is in any
SELECT * FROM feed(ARRAY[bad(0, 'a', '1', '59:00'), good(1, 'a', '1', '01:40'), bad(1, 'a', 'secret', '59:00'), bad(0, 'raised', 'secret', '59:00'), good(2, 'b', '1', '01:50'), bad(1, 'checked', '1', '59:00')]);
SELECT record_offset, code, reason FROM fresh();
SELECT * FROM differences();
-- several among 1000, in a partition of their own
SELECT * FROM feed((SELECT array_agg(CASE WHEN i % 83 = 0 THEN bad(0, 'a', '1', '59:00') WHEN i % 211 = 0 THEN bad(1, 'a', 'secret', '59:00') ELSE good(i % 7 + 1, 'a', (i % 2 + 1)::text, '0' || 2 + i / 200 || ':' || 10 + i % 50) END ORDER BY i)
  FROM generate_series(1, 1000) i), 1);
SELECT code, count(*), array_agg(record_offset) FROM fresh() GROUP BY 1 ORDER BY 1;
SELECT * FROM differences();
SELECT count(*) AS late FROM streamagg.aggregates WHERE stream = 's'::regclass AND late_rows > 0;

-- on_violation: drop counts and keeps nothing
ALTER FOREIGN TABLE s OPTIONS (ADD on_violation 'drop');
SELECT * FROM feed(ARRAY[good(1, 'a', '1', '07:00'), bad(0, 'a', '1', '59:00'), bad(1, 'raised', '1', '59:00')]);
SELECT count(*) FROM fresh();
SELECT * FROM differences();
-- stop: the call fails with the row's code; nothing of it is kept, and nothing of the row is told (S33)
ALTER FOREIGN TABLE s OPTIONS (SET on_violation 'stop');
SELECT streamagg.push('s', ARRAY[good(1, 'a', '1', '08:00'), bad(0, 'a', '1', '59:00')]);
SELECT streamagg.push('s', ARRAY[good(1, 'a', '1', '08:00'), bad(1, 'raised', '1', '59:00')]);
\set VERBOSITY sqlstate
SELECT streamagg.push('s', ARRAY[good(1, 'a', '1', '08:00'), bad(0, 'a', '1', '59:00')]);
SELECT streamagg.push('s', ARRAY[good(1, 'a', '1', '08:00'), bad(1, 'checked', '1', '59:00')]);
\set VERBOSITY default
SELECT * FROM differences();
SELECT partition, next_offset, read, accepted, quarantined, dropped FROM streamagg.partitions WHERE stream = 's'::regclass ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA poison CASCADE;
DROP SERVER poison;
