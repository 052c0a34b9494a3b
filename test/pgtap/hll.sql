-- The rules of the extension hll, wherever it is installed: sketches of batches become the sketch of all rows.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SELECT plan(12);
SET LOCAL client_min_messages = warning;
SET LOCAL TimeZone = 'UTC';
CREATE SCHEMA "Odd place";
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (id int NOT NULL, k text, v text, ts timestamptz NOT NULL) SERVER local OPTIONS (event_time 'ts', archive 'on');
CREATE TABLE plain (LIKE s);
-- many values, some, few, none: hll keeps them in different ways
INSERT INTO plain SELECT i, CASE WHEN i % 20 = 7 THEN 'some' WHEN i % 500 = 8 THEN 'few' ELSE 'many' END, CASE WHEN i % 11 > 0 THEN (i * 7919::bigint % 6007)::text END,
  timestamptz '2024-01-01' + i * interval '1 s' FROM generate_series(1, 12000) i;
INSERT INTO plain SELECT i, 'none', NULL, '2024-01-01' FROM generate_series(12001, 12003) i;
SELECT lives_ok($$SELECT streamagg.create_aggregate('numbers', 'SELECT k, count(v) AS n FROM s GROUP BY k')$$,
  'without the extension its rules are in nobody''s way');
CREATE EXTENSION hll SCHEMA "Odd place";
SET LOCAL search_path = public, "Odd place";
SELECT is(count(*)::int, 6, 'every aggregate function of hll has a rule') FROM pg_proc p
JOIN streamagg.merge_rules r ON to_regprocedure(replace(r.aggregate, '@', '"Odd place".')) = p.oid WHERE prokind = 'a' AND proname LIKE 'hll%';

CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
('visitors', 'SELECT k, hll_add_agg(hll_hash_text(v)) AS a, hll_add_agg(hll_hash_text(v)) FILTER (WHERE id % 2 = 0) AS b FROM plain GROUP BY k'),
('sizes', 'SELECT k, hll_add_agg(hll_hash_text(v), 12) AS a, hll_add_agg(hll_hash_text(v), 10, 4) AS b FROM plain GROUP BY k'),
('more_sizes', 'SELECT k, hll_add_agg(hll_hash_text(v), 11, 5, 64) AS a, hll_add_agg(hll_hash_text(v), 11, 5, -1, 0) AS b FROM plain GROUP BY k'),
('unions', 'SELECT k, hll_union_agg(hll_add(hll_empty(), hll_hash_text(v))) AS a, hll_empty() AS b FROM plain GROUP BY k');
SELECT streamagg.create_aggregate(name, replace(query, 'plain', 's')) FROM queries \g /dev/null
SELECT count(*) FROM (SELECT array_agg(to_jsonb(plain)::text ORDER BY id) AS messages, id / 800 AS batch FROM plain GROUP BY 2 ORDER BY 2) b, streamagg.push('s', messages) \g /dev/null
SELECT results_eq(format('SELECT k, a::text, b::text FROM %I ORDER BY k', name), format('SELECT k, a::text, b::text FROM (%s) p ORDER BY k', query), name || ' are as over all rows at once') FROM queries;
SELECT is_empty(format('SELECT * FROM streamagg.verify(%L)', name), name || ' are verified') FROM queries;
SELECT results_eq($$SELECT k, round(hll_cardinality(a) / nullif(n, 0) * 10) FROM visitors JOIN (SELECT k, count(DISTINCT v) AS n FROM plain GROUP BY k) p USING (k) ORDER BY k$$,
  $$VALUES ('few', 10::float8), ('many', 10), ('none', NULL), ('some', 10)$$, 'they count distinct values, approximately');
UPDATE visitors_state SET a = hll_add(a, hll_hash_text('another')) WHERE k = 'few';
SELECT is((SELECT count(*)::int FROM streamagg.verify('visitors')), 1, 'and a difference is seen');
SELECT * FROM finish();
ROLLBACK;
