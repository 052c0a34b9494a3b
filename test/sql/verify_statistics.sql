-- verify(): statistics that are nothing but rounding differ from batch to batch, and are no problem.
SET TimeZone = 'UTC';
CREATE SCHEMA verify_statistics;
SET search_path = verify_statistics;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/archived.sql'
\set ECHO none
\i :file
\set ECHO all
CREATE SERVER verify_statistics FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k int, x float8, y float8, ts timestamptz NOT NULL) SERVER verify_statistics OPTIONS (event_time 'ts');
SELECT keep('s');
SELECT streamagg.create_aggregate('a', 'SELECT k, regr_intercept(y, x) AS i FROM s GROUP BY k');
-- of 0 but for group 0
SELECT sum(accepted)
FROM (SELECT b, array_agg(jsonb_build_object('k', k, 'x', x, 'y', x + CASE k WHEN 0 THEN 2 ELSE 0 END, 'ts', '2024-01-01T00:00:00Z')::text) AS messages
      FROM (SELECT n / 20 AS b, n % 9 AS k, (n * 7919 % 65536 - 32768) / 7.0 AS x FROM generate_series(0, 199) n) x
      GROUP BY b ORDER BY b) x, streamagg.push('s', messages);
SELECT round(i::numeric, 6) AS i, count(*) FROM a GROUP BY 1 ORDER BY 1;
SELECT * FROM streamagg.verify('a');
-- what is more than that is seen
UPDATE a_state SET i[4] = i[4] * 1.000001 WHERE k = 0;
SELECT problem, expected ->> 'k' AS k FROM streamagg.verify('a');
SET client_min_messages = warning;
DROP SCHEMA verify_statistics CASCADE;
DROP SERVER verify_statistics;
