-- What a command of on_close() may not do, and what it may cost.
\set SHOW_CONTEXT never
\set VERBOSITY terse
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE ROLE regress_hook_owner;
CREATE ROLE regress_hook_stranger;
CREATE SCHEMA limits;
CREATE SERVER limits FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER limits TO regress_hook_owner;
GRANT USAGE, CREATE ON SCHEMA limits TO regress_hook_owner;
GRANT USAGE ON SCHEMA limits TO regress_hook_stranger;
SET search_path = limits;
CREATE TABLE not_yours (a timestamptz);
SET ROLE regress_hook_owner;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER limits OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FOREIGN TABLE other (a timestamptz NOT NULL) SERVER limits OPTIONS (event_time 'a', watermark_delay '0 s');
SELECT streamagg.create_aggregate('m', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT streamagg.create_aggregate('o', 'SELECT w.window_start, w.window_end, count(*) AS n FROM other, streamagg.tumble(a, ''1 min'') w GROUP BY 1, 2');
CREATE TABLE report (a timestamptz, b timestamptz, who text, path text);

-- one statement that reads or writes rows, of names with their schemas
SELECT streamagg.on_close('m', command) FROM unnest(ARRAY['']) command;
SELECT streamagg.on_close('m', 'SELECT 1; SELECT 2');
SELECT streamagg.on_close('m', 'COMMIT');
SELECT streamagg.on_close('m', 'CREATE TABLE limits.x (a int)');
SELECT streamagg.on_close('m', 'SELECT 1 AS a INTO limits.x UNION SELECT 2');
SELECT streamagg.on_close('m', 'LISTEN streamagg_window');
SELECT streamagg.on_close('m', 'INSERT INTO limits.report VALUES ($1, $2, $3)');
SELECT streamagg.on_close('m', 'INSERT INTO report VALUES ($1, $2)');
SELECT streamagg.on_close('m', 'INSERT INTO limits.report VALUES ($1, $2');
SELECT streamagg.on_close(NULL, 'SELECT 1');
SELECT streamagg.on_close('report', 'SELECT 1');
SELECT * FROM streamagg.close_hooks;
-- these are
SELECT streamagg.on_close('m', c) FROM unnest(ARRAY['SELECT $1, $2', 'UPDATE limits.report SET a = $1', 'DELETE FROM limits.report',
  'WITH x AS (INSERT INTO limits.report VALUES ($1) RETURNING a) SELECT * FROM x',
  'MERGE INTO limits.report r USING limits.m ON r.a = m.window_start WHEN MATCHED THEN DELETE']) c \g /dev/null
-- only the owner may
SET ROLE regress_hook_stranger;
SELECT streamagg.on_close('m', 'SELECT 1');
SELECT streamagg.on_close('m', NULL);
SELECT * FROM streamagg.close_hooks;
RESET ROLE;

-- each next minute closes one
CREATE FUNCTION try(command text, minute int, OUT failures bigint, OUT code text, OUT error text, OUT rows bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM streamagg.on_close('limits.m', NULL), streamagg.on_close('limits.m', command);
  PERFORM streamagg.push('limits.s', ARRAY[format('{"ts": "2024-01-01T00:%s:00Z"}', minute)]);
  SELECT h.failures, last_sqlstate, last_error, (SELECT count(*) FROM limits.report) INTO failures, code, error, rows
  FROM streamagg.close_hooks h WHERE h.aggregate = 'limits.m'::regclass;
END $$;
SELECT * FROM try('SELECT 1', 10);
-- it runs as the owner, whoever pushes, and not as what the caller has set
SET search_path = limits, public;
SELECT * FROM try('INSERT INTO limits.report SELECT $1, $2, current_user, current_setting(''search_path'') || current_setting(''TimeZone'')', 11);
SELECT a, who, path FROM report;
SET ROLE regress_hook_owner;
CREATE PROCEDURE ends_it(a timestamptz) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO limits.report VALUES (a); COMMIT; END $$;
CREATE FUNCTION raises(code text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = code; END $$;
RESET ROLE;
SELECT * FROM try('CALL limits.ends_it($1)', 12);
SELECT * FROM try('INSERT INTO limits.not_yours VALUES ($1)', 13);
SELECT * FROM try('SELECT pg_catalog.set_config(''role'', ''none'', false)', 14);
SELECT * FROM try('SELECT pg_catalog.set_config(''session_authorization'', ''postgres'', false)', 15);
-- what it sets is not set behind it
SELECT * FROM try('SELECT pg_catalog.set_config(''DateStyle'', ''German'', false)', 16);
SELECT current_setting('DateStyle'), current_setting('search_path'), current_user = session_user AS me;
-- an error that it raises as if somebody had cancelled it is its own
SELECT * FROM try('SELECT limits.raises(''57014'')', 17);
SELECT * FROM try('SELECT limits.raises(''XX000'')', 18);
-- not into its own stream; into another, whose windows close in turn
SELECT * FROM try('SELECT streamagg.push(''limits.s'', ARRAY[''{"ts": "2024-01-01T00:20:00Z"}''])', 19);
SELECT streamagg.on_close('o', 'INSERT INTO limits.report VALUES ($1, $2, ''of the other'')');
SELECT * FROM try('SELECT streamagg.push(''limits.other'', ARRAY[pg_catalog.format(''{"a": "%s"}'', $2)])', 20);
SELECT * FROM try('SELECT streamagg.push(''limits.other'', ARRAY[pg_catalog.format(''{"a": "%s"}'', $2)])', 21);
SELECT a FROM report WHERE who = 'of the other';
-- it does not hold up the stream
SET streamagg.hook_timeout = '100 ms';
SELECT * FROM try('SELECT pg_catalog.pg_sleep(1000)', 22);
SELECT n FROM m WHERE window_start = '2024-01-01 00:22Z';
SELECT * FROM try('INSERT INTO limits.report SELECT $1 FROM pg_catalog.generate_series(1, 100000000000)', 23);
-- that of the statement, which is the caller's, ends the batch
SET streamagg.hook_timeout = 0;
SET statement_timeout = '100 ms';
SELECT * FROM try('SELECT pg_catalog.pg_sleep(1000)', 24);
RESET statement_timeout;
RESET streamagg.hook_timeout;
SELECT count(*) FROM m WHERE window_start = '2024-01-01 00:24Z';
SET ROLE regress_hook_owner;
SET streamagg.hook_timeout = 0;
RESET ROLE;

-- replaced, an aggregate keeps its command; what waits, too, also where the view is another one
SELECT streamagg.on_close('m', 'SELECT limits.raises(''22000'')');
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:25:00Z"}']);
SELECT streamagg.replace_aggregate('m', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w WHERE k IS NULL GROUP BY 1, 2', 'none');
SELECT aggregate, command, pending, failures FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass;
SELECT streamagg.replace_aggregate('m', 'SELECT w.window_start, w.window_end, count(*) AS n, max(k) FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', 'none');
SELECT aggregate, command, pending, failures FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass;
-- dropped, it has none; nor when its stream was dropped
SELECT event, count(*) > 5 AS some FROM streamagg.events WHERE stream = 's'::regclass AND event = 'on_close' GROUP BY 1;
SELECT streamagg.drop_aggregate('m');
SELECT aggregate FROM streamagg.close_hooks;
SELECT count(*) FROM streamagg.close_queue;
SET client_min_messages = warning;
DROP FOREIGN TABLE other CASCADE;
SELECT aggregate FROM streamagg.close_hooks;
SELECT streamagg.on_close('o', NULL);
DROP SCHEMA limits CASCADE;
DROP SERVER limits CASCADE;
DROP ROLE regress_hook_owner, regress_hook_stranger;
