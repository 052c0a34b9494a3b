-- How late rows come: exact counts for each delay, whatever the batches, and the delay they suggest.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
CREATE SCHEMA lateness_profile;
SET search_path = lateness_profile;
CREATE ROLE lateness_owner;
CREATE ROLE lateness_member IN ROLE lateness_owner;
CREATE ROLE lateness_reader IN ROLE streamagg_reader;
CREATE ROLE lateness_operator IN ROLE streamagg_operator;
CREATE ROLE lateness_stranger;
GRANT USAGE ON SCHEMA lateness_profile TO PUBLIC;
CREATE SERVER lateness_profile FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (n int, ts timestamptz NOT NULL) SERVER lateness_profile OPTIONS (event_time 'ts', watermark_delay '10 s');
ALTER FOREIGN TABLE s OWNER TO lateness_owner;
CREATE FUNCTION message(n int, ts timestamptz) RETURNS text LANGUAGE sql AS
  $$ SELECT format('{"n": %s, "ts": "%s"}', n, to_char(ts, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) $$;

-- nothing was accepted yet
SELECT * FROM streamagg.lateness_profile('s');
SELECT quarantined FROM streamagg.push('s', ARRAY['{']);
SELECT * FROM streamagg.lateness_profile('s');
-- rows in order need no delay; the same time again is in order
SELECT accepted FROM streamagg.push('s', ARRAY[message(0, '2024-01-01'), message(0, '2024-01-01 01:00'), message(0, '2024-01-01 01:00')]);
SELECT * FROM streamagg.lateness_profile('s');
-- a watermark_delay of exactly the delay covers a row; partitions count for themselves
SELECT accepted FROM streamagg.push('s', ARRAY[message(0, '2024-01-01 00:59:50'), message(0, '2024-01-01 00:59:49.999999')]);
SELECT accepted FROM streamagg.push('s', ARRAY[message(0, '2023-01-01')], 1);
SELECT * FROM streamagg.lateness_profile('s');
-- of a delay between two that are counted by, at the most so many
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '9.5 s');
SELECT * FROM streamagg.lateness_profile('s') WHERE note ~ 'watermark_delay';
ALTER FOREIGN TABLE s OPTIONS (SET watermark_delay '10.000001 s');
SELECT * FROM streamagg.lateness_profile('s') WHERE note ~ 'watermark_delay';
-- what is rolled back was never there
BEGIN;
SELECT accepted FROM streamagg.push('s', ARRAY[message(0, '2022-01-01')]);
SELECT delay, note FROM streamagg.lateness_profile('s') ORDER BY 1 DESC LIMIT 1;
ROLLBACK;
SELECT delay, note FROM streamagg.lateness_profile('s') ORDER BY 1 DESC LIMIT 2;

-- 99.9 % are covered: of 999 rows none may be left, of 1000 one
CREATE FOREIGN TABLE t (n int, ts timestamptz NOT NULL) SERVER lateness_profile OPTIONS (event_time 'ts');
SELECT accepted FROM streamagg.push('t', (SELECT array_agg(message(0, CASE i WHEN 998 THEN '2023-12-31' ELSE '2024-01-01' END::timestamptz)) FROM generate_series(1, 999) i));
SELECT delay, late_rows, note, suggested FROM streamagg.lateness_profile('t');
SELECT accepted FROM streamagg.push('t', ARRAY[message(0, '2024-01-01')]);
SELECT delay, late_rows, note, suggested FROM streamagg.lateness_profile('t');

-- every delay that is counted by, and a microsecond more and less: compared with what SQL counts
CREATE TABLE delays AS SELECT d FROM unnest('{1 ms,2 ms,5 ms,10 ms,20 ms,50 ms,100 ms,200 ms,500 ms,1 s,2 s,3 s,4 s,5 s,6 s,8 s,
  10 s,15 s,20 s,30 s,45 s,1 min,90 s,2 min,3 min,4 min,5 min,6 min,8 min,10 min,15 min,20 min,30 min,45 min,1 h,90 min,2 h,3 h,
  4 h,6 h,8 h,12 h,18 h,1 day,36 h,2 days,3 days,5 days,7 days,10 days,14 days,21 days,30 days,45 days,60 days,90 days,
  180 days,365 days,730 days,1825 days,3650 days,7300 days,18250 days,36500 days}'::interval[]) d;
CREATE TABLE rows AS
SELECT 2 + row_number() OVER (ORDER BY md5(d::text || e)) AS n, timestamptz '2024-01-01' - d - e * interval '1 us' AS ts
FROM delays, unnest('{-1,0,1}'::int[]) e;
INSERT INTO rows SELECT n, '2024-01-01' FROM generate_series(0, 2) n;
INSERT INTO rows SELECT 200 + i, timestamptz '2024-01-01' + ((hashint4(i) & 2147483647) - 1073741824) / 40 * interval '1 s' FROM generate_series(1, 100) i;
CREATE VIEW counted AS
SELECT n, ts, n % 3 AS part, max(ts) OVER (PARTITION BY n % 3 ORDER BY n) - ts AS late_by FROM rows;
CREATE FOREIGN TABLE whole (n int, ts timestamptz NOT NULL) SERVER lateness_profile OPTIONS (event_time 'ts');
SELECT part, accepted FROM (SELECT part, array_agg(message(n::int, ts) ORDER BY n) AS m FROM counted GROUP BY 1 ORDER BY 1) x,
  streamagg.push('whole', m, part::int);
SELECT count(*), count(*) FILTER (WHERE p.late_rows <> (SELECT count(*) FROM counted c
    WHERE extract(epoch FROM c.late_by) > extract(epoch FROM p.delay))) AS wrong
FROM streamagg.lateness_profile('whole') p;
SELECT delay = (SELECT max(late_by) FROM counted) AS longest FROM streamagg.lateness_profile('whole') WHERE note ~ 'max';
-- none suffices
SELECT count(*) FROM streamagg.lateness_profile('whole') WHERE suggested;

-- the same whatever the batches, duplicates and rows that an aggregate refuses
CREATE FOREIGN TABLE parts (n int, ts timestamptz NOT NULL) SERVER lateness_profile OPTIONS (event_time 'ts', dedup_key 'n');
SELECT streamagg.create_aggregate('poisoned', 'SELECT sum(1 / (n + 1)) AS x FROM parts');
SELECT sum(p.accepted) AS accepted, sum(quarantined) AS quarantined, sum(duplicate) AS duplicate
FROM (SELECT part, n / 7 AS batch, array_agg(message(n::int, ts) ORDER BY n) AS m,
      (array_agg(message(n::int, '1800-01-01')))[1] AS again FROM counted GROUP BY 1, 2 ORDER BY 2, 1) x,
  streamagg.push('parts', m || again || message(-1, CASE batch % 2 WHEN 0 THEN '1700-01-01' ELSE '2023-12-31' END::timestamptz), part::int) p;
CREATE VIEW profiles AS SELECT 'whole' AS s, * FROM streamagg.lateness_profile('whole') UNION ALL SELECT 'parts', * FROM streamagg.lateness_profile('parts');
SELECT count(*) AS rows, (SELECT count(*) FROM (SELECT delay, late_rows, late_share, note, suggested FROM profiles GROUP BY 1, 2, 3, 4, 5 HAVING count(*) <> 2) x) AS differ FROM profiles;

-- members of the owner and of streamagg_reader see it
SET ROLE lateness_member;
SELECT count(*) > 0 AS shown FROM streamagg.lateness_profile('s');
SET ROLE lateness_reader;
SELECT count(*) > 0 AS shown FROM streamagg.lateness_profile('s');
SET ROLE lateness_operator;
SELECT count(*) > 0 AS shown FROM streamagg.lateness_profile('s');
SET ROLE lateness_stranger;
SELECT * FROM streamagg.lateness_profile('s');
RESET ROLE;
SELECT * FROM streamagg.lateness_profile('rows');

-- it goes with the stream, or with all of them
SELECT count(*) FROM streamagg.lateness_progress WHERE stream = 's'::regclass;
SELECT 's'::regclass::oid AS s \gset
DROP FOREIGN TABLE s;
SELECT count(*) FROM streamagg.lateness_progress WHERE stream = :s;
SET client_min_messages = warning;
DROP SCHEMA lateness_profile CASCADE;
DROP SERVER lateness_profile;
DROP ROLE lateness_owner, lateness_member, lateness_reader, lateness_operator, lateness_stranger;
