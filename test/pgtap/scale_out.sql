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
    max(k) AS l, bool_and(b) AS o, max(m) AS mm FROM s, streamagg.tumble(ts, '1 min') w GROUP BY 1, 2, 3, 4$$, late => 'drop'),
  streamagg.create_aggregate('visits', 'SELECT k, w.window_start, w.window_end, sum(n) AS s FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1, 2, 3'),
  streamagg.create_aggregate('total', 'SELECT count(*) AS n, avg(d) AS a FROM s') \g /dev/null
SELECT plan(16 + (SELECT sum(cardinality(merges)) FROM streamagg.merge_rules)::int);

-- every merge over its types as a generated column, which PostgreSQL refuses unless it is immutable
CREATE FUNCTION merge_is_immutable(rule streamagg.merge_rules, number int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  argument text := substring(rule.aggregate FROM '\((.*)\)');
  partial text := rule.partials[number];
  type text;
BEGIN
  argument := CASE argument WHEN '' THEN 'integer' WHEN '"any"' THEN 'text' WHEN 'anyenum' THEN 'mood' WHEN 'anyarray' THEN 'integer[]'
    WHEN 'character' THEN 'bpchar' ELSE argument END;
  EXECUTE format('SELECT pg_typeof(%s)', replace(partial, '$1', format('NULL::%s', argument))) INTO type;
  EXECUTE format('CREATE TEMP TABLE merged (a %s, b %1$s, m %1$s GENERATED ALWAYS AS (%s) STORED)',
    type, replace(replace(rule.merges[number], '$1', 'a'), '$2', 'b'));
  DROP TABLE merged;
  RETURN 'immutable';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLERRM;
END $$;
SELECT is(merge_is_immutable(r, n), 'immutable', format('merge %s of %s is immutable', n, r.aggregate))
FROM streamagg.merge_rules r, generate_series(1, cardinality(merges)) n ORDER BY r.aggregate, n;
-- and the way of looking does see one that is not
SELECT matches(merge_is_immutable(ROW('pg_catalog.min(timestamp without time zone)', '{pg_catalog.min($1)}', '{"greatest($1, $2, now()::timestamp)"}', '$1'), 1),
  'not immutable', 'a mutable merge is seen');
SELECT is_empty('SELECT aggregate FROM streamagg.merge_rules WHERE to_regprocedure(aggregate) IS NULL', 'every rule is of a function that exists');
SELECT is_empty('SELECT aggregate FROM streamagg.merge_rules WHERE cardinality(partials) <> cardinality(merges)', 'every partial has a merge');
SELECT is_empty($$SELECT aggregate FROM streamagg.merge_rules WHERE aggregate !~ '^pg_catalog\.' OR array_to_string(partials, ' ') !~ '^pg_catalog\.'
    OR array_to_string(merges, ' ') ~* 'select|nextval|\$[3-9]'$$, 'rules are qualified and without subqueries');

-- the statement that a batch runs, from the context of an error within it
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused' USING ERRCODE = '42501'; END $$;
CREATE FUNCTION statement_of(target regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  context text;
BEGIN
  EXECUTE format('CREATE TRIGGER t BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION refuse()', target);
  PERFORM streamagg.push('s', ARRAY['{"k": "a", "ts": "2024-01-01T00:00:00Z"}', '{']);
  RETURN NULL;
EXCEPTION WHEN insufficient_privilege THEN
  GET STACKED DIAGNOSTICS context = PG_EXCEPTION_CONTEXT;
  RETURN split_part(substring(context FROM 'SQL statement "(INSERT.*)'), E'"\n', 1);
END $$;
CREATE TEMP TABLE statements AS
SELECT t, statement_of(t::regclass) AS sql FROM unnest(ARRAY['minutes_state', 'visits_state', 'total_state', 'streamagg.quarantine_log']) t;
SELECT matches(sql, '^INSERT INTO [^(]+\([^()]*\)\s+SELECT ', t || ': INSERT … SELECT') FROM statements;
SELECT doesnt_match(sql, '\mVALUES\M|nextval|\mMERGE\M', t || ': no VALUES, no sequence') FROM statements;
SELECT is_empty($$SELECT t FROM statements WHERE t ~ 'state' AND (sql !~ 'ON CONFLICT \(.*\) DO UPDATE SET' OR substring(sql FROM 'DO UPDATE SET.*') ~* '\mselect\M|now\(\)')$$,
  'states are upserted, without a subquery or the clock in DO UPDATE');
-- tables of states: nothing that another node could not do
CREATE TEMP VIEW states AS SELECT state_table FROM streamagg.aggregates UNION ALL SELECT 'streamagg.quarantine_log'::regclass;
SELECT is_empty('SELECT tgrelid::regclass FROM pg_trigger JOIN states ON tgrelid = state_table', 'no triggers on states');
SELECT is_empty($$SELECT conrelid::regclass, conname FROM pg_constraint JOIN states ON conrelid = state_table WHERE contype = 'f'$$, 'no foreign keys');
SELECT is_empty($$SELECT attrelid::regclass, attname FROM pg_attribute JOIN states ON attrelid = state_table WHERE attnum > 0 AND (atthasdef OR attidentity <> '' OR attgenerated <> '')$$,
  'no serial, identity or generated columns');
SELECT * FROM finish();
ROLLBACK;
