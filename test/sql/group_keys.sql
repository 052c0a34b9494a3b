-- Group keys: NULL, those that are equal though they differ in bytes, and those that no index holds.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA group_keys;
SET search_path = group_keys;
CREATE SERVER group_keys FOREIGN DATA WRAPPER streamagg_kafka;
CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE s (k text, ci text COLLATE no_case, n numeric, f float8, b boolean, r int[], ts timestamptz) SERVER group_keys OPTIONS (event_time 'ts');
CREATE FUNCTION feed(VARIADIC rows text[]) RETURNS TABLE (accepted bigint, quarantined bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.quarantined FROM streamagg.push('group_keys.s', (SELECT array_agg(format('{%s, "ts": "2024-01-01T00:00:00Z"}', r) ORDER BY o) FROM unnest(rows) WITH ORDINALITY u(r, o))) p $$;
SELECT streamagg.create_aggregate('by_null', $$SELECT w.window_start, w.window_end, k, b, r, count(*) AS n FROM s, streamagg.tumble(ts, '1 h') w GROUP BY 1, 2, 3, 4, 5$$);
SELECT streamagg.create_aggregate('by_ci', 'SELECT ci, k || ''!'' AS k2, count(*) AS n, min(ci) AS least FROM s GROUP BY 1, 2');
SELECT streamagg.create_aggregate('by_lower', 'SELECT lower(k) COLLATE no_case AS l, count(*) AS n FROM s GROUP BY 1');
SELECT streamagg.create_aggregate('by_number', 'SELECT n, f, count(*) AS c FROM s GROUP BY 1, 2');

-- I29: NULL is one group, in one batch and over batches, in each column
SELECT * FROM feed('"k": "a"', '"x": 0', '"k": null', '"b": true');
SELECT * FROM feed('"k": "a", "b": null', '"k": null, "r": null', '"b": true', '"r": [null]', '"r": [null]');
SELECT * FROM feed('"r": [null]');
SELECT 'I29' AS fault, k, b, r, n FROM by_null ORDER BY k, b, r;
SELECT indnullsnotdistinct FROM pg_index WHERE indrelid = 'by_null_state'::regclass;
-- I30: one group of a collation without case, within a batch and over batches
SELECT * FROM feed('"ci": "Key", "k": "A"', '"ci": "KEY", "k": "A"', '"ci": "other", "k": "A"', '"ci": "kEY", "k": "a"');
SELECT * FROM feed('"ci": "key", "k": "A"', '"ci": "KEY", "k": "a"', '"ci": "kéy", "k": "A"');
SELECT 'I30' AS fault, lower(ci) AS ci, k2, n, lower(least) AS least FROM by_ci WHERE ci IS NOT NULL ORDER BY ci, k2 COLLATE "C";
SELECT 'I30' AS fault, l, n FROM by_lower ORDER BY l;
SELECT n FROM by_ci WHERE ci = 'KEY' AND k2 = 'A!';
-- numbers that are equal are one group, however they print: 1.0 and 1.00, -0 and 0, and NaN is equal to itself
SELECT * FROM feed('"n": 1.0, "f": 0', '"n": 1.00, "f": -0.0', '"n": 1, "f": "NaN"');
SELECT * FROM feed('"n": 1.000, "f": 0e5', '"n": 1, "f": "nan"');
SELECT trim_scale(n) AS n, f + 0 AS f, c FROM by_number WHERE n IS NOT NULL ORDER BY 1, 2;
-- I28: a key that no index holds is its record's fault; a long one that can be compressed is none
SELECT * FROM feed('"k": "fine"', format('"k": "%s"', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i)), format('"k": "%s"', repeat('long', 2500)));
SELECT 'I28' AS fault, stage, code, record ->> 'k' AS k FROM streamagg.quarantine;
SELECT left(k, 4) AS k, length(k), n FROM by_null WHERE length(k) > 1 ORDER BY 1;

SET client_min_messages = warning;
DROP SCHEMA group_keys CASCADE;
DROP SERVER group_keys;
