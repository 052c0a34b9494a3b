-- SELECT from a stream, as far as no broker is needed: what is refused, and what EXPLAIN tells.
SET TimeZone = 'UTC';
CREATE SCHEMA looking;
SET search_path = looking;
\set VERBOSITY default
CREATE SERVER looking_local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER looking_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE FOREIGN TABLE here (ts timestamptz) SERVER looking_local OPTIONS (event_time 'ts');
CREATE FOREIGN TABLE there (
  id   int NOT NULL,
  ts   timestamptz NOT NULL,
  part int OPTIONS (meta 'partition'),
  small smallint OPTIONS (meta 'partition'),
  off  bigint OPTIONS (meta 'offset'),
  word text OPTIONS (meta 'offset'),
  at   timestamptz OPTIONS (meta 'timestamp'),
  second timestamptz(0) OPTIONS (meta 'timestamp')
) SERVER looking_kafka OPTIONS (topic 'things', event_time 'ts');

-- a local stream has no topic
SELECT * FROM here;
EXPLAIN (COSTS OFF) SELECT * FROM here;
EXPLAIN (ANALYZE) SELECT * FROM here;
SELECT * FROM here LIMIT 0;

-- nor can a batch read another stream
SELECT streamagg.create_aggregate('here_n', 'SELECT count(*) AS n FROM here');
CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM * FROM looking.there; RETURN NEW; END $$;
CREATE TRIGGER peek BEFORE UPDATE ON here_n_state FOR EACH ROW EXECUTE FUNCTION peek();
\set SHOW_CONTEXT never
SELECT streamagg.push('here', ARRAY['{"ts": "2024-05-01T10:00:00Z"}']);

-- what a topic holds is not changed
UPDATE there SET id = 1;
DELETE FROM there;
INSERT INTO here VALUES (now());

-- statements that are for tables
SELECT * FROM there TABLESAMPLE SYSTEM (10);
BEGIN;
LOCK TABLE there;
ROLLBACK;
VACUUM there;
ANALYZE there;
TRUNCATE there;
CREATE INDEX ON there (id);
ALTER FOREIGN TABLE there ENABLE ROW LEVEL SECURITY;
MERGE INTO there USING (VALUES (1)) v (id) ON v.id = there.id WHEN MATCHED THEN DELETE;

-- names that no topic can have; of some the library makes nothing
CREATE FOREIGN TABLE misnamed (ts timestamptz) SERVER looking_kafka OPTIONS (topic 'no such name', event_time 'ts');
SELECT * FROM misnamed;
DO $$ BEGIN EXECUTE format('ALTER FOREIGN TABLE misnamed OPTIONS (SET topic %L)', repeat('x', 600)); END $$;
SELECT * FROM misnamed;

-- EXPLAIN asks no broker; the lines that are ours
CREATE FUNCTION plan(condition text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT FROM there WHERE ' || condition LOOP
    IF line ~ '^ *(Topic|Partitions|Offsets|Timestamps):' THEN
      RETURN NEXT btrim(line);
    END IF;
  END LOOP;
END $$;
CREATE FUNCTION plans(VARIADIC conditions text[]) RETURNS TABLE (condition text, plan text)
LANGUAGE sql AS $$
  SELECT c, (SELECT string_agg(p, '; ') FROM plan(c) p WHERE p NOT LIKE 'Topic%') FROM unnest(conditions) c
$$;
SELECT plan('true');
SELECT * FROM plans('part = 0', 'part = 3', '3 = part', 'part IN (1, 3)', 'part IN (1, 3) AND part > 1', 'part BETWEEN 2 AND 5',
  'part >= 2', 'part < 2', 'part < 0', 'part = ANY (''{}'')', 'small = 2', 'small = 2::bigint',
  'part = NULL');
SELECT * FROM plans('off = 0', 'off = 7', 'off < 7', 'off <= 7', 'off > 7', '7 < off', 'off >= 7', 'off BETWEEN 7 AND 9',
  'off IN (9, 4, NULL)', 'off > 9223372036854775807', 'off < (-9223372036854775808)', 'off > 9 AND off < 5', 'off < 0');
SELECT * FROM plans('at >= ''2024-05-01Z''', 'at > ''2024-05-01Z''', 'at = ''2024-05-01Z''', 'at > now()', 'at > ''infinity''', 'off > (random() * 10)::int',
  'off < length(current_user)');
-- of no use: the executor alone judges
SELECT * FROM plans('part <> 3', 'part = 1 OR part = 2', 'part = id', 'part = ALL (''{1,2}'')', 'off::text = ''7''', 'word = ''7''',
  'at < ''2024-05-01Z''', 'second > ''2024-05-01Z''', 'at > ''-infinity''', 'off < 7.5', 'off = random()::int');
PREPARE p (bigint) AS SELECT FROM there WHERE off = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE p (5);
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE p (5);
EXPLAIN (COSTS OFF, FORMAT JSON) SELECT FROM there WHERE off > 5;

-- rows that are needed twice are kept, not read twice
SET enable_hashjoin = off; SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT FROM there a JOIN there b USING (id);
RESET enable_hashjoin; RESET enable_mergejoin;

-- rights: that of SELECT, keys of the stream's owner, credentials of who reads
CREATE ROLE streamagg_looker;
GRANT USAGE ON SCHEMA looking TO streamagg_looker;
SET ROLE streamagg_looker;
SELECT * FROM there;
RESET ROLE;
CREATE SERVER looking_sasl FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers '127.0.0.1:1', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN');
CREATE FOREIGN TABLE sasl (ts timestamptz) SERVER looking_sasl OPTIONS (topic 'things', event_time 'ts');
CREATE USER MAPPING FOR CURRENT_USER SERVER looking_sasl OPTIONS (username 'u', password 'p');
CREATE VIEW shown AS SELECT * FROM sasl;
GRANT SELECT ON sasl, shown TO streamagg_looker;
SET ROLE streamagg_looker;
SELECT * FROM sasl;
-- a view's owner lends credentials as well
SET statement_timeout = '300ms';
SELECT * FROM shown;
RESET statement_timeout;
RESET ROLE;
CREATE FOREIGN TABLE keyed (name text OPTIONS (protect 'hmac', protect_key 'no such key'), ts timestamptz)
  SERVER looking_kafka OPTIONS (topic 'things', event_time 'ts');
SELECT * FROM keyed;
SET statement_timeout = '300ms';
SELECT * FROM there;
RESET statement_timeout;

\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA looking CASCADE;
DROP SERVER looking_local, looking_kafka, looking_sasl CASCADE;
DROP ROLE streamagg_looker;
