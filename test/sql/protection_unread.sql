-- Digests that no aggregate and no constraint reads are not made; whatever reads one gets the real one.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA unread;
SET search_path = unread;
CREATE SERVER unread FOREIGN DATA WRAPPER streamagg_kafka;
SELECT streamagg.create_key('unread') \g /dev/null
CREATE TABLE dim (a text PRIMARY KEY, b text);
CREATE FOREIGN TABLE s (a text, h text OPTIONS (protect 'hmac', protect_key 'unread') NOT NULL, b bytea OPTIONS (protect 'sha256'),
  u uuid OPTIONS (protect 'hmac', protect_key 'unread'), ip text OPTIONS (protect 'hmac', protect_key 'unread', canonical 'inet'), ts timestamptz)
  SERVER unread OPTIONS (event_time 'ts');
CREATE FUNCTION push() RETURNS bigint LANGUAGE sql AS $$
  SELECT accepted FROM streamagg.push('unread.s', ARRAY['{"ts": "2024-01-01T00:00:00Z", "a": "x", "h": "1", "b": "2", "u": "3", "ip": "10.0.0.1"}']) $$;
CREATE FUNCTION p(c name, v text) RETURNS text LANGUAGE sql RETURN streamagg.pseudonym('unread.s', c, v);
SELECT streamagg.create_aggregate('none', 'SELECT a, count(*) AS n, count(h) AS h, count(b) AS b FROM s GROUP BY 1');
SELECT push();
SELECT n, h, b FROM none;
-- read in the SELECT list, WHERE, HAVING, FILTER, a join's condition, a column by USING, a whole row, a CHECK
SELECT streamagg.create_aggregate('listed', 'SELECT max(h) AS h, max(encode(b, ''hex'')) AS b FROM s');
SELECT streamagg.create_aggregate('filtered', format('SELECT count(*) AS n FROM s WHERE u = %L', p('u', '3')));
SELECT streamagg.create_aggregate('had', format('SELECT a, count(*) AS n FROM s GROUP BY 1 HAVING max(ip) = %L', p('ip', '10.0.0.1')));
SELECT push();
SELECT h = p('h', '1') AS h, b = encode(sha256('2'), 'hex') AS b FROM listed;
SELECT (SELECT n FROM filtered) AS filtered, (SELECT n FROM had) AS had;
INSERT INTO dim VALUES (p('h', '1'), 'one');
SELECT streamagg.drop_aggregate('listed'), streamagg.drop_aggregate('filtered'), streamagg.drop_aggregate('had') \g /dev/null
SELECT streamagg.create_aggregate('joined', 'SELECT dim.b, count(*) AS n FROM s JOIN dim ON dim.a = s.h GROUP BY 1');
SELECT streamagg.create_aggregate('filter', format('SELECT count(*) FILTER (WHERE u = %L) AS n FROM s', p('u', '3')));
SELECT push();
SELECT b, f.n FROM joined, filter f;
SELECT streamagg.drop_aggregate('joined'), streamagg.drop_aggregate('filter') \g /dev/null
ALTER TABLE dim RENAME a TO h;
SELECT streamagg.create_aggregate('using_it', 'SELECT h, count(*) AS n FROM s LEFT JOIN dim USING (h) GROUP BY 1');
SELECT streamagg.create_aggregate('whole', 'SELECT max(s::text) AS s FROM s');
SELECT push();
SELECT h = p('h', '1') AS h FROM using_it;
SELECT position(p('ip', '10.0.0.1') IN s) > 0 AS ip, position(p('u', '3') IN s) > 0 AS u FROM whole;
SELECT streamagg.drop_aggregate('using_it'), streamagg.drop_aggregate('whole') \g /dev/null
DO $$ BEGIN EXECUTE format('ALTER FOREIGN TABLE s ADD CONSTRAINT real CHECK (ip = %L)', p('ip', '10.0.0.1')); END $$;
SELECT push();
-- accepted or not does not depend on who reads it
SELECT accepted, quarantined FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z", "a": "x", "h": {}}', '{"ts": "2024-01-01T00:00:00Z", "a": "x", "ip": "10.0.0.1"}']);
SELECT stage, code, column_name FROM streamagg.quarantine WHERE stream = 's'::regclass ORDER BY record_offset;

SET client_min_messages = warning;
DROP SCHEMA unread CASCADE;
DROP SERVER unread;
