\echo Use "CREATE EXTENSION streamagg" to load this file. \quit

-- Refuses a server that does not preload the library, and encodings other than UTF8.
CREATE FUNCTION streamagg.check_installation() RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_check_installation';
REVOKE ALL ON FUNCTION streamagg.check_installation() FROM PUBLIC;
COMMENT ON FUNCTION streamagg.check_installation() IS
  'Raises an error that names the missing setting where the extension cannot work.';
SELECT streamagg.check_installation();

GRANT USAGE ON SCHEMA streamagg TO PUBLIC;

-- ---------------------------------------------------------------- roles

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['streamagg_reader', 'streamagg_operator', 'streamagg_admin'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
      EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
    END IF;
  END LOOP;
END $$;

-- ---------------------------------------------------------------- foreign data wrapper

CREATE FUNCTION streamagg.kafka_handler() RETURNS fdw_handler
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_kafka_handler';
COMMENT ON FUNCTION streamagg.kafka_handler() IS
  'Foreign data wrapper handler: inside a batch it hands out the batch''s accepted rows.';

CREATE FUNCTION streamagg.kafka_validator(text[], oid) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_kafka_validator';
COMMENT ON FUNCTION streamagg.kafka_validator(text[], oid) IS
  'Checks names and values of the options of servers, user mappings, foreign tables and columns.';

CREATE FOREIGN DATA WRAPPER streamagg_kafka
  HANDLER streamagg.kafka_handler VALIDATOR streamagg.kafka_validator;
COMMENT ON FOREIGN DATA WRAPPER streamagg_kafka IS
  'Kafka topics as streams. A server without bootstrap_servers is local: streamagg.push() feeds it.';

-- ---------------------------------------------------------------- internal tables
-- No grants: C code writes them under the extension owner's id. References are regclass only,
-- which dump as names.

CREATE TABLE streamagg.stream_catalog (
  stream      regclass PRIMARY KEY,
  wanted      boolean NOT NULL DEFAULT false,
  halted      boolean NOT NULL DEFAULT false,
  since       timestamptz NOT NULL DEFAULT now(),
  reason      text,
  code        text,
  identity    text,
  fixed       text
);
COMMENT ON TABLE streamagg.stream_catalog IS 'A row a stream that was started, pushed to or aggregated: what its owner wants of it.';
COMMENT ON COLUMN streamagg.stream_catalog.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.stream_catalog.wanted IS 'Whether it shall run: start() sets it, stop() clears it.';
COMMENT ON COLUMN streamagg.stream_catalog.halted IS 'Stopped by itself; needs a person, then start().';
COMMENT ON COLUMN streamagg.stream_catalog.since IS 'When wanted or halted changed last.';
COMMENT ON COLUMN streamagg.stream_catalog.reason IS 'Why it halted.';
COMMENT ON COLUMN streamagg.stream_catalog.code IS 'SQLSTATE of the halt.';
COMMENT ON COLUMN streamagg.stream_catalog.identity IS 'System identifier and oid of the database that it was made, last started or adopted in: a copied database starts nothing.';
COMMENT ON COLUMN streamagg.stream_catalog.fixed IS 'The options that only a stopped stream may change, as they were at start.';

CREATE TABLE streamagg.stream_progress (
  stream       regclass PRIMARY KEY,
  closing      timestamptz NOT NULL DEFAULT '-infinity',
  batch        bigint NOT NULL DEFAULT 0,
  log_rows     bigint NOT NULL DEFAULT 0,
  last_commit  timestamptz
) WITH (fillfactor = 20);
COMMENT ON TABLE streamagg.stream_progress IS 'A row a stream, written in the transaction of each batch.';
COMMENT ON COLUMN streamagg.stream_progress.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.stream_progress.closing IS 'The closing watermark: never goes back.';
COMMENT ON COLUMN streamagg.stream_progress.batch IS 'Number of the last committed batch.';
COMMENT ON COLUMN streamagg.stream_progress.log_rows IS 'Rows ever written to batch_log: the next place in the ring.';
COMMENT ON COLUMN streamagg.stream_progress.last_commit IS 'When the last batch was committed.';

CREATE TABLE streamagg.partition_progress (
  stream          regclass,
  partition       int,
  start_offset    bigint NOT NULL,
  next_offset     bigint NOT NULL,
  high_offset     bigint NOT NULL,
  max_event_time  timestamptz NOT NULL DEFAULT '-infinity',
  idle            boolean NOT NULL DEFAULT false,
  read            bigint NOT NULL DEFAULT 0,
  accepted        bigint NOT NULL DEFAULT 0,
  quarantined     bigint NOT NULL DEFAULT 0,
  dropped         bigint NOT NULL DEFAULT 0,
  duplicate       bigint NOT NULL DEFAULT 0,
  tombstones      bigint NOT NULL DEFAULT 0,
  gaps            bigint NOT NULL DEFAULT 0,
  lost            bigint NOT NULL DEFAULT 0,
  last_offset     bigint NOT NULL DEFAULT -1,
  fingerprint     bytea,
  PRIMARY KEY (stream, partition),
  CONSTRAINT every_record_is_counted
    CHECK (read = accepted + quarantined + dropped + duplicate + tombstones),
  CONSTRAINT every_offset_is_counted
    CHECK (next_offset - start_offset = read + gaps + lost)
) WITH (fillfactor = 20);
COMMENT ON TABLE streamagg.partition_progress IS 'Offsets and counters of each partition, written in the transaction of the data they count.';
COMMENT ON COLUMN streamagg.partition_progress.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.partition_progress.partition IS 'Partition of the topic.';
COMMENT ON COLUMN streamagg.partition_progress.start_offset IS 'The first offset that the stream was to read.';
COMMENT ON COLUMN streamagg.partition_progress.next_offset IS 'The next offset to read.';
COMMENT ON COLUMN streamagg.partition_progress.high_offset IS 'The end of the partition when it was last seen.';
COMMENT ON COLUMN streamagg.partition_progress.max_event_time IS 'Maximum event time of the accepted rows.';
COMMENT ON COLUMN streamagg.partition_progress.idle IS 'Left out of the closing watermark.';
COMMENT ON COLUMN streamagg.partition_progress.read IS 'Records read.';
COMMENT ON COLUMN streamagg.partition_progress.accepted IS 'Records that became rows.';
COMMENT ON COLUMN streamagg.partition_progress.quarantined IS 'Records in quarantine.';
COMMENT ON COLUMN streamagg.partition_progress.dropped IS 'Records dropped by on_decode_error or on_violation.';
COMMENT ON COLUMN streamagg.partition_progress.duplicate IS 'Records left out as duplicates.';
COMMENT ON COLUMN streamagg.partition_progress.tombstones IS 'Records without a value.';
COMMENT ON COLUMN streamagg.partition_progress.gaps IS 'Offsets without a record to read: control markers, aborted transactions, compaction.';
COMMENT ON COLUMN streamagg.partition_progress.lost IS 'Offsets that were passed over: deleted before they were read, or skipped; gap_log lists them.';
COMMENT ON COLUMN streamagg.partition_progress.last_offset IS 'Offset of the last record read; -1: none.';
COMMENT ON COLUMN streamagg.partition_progress.fingerprint IS 'Keyed digest of that record, by which it is known again; NULL: none.';

CREATE TABLE streamagg.lateness_progress (
  stream   regclass PRIMARY KEY,
  rows     bigint NOT NULL,
  longest  bigint NOT NULL,
  late     bigint[] NOT NULL
) WITH (fillfactor = 20);
COMMENT ON TABLE streamagg.lateness_progress IS 'How far behind the newest row of their partition the rows of each stream came, written in the transaction of each batch; streamagg.lateness_profile() shows it.';
COMMENT ON COLUMN streamagg.lateness_progress.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.lateness_progress.rows IS 'Accepted rows.';
COMMENT ON COLUMN streamagg.lateness_progress.longest IS 'The longest delay in microseconds.';
COMMENT ON COLUMN streamagg.lateness_progress.late IS 'Rows between the delays of lateness.c; those in order are in none.';

CREATE TABLE streamagg.gap_log (
  stream        regclass NOT NULL,
  partition     int NOT NULL,
  first_offset  bigint NOT NULL,
  next_offset   bigint NOT NULL,
  kind          text NOT NULL,
  reason        text,
  at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX gap_log_stream ON streamagg.gap_log (stream, partition, first_offset);
COMMENT ON TABLE streamagg.gap_log IS 'Offsets that were passed over, written in the transaction that passed them; streamagg.gaps shows it.';

CREATE TABLE streamagg.skip_list (
  stream        regclass,
  partition     int,
  first_offset  bigint,
  next_offset   bigint NOT NULL,
  reason        text,
  PRIMARY KEY (stream, partition, first_offset)
);
COMMENT ON TABLE streamagg.skip_list IS 'Offsets that skip() was told of and no batch has passed yet.';

-- Written only after a crash of the server, so dumps leave it out.
CREATE TABLE streamagg.attempt (
  stream         regclass PRIMARY KEY,
  open           boolean NOT NULL,
  epoch          timestamptz NOT NULL,
  records        int NOT NULL,
  rest           int NOT NULL,
  partition      int NOT NULL,
  record_offset  bigint NOT NULL,
  crashes        int NOT NULL
);
COMMENT ON TABLE streamagg.attempt IS 'The batch that a stream was at when the server crashed: its next one is smaller.';
COMMENT ON COLUMN streamagg.attempt.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.attempt.open IS 'The batch has neither been committed nor failed.';
COMMENT ON COLUMN streamagg.attempt.epoch IS 'The life of the server in which it began.';
COMMENT ON COLUMN streamagg.attempt.records IS 'Records that the batch had at the most.';
COMMENT ON COLUMN streamagg.attempt.rest IS 'Records among which the one is that crashes the server; 0: unknown.';
COMMENT ON COLUMN streamagg.attempt.partition IS 'Partition of its first record.';
COMMENT ON COLUMN streamagg.attempt.record_offset IS 'Offset of its first record.';
COMMENT ON COLUMN streamagg.attempt.crashes IS 'Times that this record alone has crashed the server, one after the other.';

-- A ring of 1000 rows a stream: no deletes, so no bloat.
CREATE TABLE streamagg.batch_log (
  stream        regclass,
  ring          int,
  partition     int NOT NULL,
  batch         bigint NOT NULL,
  first_offset  bigint NOT NULL,
  next_offset   bigint NOT NULL,
  read          bigint NOT NULL,
  accepted      bigint NOT NULL,
  quarantined   bigint NOT NULL,
  dropped       bigint NOT NULL,
  duplicate     bigint NOT NULL,
  tombstones    bigint NOT NULL,
  gaps          bigint NOT NULL,
  lost          bigint NOT NULL,
  read_ms       float8 NOT NULL,
  decode_ms     float8 NOT NULL,
  aggregate_ms  float8 NOT NULL,
  commit_ms     float8,
  committed_at  timestamptz NOT NULL,
  PRIMARY KEY (stream, ring)
) WITH (fillfactor = 50);
COMMENT ON TABLE streamagg.batch_log IS 'The last 1000 partition shares of batches of each stream; streamagg.batches shows it.';

CREATE TABLE streamagg.quarantine_log (
  stream         regclass NOT NULL,
  partition      int NOT NULL,
  record_offset  bigint NOT NULL,
  stage          text NOT NULL,
  code           text NOT NULL,
  reason         text NOT NULL,
  column_name    text,
  failed_rules   text[],
  record         jsonb,
  received_at    timestamptz NOT NULL,
  status         text NOT NULL
);
-- Records come nearly in the order of their offsets: a btree would cost as much as the row.
CREATE INDEX quarantine_log_offset ON streamagg.quarantine_log
  USING brin (stream, partition, record_offset) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX quarantine_log_age ON streamagg.quarantine_log (stream, received_at);
COMMENT ON TABLE streamagg.quarantine_log IS 'Records that were not accepted; streamagg.quarantine shows it.';

CREATE TABLE streamagg.event_log (
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  stream  regclass,
  actor   text NOT NULL,
  event   text NOT NULL,
  detail  text
);
CREATE INDEX event_log_at ON streamagg.event_log (at);
COMMENT ON TABLE streamagg.event_log IS 'What happened to streams and aggregates, by whom; streamagg.events shows it.';

CREATE TABLE streamagg.aggregate_catalog (
  state_table       regclass PRIMARY KEY,
  aggregate         regclass NOT NULL UNIQUE,
  definition        regclass,
  stream            regclass,
  late              text NOT NULL,
  allowed_lateness  interval NOT NULL,
  emit              text NOT NULL,
  timezone          text NOT NULL,
  datestyle         text NOT NULL,
  intervalstyle     text NOT NULL,
  key_columns       text[] NOT NULL,
  state_columns     text[] NOT NULL,
  since             timestamptz NOT NULL DEFAULT now(),
  frozen            timestamptz,
  judged            text,
  known_columns     text[] NOT NULL DEFAULT '{}',
  added_columns     int NOT NULL DEFAULT 0,
  retention         interval,
  partition_width   interval,
  kept              interval
);
CREATE INDEX aggregate_catalog_stream ON streamagg.aggregate_catalog (stream);
COMMENT ON TABLE streamagg.aggregate_catalog IS 'A row an aggregate; its query is that of the definition view.';
COMMENT ON COLUMN streamagg.aggregate_catalog.state_table IS 'The table of the groups'' states.';
COMMENT ON COLUMN streamagg.aggregate_catalog.aggregate IS 'The view to read.';
COMMENT ON COLUMN streamagg.aggregate_catalog.definition IS 'The definition view; NULL when the stream is gone.';
COMMENT ON COLUMN streamagg.aggregate_catalog.stream IS 'The foreign table; NULL when it is gone.';
COMMENT ON COLUMN streamagg.aggregate_catalog.late IS 'merge or drop.';
COMMENT ON COLUMN streamagg.aggregate_catalog.allowed_lateness IS 'How long a window takes rows after its end.';
COMMENT ON COLUMN streamagg.aggregate_catalog.emit IS 'live or final.';
COMMENT ON COLUMN streamagg.aggregate_catalog.timezone IS 'TimeZone of the definition.';
COMMENT ON COLUMN streamagg.aggregate_catalog.datestyle IS 'DateStyle of the definition.';
COMMENT ON COLUMN streamagg.aggregate_catalog.intervalstyle IS 'IntervalStyle of the definition.';
COMMENT ON COLUMN streamagg.aggregate_catalog.key_columns IS 'Columns of the state table that hold the group keys, in the order of GROUP BY, the window first.';
COMMENT ON COLUMN streamagg.aggregate_catalog.state_columns IS 'Columns of the state table that hold partial results, in the order of the query.';
COMMENT ON COLUMN streamagg.aggregate_catalog.since IS 'When it was made: it holds what was committed later.';
COMMENT ON COLUMN streamagg.aggregate_catalog.frozen IS 'Closing watermark when the stream was dropped.';
COMMENT ON COLUMN streamagg.aggregate_catalog.judged IS 'Of a rollup: the windows by which rows are late, those of the aggregate that it was made of.';
COMMENT ON COLUMN streamagg.aggregate_catalog.known_columns IS 'For each of state_columns the column of the state table that says whether a group has it; empty: all groups have.';
COMMENT ON COLUMN streamagg.aggregate_catalog.added_columns IS 'Last columns of the query that add_column() has added: the view has them behind updated_at.';
COMMENT ON COLUMN streamagg.aggregate_catalog.retention IS 'How long windows are kept; NULL: for ever.';
COMMENT ON COLUMN streamagg.aggregate_catalog.partition_width IS 'Range of window starts of one partition of the state table; NULL: it has none.';
COMMENT ON COLUMN streamagg.aggregate_catalog.kept IS 'A partition goes when the closing watermark is this much past its upper bound: retention and the longest window.';

CREATE TABLE streamagg.side_tables (
  side_table   regclass PRIMARY KEY,
  state_table  regclass NOT NULL,
  kind         text NOT NULL,
  number       int NOT NULL
);
COMMENT ON TABLE streamagg.side_tables IS 'What aggregates keep beside their states.';
COMMENT ON COLUMN streamagg.side_tables.side_table IS 'A table in the schema of the state.';
COMMENT ON COLUMN streamagg.side_tables.state_table IS 'The state that it belongs to.';
COMMENT ON COLUMN streamagg.side_tables.kind IS 'distinct: the values of an argument of calls with DISTINCT.';
COMMENT ON COLUMN streamagg.side_tables.number IS 'In the order of the query, from 1.';

CREATE TABLE streamagg.aggregate_progress (
  state_table  regclass PRIMARY KEY,
  rows_in      bigint NOT NULL DEFAULT 0,
  late_rows    bigint NOT NULL DEFAULT 0,
  late_pairs   bigint NOT NULL DEFAULT 0,
  began        jsonb,
  included     tstzmultirange NOT NULL DEFAULT '{}',
  gone         timestamptz
) WITH (fillfactor = 20);
COMMENT ON TABLE streamagg.aggregate_progress IS 'Counters of each aggregate, written in the transaction of each batch.';
COMMENT ON COLUMN streamagg.aggregate_progress.began IS 'The offset of each partition that its first batch began at; of other partitions all counts.';
COMMENT ON COLUMN streamagg.aggregate_progress.gone IS 'Windows that start before may have been dropped by the retention; NULL: none has.';
COMMENT ON COLUMN streamagg.aggregate_progress.included IS 'Starts of the windows that a backfill has filled with what was before.';

CREATE TABLE streamagg.close_hook (
  aggregate       regclass PRIMARY KEY,
  command         text NOT NULL,
  since           timestamptz NOT NULL DEFAULT now(),
  closed          bigint NOT NULL DEFAULT 0,
  failures        bigint NOT NULL DEFAULT 0,
  last_error      text,
  last_sqlstate   text,
  last_failed_at  timestamptz
) WITH (fillfactor = 50);
COMMENT ON TABLE streamagg.close_hook IS 'The commands of on_close(); streamagg.close_hooks shows it.';

CREATE TABLE streamagg.close_queue (
  aggregate     regclass,
  window_start  timestamptz,
  window_end    timestamptz,
  attempts      int NOT NULL DEFAULT 0,
  next_try      timestamptz NOT NULL DEFAULT '-infinity',
  PRIMARY KEY (aggregate, window_start, window_end)
);
CREATE INDEX close_queue_due ON streamagg.close_queue (aggregate, next_try, window_start);
COMMENT ON TABLE streamagg.close_queue IS 'Closed windows for which the command of on_close() has not gone well yet.';
COMMENT ON COLUMN streamagg.close_queue.aggregate IS 'The view.';
COMMENT ON COLUMN streamagg.close_queue.window_start IS 'Start of the window.';
COMMENT ON COLUMN streamagg.close_queue.window_end IS 'Its end.';
COMMENT ON COLUMN streamagg.close_queue.attempts IS 'Times that the command failed for it.';
COMMENT ON COLUMN streamagg.close_queue.next_try IS 'Not before.';

-- Not among the tables that dumps take along: a process does not outlive its server.
CREATE TABLE streamagg.backfill_log (
  pid          int,
  started_at   timestamptz,
  aggregate    regclass NOT NULL,
  source       text NOT NULL,
  from_ts      timestamptz NOT NULL,
  to_ts        timestamptz NOT NULL,
  done_to      timestamptz NOT NULL,
  rows_read    bigint NOT NULL DEFAULT 0,
  state        text NOT NULL DEFAULT 'running',
  reason       text,
  sqlstate     text,
  finished_at  timestamptz,
  PRIMARY KEY (pid, started_at)
) WITH (fillfactor = 50);
COMMENT ON TABLE streamagg.backfill_log IS 'The backfills of the last 30 days; streamagg.backfills shows it.';

CREATE TABLE streamagg.archive_catalog (
  archive  regclass PRIMARY KEY,
  stream   regclass NOT NULL UNIQUE,
  rest     text NOT NULL,
  identity text
);
COMMENT ON TABLE streamagg.archive_catalog IS 'A row an archive.';
COMMENT ON COLUMN streamagg.archive_catalog.archive IS 'The partitioned table.';
COMMENT ON COLUMN streamagg.archive_catalog.stream IS 'The foreign table whose accepted rows it has.';
COMMENT ON COLUMN streamagg.archive_catalog.rest IS 'Name of the column of what no column of the stream holds.';
COMMENT ON COLUMN streamagg.archive_catalog.identity IS 'System identifier and database oid of the last use: of a restored or copied archive no day is dropped before the stream is used there.';

CREATE TABLE streamagg.expired_partitions (
  partition  regclass PRIMARY KEY,
  parent     regclass NOT NULL
);
COMMENT ON TABLE streamagg.expired_partitions IS 'The partition of each archive or state table that the keeper is detaching and dropping, past archive_keep or retention.';
COMMENT ON COLUMN streamagg.expired_partitions.partition IS 'The table that goes.';
COMMENT ON COLUMN streamagg.expired_partitions.parent IS 'The archive or state table that it is, or was, a partition of.';

CREATE TABLE streamagg.dedup_log (
  stream      regclass NOT NULL,
  partition   int NOT NULL,
  digest      bytea NOT NULL,
  event_time  timestamptz NOT NULL
);
CREATE INDEX dedup_log_key ON streamagg.dedup_log (stream, partition, digest);
-- Rows come nearly in the order of their event times.
CREATE INDEX dedup_log_age ON streamagg.dedup_log USING brin (event_time) WITH (autosummarize = on);
ALTER TABLE streamagg.dedup_log ALTER COLUMN digest SET STORAGE PLAIN;
COMMENT ON TABLE streamagg.dedup_log IS 'Accepted rows of streams with dedup_key: digests of the values, never a value.';
COMMENT ON COLUMN streamagg.dedup_log.stream IS 'The foreign table.';
COMMENT ON COLUMN streamagg.dedup_log.partition IS 'Partition of the record.';
COMMENT ON COLUMN streamagg.dedup_log.digest IS 'First half of the SHA-256 of the value and of where it comes from.';
COMMENT ON COLUMN streamagg.dedup_log.event_time IS 'Event time of the row.';

-- Not among the tables that dumps take along: a dump holds no key.
CREATE TABLE streamagg.key_store (
  name     text PRIMARY KEY,
  source   text NOT NULL,
  secret   bytea NOT NULL CHECK (length(secret) = 32),
  owner    oid NOT NULL,
  created  timestamptz NOT NULL DEFAULT now()
);
-- Members of pg_read_all_data read every table; without a policy they see no row of this one.
ALTER TABLE streamagg.key_store ENABLE ROW LEVEL SECURITY;
-- ANALYZE would copy keys into pg_statistic.
ALTER TABLE streamagg.key_store ALTER COLUMN secret SET STATISTICS 0;
COMMENT ON TABLE streamagg.key_store IS 'The keys of protected columns; C code reads them for streams whose owner may use them.';
COMMENT ON COLUMN streamagg.key_store.name IS 'What protect_key names.';
COMMENT ON COLUMN streamagg.key_store.source IS 'Where it came from: random, env:NAME or file:/path.';
COMMENT ON COLUMN streamagg.key_store.secret IS '256 bits.';
COMMENT ON COLUMN streamagg.key_store.owner IS 'The role that made it.';
COMMENT ON COLUMN streamagg.key_store.created IS 'When it was made.';

-- For the digests of messages in quarantine: of each database its own.
INSERT INTO streamagg.key_store (name, source, secret, owner)
SELECT 'streamagg:quarantine', 'random',
       sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), current_user::regrole::oid;

CREATE TABLE streamagg.merge_rules (
  aggregate  text PRIMARY KEY,
  partials   text[] NOT NULL,
  merges     text[] NOT NULL,
  final      text NOT NULL,
  parts      text[],
  extension  text,
  custom     boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE streamagg.merge_rules IS 'How the partial results of two batches become one: data, not code. An aggregate with a combine function and without a final function needs none.';
COMMENT ON COLUMN streamagg.merge_rules.aggregate IS 'Qualified signature of the aggregate function.';
COMMENT ON COLUMN streamagg.merge_rules.partials IS 'Aggregates that a batch computes; $1, $2 … are the arguments.';
COMMENT ON COLUMN streamagg.merge_rules.merges IS 'One expression a partial: $1 the stored value, $2 the batch''s.';
COMMENT ON COLUMN streamagg.merge_rules.final IS 'The result from the stored values $1, $2 ….';
COMMENT ON COLUMN streamagg.merge_rules.parts IS 'What several stored values are called: the ends of their columns'' names.';
COMMENT ON COLUMN streamagg.merge_rules.extension IS 'The rule is of a function of this extension, when it is installed; @ is its schema.';
COMMENT ON COLUMN streamagg.merge_rules.custom IS 'Made by create_merge_rule().';

CREATE FUNCTION streamagg.create_merge_rule(aggregate regprocedure, partials text[], merges text[], final text)
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_create_merge_rule';
REVOKE ALL ON FUNCTION streamagg.create_merge_rule(regprocedure, text[], text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamagg.create_merge_rule(regprocedure, text[], text[], text) TO streamagg_admin;
COMMENT ON FUNCTION streamagg.create_merge_rule(regprocedure, text[], text[], text) IS
  'Says how the results of an aggregate function are merged: for functions that have no rule.';

CREATE FUNCTION streamagg.drop_merge_rule(aggregate regprocedure)
RETURNS void LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_drop_merge_rule';
REVOKE ALL ON FUNCTION streamagg.drop_merge_rule(regprocedure) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamagg.drop_merge_rule(regprocedure) TO streamagg_admin;
COMMENT ON FUNCTION streamagg.drop_merge_rule(regprocedure) IS
  'Takes a rule back that create_merge_rule() made and no aggregate uses.';

-- PostgreSQL's own states of statistics over float8, which are stable (Youngs and Cramer), as results.
DO $$
BEGIN
  EXECUTE pg_catalog.format('CREATE AGGREGATE streamagg.moments(float8) (sfunc = pg_catalog.float8_accum,
      stype = float8[], combinefunc = pg_catalog.float8_combine, initcond = %L, parallel = safe)',
    (SELECT agginitval FROM pg_catalog.pg_aggregate
     WHERE aggfnoid = 'pg_catalog.var_pop(float8)'::pg_catalog.regprocedure));
  EXECUTE pg_catalog.format('CREATE AGGREGATE streamagg.moments(y float8, x float8) (sfunc = pg_catalog.float8_regr_accum,
      stype = float8[], combinefunc = pg_catalog.float8_regr_combine, initcond = %L, parallel = safe)',
    (SELECT agginitval FROM pg_catalog.pg_aggregate
     WHERE aggfnoid = 'pg_catalog.corr(float8,float8)'::pg_catalog.regprocedure));
END $$;
COMMENT ON AGGREGATE streamagg.moments(float8) IS
  'Number, sum and sum of squared deviations: the state of PostgreSQL''s variance() and stddev().';
COMMENT ON AGGREGATE streamagg.moments(float8, float8) IS
  'The state of PostgreSQL''s corr(), covar_pop() and regr_slope(): number, sums, sums of products of deviations.';

-- Exact, in the digits that PostgreSQL's numeric functions show.
CREATE FUNCTION streamagg.exact_variance(n bigint, total numeric, squares numeric, freedom int)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN n <= freedom THEN NULL
            WHEN n * squares - total * total <= 0 THEN 0
            ELSE (n * squares - total * total) / (n::numeric * (n - freedom)) END;
COMMENT ON FUNCTION streamagg.exact_variance(bigint, numeric, numeric, int) IS
  'Variance from number, sum and sum of squares; freedom 0: of the population, 1: of a sample.';

-- As many digits as the variance has, rounded once: the root is taken with so many more that no other
-- number of the shorter form is as near.
CREATE FUNCTION streamagg.exact_root(variance numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN round(sqrt(round(variance, least(2 * coalesce(scale(variance), 0) + 4
                                        + length(trunc(variance)::text), 1000))),
             coalesce(scale(variance), 0));
COMMENT ON FUNCTION streamagg.exact_root(numeric) IS
  'Standard deviation from a variance, in the digits that PostgreSQL shows.';

-- Of values that are all the same but for rounding nothing else is left, and that in another order is another.
CREATE FUNCTION streamagg.unless_noise(value float8, moments float8[])
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN sqrt(moments[3]) < 1e-13 * abs(moments[2]) THEN NULL
            WHEN sqrt(moments[5]) < 1e-13 * abs(moments[4]) THEN NULL
            WHEN abs(moments[6]) < 1e-12 * sqrt(moments[3]) * sqrt(moments[5]) THEN NULL
            ELSE value END;
COMMENT ON FUNCTION streamagg.unless_noise(float8, float8[]) IS
  'For verify(): a statistic with the state that it was made of; NULL where it is nothing but rounding.';

INSERT INTO streamagg.merge_rules (aggregate, partials, merges, final, parts)
SELECT 'pg_catalog.count()', '{pg_catalog.count(*)}'::text[], '{$1 + $2}'::text[], '$1', NULL::text[]
UNION ALL
SELECT 'pg_catalog.count("any")', '{pg_catalog.count($1)}', '{$1 + $2}', '$1', NULL
UNION ALL
SELECT 'pg_catalog.sum(' || t || ')', '{pg_catalog.sum($1)}', '{"coalesce($1 + $2, $1, $2)"}', '$1', NULL
FROM unnest('{smallint,integer,bigint,numeric,double precision,interval,money}'::text[]) t
UNION ALL
SELECT 'pg_catalog.sum(real)', '{pg_catalog.sum($1::float8)}', '{"coalesce($1 + $2, $1, $2)"}',
       '$1::real', NULL
UNION ALL
SELECT 'pg_catalog.avg(real)', '{pg_catalog.sum($1::float8),pg_catalog.count($1)}',
       '{"coalesce($1 + $2, $1, $2)",$1 + $2}', '$1 / nullif($2, 0)', '{sum,count}'
UNION ALL
SELECT 'pg_catalog.avg(' || t || ')', '{pg_catalog.sum($1),pg_catalog.count($1)}',
       '{"coalesce($1 + $2, $1, $2)",$1 + $2}', '$1::numeric / nullif($2, 0)', '{sum,count}'
FROM unnest('{smallint,integer,bigint,numeric}'::text[]) t
UNION ALL
SELECT 'pg_catalog.avg(' || t || ')', '{pg_catalog.sum($1),pg_catalog.count($1)}',
       '{"coalesce($1 + $2, $1, $2)",$1 + $2}', '$1 / nullif($2, 0)', '{sum,count}'
FROM unnest('{double precision,interval}'::text[]) t
UNION ALL
SELECT 'pg_catalog.' || f || '(' || t || ')',
       ARRAY['pg_catalog.count($1)', 'pg_catalog.sum($1)',
             'pg_catalog.sum($1::' || CASE WHEN t IN ('smallint', 'integer') THEN 'int8' ELSE 'numeric' END
             || ' * $1)'],
       '{$1 + $2,"coalesce($1 + $2, $1, $2)","coalesce($1 + $2, $1, $2)"}',
       pg_catalog.format(CASE WHEN f LIKE 'stddev%' THEN 'streamagg.exact_root(%s)' ELSE '%s' END,
                         pg_catalog.format('streamagg.exact_variance($1, $2, $3, %s)',
                                           CASE WHEN f LIKE '%pop' THEN 0 ELSE 1 END)),
       '{count,sum,squares}'
FROM unnest('{variance,var_pop,var_samp,stddev,stddev_pop,stddev_samp}'::text[]) f,
     unnest('{smallint,integer,bigint,numeric}'::text[]) t
UNION ALL
SELECT 'pg_catalog.' || f || '(' || t || ')', '{streamagg.moments($1)}',
       '{"pg_catalog.float8_combine($1, $2)"}',
       'pg_catalog.float8_' || CASE f WHEN 'variance' THEN 'var_samp' WHEN 'stddev' THEN 'stddev_samp' ELSE f END
       || '($1)', NULL
FROM unnest('{variance,var_pop,var_samp,stddev,stddev_pop,stddev_samp}'::text[]) f,
     unnest('{real,double precision}'::text[]) t
UNION ALL
SELECT 'pg_catalog.' || f || '(double precision,double precision)', '{"streamagg.moments($1, $2)"}',
       '{"pg_catalog.float8_regr_combine($1, $2)"}', 'pg_catalog.float8_' || f || '($1)', NULL
FROM unnest('{corr,covar_pop,covar_samp,regr_avgx,regr_avgy,regr_intercept,regr_r2,regr_slope,
              regr_sxx,regr_sxy,regr_syy}'::text[]) f
UNION ALL
SELECT 'pg_catalog.regr_count(double precision,double precision)', '{"pg_catalog.regr_count($1, $2)"}',
       '{$1 + $2}', '$1', NULL
UNION ALL
SELECT 'pg_catalog.' || f || '(' || t || ')', ARRAY['pg_catalog.' || f || '($1)'],
       ARRAY[CASE f WHEN 'min' THEN 'least' ELSE 'greatest' END || '($1, $2)'], '$1', NULL
FROM unnest('{min,max}'::text[]) f,
     unnest('{smallint,integer,bigint,numeric,real,double precision,text,character,inet,date,
              time without time zone,time with time zone,timestamp without time zone,
              timestamp with time zone,interval,money,anyenum,anyarray,oid,tid,pg_lsn,xid8}'::text[]) t
UNION ALL
SELECT 'pg_catalog.' || f || '(boolean)', ARRAY['pg_catalog.' || f || '($1)'],
       '{"coalesce($1 AND $2, $1, $2)"}', '$1', NULL
FROM unnest('{bool_and,every}'::text[]) f
UNION ALL
SELECT 'pg_catalog.bool_or(boolean)', '{pg_catalog.bool_or($1)}',
       '{"coalesce($1 OR $2, $1, $2)"}', '$1', NULL
UNION ALL
SELECT 'pg_catalog.' || f || '(' || t || ')', ARRAY['pg_catalog.' || f || '($1)'],
       ARRAY['coalesce($1 ' || o || ' $2, $1, $2)'], '$1', NULL
FROM (VALUES ('bit_and', '&'), ('bit_or', '|'), ('bit_xor', '#')) AS operators (f, o),
     unnest('{smallint,integer,bigint,bit}'::text[]) t
UNION ALL
SELECT 'pg_catalog.' || f || '(' || t || ')', ARRAY['pg_catalog.' || f || '($1)'],
       ARRAY['coalesce($1 ' || o || ' $2, $1, $2)'], '$1', NULL
FROM (VALUES ('range_agg', '+'), ('range_intersect_agg', '*')) AS operators (f, o),
     unnest('{anyrange,anymultirange}'::text[]) t;

INSERT INTO streamagg.merge_rules (aggregate, partials, merges, final, extension)
SELECT '@' || f || '(' || types || ')', ARRAY['@' || f || '(' || arguments || ')'],
       '{"coalesce(@hll_union($1, $2), $1, $2)"}', '$1', 'hll'
FROM (VALUES ('hll_add_agg', '@hll_hashval', '$1'),
             ('hll_add_agg', '@hll_hashval,integer', '$1, $2'),
             ('hll_add_agg', '@hll_hashval,integer,integer', '$1, $2, $3'),
             ('hll_add_agg', '@hll_hashval,integer,integer,bigint', '$1, $2, $3, $4'),
             ('hll_add_agg', '@hll_hashval,integer,integer,bigint,integer', '$1, $2, $3, $4, $5'),
             ('hll_union_agg', '@hll', '$1')) AS functions (f, types, arguments);

SELECT pg_catalog.pg_extension_config_dump('streamagg.stream_catalog', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.stream_progress', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.partition_progress', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.lateness_progress', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.gap_log', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.skip_list', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.batch_log', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.quarantine_log', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.event_log', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.aggregate_catalog', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.side_tables', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.aggregate_progress', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.close_hook', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.close_queue', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.archive_catalog', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.expired_partitions', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.dedup_log', '');
SELECT pg_catalog.pg_extension_config_dump('streamagg.merge_rules', 'WHERE custom');

-- ---------------------------------------------------------------- windows

CREATE FUNCTION streamagg.window_start(ts timestamptz, size interval, origin timestamptz)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'streamagg_window_start';
COMMENT ON FUNCTION streamagg.window_start(timestamptz, interval, timestamptz) IS
  'Start of the window of this size, counted from origin, that the time falls in; a day is 24 hours.';

CREATE FUNCTION streamagg.window_end(window_start timestamptz, size interval)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'streamagg_window_end';
COMMENT ON FUNCTION streamagg.window_end(timestamptz, interval) IS
  'End of the window of this size; a day is 24 hours.';

CREATE FUNCTION streamagg.window_end(window_start timestamptz, unit text, zone text)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'streamagg_calendar_window_end';
COMMENT ON FUNCTION streamagg.window_end(timestamptz, text, text) IS
  'End of the date_trunc window that starts here: a day in a zone may have 23 or 25 hours.';

CREATE FUNCTION streamagg.tumble(ts timestamptz, size interval,
  origin timestamptz DEFAULT '2000-01-03 00:00+00')
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
  SELECT streamagg.window_start(ts, size, origin),
         streamagg.window_end(streamagg.window_start(ts, size, origin), size);
END;
COMMENT ON FUNCTION streamagg.tumble(timestamptz, interval, timestamptz) IS
  'The window of fixed size that the time falls in: half-open, a day is 24 hours.';

CREATE FUNCTION streamagg.hop_windows(slide interval, size interval) RETURNS int
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'streamagg_hop_windows';
COMMENT ON FUNCTION streamagg.hop_windows(interval, interval) IS
  'The most hop windows that a time falls in.';

CREATE FUNCTION streamagg.hop_start(ts timestamptz, slide interval, size interval,
  origin timestamptz, number int)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'streamagg_hop_start';
COMMENT ON FUNCTION streamagg.hop_start(timestamptz, interval, interval, timestamptz, int) IS
  'Start of one of the hop windows that the time falls in, numbered from 0 by their ends; NULL: there are fewer.';

CREATE FUNCTION streamagg.hop(ts timestamptz, slide interval, size interval,
  origin timestamptz DEFAULT '2000-01-03 00:00+00')
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  SELECT streamagg.hop_start(ts, slide, size, origin, n),
         streamagg.window_end(streamagg.hop_start(ts, slide, size, origin, n), size)
  FROM pg_catalog.generate_series(0, streamagg.hop_windows(slide, size) - 1) n
  WHERE streamagg.hop_start(ts, slide, size, origin, n) IS NOT NULL;
END;
COMMENT ON FUNCTION streamagg.hop(timestamptz, interval, interval, timestamptz) IS
  'The windows of fixed size, one begun every slide, that the time falls in: half-open, a day is 24 hours.';

CREATE FUNCTION streamagg.cumulate_windows(step interval, size interval) RETURNS int
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'streamagg_cumulate_windows';
COMMENT ON FUNCTION streamagg.cumulate_windows(interval, interval) IS
  'The most cumulate windows that a time falls in.';

CREATE FUNCTION streamagg.cumulate_end(ts timestamptz, step interval, size interval,
  origin timestamptz, number int)
RETURNS timestamptz LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'streamagg_cumulate_end';
COMMENT ON FUNCTION streamagg.cumulate_end(timestamptz, interval, interval, timestamptz, int) IS
  'End of one of the cumulate windows that the time falls in, numbered from 0; NULL: there are fewer.';

CREATE FUNCTION streamagg.cumulate(ts timestamptz, step interval, size interval,
  origin timestamptz DEFAULT '2000-01-03 00:00+00')
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
BEGIN ATOMIC
  SELECT streamagg.window_start(ts, size, origin),
         streamagg.cumulate_end(ts, step, size, origin, n)
  FROM pg_catalog.generate_series(0, streamagg.cumulate_windows(step, size) - 1) n
  WHERE streamagg.cumulate_end(ts, step, size, origin, n) IS NOT NULL;
END;
COMMENT ON FUNCTION streamagg.cumulate(timestamptz, interval, interval, timestamptz) IS
  'The windows of one start that grow by step until they have their size, and end behind the time.';

CREATE FUNCTION streamagg.session(ts timestamptz, gap interval)
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE c IMMUTABLE PARALLEL SAFE ROWS 1 AS 'MODULE_PATHNAME', 'streamagg_session';
COMMENT ON FUNCTION streamagg.session(timestamptz, interval) IS
  'The session that the time falls in, from its first event to its last one plus the gap: for queries of continuous aggregates only.';

CREATE FUNCTION streamagg.session_alone(ts timestamptz, gap interval)
RETURNS TABLE (window_start timestamptz, window_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1
BEGIN ATOMIC
  SELECT ts, streamagg.window_end(ts, gap);
END;
COMMENT ON FUNCTION streamagg.session_alone(timestamptz, interval) IS
  'The session of an event without neighbours: what a batch makes sessions of.';

-- ---------------------------------------------------------------- aggregates

CREATE FUNCTION streamagg.create_aggregate(name text, query text, late text DEFAULT 'merge',
  allowed_lateness interval DEFAULT '0', emit text DEFAULT 'live',
  retention interval DEFAULT NULL, backfill text DEFAULT 'none')
RETURNS regclass LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_create_aggregate';
COMMENT ON FUNCTION streamagg.create_aggregate(text, text, text, interval, text, interval, text) IS
  'Makes a continuous aggregate of the query over a stream: the view of this name, its tables and its definition view.';

CREATE FUNCTION streamagg.drop_aggregate(aggregate regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_drop_aggregate';
COMMENT ON FUNCTION streamagg.drop_aggregate(regclass) IS
  'Drops the aggregate''s view, its tables and its definition view, as DROP VIEW does.';

CREATE FUNCTION streamagg.verify(aggregate regclass, from_ts timestamptz DEFAULT NULL,
  to_ts timestamptz DEFAULT NULL)
RETURNS TABLE (problem text, expected jsonb, found jsonb)
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'streamagg_verify';
COMMENT ON FUNCTION streamagg.verify(regclass, timestamptz, timestamptz) IS
  'Compares the aggregate with its query over the archive: a row a group that is missing, extra or differs; of windows that start in [from_ts, to_ts).';

CREATE FUNCTION streamagg.explain(aggregate regclass)
RETURNS TABLE (part text, line text)
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_explain';
COMMENT ON FUNCTION streamagg.explain(regclass) IS
  'What a batch does for the aggregate: the columns of its state, the statements and their plans.';

CREATE FUNCTION streamagg.backfill(aggregate regclass, from_ts timestamptz DEFAULT NULL,
  to_ts timestamptz DEFAULT NULL, source text DEFAULT 'archive')
RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_backfill';
COMMENT ON FUNCTION streamagg.backfill(regclass, timestamptz, timestamptz, text) IS
  'Computes the windows that start in [from_ts, to_ts) anew and replaces them, in slices, while the stream runs; the rows read.';

CREATE FUNCTION streamagg.replace_aggregate(aggregate regclass, query text,
  backfill text DEFAULT 'archive')
RETURNS regclass LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_replace_aggregate';
COMMENT ON FUNCTION streamagg.replace_aggregate(regclass, text, text) IS
  'Gives the aggregate another query: built beside it, filled, and exchanged at commit; the view stays where its columns agree.';

CREATE FUNCTION streamagg.add_column(aggregate regclass, name text, expression text,
  backfill text DEFAULT 'none')
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_add_column';
COMMENT ON FUNCTION streamagg.add_column(regclass, text, text, text) IS
  'Gives the aggregate''s view another column; what was before is computed anew by a backfill, or is NULL.';

CREATE FUNCTION streamagg.create_rollup(name text, aggregate regclass, size interval,
  retention interval DEFAULT NULL)
RETURNS regclass LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_create_rollup';
COMMENT ON FUNCTION streamagg.create_rollup(text, regclass, interval, interval) IS
  'Makes an aggregate with greater windows of another one: filled from its states, kept up to date by the same rows.';

CREATE FUNCTION streamagg.nearly_equal(a float8, b float8, tolerance float8) RETURNS boolean
LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'streamagg_nearly_equal';
COMMENT ON FUNCTION streamagg.nearly_equal(float8, float8, float8) IS
  'Whether two floats differ by no more than a part of the greater: sums depend on the order.';

CREATE FUNCTION streamagg.closed_until(state_table regclass) RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_closed_until';
COMMENT ON FUNCTION streamagg.closed_until(regclass) IS
  'Closing watermark of the stream that feeds this state table; -infinity before the first.';

CREATE FUNCTION streamagg.on_close(aggregate regclass, command text) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_on_close';
COMMENT ON FUNCTION streamagg.on_close(regclass, text) IS
  'The command runs as the stream''s owner once for each window of the aggregate that closes, $1 its start, $2 its end, in the transaction that closes it; NULL: none any more.';

CREATE FUNCTION streamagg.as_of(aggregate regclass) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_as_of';
COMMENT ON FUNCTION streamagg.as_of(regclass) IS
  'The next offset of each partition, {"partition": offset}, that the aggregate''s rows stand at in the snapshot of the query; NULL when its stream was dropped.';

CREATE FUNCTION streamagg.batch_groups() RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_batch_groups';
COMMENT ON FUNCTION streamagg.batch_groups() IS
  'The groups of the batch that an aggregate writes just now: the statement of a batch reads them.';

CREATE FUNCTION streamagg.batch_takes(window_end timestamptz, tid) RETURNS boolean
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_batch_takes';
COMMENT ON FUNCTION streamagg.batch_takes(timestamptz, tid) IS
  'Whether the window that ends then still takes this row of the batch: the statement of a batch reads it.';

CREATE FUNCTION streamagg.batch_session_rows() RETURNS SETOF record
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_batch_session_rows';
COMMENT ON FUNCTION streamagg.batch_session_rows() IS
  'The rows of the batch, each with its session: the statement of a batch reads them.';

CREATE FUNCTION streamagg.batch_session_moves()
RETURNS TABLE (number int, session tid, window_start timestamptz, window_end timestamptz)
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_batch_session_moves';
COMMENT ON FUNCTION streamagg.batch_session_moves() IS
  'Stored sessions that have become part of others in this batch: the statement of a batch reads them.';

CREATE FUNCTION streamagg.count_groups(state_table regclass) RETURNS bigint
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'streamagg_count_groups';
REVOKE ALL ON FUNCTION streamagg.count_groups(regclass) FROM PUBLIC;
COMMENT ON FUNCTION streamagg.count_groups(regclass) IS
  'Rows of a state table: counted when small, else the planner''s estimate.';

-- ---------------------------------------------------------------- archives

CREATE FUNCTION streamagg.batch_partition(tid) RETURNS int
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_batch_partition';
COMMENT ON FUNCTION streamagg.batch_partition(tid) IS
  'Partition of a row of the batch that is being archived: the statement of a batch reads it.';

CREATE FUNCTION streamagg.batch_offset(tid) RETURNS bigint
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_batch_offset';
COMMENT ON FUNCTION streamagg.batch_offset(tid) IS
  'Offset of a row of the batch that is being archived: the statement of a batch reads it.';

CREATE FUNCTION streamagg.batch_watermark(tid) RETURNS timestamptz
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_batch_watermark';
COMMENT ON FUNCTION streamagg.batch_watermark(tid) IS
  'The watermark that a row of the batch that is being archived met: the statement of a batch reads it.';

CREATE FUNCTION streamagg.batch_rest(tid) RETURNS jsonb
LANGUAGE c STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'streamagg_batch_rest';
COMMENT ON FUNCTION streamagg.batch_rest(tid) IS
  'What no column holds of a row of the batch that is being archived: the statement of a batch reads it.';

CREATE FUNCTION streamagg.refuse_archive_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_refuse_archive_change';
COMMENT ON FUNCTION streamagg.refuse_archive_change() IS
  'Refuses UPDATE, DELETE and TRUNCATE of archives and their days.';

-- ---------------------------------------------------------------- control

CREATE FUNCTION streamagg.push(stream regclass, messages text[], partition int DEFAULT 0,
  keys text[] DEFAULT NULL, timestamps timestamptz[] DEFAULT NULL,
  OUT read bigint, OUT accepted bigint, OUT quarantined bigint, OUT dropped bigint,
  OUT duplicate bigint, OUT tombstones bigint, OUT late bigint)
RETURNS record LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_push';
COMMENT ON FUNCTION streamagg.push(regclass, text[], int, text[], timestamptz[]) IS
  'Feeds messages to a stream of a local server as one batch, in the caller''s transaction; a NULL message is a tombstone.';

CREATE FUNCTION streamagg.start(stream regclass) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_start';
COMMENT ON FUNCTION streamagg.start(regclass) IS
  'Lets the stream run from commit on, also after a restart of the server; false when it runs already.';

CREATE FUNCTION streamagg.stop(stream regclass, mode text DEFAULT 'commit',
  timeout interval DEFAULT '30 s') RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_stop';
COMMENT ON FUNCTION streamagg.stop(regclass, text, interval) IS
  'Ends the worker now, its batch finished (commit) or rolled back (abort), and waits; false when it had to be terminated.';

CREATE FUNCTION streamagg.restart(stream regclass) RETURNS boolean
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_restart';
COMMENT ON FUNCTION streamagg.restart(regclass) IS 'Stops the stream now and starts it at commit.';

CREATE FUNCTION streamagg.start_all() RETURNS int
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_start_all';
COMMENT ON FUNCTION streamagg.start_all() IS
  'Starts the caller''s streams that were started, pushed to or given an aggregate before; how many were started.';

CREATE FUNCTION streamagg.stop_all() RETURNS int
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_stop_all';
COMMENT ON FUNCTION streamagg.stop_all() IS
  'Stops every running stream of the caller''s; how many were stopped.';

CREATE FUNCTION streamagg.adopt() RETURNS int
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_adopt';
REVOKE ALL ON FUNCTION streamagg.adopt() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamagg.adopt() TO streamagg_admin;
COMMENT ON FUNCTION streamagg.adopt() IS
  'Makes the streams of a restored or copied database its own: what ran runs again from commit on, the others may be started; how many there were.';

CREATE FUNCTION streamagg.wait_for(stream regclass, timeout interval DEFAULT '30 s',
  offsets jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_wait_for';
COMMENT ON FUNCTION streamagg.wait_for(regclass, interval, jsonb) IS
  'Waits until all that is in the topic now, or the offsets given as {"partition": next offset}, is committed; false on timeout.';

CREATE FUNCTION streamagg.seek(stream regclass, offsets jsonb DEFAULT NULL,
  at timestamptz DEFAULT NULL) RETURNS void
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_seek';
COMMENT ON FUNCTION streamagg.seek(regclass, jsonb, timestamptz) IS
  'A stopped stream goes on at these offsets, {"partition": offset}, or at the first records from a time on; what is passed over is recorded in streamagg.gaps.';

CREATE FUNCTION streamagg.skip(stream regclass, partition int, record_offset bigint, reason text)
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_skip';
COMMENT ON FUNCTION streamagg.skip(regclass, int, bigint, text) IS
  'The stream passes over the record, or the batch of records that cannot be read, at this offset; recorded in streamagg.gaps.';

CREATE FUNCTION streamagg.retry_quarantine(stream regclass, where_clause text DEFAULT 'true',
  OUT retried bigint, OUT accepted bigint, OUT failed bigint)
RETURNS record LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_retry_quarantine';
COMMENT ON FUNCTION streamagg.retry_quarantine(regclass, text) IS
  'Reads the stream''s records in quarantine for which the condition holds once more from Kafka, and judges them by the stream''s present definition.';

CREATE FUNCTION streamagg.lateness_profile(stream regclass)
RETURNS TABLE (delay interval, late_rows bigint, late_share float8, note text, suggested boolean)
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'streamagg_lateness_profile';
COMMENT ON FUNCTION streamagg.lateness_profile(regclass) IS
  'How many of the rows accepted so far came later than each delay behind the newest of their partition, and the watermark_delay that this suggests.';

CREATE FUNCTION streamagg.test_connection(server name, OUT step text, OUT ok boolean,
  OUT detail text, OUT elapsed interval) RETURNS SETOF record
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_test_connection';
COMMENT ON FUNCTION streamagg.test_connection(name) IS
  'Connects to the server''s brokers as the caller and tells how far it came; changes nothing.';

CREATE FUNCTION streamagg.version(OUT component text, OUT version text) RETURNS SETOF record
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_version';
COMMENT ON FUNCTION streamagg.version() IS
  'Versions of the extension''s script, its library, PostgreSQL and the libraries in use.';

-- ---------------------------------------------------------------- keys

CREATE FUNCTION streamagg.create_key(name text, source text DEFAULT 'random') RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_create_key';
REVOKE ALL ON FUNCTION streamagg.create_key(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamagg.create_key(text, text) TO streamagg_admin;
COMMENT ON FUNCTION streamagg.create_key(text, text) IS
  'Makes a key of 256 bits for protected columns: random, or 64 hex digits from env:NAME or file:/path. It belongs to its maker.';

CREATE FUNCTION streamagg.export_key(name text) RETURNS text
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_export_key';
REVOKE ALL ON FUNCTION streamagg.export_key(text) FROM PUBLIC;
COMMENT ON FUNCTION streamagg.export_key(text) IS
  'The key as 64 hex digits, for safekeeping: dumps hold none. Superusers only.';

CREATE FUNCTION streamagg.pseudonym(stream regclass, column_name name, value text) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'streamagg_pseudonym';
REVOKE ALL ON FUNCTION streamagg.pseudonym(regclass, name, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION streamagg.pseudonym(regclass, name, text) TO streamagg_admin;
COMMENT ON FUNCTION streamagg.pseudonym(regclass, name, text) IS
  'What a protected column holds for this clear value; for members of the stream''s owner.';

-- ---------------------------------------------------------------- housekeeping triggers

CREATE FUNCTION streamagg.on_sql_drop() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_on_sql_drop';
COMMENT ON FUNCTION streamagg.on_sql_drop() IS
  'Cleans the catalogue after a stream or an aggregate was dropped.';
CREATE EVENT TRIGGER streamagg_on_drop ON sql_drop EXECUTE FUNCTION streamagg.on_sql_drop();
ALTER EVENT TRIGGER streamagg_on_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER streamagg_on_drop IS 'Cleans the catalogue of streamagg.';

CREATE FUNCTION streamagg.on_ddl_end() RETURNS event_trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'streamagg_on_ddl_end';
COMMENT ON FUNCTION streamagg.on_ddl_end() IS
  'Checks what CREATE and ALTER FOREIGN TABLE leave behind, where the table itself is needed for it.';
CREATE EVENT TRIGGER streamagg_on_ddl ON ddl_command_end
  WHEN TAG IN ('CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'ALTER TABLE')
  EXECUTE FUNCTION streamagg.on_ddl_end();
ALTER EVENT TRIGGER streamagg_on_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER streamagg_on_ddl IS 'Checks the definition of streams.';

-- ---------------------------------------------------------------- views

CREATE FUNCTION streamagg.workers(OUT stream oid, OUT pid int, OUT state text,
  OUT since timestamptz, OUT reason text, OUT code text, OUT next_retry timestamptz,
  OUT restarts int, OUT rows_per_second float8, OUT busy float8) RETURNS SETOF record
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'streamagg_workers';
REVOKE ALL ON FUNCTION streamagg.workers() FROM PUBLIC;
COMMENT ON FUNCTION streamagg.workers() IS 'The streams of this database that the launcher knows of, from shared memory.';

CREATE FUNCTION streamagg.partition_watermark(stream oid, max_event_time timestamptz)
RETURNS timestamptz LANGUAGE c STABLE STRICT
AS 'MODULE_PATHNAME', 'streamagg_partition_watermark';
REVOKE ALL ON FUNCTION streamagg.partition_watermark(oid, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION streamagg.partition_watermark(oid, timestamptz) IS
  'The event time less the stream''s watermark_delay as it is in force.';

CREATE FUNCTION streamagg.identity() RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'streamagg_identity';
REVOKE ALL ON FUNCTION streamagg.identity() FROM PUBLIC;
COMMENT ON FUNCTION streamagg.identity() IS
  'System identifier and oid of this database: a restored or copied database has another.';

CREATE FUNCTION streamagg.topic(stream oid) RETURNS text
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'streamagg_topic';
REVOKE ALL ON FUNCTION streamagg.topic(oid) FROM PUBLIC;
COMMENT ON FUNCTION streamagg.topic(oid) IS 'The stream''s topic; NULL for a local stream without one.';

CREATE VIEW streamagg.partitions AS
SELECT p.stream, streamagg.topic(p.stream) AS topic, p.partition, p.start_offset, p.next_offset,
       p.high_offset, greatest(p.high_offset - p.next_offset, 0) AS lag,
       streamagg.partition_watermark(p.stream, p.max_event_time) AS watermark,
       p.idle, p.read, p.accepted, p.quarantined, p.dropped, p.duplicate, p.tombstones,
       p.gaps, p.lost, w.pid AS worker_pid
FROM streamagg.partition_progress p
LEFT JOIN streamagg.workers() w ON w.stream = p.stream;
COMMENT ON VIEW streamagg.partitions IS 'Offsets, watermark and counters of each partition of each stream, as last committed.';
COMMENT ON COLUMN streamagg.partitions.stream IS 'The stream.';
COMMENT ON COLUMN streamagg.partitions.topic IS 'Its topic.';
COMMENT ON COLUMN streamagg.partitions.partition IS 'Partition of the topic.';
COMMENT ON COLUMN streamagg.partitions.start_offset IS 'The first offset that the stream was to read.';
COMMENT ON COLUMN streamagg.partitions.next_offset IS 'The next offset to read: all before it is committed.';
COMMENT ON COLUMN streamagg.partitions.high_offset IS 'The end of the partition when the worker last saw it.';
COMMENT ON COLUMN streamagg.partitions.lag IS 'Offsets still to read: high_offset - next_offset.';
COMMENT ON COLUMN streamagg.partitions.watermark IS 'Maximum event time of the accepted rows less watermark_delay.';
COMMENT ON COLUMN streamagg.partitions.idle IS 'Without records for idle_timeout: left out of the closing watermark.';
COMMENT ON COLUMN streamagg.partitions.read IS 'Records read = accepted + quarantined + dropped + duplicate + tombstones.';
COMMENT ON COLUMN streamagg.partitions.accepted IS 'Records that became rows.';
COMMENT ON COLUMN streamagg.partitions.quarantined IS 'Records in streamagg.quarantine.';
COMMENT ON COLUMN streamagg.partitions.dropped IS 'Records dropped by on_decode_error or on_violation.';
COMMENT ON COLUMN streamagg.partitions.duplicate IS 'Records left out as duplicates.';
COMMENT ON COLUMN streamagg.partitions.tombstones IS 'Records without a value.';
COMMENT ON COLUMN streamagg.partitions.gaps IS 'Offsets without a record to read: control markers, aborted transactions, compaction.';
COMMENT ON COLUMN streamagg.partitions.lost IS 'Offsets that were passed over: deleted before they were read, or skipped; streamagg.gaps lists them.';
COMMENT ON COLUMN streamagg.partitions.worker_pid IS 'Process that reads it now.';

CREATE VIEW streamagg.streams AS
SELECT t.ftrelid::regclass AS stream,
       CASE WHEN c.halted THEN 'halted'
            WHEN w.state IS NOT NULL THEN w.state
            WHEN h.reason IS NOT NULL THEN 'stopped'
            WHEN c.wanted THEN 'starting'
            ELSE 'stopped' END AS state,
       coalesce(CASE WHEN NOT c.halted THEN w.since END, c.since) AS state_since,
       CASE WHEN c.halted THEN c.reason ELSE coalesce(w.reason, h.reason) END AS reason,
       CASE WHEN c.halted THEN c.code ELSE w.code END AS sqlstate,
       w.next_retry,
       (w.pid IS NOT NULL)::int AS workers,
       coalesce(w.rows_per_second, 0) AS rows_per_second,
       p.lag,
       CASE WHEN p.lag = 0 THEN 0 WHEN p.lag > 0
            THEN round(extract(epoch FROM clock_timestamp() - s.last_commit), 3) END AS lag_seconds,
       s.closing AS watermark,
       s.last_commit,
       coalesce(w.restarts, 0) AS restarts,
       coalesce(w.busy, 0) AS busy
FROM pg_catalog.pg_foreign_table t
JOIN pg_catalog.pg_foreign_server v ON v.oid = t.ftserver
JOIN pg_catalog.pg_foreign_data_wrapper d ON d.oid = v.srvfdw AND d.fdwname = 'streamagg_kafka'
LEFT JOIN streamagg.stream_catalog c ON c.stream = t.ftrelid
LEFT JOIN streamagg.stream_progress s ON s.stream = t.ftrelid
LEFT JOIN streamagg.workers() w ON w.stream = t.ftrelid
CROSS JOIN LATERAL (SELECT CASE
    WHEN NOT coalesce(c.wanted, false) THEN NULL
    WHEN pg_catalog.pg_is_in_recovery() THEN 'standby'
    WHEN c.identity IS DISTINCT FROM streamagg.identity()
    THEN 'the database was restored or copied: run streamagg.adopt()'
    WHEN NOT pg_catalog.current_setting('streamagg.enabled')::boolean
    THEN 'streamagg.enabled is off' END) h (reason)
LEFT JOIN (SELECT stream, sum(greatest(high_offset - next_offset, 0))::bigint AS lag
           FROM streamagg.partition_progress GROUP BY stream) p ON p.stream = t.ftrelid;
COMMENT ON VIEW streamagg.streams IS 'The streams of this database and what they are doing.';
COMMENT ON COLUMN streamagg.streams.stream IS 'The stream: a foreign table.';
COMMENT ON COLUMN streamagg.streams.state IS 'starting, running, stopped, backoff, blocked or halted.';
COMMENT ON COLUMN streamagg.streams.state_since IS 'When it came into this state.';
COMMENT ON COLUMN streamagg.streams.reason IS 'Why it is not running, or what went wrong last.';
COMMENT ON COLUMN streamagg.streams.sqlstate IS 'SQLSTATE of the reason.';
COMMENT ON COLUMN streamagg.streams.next_retry IS 'In backoff and blocked: when the next try is due.';
COMMENT ON COLUMN streamagg.streams.workers IS 'Worker processes at work.';
COMMENT ON COLUMN streamagg.streams.rows_per_second IS 'Records a second over the last seconds.';
COMMENT ON COLUMN streamagg.streams.lag IS 'Offsets still to read over all partitions.';
COMMENT ON COLUMN streamagg.streams.lag_seconds IS 'With lag: seconds since the last commit; without: 0.';
COMMENT ON COLUMN streamagg.streams.watermark IS 'The closing watermark: windows that end before it are closed.';
COMMENT ON COLUMN streamagg.streams.last_commit IS 'When the last batch was committed.';
COMMENT ON COLUMN streamagg.streams.restarts IS 'Times the worker was started again after a failure, since the stream or the server was started.';
COMMENT ON COLUMN streamagg.streams.busy IS 'Share of the last seconds that the worker spent working, 0 to 1.';

CREATE VIEW streamagg.batches AS
SELECT stream, partition, batch, first_offset, next_offset, read, accepted, quarantined, dropped,
       duplicate, tombstones, gaps, lost, read_ms, decode_ms, aggregate_ms, commit_ms, committed_at
FROM streamagg.batch_log;
COMMENT ON VIEW streamagg.batches IS 'The last 1000 partition shares of batches of each stream.';
COMMENT ON COLUMN streamagg.batches.stream IS 'The stream.';
COMMENT ON COLUMN streamagg.batches.partition IS 'Partition of the topic.';
COMMENT ON COLUMN streamagg.batches.batch IS 'Number of the batch, counted from 1 for each stream.';
COMMENT ON COLUMN streamagg.batches.first_offset IS 'The first offset of the partition in the batch.';
COMMENT ON COLUMN streamagg.batches.next_offset IS 'The offset behind the last.';
COMMENT ON COLUMN streamagg.batches.read IS 'Records read.';
COMMENT ON COLUMN streamagg.batches.accepted IS 'Records that became rows.';
COMMENT ON COLUMN streamagg.batches.quarantined IS 'Records sent to quarantine.';
COMMENT ON COLUMN streamagg.batches.dropped IS 'Records dropped.';
COMMENT ON COLUMN streamagg.batches.duplicate IS 'Duplicates left out.';
COMMENT ON COLUMN streamagg.batches.tombstones IS 'Records without a value.';
COMMENT ON COLUMN streamagg.batches.gaps IS 'Offsets without a record.';
COMMENT ON COLUMN streamagg.batches.lost IS 'Offsets that were passed over.';
COMMENT ON COLUMN streamagg.batches.read_ms IS 'Milliseconds that the batch took to collect.';
COMMENT ON COLUMN streamagg.batches.decode_ms IS 'Milliseconds to decode and check it.';
COMMENT ON COLUMN streamagg.batches.aggregate_ms IS 'Milliseconds to aggregate and upsert it.';
COMMENT ON COLUMN streamagg.batches.commit_ms IS 'Milliseconds of the commit before this one: its own is known only afterwards.';
COMMENT ON COLUMN streamagg.batches.committed_at IS 'When it was written.';

CREATE VIEW streamagg.aggregates AS
SELECT c.aggregate, c.stream, pg_catalog.pg_get_viewdef(c.definition) AS query, c.state_table,
       CASE c.emit WHEN 'final' THEN 'drop' ELSE c.late END AS late, c.allowed_lateness, c.emit, c.retention, c.since,
       coalesce(p.rows_in, 0) AS rows_in, coalesce(p.late_rows, 0) AS late_rows,
       coalesce(p.late_pairs, 0) AS late_pairs,
       streamagg.count_groups(c.state_table) AS groups,
       streamagg.closed_until(c.state_table) AS closed_until
FROM streamagg.aggregate_catalog c
LEFT JOIN streamagg.aggregate_progress p ON p.state_table = c.state_table;
COMMENT ON VIEW streamagg.aggregates IS 'The continuous aggregates of this database.';
COMMENT ON COLUMN streamagg.aggregates.aggregate IS 'The view to read.';
COMMENT ON COLUMN streamagg.aggregates.stream IS 'The stream that feeds it; NULL when it was dropped.';
COMMENT ON COLUMN streamagg.aggregates.query IS 'Its query.';
COMMENT ON COLUMN streamagg.aggregates.state_table IS 'The table of the groups'' states.';
COMMENT ON COLUMN streamagg.aggregates.late IS 'What happens to late rows: merge or drop.';
COMMENT ON COLUMN streamagg.aggregates.allowed_lateness IS 'How long a window takes rows after its end.';
COMMENT ON COLUMN streamagg.aggregates.emit IS 'live: all rows show; final: only final ones.';
COMMENT ON COLUMN streamagg.aggregates.retention IS 'How long windows are kept; NULL: for ever.';
COMMENT ON COLUMN streamagg.aggregates.since IS 'When it was made: without a backfill it holds what was committed later.';
COMMENT ON COLUMN streamagg.aggregates.rows_in IS 'Accepted rows that it met.';
COMMENT ON COLUMN streamagg.aggregates.late_rows IS 'Rows late for every window of theirs.';
COMMENT ON COLUMN streamagg.aggregates.late_pairs IS 'Late pairs of row and window.';
COMMENT ON COLUMN streamagg.aggregates.groups IS 'Rows of the state table: counted when it is small, else the planner''s estimate.';
COMMENT ON COLUMN streamagg.aggregates.closed_until IS 'The closing watermark: windows that end before it are closed.';

CREATE VIEW streamagg.close_hooks AS
SELECT h.aggregate, h.command, h.since, h.closed, h.failures, q.pending, q.oldest, q.next_try,
       h.last_error, h.last_sqlstate, h.last_failed_at
FROM streamagg.close_hook h,
     LATERAL (SELECT count(*) AS pending, min(w.window_start) AS oldest,
                     nullif(min(w.next_try), '-infinity') AS next_try
              FROM streamagg.close_queue w WHERE w.aggregate = h.aggregate) q;
COMMENT ON VIEW streamagg.close_hooks IS 'The commands of on_close(), and how they go.';
COMMENT ON COLUMN streamagg.close_hooks.aggregate IS 'The aggregate.';
COMMENT ON COLUMN streamagg.close_hooks.command IS 'What runs for each of its windows that closes.';
COMMENT ON COLUMN streamagg.close_hooks.since IS 'When it was given: windows that closed before are not concerned.';
COMMENT ON COLUMN streamagg.close_hooks.closed IS 'Closed windows for which it went well.';
COMMENT ON COLUMN streamagg.close_hooks.failures IS 'Times that it failed and was undone.';
COMMENT ON COLUMN streamagg.close_hooks.pending IS 'Closed windows for which it did not go well yet.';
COMMENT ON COLUMN streamagg.close_hooks.oldest IS 'Start of the earliest of them.';
COMMENT ON COLUMN streamagg.close_hooks.next_try IS 'When the first of them is due again; NULL: with the next batch, or nothing waits.';
COMMENT ON COLUMN streamagg.close_hooks.last_error IS 'Why it failed last.';
COMMENT ON COLUMN streamagg.close_hooks.last_sqlstate IS 'SQLSTATE of that.';
COMMENT ON COLUMN streamagg.close_hooks.last_failed_at IS 'When that was.';

CREATE VIEW streamagg.backfills AS
SELECT b.aggregate, b.source, nullif(b.from_ts, '-infinity') AS from_ts,
       nullif(b.to_ts, 'infinity') AS to_ts, nullif(nullif(b.done_to, '-infinity'), 'infinity') AS done_to, b.rows_read,
       CASE WHEN b.state = 'running'
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity(b.pid))
            THEN 'interrupted' ELSE b.state END AS state,
       b.reason, b.sqlstate, b.started_at, b.finished_at
FROM streamagg.backfill_log b;
COMMENT ON VIEW streamagg.backfills IS 'The backfills of the last 30 days and how far they came.';
COMMENT ON COLUMN streamagg.backfills.aggregate IS 'The aggregate.';
COMMENT ON COLUMN streamagg.backfills.source IS 'What it reads: archive or kafka.';
COMMENT ON COLUMN streamagg.backfills.from_ts IS 'Windows that start from here on; NULL: from the first.';
COMMENT ON COLUMN streamagg.backfills.to_ts IS 'Windows that start before; NULL: to the last.';
COMMENT ON COLUMN streamagg.backfills.done_to IS 'Windows that start before are replaced; NULL: none yet, or all of them when it is done.';
COMMENT ON COLUMN streamagg.backfills.rows_read IS 'Rows read.';
COMMENT ON COLUMN streamagg.backfills.state IS 'running, done, failed, or interrupted: its process is gone.';
COMMENT ON COLUMN streamagg.backfills.reason IS 'Why it failed.';
COMMENT ON COLUMN streamagg.backfills.sqlstate IS 'SQLSTATE of the failure.';
COMMENT ON COLUMN streamagg.backfills.started_at IS 'When it began.';
COMMENT ON COLUMN streamagg.backfills.finished_at IS 'When it ended by itself.';

CREATE VIEW streamagg.quarantine AS
SELECT q.stream, streamagg.topic(q.stream) AS topic, q.partition, q.record_offset, q.stage, q.code,
       q.reason, q.column_name, q.failed_rules, q.record, q.received_at, q.status
FROM streamagg.quarantine_log q;
COMMENT ON VIEW streamagg.quarantine IS 'Records that were not accepted, and why; never with their clear text.';
COMMENT ON COLUMN streamagg.quarantine.stream IS 'The stream.';
COMMENT ON COLUMN streamagg.quarantine.topic IS 'Its topic.';
COMMENT ON COLUMN streamagg.quarantine.partition IS 'Partition of the record.';
COMMENT ON COLUMN streamagg.quarantine.record_offset IS 'Offset of the record.';
COMMENT ON COLUMN streamagg.quarantine.stage IS 'The step that refused it: decode, convert, protect, check or aggregate.';
COMMENT ON COLUMN streamagg.quarantine.code IS 'SQLSTATE of the first fault.';
COMMENT ON COLUMN streamagg.quarantine.reason IS 'The fault in words, without values.';
COMMENT ON COLUMN streamagg.quarantine.column_name IS 'The column concerned; NULL for a whole document or several columns.';
COMMENT ON COLUMN streamagg.quarantine.failed_rules IS 'All constraints that the row breaks: CHECKs by name, column_not_null, max_future.';
COMMENT ON COLUMN streamagg.quarantine.record IS 'The redacted record: values of open columns that are not at fault, of all others type and length; of what cannot be parsed length and keyed digest.';
COMMENT ON COLUMN streamagg.quarantine.received_at IS 'When it was read, or refused once more.';
COMMENT ON COLUMN streamagg.quarantine.status IS 'new; after retry_quarantine(): accepted, failed (refused once more), duplicate, gone (not in Kafka any more).';

CREATE VIEW streamagg.gaps AS
SELECT g.stream, streamagg.topic(g.stream) AS topic, g.partition, g.first_offset, g.next_offset,
       g.kind, g.reason, g.at
FROM streamagg.gap_log g;
COMMENT ON VIEW streamagg.gaps IS 'Offsets that a stream passed over though records stood there.';
COMMENT ON COLUMN streamagg.gaps.stream IS 'The stream.';
COMMENT ON COLUMN streamagg.gaps.topic IS 'Its topic.';
COMMENT ON COLUMN streamagg.gaps.partition IS 'Partition of the topic.';
COMMENT ON COLUMN streamagg.gaps.first_offset IS 'The first offset that was not read.';
COMMENT ON COLUMN streamagg.gaps.next_offset IS 'The offset that reading went on at.';
COMMENT ON COLUMN streamagg.gaps.kind IS 'lost: deleted before they were read; skipped: by seek() or skip(); replaced: the topic''s log is another one, which is read from next_offset on.';
COMMENT ON COLUMN streamagg.gaps.reason IS 'Why, in words; for skip() those that were given.';
COMMENT ON COLUMN streamagg.gaps.at IS 'When.';

CREATE VIEW streamagg.events AS
SELECT at, stream, actor, event, detail FROM streamagg.event_log;
COMMENT ON VIEW streamagg.events IS 'What happened to streams and aggregates.';
COMMENT ON COLUMN streamagg.events.at IS 'When.';
COMMENT ON COLUMN streamagg.events.stream IS 'The stream concerned.';
COMMENT ON COLUMN streamagg.events.actor IS 'The role that did it, or the process: worker, keeper.';
COMMENT ON COLUMN streamagg.events.event IS 'What happened.';
COMMENT ON COLUMN streamagg.events.detail IS 'More about it.';

GRANT SELECT ON streamagg.streams, streamagg.partitions, streamagg.batches, streamagg.aggregates,
  streamagg.quarantine, streamagg.gaps, streamagg.events, streamagg.backfills, streamagg.close_hooks
  TO streamagg_reader;
-- Hints of create_aggregate() name it.
GRANT SELECT ON streamagg.merge_rules TO PUBLIC;
GRANT streamagg_reader TO streamagg_operator;
GRANT streamagg_operator TO streamagg_admin;
-- The views call these; functions in a view are checked against its reader.
GRANT EXECUTE ON FUNCTION streamagg.workers(), streamagg.identity(), streamagg.topic(oid),
  streamagg.partition_watermark(oid, timestamptz), streamagg.count_groups(regclass) TO streamagg_reader;
