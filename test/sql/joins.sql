-- Aggregates that join ordinary tables, as they are in the batch's snapshot.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA joins;
SET search_path = joins;
CREATE SERVER joins FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE sales (shop int, item text, amount int, ts timestamptz) SERVER joins OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE TABLE shops (shop int PRIMARY KEY, city text, since timestamptz);
CREATE TABLE prices (item text, valid_from timestamptz, valid_to timestamptz, price numeric) PARTITION BY LIST (item);
CREATE TABLE prices_a PARTITION OF prices FOR VALUES IN ('a');
CREATE TABLE prices_other PARTITION OF prices DEFAULT;
CREATE TABLE tags (item text, tag text);
CREATE MATERIALIZED VIEW big_shops AS SELECT 1 AS shop;
CREATE TABLE "Quoted ""Table""" ("Shop ""id""" int, region text COLLATE "C");
INSERT INTO shops VALUES (1, 'Graz', '2020-01-01'), (2, 'Linz', '2024-01-01 00:01'), (3, NULL, NULL);
INSERT INTO prices VALUES ('a', '2024-01-01', '2024-01-01 00:01', 2), ('a', '2024-01-01 00:01', 'infinity', 3), ('b', '-infinity', 'infinity', 10);
INSERT INTO tags VALUES ('a', 'new'), ('a', 'red'), ('b', 'red');
INSERT INTO "Quoted ""Table""" VALUES (1, 'south'), (2, 'north');

CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
('inner_join', 'SELECT city, count(*) n, sum(amount) s FROM %s s JOIN shops h ON h.shop = s.shop GROUP BY city'),
('comma', 'SELECT city, w.window_start m, sum(amount) s FROM %s s, shops h, streamagg.tumble(s.ts, ''1 min'') w WHERE h.shop = s.shop GROUP BY 1, 2'),
('left_join', 'SELECT coalesce(city, ''?'') c, count(*) n, count(h.shop) known FROM %s s LEFT JOIN shops h USING (shop) GROUP BY 1'),
('right_side', 'SELECT city, sum(amount) s FROM shops h RIGHT JOIN %s s ON s.shop = h.shop GROUP BY 1'),
('as_of', 'SELECT s.item, sum(amount * price) revenue FROM %s s JOIN prices p ON p.item = s.item AND s.ts >= p.valid_from AND s.ts < p.valid_to GROUP BY 1'),
('fan_out', 'SELECT tag, count(*) n, sum(amount) s FROM %s s JOIN tags USING (item) GROUP BY tag'),
('three', 'SELECT city, tag, sum(amount * price) s FROM %s s JOIN shops USING (shop) JOIN tags USING (item) LEFT JOIN prices p ON p.item = s.item AND price > 2 GROUP BY 1, 2'),
('cross_join', 'SELECT count(*) n FROM %s s CROSS JOIN tags'),
('nobody', 'SELECT city, count(*) n FROM %s s JOIN shops h ON h.shop = s.shop + 100 GROUP BY 1'),
('total', 'SELECT count(*) n, min(city) c FROM %s s JOIN shops h ON h.shop = s.shop'),
('aliased_using', 'SELECT j.shop, count(*) n FROM %s s JOIN shops USING (shop) AS j GROUP BY 1'),
('table_keys', 'SELECT h.shop, h.since, count(*) FILTER (WHERE s.ts >= h.since) n FROM %s s JOIN shops h ON h.shop = s.shop GROUP BY 1, 2'),
('materialized', 'SELECT count(*) n FROM %s s NATURAL JOIN big_shops'),
('quoted', 'SELECT region, max(q.region) r, count(*) n FROM %s s JOIN "Quoted ""Table""" q ON s.shop = "Shop ""id""" GROUP BY 1'),
('whole_row', 'SELECT h IS NULL AS missing, count(*) n FROM %s s LEFT JOIN shops h USING (shop) GROUP BY 1'),
('only_one', 'SELECT p.price, count(*) n FROM %s s JOIN ONLY prices_a p ON p.item = s.item GROUP BY 1'),
('self', 'SELECT a.city, b.city other, count(*) n FROM %s s JOIN shops a ON a.shop = s.shop LEFT JOIN shops b ON b.shop = s.shop + 1 GROUP BY 1, 2');
SELECT count(streamagg.create_aggregate(name, format(query, 'sales'))) FROM queries;

CREATE TABLE plain (LIKE sales);
INSERT INTO plain SELECT i % 5, substr('abc', 1 + i % 3, 1), i, timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, 90) i;
INSERT INTO plain VALUES (NULL, NULL, NULL, '2024-01-01 00:00:01');
CREATE FUNCTION differences(name text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  columns text;
  found bigint;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns
  FROM pg_attribute WHERE attrelid = name::regclass AND attnum > 0 AND attname NOT IN ('is_final', 'updated_at');
  EXECUTE format('WITH a AS (SELECT %s FROM %I), p AS (%s)
    SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE p) UNION ALL (TABLE p EXCEPT ALL TABLE a)) d', columns, name, query) INTO found;
  RETURN found;
END $$;
SELECT sum(q.accepted) AS accepted FROM
  (SELECT array_agg(to_jsonb(plain)::text) AS messages FROM plain GROUP BY amount / 8 ORDER BY amount / 8) b, streamagg.push('sales', messages) q;
SELECT name, differences(name, format(query, 'plain')) AS differences FROM queries WHERE differences(name, format(query, 'plain')) <> 0;
SELECT city, n, s FROM inner_join ORDER BY 1;
SELECT tag, n, s FROM fan_out ORDER BY 1;
SELECT item, revenue FROM as_of ORDER BY 1;

-- a change of the table holds for later batches, and for this one within its transaction
UPDATE shops SET city = 'Wien' WHERE shop = 1;
SELECT accepted FROM streamagg.push('sales', ARRAY['{"shop": 1, "amount": 1000, "ts": "2024-01-01T00:02:00Z"}']);
BEGIN;
UPDATE shops SET city = 'Bregenz' WHERE shop = 1;
SELECT accepted FROM streamagg.push('sales', ARRAY['{"shop": 1, "amount": 2000, "ts": "2024-01-01T00:02:00Z"}']);
ROLLBACK;
BEGIN;
UPDATE shops SET city = 'Salzburg' WHERE shop = 1;
SELECT accepted FROM streamagg.push('sales', ARRAY['{"shop": 1, "amount": 4000, "ts": "2024-01-01T00:02:00Z"}']);
COMMIT;
SELECT city, n, s FROM inner_join ORDER BY 1;
-- row level security of a joined table holds for the stream's owner, who reads it
CREATE ROLE joins_owner;
GRANT ALL ON SCHEMA joins TO joins_owner;
GRANT USAGE ON FOREIGN SERVER joins TO joins_owner;
CREATE TABLE secret (shop int, level int);
INSERT INTO secret VALUES (1, 1), (1, 2);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON secret TO joins_owner USING (level = 1);
SET ROLE joins_owner;
CREATE FOREIGN TABLE own (shop int, ts timestamptz) SERVER joins OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('levels', 'SELECT level, count(*) AS n FROM own JOIN secret USING (shop) GROUP BY 1');
-- without the right to read it nothing is pushed
SELECT streamagg.push('own', ARRAY['{"shop": 1, "ts": "2024-01-01T00:00:00Z"}']);
RESET ROLE;
GRANT SELECT ON secret TO joins_owner;
SELECT accepted FROM streamagg.push('own', ARRAY['{"shop": 1, "ts": "2024-01-01T00:00:00Z"}']);
SELECT level, n FROM levels;

SET client_min_messages = warning;
DROP SCHEMA joins CASCADE;
DROP SERVER joins CASCADE;
DROP ROLE joins_owner;
