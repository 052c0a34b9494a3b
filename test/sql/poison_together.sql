-- Rows that fail only behind others of their batch, many bad ones in a row, and rules that a record breaks beside its first fault.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA together;
SET search_path = together;
CREATE SERVER together FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (id int, k text, x float8, ts timestamptz, CONSTRAINT positive CHECK (id > 0)) SERVER together OPTIONS (event_time 'ts', max_future '1 day');
CREATE FUNCTION m(id int, k text DEFAULT 'a', x float8 DEFAULT 1) RETURNS text LANGUAGE sql
  RETURN format('{"id": %s, "k": "%s", "x": %s, "ts": "2024-01-01T00:00:00Z"}', id, k, x);
CREATE FUNCTION told(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  message text; detail text; hint text;
BEGIN
  EXECUTE query;
  RETURN 'done';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', SQLSTATE || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT streamagg.create_aggregate('by_key', 'SELECT k, count(*) AS n, sum(1 / (id - 7)) AS q FROM s GROUP BY 1');

-- E25: more than enough bad rows at the head of a batch, behind it, and in between; the others stand
SELECT read, accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(m(CASE WHEN i <= 25 THEN 7 ELSE 8 END)) FROM generate_series(1, 1000) i));
SELECT read, accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(m(CASE WHEN i > 975 THEN 7 ELSE 8 END)) FROM generate_series(1, 1000) i));
SELECT read, accepted, quarantined FROM streamagg.push('s', (SELECT array_agg(m(CASE WHEN i % 3 < 2 THEN 7 ELSE 8 END)) FROM generate_series(1, 300) i));
SELECT k, n, q FROM by_key;
-- E26: all of many
SELECT told('SELECT streamagg.push(''s'', (SELECT array_agg(m(7)) FROM generate_series(1, 100)))');

-- E25: a constraint that two rows of a batch break together: the second of them goes, as if they had come one by one
CREATE UNIQUE INDEX ON by_key_state (lower(k));
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[m(1, 'B'), m(1, 'c'), m(1, 'b'), m(2, 'B'), m(1, 'C'), m(1, 'd')], 1);
SELECT record_offset, stage, code FROM streamagg.quarantine WHERE stream = 's'::regclass AND partition = 1 ORDER BY 1;
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY[m(1, 'D')], 2);
SELECT k, n FROM by_key ORDER BY k;

-- I14: a sum that overflows within a batch is no row's fault
SELECT streamagg.create_aggregate('sums', 'SELECT sum(x) AS x FROM s');
SELECT told('SELECT streamagg.push(''s'', ARRAY[m(1, ''a'', 1.7e308), m(2), m(1, ''a'', 1.7e308)], 3)');
SELECT accepted FROM streamagg.push('s', ARRAY[m(1, 'a', 1.7e308)], 3);
SELECT told('SELECT streamagg.push(''s'', ARRAY[m(1, ''a'', 1.7e308)], 3)');
SELECT partition, read, accepted, quarantined FROM streamagg.partitions WHERE stream = 's'::regclass AND partition = 3;

-- all rules that a record breaks, the event time's among them; what breaks one is not shown
SELECT quarantined FROM streamagg.push('s', ARRAY['{"id": 0, "k": "shown", "ts": "2099-01-01T00:00:00Z"}', '{"id": 0, "k": "shown", "ts": "infinity"}'], 4);
SELECT code, failed_rules, record FROM streamagg.quarantine WHERE stream = 's'::regclass AND partition = 4 ORDER BY record_offset;
-- an event time cannot be protected: nothing would have one
ALTER FOREIGN TABLE s ALTER ts OPTIONS (ADD protect 'drop');

SET client_min_messages = warning;
DROP SCHEMA together CASCADE;
DROP SERVER together;
