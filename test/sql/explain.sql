-- explain(): the state's columns, the statements of a batch and their plans; nothing runs, no broker is asked.
\set SHOW_CONTEXT never
\pset format unaligned
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA explain;
SET search_path = explain;
CREATE ROLE explain_owner;
CREATE ROLE explain_member IN ROLE explain_owner;
CREATE ROLE explain_operator IN ROLE streamagg_operator;
GRANT ALL ON SCHEMA explain TO explain_owner;
GRANT USAGE ON SCHEMA explain TO PUBLIC;
CREATE SERVER explain_local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER explain_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (k int, a text, ts timestamptz NOT NULL) SERVER explain_local OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE remote (k int, a text, ts timestamptz NOT NULL) SERVER explain_kafka OPTIONS (event_time 'ts', topic 't');
CREATE TABLE names (k int PRIMARY KEY, name text);

-- grouped by us: rows, then the upsert of the groups
SELECT streamagg.create_aggregate('grouped', $$SELECT w.window_start, w.window_end, a, count(*) AS n, sum(k) FILTER (WHERE k > 1) * 2 AS twice
  FROM s, streamagg.tumble(ts, '1 min') w WHERE ts > '2024-01-01 00:00+00' GROUP BY 1, 2, 3$$);
SELECT * FROM streamagg.explain('grouped');
-- by PostgreSQL: one statement; a stream of a topic whose broker is not there
SELECT streamagg.create_aggregate('"Whole"', $$SELECT w.window_start, w.window_end, upper(name) AS "N", avg(remote.k) AS n
  FROM remote JOIN names USING (k), streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3$$);
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT * FROM streamagg.explain('"Whole"');
RESET enable_hashjoin;
RESET enable_mergejoin;
-- one group, and a column that somebody added
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
ALTER TABLE total_state ADD COLUMN remark text;
SELECT * FROM streamagg.explain('total') WHERE part = 'state';

-- plans are those of the definition's settings, whatever the caller's
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET IntervalStyle = 'iso_8601';
SELECT streamagg.create_aggregate('tokyo', $$SELECT date_trunc('day', ts, 'Asia/Tokyo') AS day, count(*) AS n FROM s WHERE ts > '2024-01-02' AND a <> '1 day'::interval::text GROUP BY 1$$);
RESET IntervalStyle;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SELECT * FROM streamagg.explain('tokyo') WHERE part IN ('settings', 'rows plan');
SHOW TimeZone;
-- one aggregate that cannot run does not keep the others from being explained
CREATE RULE silent AS ON INSERT TO grouped_state DO INSTEAD NOTHING;
SELECT count(*) > 0 AS explained FROM streamagg.explain('tokyo');
-- it changes nothing, so it may be asked anywhere
BEGIN READ ONLY;
SELECT count(*) > 0 AS explained FROM streamagg.explain('total');
COMMIT;
SELECT n FROM total;
SELECT rows_in FROM streamagg.aggregates WHERE aggregate = 'total'::regclass;

-- as the stream's owner, for its members; whose objects are in the caller's path does not matter
GRANT USAGE ON FOREIGN SERVER explain_local TO explain_owner;
SET ROLE explain_owner;
CREATE FOREIGN TABLE owned (k int, ts timestamptz NOT NULL) SERVER explain_local OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('of_owner', 'SELECT k, count(*) AS n FROM owned WHERE k > 0 GROUP BY 1');
RESET ROLE;
CREATE FUNCTION more(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called as %', current_user; END $$;
CREATE OPERATOR explain.> (LEFTARG = int, RIGHTARG = int, FUNCTION = more);
SET search_path = explain, pg_catalog;
SET ROLE explain_member;
SELECT line FROM streamagg.explain('of_owner') WHERE part = 'rows plan';
SET ROLE explain_operator;
SELECT * FROM streamagg.explain('of_owner');
RESET ROLE;
SET search_path = explain;
SELECT * FROM streamagg.explain('names');
SELECT * FROM streamagg.explain(NULL);
-- what a batch would fail with
SELECT * FROM streamagg.explain('grouped');
SET client_min_messages = warning;
DROP FOREIGN TABLE owned CASCADE;
SELECT * FROM streamagg.explain('of_owner');
DROP OWNED BY explain_owner;
DROP SCHEMA explain CASCADE;
DROP SERVER explain_local CASCADE;
DROP SERVER explain_kafka CASCADE;
DROP ROLE explain_owner, explain_member, explain_operator;
