-- retry_quarantine(): who may call it, and what a condition may be. Nothing is in quarantine here, so no
-- broker is asked; what it does is in test/kafka/t/171_retry_quarantine.pl.
\set VERBOSITY terse
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE ROLE regress_owner;
CREATE ROLE regress_member IN ROLE regress_owner;
CREATE ROLE regress_operator IN ROLE streamagg_operator;
CREATE ROLE regress_reader IN ROLE streamagg_reader;
GRANT USAGE ON FOREIGN SERVER kafka, local TO regress_owner;
GRANT CREATE ON SCHEMA public TO regress_owner;
SET ROLE regress_owner;
CREATE FOREIGN TABLE s (n int, ts timestamptz) SERVER kafka OPTIONS (topic 's', event_time 'ts');
CREATE FOREIGN TABLE l (n int, ts timestamptz) SERVER local OPTIONS (event_time 'ts');
CREATE TABLE secret (k int);
SELECT quarantined FROM streamagg.push('l', ARRAY['{']);
RESET ROLE;
\set VERBOSITY default
SELECT streamagg.retry_quarantine('l');
\set VERBOSITY terse
SELECT streamagg.retry_quarantine('secret');
SELECT streamagg.retry_quarantine('s', NULL), streamagg.retry_quarantine(NULL);
BEGIN READ ONLY;
SELECT * FROM streamagg.retry_quarantine('s');
ROLLBACK;
-- rights
SET ROLE regress_reader;
SELECT * FROM streamagg.retry_quarantine('s');
SET ROLE regress_member;
SELECT * FROM streamagg.retry_quarantine('s');
SELECT * FROM streamagg.retry_quarantine('s', 'stage = ''check''');
SELECT * FROM streamagg.retry_quarantine('s', ' true');
SET ROLE regress_operator;
SELECT * FROM streamagg.retry_quarantine('s');
SELECT * FROM streamagg.retry_quarantine('s', 'stage = ''check'' AND record_offset BETWEEN 1 AND 9');
SELECT * FROM streamagg.retry_quarantine('s', 'EXISTS (SELECT FROM secret)');
-- one expression: nothing else, and nothing that ends the parentheses
CREATE FUNCTION pg_temp.told(clause text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN streamagg.retry_quarantine('s', clause);
EXCEPTION WHEN OTHERS THEN
  RETURN concat_ws(' ', SQLSTATE, SQLERRM);
END $$;
SELECT c AS clause, pg_temp.told(c) FROM unnest(ARRAY[
  'true', 'code LIKE ''22%''', '''small'' = ANY (failed_rules) OR column_name IS NULL', 'stream = ''s''::regclass', 'record_offset IN (SELECT 1)',
  'true -- and no more', 'true /* and */ AND /* more */ true', '(true)', 'true) OR (true', 'true)', '(true', 'true; SELECT 1', 'true;', 'true, true', 'true AS t', 'true t',
  'true FROM secret', 'true WHERE true', 'true GROUP BY 1', 'true HAVING true', 'true ORDER BY 1', 'true LIMIT 1', 'true OFFSET 1', 'true FOR UPDATE', 'true WINDOW w AS ()',
  'DISTINCT true', 'ALL true', 'true UNION SELECT true', 'SELECT true', '', '-- nothing', '*', 'quarantine.*', '1', 'NULL', 'nothing = 1', 'stream = $1', 'count(*) > 0',
  'true) -- ', 'true /*', 'E''\\''', '$$true$$::boolean', 'DELETE FROM secret']) WITH ORDINALITY c (c, o) ORDER BY o;
DROP FUNCTION pg_temp.told(text);
RESET ROLE;
DROP FOREIGN TABLE s, l;
DROP TABLE secret;
DROP SERVER kafka;
DROP SERVER local;
REVOKE CREATE ON SCHEMA public FROM regress_owner;
DROP ROLE regress_owner, regress_member, regress_operator, regress_reader;
