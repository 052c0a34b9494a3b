-- The functions of the schema are these, with these properties: what is called by the planner is
-- immutable, nothing runs with its owner's rights, internal ones are nobody's.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SELECT plan(10);

CREATE TEMP TABLE expected (signature text, result text, lang text, volatility text, is_strict boolean, public boolean);
INSERT INTO expected VALUES
('backfill(aggregate regclass, from_ts timestamp with time zone, to_ts timestamp with time zone, source text)', 'bigint', 'c', 'volatile', false, true),
('adopt()', 'integer', 'c', 'volatile', true, false),
('as_of(aggregate regclass)', 'jsonb', 'c', 'stable', true, true),
('batch_groups()', 'SETOF record', 'c', 'volatile', false, true),
('batch_takes(window_end timestamp with time zone, tid)', 'boolean', 'c', 'stable', true, true),
('batch_offset(tid)', 'bigint', 'c', 'stable', true, true),
('batch_partition(tid)', 'integer', 'c', 'stable', true, true),
('batch_rest(tid)', 'jsonb', 'c', 'stable', true, true),
('batch_session_moves()', 'TABLE(number integer, session tid, window_start timestamp with time zone, window_end timestamp with time zone)', 'c', 'volatile', false, true),
('batch_session_rows()', 'SETOF record', 'c', 'volatile', false, true),
('batch_watermark(tid)', 'timestamp with time zone', 'c', 'stable', true, true),
('refuse_archive_change()', 'trigger', 'c', 'volatile', false, true),
('check_installation()', 'void', 'c', 'volatile', true, false),
('cumulate(ts timestamp with time zone, step interval, size interval, origin timestamp with time zone)', 'TABLE(window_start timestamp with time zone, window_end timestamp with time zone)', 'sql', 'immutable', false, true),
('cumulate_end(ts timestamp with time zone, step interval, size interval, origin timestamp with time zone, number integer)', 'timestamp with time zone', 'c', 'immutable', true, true),
('cumulate_windows(step interval, size interval)', 'integer', 'c', 'immutable', true, true),
('hop(ts timestamp with time zone, slide interval, size interval, origin timestamp with time zone)', 'TABLE(window_start timestamp with time zone, window_end timestamp with time zone)', 'sql', 'immutable', false, true),
('hop_start(ts timestamp with time zone, slide interval, size interval, origin timestamp with time zone, number integer)', 'timestamp with time zone', 'c', 'immutable', true, true),
('hop_windows(slide interval, size interval)', 'integer', 'c', 'immutable', true, true),
('closed_until(state_table regclass)', 'timestamp with time zone', 'c', 'stable', true, true),
('count_groups(state_table regclass)', 'bigint', 'c', 'stable', true, false),
('identity()', 'text', 'c', 'stable', true, false),
('create_aggregate(name text, query text, late text, allowed_lateness interval, emit text, retention interval, backfill text)', 'regclass', 'c', 'volatile', false, true),
('create_merge_rule(aggregate regprocedure, partials text[], merges text[], final text)', 'void', 'c', 'volatile', false, false),
('drop_merge_rule(aggregate regprocedure)', 'void', 'c', 'volatile', true, false),
('create_key(name text, source text)', 'void', 'c', 'volatile', true, false),
('explain(aggregate regclass)', 'TABLE(part text, line text)', 'c', 'volatile', true, true),
('export_key(name text)', 'text', 'c', 'volatile', true, false),
('pseudonym(stream regclass, column_name name, value text)', 'text', 'c', 'stable', true, false),
('add_column(aggregate regclass, name text, expression text, backfill text)', 'void', 'c', 'volatile', false, true),
('create_rollup(name text, aggregate regclass, size interval, retention interval)', 'regclass', 'c', 'volatile', false, true),
('unless_noise(value double precision, moments double precision[])', 'double precision', 'sql', 'immutable', false, true),
('exact_root(variance numeric)', 'numeric', 'sql', 'immutable', false, true),
('exact_variance(n bigint, total numeric, squares numeric, freedom integer)', 'numeric', 'sql', 'immutable', false, true),
('moments(double precision)', 'double precision[]', 'internal', 'immutable', false, true),
('moments(y double precision, x double precision)', 'double precision[]', 'internal', 'immutable', false, true),
('drop_aggregate(aggregate regclass)', 'void', 'c', 'volatile', true, true),
('kafka_handler()', 'fdw_handler', 'c', 'volatile', true, true),
('kafka_validator(text[], oid)', 'void', 'c', 'volatile', true, true),
('lateness_profile(stream regclass)', 'TABLE(delay interval, late_rows bigint, late_share double precision, note text, suggested boolean)', 'c', 'stable', true, true),
('nearly_equal(a double precision, b double precision, tolerance double precision)', 'boolean', 'c', 'immutable', false, true),
('on_close(aggregate regclass, command text)', 'void', 'c', 'volatile', false, true),
('on_ddl_end()', 'event_trigger', 'c', 'volatile', false, true),
('on_sql_drop()', 'event_trigger', 'c', 'volatile', false, true),
('partition_watermark(stream oid, max_event_time timestamp with time zone)', 'timestamp with time zone', 'c', 'stable', true, false),
('push(stream regclass, messages text[], partition integer, keys text[], timestamps timestamp with time zone[], OUT read bigint, OUT accepted bigint, OUT quarantined bigint, OUT dropped bigint, OUT duplicate bigint, OUT tombstones bigint, OUT late bigint)', 'record', 'c', 'volatile', false, true),
('replace_aggregate(aggregate regclass, query text, backfill text)', 'regclass', 'c', 'volatile', false, true),
('restart(stream regclass)', 'boolean', 'c', 'volatile', true, true),
('seek(stream regclass, offsets jsonb, at timestamp with time zone)', 'void', 'c', 'volatile', false, true),
('skip(stream regclass, partition integer, record_offset bigint, reason text)', 'void', 'c', 'volatile', false, true),
('retry_quarantine(stream regclass, where_clause text, OUT retried bigint, OUT accepted bigint, OUT failed bigint)', 'record', 'c', 'volatile', true, true),
('session(ts timestamp with time zone, gap interval)', 'TABLE(window_start timestamp with time zone, window_end timestamp with time zone)', 'c', 'immutable', false, true),
('session_alone(ts timestamp with time zone, gap interval)', 'TABLE(window_start timestamp with time zone, window_end timestamp with time zone)', 'sql', 'immutable', false, true),
('start(stream regclass)', 'boolean', 'c', 'volatile', true, true),
('start_all()', 'integer', 'c', 'volatile', true, true),
('stop(stream regclass, mode text, timeout interval)', 'boolean', 'c', 'volatile', true, true),
('stop_all()', 'integer', 'c', 'volatile', true, true),
('test_connection(server name, OUT step text, OUT ok boolean, OUT detail text, OUT elapsed interval)', 'SETOF record', 'c', 'volatile', true, true),
('topic(stream oid)', 'text', 'c', 'stable', true, false),
('tumble(ts timestamp with time zone, size interval, origin timestamp with time zone)', 'TABLE(window_start timestamp with time zone, window_end timestamp with time zone)', 'sql', 'immutable', false, true),
('verify(aggregate regclass, from_ts timestamp with time zone, to_ts timestamp with time zone)', 'TABLE(problem text, expected jsonb, found jsonb)', 'c', 'stable', false, true),
('version(OUT component text, OUT version text)', 'SETOF record', 'c', 'volatile', true, true),
('wait_for(stream regclass, timeout interval, offsets jsonb)', 'boolean', 'c', 'volatile', false, true),
('window_end(window_start timestamp with time zone, size interval)', 'timestamp with time zone', 'c', 'immutable', true, true),
('window_end(window_start timestamp with time zone, unit text, zone text)', 'timestamp with time zone', 'c', 'immutable', true, true),
('window_start(ts timestamp with time zone, size interval, origin timestamp with time zone)', 'timestamp with time zone', 'c', 'immutable', true, true),
('workers(OUT stream oid, OUT pid integer, OUT state text, OUT since timestamp with time zone, OUT reason text, OUT code text, OUT next_retry timestamp with time zone, OUT restarts integer, OUT rows_per_second double precision, OUT busy double precision)', 'SETOF record', 'c', 'volatile', true, false);
CREATE TEMP VIEW found AS
SELECT p.*, format('%s(%s)', proname, pg_get_function_identity_arguments(p.oid)) AS signature, l.lanname::text AS lang,
  CASE provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
  has_function_privilege('public', p.oid, 'EXECUTE') AS public
FROM pg_proc p JOIN pg_language l ON l.oid = prolang WHERE pronamespace = 'streamagg'::regnamespace;

SELECT set_eq(
  'SELECT signature, pg_get_function_result(oid), lang, volatility, proisstrict, public FROM found',
  'SELECT * FROM expected',
  'the functions with their results, languages, volatilities and who may call them');
SELECT is_empty('SELECT signature FROM found WHERE prosecdef', 'no function is SECURITY DEFINER');
SELECT is_empty('SELECT signature FROM found WHERE proconfig IS NOT NULL', 'no function has settings: they would not be inlined');
SELECT is_empty($$SELECT signature FROM found WHERE volatility = 'immutable' AND proparallel <> 's'$$,
  'what is immutable is parallel safe');
SELECT is(pg_get_function_arguments('streamagg.create_aggregate'::regproc),
  'name text, query text, late text DEFAULT ''merge''::text, allowed_lateness interval DEFAULT ''00:00:00''::interval, emit text DEFAULT ''live''::text, retention interval DEFAULT NULL::interval, backfill text DEFAULT ''none''::text',
  'defaults of create_aggregate');
SELECT is(pg_get_function_arguments('streamagg.verify'::regproc) || '; ' || pg_get_function_arguments('streamagg.backfill'::regproc)
    || '; ' || pg_get_function_arguments('streamagg.replace_aggregate'::regproc),
  'aggregate regclass, from_ts timestamp with time zone DEFAULT NULL::timestamp with time zone, to_ts timestamp with time zone DEFAULT NULL::timestamp with time zone; '
  'aggregate regclass, from_ts timestamp with time zone DEFAULT NULL::timestamp with time zone, to_ts timestamp with time zone DEFAULT NULL::timestamp with time zone, source text DEFAULT ''archive''::text; '
  'aggregate regclass, query text, backfill text DEFAULT ''archive''::text',
  'defaults of verify, backfill and replace_aggregate');
SELECT alike(pg_get_function_arguments('streamagg.push'::regproc),
  'stream regclass, messages text[], partition integer DEFAULT 0, keys text[] DEFAULT NULL::text[], timestamps timestamp with time zone[] DEFAULT NULL::timestamp with time zone[],%',
  'defaults of push');
SELECT is(pg_get_function_arguments('streamagg.stop'::regproc) || '; ' || pg_get_function_arguments('streamagg.wait_for'::regproc),
  'stream regclass, mode text DEFAULT ''commit''::text, timeout interval DEFAULT ''00:00:30''::interval; stream regclass, timeout interval DEFAULT ''00:00:30''::interval, offsets jsonb DEFAULT NULL::jsonb',
  'defaults of stop and wait_for');
SELECT is(pg_get_function_arguments('streamagg.seek'::regproc) || '; ' || pg_get_function_arguments('streamagg.skip'::regproc),
  'stream regclass, offsets jsonb DEFAULT NULL::jsonb, at timestamp with time zone DEFAULT NULL::timestamp with time zone; stream regclass, partition integer, record_offset bigint, reason text',
  'defaults of seek and skip');
SET LOCAL TimeZone = 'UTC';
SELECT is(streamagg.tumble('2024-01-01 12:00+00', '7 days'), streamagg.tumble('2024-01-01 12:00+00', '7 days', '2000-01-03 00:00+00'),
  'the origin of windows is Monday 2000-01-03');
SELECT * FROM finish();
ROLLBACK;
