-- The end of aggregates and streams, and what PostgreSQL's dependencies refuse meanwhile.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA dropping;
SET search_path = dropping;
CREATE SERVER dropping FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE clicks (
  page text, unused text, amount int OPTIONS (path 'a.b'), ts timestamptz
) SERVER dropping OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE pages (page text, title text);
CREATE VIEW ours AS SELECT relname FROM pg_class
WHERE relnamespace = 'dropping'::regnamespace AND relkind IN ('r', 'v', 'f') AND relname <> 'ours';
CREATE FUNCTION minutes(name text) RETURNS regclass LANGUAGE sql BEGIN ATOMIC
  SELECT streamagg.create_aggregate(name, $$
    SELECT w.window_start, w.window_end, c.page, sum(c.amount) AS amount
    FROM clicks c, streamagg.tumble(c.ts, '1 minute') w GROUP BY 1, 2, 3 $$);
END;
CREATE FUNCTION click(page text, amount int, at text) RETURNS bigint LANGUAGE sql AS $$
  SELECT accepted FROM streamagg.push('clicks', ARRAY[jsonb_build_object(
    'page', page, 'a', jsonb_build_object('b', amount), 'ts', at)::text]);
$$;

-- drop_aggregate and DROP VIEW do the same
SELECT minutes('one'), minutes('two'), minutes('three');
SELECT click('a', 1, '2024-01-01T00:00:30Z');
SELECT streamagg.drop_aggregate('one');
DROP VIEW two;
SELECT * FROM ours ORDER BY 1;
SELECT aggregate FROM streamagg.aggregates;
SELECT click('a', 2, '2024-01-01T00:00:40Z');
SELECT window_start, page, amount, is_final FROM three;
-- what is no aggregate
SELECT streamagg.drop_aggregate('pages');
SELECT streamagg.drop_aggregate('three_state');
SELECT streamagg.drop_aggregate('clicks');

-- the state cannot be dropped alone (E13), nor what the query reads (E12)
DROP TABLE three_state;
DROP TABLE three_state CASCADE;
ALTER FOREIGN TABLE clicks DROP COLUMN page;
ALTER FOREIGN TABLE clicks DROP COLUMN ts;
ALTER FOREIGN TABLE clicks ALTER COLUMN amount TYPE bigint;
DROP FOREIGN TABLE clicks;
DROP SERVER dropping;
SELECT streamagg.create_aggregate('titles', $$
  SELECT p.title, count(*) AS n FROM clicks c JOIN pages p ON p.page = c.page GROUP BY 1 $$);
ALTER TABLE pages DROP COLUMN title;
DROP TABLE pages;

-- what it does not read can go and come (E11)
ALTER FOREIGN TABLE clicks DROP COLUMN unused;
ALTER FOREIGN TABLE clicks ADD COLUMN extra int;
ALTER TABLE three_state ADD COLUMN note text;
SELECT click('a', 4, '2024-01-01T00:00:50Z');
-- renames are followed: of the stream, its columns, the tables that are joined
ALTER FOREIGN TABLE clicks RENAME COLUMN amount TO worth;
ALTER FOREIGN TABLE clicks RENAME COLUMN page TO url;
ALTER TABLE clicks RENAME COLUMN ts TO at;
SELECT attname, attfdwoptions FROM pg_attribute WHERE attrelid = 'clicks'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'clicks'::regclass;
ALTER TABLE pages RENAME TO sites;
ALTER TABLE sites RENAME COLUMN title TO name;
INSERT INTO sites VALUES ('a', 'A');
SELECT click('a', 8, '2024-01-01T00:00:59Z');
SELECT window_start, window_end, page, amount FROM three;
SELECT count(*) FROM streamagg.quarantine;
SELECT title, n FROM titles;
-- an aggregate cannot lose its definition, not even by CASCADE
DROP VIEW three_query;
ALTER FOREIGN TABLE clicks DROP COLUMN worth CASCADE;
SELECT click('a', 16, '2024-01-01T00:00:59Z');
SELECT page, amount FROM three;
-- but pg_restore --clean --if-exists drops it before the view: without it the aggregate stays as it is
BEGIN;
DROP VIEW IF EXISTS three_query;
SELECT click('a', 32, '2024-01-01T00:00:59Z');
SELECT page, amount FROM three;
SELECT aggregate, stream, query IS NULL AS undefined FROM streamagg.aggregates ORDER BY aggregate::text;
ROLLBACK;
DROP VIEW three, titles;
SELECT * FROM ours ORDER BY 1;
ALTER FOREIGN TABLE clicks RENAME COLUMN url TO page;
ALTER FOREIGN TABLE clicks RENAME COLUMN worth TO amount;
ALTER FOREIGN TABLE clicks RENAME COLUMN at TO ts;

-- DROP of the stream needs CASCADE and leaves states and views as they are then
SELECT minutes('four');
SELECT click('a', 1, '2024-01-01T00:01:30Z'), click('b', 1, '2024-01-01T00:02:30Z');
SELECT page, amount, is_final FROM four ORDER BY 1;
DROP FOREIGN TABLE clicks CASCADE;
SELECT page, amount, is_final FROM four ORDER BY 1;
SELECT * FROM ours ORDER BY 1;
SELECT aggregate, stream, query, groups, closed_until FROM streamagg.aggregates;
SELECT count(*) FROM streamagg.partitions;
SELECT count(*) FROM streamagg.batches;
-- and then they can be dropped
SELECT streamagg.drop_aggregate('four');
SELECT * FROM ours ORDER BY 1;

-- a stream that never had a record, too; and the way back of a transaction
CREATE FOREIGN TABLE clicks (page text, amount int, ts timestamptz) SERVER dropping OPTIONS (event_time 'ts');
SELECT minutes('five');
BEGIN;
DROP FOREIGN TABLE clicks CASCADE;
SELECT count(*) FROM five;
ROLLBACK;
SELECT accepted FROM streamagg.push('clicks', ARRAY['{"page": "x", "ts": "2024-01-01T00:00:00Z"}']);
BEGIN;
DROP VIEW five;
ROLLBACK;
SELECT accepted FROM streamagg.push('clicks', ARRAY['{"page": "x", "ts": "2024-01-01T00:00:00Z"}']);
SELECT page, amount FROM five;
SELECT rows_in FROM streamagg.aggregates;
-- the events tell it
SELECT event, detail FROM streamagg.events
WHERE event IN ('drop_aggregate', 'drop_stream') AND detail ~ '^dropping' ORDER BY event, detail;

SET client_min_messages = warning;
DROP SCHEMA dropping CASCADE;
SELECT count(*) FROM streamagg.aggregates;
DROP SERVER dropping;
