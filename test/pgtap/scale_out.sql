-- Guards of what keeps several nodes possible: writes are INSERT … SELECT, merges immutable, no
-- sequences, triggers or foreign keys on states.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, x float8, d numeric, iv interval, b boolean, m mood, ts timestamptz) SERVER local OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('minutes', $$SELECT w.window_start, w.window_end, k, m, count(*) AS c, sum(n) AS s, avg(x) AS a, avg(iv) AS i, sum(d) + min(n) AS p,
    max(k) AS l, bool_and(b) AS o, max(m) AS mm, count(DISTINCT x) AS dx, avg(DISTINCT n) FILTER (WHERE b) AS dn FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3, 4$$, late => 'drop'),
  streamagg.create_aggregate('visits', 'SELECT k, w.window_start, w.window_end, sum(n) AS s FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1, 2, 3'),
  streamagg.create_aggregate('total', 'SELECT count(*) AS n, avg(d) AS a FROM s') \g /dev/null
SELECT plan(20 + (SELECT sum(cardinality(merges)) FROM streamagg.merge_rules WHERE extension IS NULL)::int);

-- every merge over its types as a generated column, which PostgreSQL refuses unless it is immutable
CREATE FUNCTION merge_is_immutable(rule streamagg.merge_rules, number int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  arguments text[] := string_to_array(substring(rule.aggregate FROM '\((.*)\)'), ',');
  partial text := rule.partials[number];
  type text;
BEGIN
  FOR i IN 1 .. cardinality(arguments) LOOP
    partial := replace(partial, '$' || i, format('NULL::%s', CASE arguments[i] WHEN '"any"' THEN 'text' WHEN 'anyenum' THEN 'mood'
      WHEN 'anyarray' THEN 'integer[]' WHEN 'character' THEN 'bpchar' WHEN 'bit' THEN '"bit"' WHEN 'anyrange' THEN 'int4range' WHEN 'anymultirange' THEN 'int4multirange'
      ELSE arguments[i] END));
  END LOOP;
  EXECUTE format('SELECT pg_typeof(%s)', partial) INTO type;
  EXECUTE format('CREATE TEMP TABLE merged (a %s, b %1$s, m %1$s GENERATED ALWAYS AS (%s) STORED)',
    type, replace(replace(rule.merges[number], '$1', 'a'), '$2', 'b'));
  DROP TABLE merged;
  RETURN 'immutable';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;
SELECT is(merge_is_immutable(r, n), 'immutable', format('merge %s of %s is immutable', n, r.aggregate))
FROM streamagg.merge_rules r, generate_series(1, cardinality(merges)) n WHERE extension IS NULL ORDER BY r.aggregate, n;
-- and the way of looking does see one that is not
SELECT matches(merge_is_immutable(ROW('pg_catalog.min(timestamp without time zone)', '{pg_catalog.min($1)}', '{"greatest($1, $2, now()::timestamp)"}', '$1', NULL, NULL, false), 1),
  'not immutable', 'a mutable merge is seen');
SELECT is_empty('SELECT aggregate FROM streamagg.merge_rules WHERE to_regprocedure(aggregate) IS NULL AND extension IS NULL', 'every rule is of a function that exists');
SELECT is_empty('SELECT aggregate FROM streamagg.merge_rules WHERE cardinality(partials) <> cardinality(merges) OR cardinality(partials) > 1 AND cardinality(partials) IS DISTINCT FROM cardinality(parts)', 'every partial has a merge, and of several each has a name');
SELECT is_empty($$SELECT aggregate FROM streamagg.merge_rules WHERE aggregate !~ '^(pg_catalog\.|@)' OR array_to_string(partials, ' ') !~ '^(pg_catalog\.|streamagg\.|@)'
    OR array_to_string(merges, ' ') ~* 'select|nextval|\$[3-9]'$$, 'rules are qualified and without subqueries');

-- the statement that a batch runs, from the context of an error within it
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused' USING ERRCODE = '42501'; END $$;
CREATE FUNCTION statement_of(target regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  context text;
BEGIN
  EXECUTE format('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION refuse()', target);
  PERFORM streamagg.push('s', ARRAY['{"k": "a", "n": 1, "x": 1, "b": true, "ts": "2024-01-01T00:00:00Z"}', '{']);
  RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
  GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
  RETURN split_part(substring(context FROM 'SQL statement "((?:WITH|INSERT).*)'), E'"\n', 1);
END $$;
CREATE TEMP TABLE statements AS
SELECT t, statement_of(t::regclass) AS sql FROM unnest(ARRAY['minutes_state', 'visits_state', 'total_state', 'minutes_distinct', 'minutes_distinct_2', 'streamagg.quarantine_log']) t;
SELECT matches(sql, '^(WITH n \([^()]*\) AS \()?INSERT INTO [^(]+\([^()]*\)\s+SELECT ', t || ': INSERT … SELECT') FROM statements;
SELECT doesnt_match(sql, '\mVALUES\M|nextval|\mMERGE\M', t || ': no VALUES, no sequence') FROM statements;
SELECT is_empty($$SELECT t FROM statements WHERE t !~ 'quarantine' AND (sql !~ 'ON CONFLICT \(.*\) DO UPDATE SET' OR substring(sql FROM 'DO UPDATE SET.*') ~* '\mselect\M|now\(\)')$$,
  'states are upserted, without a subquery or the clock in DO UPDATE');
-- tables of states: nothing that another node could not do
CREATE TEMP VIEW states AS SELECT state_table FROM streamagg.aggregates UNION ALL SELECT side_table FROM streamagg.side_tables UNION ALL SELECT 'streamagg.quarantine_log'::regclass;
SELECT is_empty('SELECT tgrelid::regclass FROM pg_trigger JOIN states ON tgrelid = state_table', 'no triggers on states');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint JOIN states ON conrelid = state_table WHERE contype = 'f'$$, 'no foreign keys');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN states ON attrelid = state_table LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND (pg_get_expr(adbin, adrelid) !~ '^''[^'']*''::[a-z ]+$' OR attidentity <> '' OR attgenerated <> '')$$,
  'no serial, identity or generated columns: defaults are constants');
SELECT * FROM finish();
ROLLBACK;
