-- F1: a database whose streams come from another one starts nothing before adopt(). Here the other one is
-- made up; dumps, templates and pg_upgrade are in test/t and test/kafka.
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE ROLE regress_owner LOGIN;
CREATE ROLE regress_operator IN ROLE streamagg_operator;
CREATE ROLE regress_admin IN ROLE streamagg_admin;
GRANT USAGE ON FOREIGN SERVER kafka, local TO regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE FOREIGN TABLE a (ts timestamptz) SERVER kafka OPTIONS (topic 'a', event_time 'ts');
CREATE FOREIGN TABLE b (ts timestamptz) SERVER kafka OPTIONS (topic 'b', event_time 'ts');
CREATE FOREIGN TABLE l (ts timestamptz) SERVER local OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate(s || '_n', 'SELECT count(*) AS n FROM ' || s) FROM unnest('{a,b,l}'::text[]) s;
-- nothing to adopt; not for everybody
SELECT streamagg.adopt();
SET ROLE regress_operator;
SELECT streamagg.adopt();
SET ROLE regress_admin;
SELECT streamagg.adopt();
RESET ROLE;
-- a copy: a ran, b did not
UPDATE streamagg.stream_catalog SET identity = '1/1', wanted = stream = 'a'::regclass;
SELECT stream, state, reason FROM streamagg.streams ORDER BY stream::text;
SET ROLE regress_owner;
\set VERBOSITY default
SELECT streamagg.start('a');
\set VERBOSITY terse
SELECT streamagg.start('b');
SELECT streamagg.restart('a');
SELECT streamagg.start_all();
SELECT streamagg.wait_for('a');
-- a stream that is new waits for it as the others do
CREATE FOREIGN TABLE c (ts timestamptz) SERVER kafka OPTIONS (topic 'c', event_time 'ts');
SELECT streamagg.create_aggregate('c_n', 'SELECT count(*) AS n FROM c');
SELECT streamagg.start('c');
-- what starts nothing is allowed
SELECT accepted FROM streamagg.push('l', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
SELECT retried FROM streamagg.retry_quarantine('a');
-- also to stop what would run, and to change what only a stopped stream may
ALTER FOREIGN TABLE a ALTER ts OPTIONS (path 'time');
SET ROLE regress_admin;
BEGIN;
SELECT streamagg.adopt();
ROLLBACK;
SELECT stream, state, reason FROM streamagg.streams WHERE reason IS NOT NULL;
RESET ROLE;
-- adopted and not yet committed: none runs, one is to run by its options of now
BEGIN;
SET LOCAL ROLE regress_admin;
SELECT streamagg.adopt();
SELECT streamagg.adopt();
RESET ROLE;
SELECT stream, wanted, halted, identity = streamagg.identity() AS ours, fixed ~ '\mtime\M' AS of_now FROM streamagg.stream_catalog WHERE stream::text ~ '^[abcl]$' ORDER BY stream::text;
SELECT stream, actor, event FROM streamagg.events WHERE event = 'adopt' ORDER BY stream::text;
SET LOCAL ROLE regress_owner;
SELECT streamagg.start('b');
SELECT streamagg.start('a');
ROLLBACK;
-- stopped before it is adopted: nothing runs
SELECT streamagg.stop_all();
SELECT streamagg.adopt();
SELECT stream, state, reason FROM streamagg.streams ORDER BY stream::text;
DROP FOREIGN TABLE a, b, c, l CASCADE;
DROP VIEW a_n, b_n, c_n, l_n;
DROP SERVER kafka;
DROP SERVER local;
REVOKE CREATE ON SCHEMA public FROM regress_owner;
DROP ROLE regress_owner, regress_operator, regress_admin;
