-- on_close(): a command for each window that closes, in the transaction that closes it.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA hooked;
SET search_path = hooked;
CREATE SERVER hooked FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER hooked OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('m', 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2, 3');
-- times of day of 2024-01-01, with a key in front
CREATE FUNCTION push(VARIADIC rows text[]) RETURNS TABLE (accepted bigint, late bigint) LANGUAGE sql AS $$
  SELECT p.accepted, p.late FROM streamagg.push('hooked.s',
    (SELECT array_agg(format('{"k": "%s", "ts": "2024-01-01T%sZ"}', split_part(r, ' ', 1), split_part(r, ' ', 2)) ORDER BY o)
     FROM unnest(rows) WITH ORDINALITY x(r, o))) p $$;
-- no unique key: what runs twice shows
CREATE TABLE report (a timestamptz, b timestamptz, groups bigint, n numeric, final boolean);
CREATE VIEW reported AS SELECT a::time, b::time, groups, n, final FROM report;
CREATE VIEW hooks AS
SELECT aggregate, closed, failures, pending, oldest::time, next_try > now() AS waits, last_error, last_sqlstate FROM streamagg.close_hooks;

SELECT streamagg.on_close('m', 'INSERT INTO hooked.report SELECT $1, $2, count(*), sum(n), bool_and(is_final) FROM hooked.m WHERE window_start = $1');
-- it sees the batch's rows as final; windows that are open wait
SELECT * FROM push('a 00:00:10', 'b 00:00:20', 'a 00:00:59');
SELECT * FROM hooks;
SELECT * FROM push('a 00:00:30', 'a 00:01:00', 'b 00:01:10');
SELECT * FROM reported;
SELECT * FROM hooks;
-- several windows at once, in their order; one without rows never was
SELECT * FROM push('a 00:02:10', 'c 00:04:10', 'd 00:05:00');
SELECT * FROM reported;
-- a late row changes a closed window, and closes it no more
SELECT * FROM push('a 00:01:20', 'a 00:05:30');
SELECT n FROM m WHERE window_start = '2024-01-01 00:01' AND k = 'a';
SELECT count(*) FROM report;
-- ROLLBACK takes all of it back
BEGIN;
SELECT * FROM push('a 00:06:00');
SELECT * FROM push('a 00:07:00');
SELECT * FROM reported WHERE a >= '00:05';
ROLLBACK;
SELECT count(*) FROM report;
SELECT * FROM hooks;
SELECT * FROM push('a 00:06:00');
SELECT * FROM reported WHERE a >= '00:05';

-- a command that fails costs its own effect: the batch is committed, the window waits
CREATE PROCEDURE half(a timestamptz, b timestamptz) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO hooked.report VALUES (a, b);
  RAISE EXCEPTION 'the value is %', (SELECT min(k) FROM hooked.m WHERE window_start = a);
END $$;
SELECT streamagg.on_close('m', 'CALL hooked.half($1, $2)');
SELECT * FROM push('secret 00:06:30', 'a 00:07:00');
SELECT * FROM reported WHERE a >= '00:06';
SELECT n FROM m WHERE window_start = '2024-01-01 00:06' ORDER BY k;
SELECT * FROM hooks;
-- it is not tried again before its time, and later windows do not wait for it
UPDATE streamagg.close_queue SET next_try = 'infinity';
SELECT * FROM push('a 00:08:00');
SELECT window_start::time, attempts FROM streamagg.close_queue ORDER BY 1;
UPDATE streamagg.close_queue SET next_try = '-infinity' WHERE window_start = '2024-01-01 00:06';
SELECT * FROM push('a 00:08:10');
SELECT window_start::time, attempts, next_try - last_failed_at > '1.5 s' AS paused FROM streamagg.close_queue JOIN streamagg.close_hook USING (aggregate) WHERE attempts > 1 ORDER BY 1;
-- the pause grows, to an hour
UPDATE streamagg.close_queue SET next_try = '-infinity', attempts = 100;
SELECT * FROM push('a 00:08:10');
SELECT window_start::time, attempts, next_try - last_failed_at BETWEEN '59 min' AND '60 min' AS much_later FROM streamagg.close_queue JOIN streamagg.close_hook USING (aggregate) WHERE attempts > 1 ORDER BY 1;
SELECT * FROM hooks;
-- another command is tried at once, for what waits, too
SELECT streamagg.on_close('m', 'INSERT INTO hooked.report VALUES ($1, $2)');
SELECT * FROM push('a 00:08:20');
SELECT * FROM reported WHERE a >= '00:06' ORDER BY a;
SELECT * FROM hooks;

-- of errors without values the words are shown
SELECT streamagg.on_close('m', 'INSERT INTO hooked.gone VALUES ($1)');
CREATE TABLE gone (a timestamptz PRIMARY KEY);
SELECT streamagg.on_close('m', 'INSERT INTO hooked.gone VALUES ($1)');
DROP TABLE gone;
SELECT * FROM push('a 00:09:00');
SELECT * FROM hooks;
CREATE TABLE gone (a timestamptz PRIMARY KEY);
INSERT INTO gone VALUES ('2024-01-01 00:08');
UPDATE streamagg.close_queue SET next_try = '-infinity';
SELECT * FROM push('a 00:10:00');
SELECT * FROM hooks;
DELETE FROM gone WHERE a = '2024-01-01 00:08';
UPDATE streamagg.close_queue SET next_try = '-infinity';
SELECT * FROM push('a 00:10:00');
SELECT a::time FROM gone ORDER BY 1;
SELECT * FROM hooks;

-- allowed_lateness closes later; a running total never; what is not final is not closed
SELECT streamagg.create_aggregate('later', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', allowed_lateness => '1 min');
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT streamagg.on_close('later', 'INSERT INTO hooked.report SELECT $1, $2, NULL, n, is_final FROM hooked.later WHERE window_start = $1');
SELECT streamagg.on_close('total', 'SELECT 1');
SELECT streamagg.on_close('m', NULL);
TRUNCATE report;
SELECT * FROM push('a 00:20:10', 'a 00:21:59.999999');
SELECT * FROM reported;
SELECT * FROM push('a 00:22:00');
SELECT * FROM reported;

SET client_min_messages = warning;
DROP SCHEMA hooked CASCADE;
DROP SERVER hooked;
SELECT count(*) FROM streamagg.close_hooks;
