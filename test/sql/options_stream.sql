-- The closed list of the options of streams and their columns, and what the table itself must have.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA options;
SET search_path = options;
CREATE SERVER options FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER options_kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
-- says what a table with these options, and a column with those, is told
CREATE FUNCTION try(options text, col text DEFAULT '', type text DEFAULT 'timestamptz') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE tried (c %s %s, ts timestamptz) SERVER options OPTIONS (%s)', type,
    'OPTIONS (' || nullif(col, '') || ')', options);
  DROP FOREIGN TABLE tried;
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', code || ' ' || message, regexp_replace(nullif(detail, ''), '(are: topic).*', '\1, …'), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned

-- what is valid
SELECT try($$topic 't', format 'json', start_from 'latest', event_time 'ts', watermark_delay '1.5 s', idle_timeout '0',
  close_after '1 day', max_future '2:00', on_decode_error 'drop', on_violation 'stop', on_data_loss 'stop',
  batch_interval '50 ms', max_message_bytes '200 kB', max_bad_ratio '0.5', workers '1', min_partitions '0',
  max_offsets_per_batch '0', archive 'off', archive_keep '30 days', dedup_key 'c', dedup_within '1 h'$$, $$path 'a."b.c".d', encoding 'epoch_ms'$$);
SELECT m, try($$event_time 'ts'$$, format('meta %L', m), t) FROM (VALUES ('partition', 'int'), ('offset', 'bigint'),
  ('timestamp', 'timestamptz'), ('key', 'text'), ('topic', 'text'), ('headers', 'jsonb'), ('header:trace', 'text'), ('rest', 'jsonb'),
  ('raw', 'bytea')) v(m, t);

-- unknown names: the valid ones, and the nearest
SELECT try($$topics 't'$$);
SELECT try($$event_tme 'ts'$$);
SELECT try($$something_else 'x'$$);
SELECT try($$event_time 'ts'$$, $$paht 'a'$$);
SELECT try($$event_time 'ts'$$, $$bootstrap_servers 'a'$$);
-- Spark's names
SELECT o, substring(try(format('%I %L', o, '1')) FROM 'Perhaps.*') FROM unnest(ARRAY['subscribe', 'startingOffsets',
  'maxOffsetsPerTrigger', 'minPartitions', 'failOnDataLoss', 'kafka.bootstrap.servers']) o;

-- bad values
SELECT o, try(o) FROM unnest(ARRAY[$$watermark_delay 'soon'$$, $$watermark_delay '-1 s'$$, $$watermark_delay '1 month'$$,
  $$watermark_delay ''$$, $$idle_timeout 'infinity'$$, $$on_violation 'ignore'$$, $$on_decode_error 'Drop'$$, $$max_message_bytes '0'$$,
  $$max_message_bytes '1TB'$$, $$max_message_bytes 'many'$$, $$max_bad_ratio '1.01'$$, $$max_bad_ratio '-0.1'$$, $$max_bad_ratio 'nan'$$, $$max_bad_ratio '5%'$$, $$format 'xml'$$, $$archive 'yes'$$, $$archive_keep '1 month'$$, $$archive_keep '-1 day'$$, $$dedup_key ''$$, $$dedup_within 'soon'$$, $$topic ''$$, $$event_time ''$$]) o;
SELECT o, try($$event_time 'ts'$$, o) FROM unnest(ARRAY[$$path ''$$, $$path 'a..b'$$, $$path '"a'$$, $$meta 'size'$$, $$meta 'header:'$$,
  $$encoding 'rot13'$$, $$protect 'aes'$$, $$protect_key ''$$, $$domain ''$$, $$canonical 'upper'$$]) o;

-- where to begin, and what to do when records were deleted
SELECT o, try(o || $$, event_time 'ts'$$) FROM unnest(ARRAY[$$start_from '2024-01-31'$$, $$start_from '2024-01-31T12:00:00.5+02'$$, $$start_from '{"0": 42, "1":7}'$$,
  $$start_from '{}'$$, $$on_data_loss 'skip'$$]) o;
SELECT o, try(o) FROM unnest(ARRAY[$$start_from 'today'$$, $$start_from '1969-12-31'$$, $$start_from 'infinity'$$, $$start_from '{"0": -1}'$$, $$start_from '{"0": "1"}'$$,
  $$start_from '{"a": 1}'$$, $$start_from '{"0": 1'$$, $$start_from '{"0": 1} x'$$, $$start_from '{"0": 9223372036854775808}'$$, $$start_from ''$$,
  $$on_data_loss 'Skip'$$]) o;

-- what later versions will take: refused with the reason
SELECT o, try(o) FROM unnest(ARRAY[$$format 'csv'$$, $$format 'avro'$$, $$format 'text'$$, $$format 'raw'$$,
  $$workers '2'$$, $$min_partitions '8'$$, $$max_offsets_per_batch '1000'$$]) o;

-- what needs the table: event_time, columns, the topic of a broker's stream
SELECT try($$event_time 'no'$$);
SELECT try($$event_time 'c'$$, '', 'timestamp');
SELECT try($$event_time 'c'$$, '', 'bigint');
SELECT try($$event_time 'ctid'$$);
SELECT try($$event_time 'ts'$$, $$path 'a', meta 'key'$$, 'text');
SELECT try($$event_time 'ts'$$, $$encoding 'epoch_s'$$, 'bigint');
SELECT e, t, try($$event_time 'ts'$$, format('encoding %L', e), t) FROM unnest(ARRAY['base64', 'hex']) e, unnest(ARRAY['bytea', 'text']) t;
SELECT try($$event_time 'ts'$$, $$meta 'timestamp', encoding 'epoch_s'$$);
SELECT try($$event_time 'ts'$$, '', 'int GENERATED ALWAYS AS (1) STORED');
CREATE FOREIGN TABLE no_topic (ts timestamptz) SERVER options_kafka OPTIONS (event_time 'ts');
-- without event_time a table may wait to be completed, but does nothing
CREATE FOREIGN TABLE later (k text, ts timestamptz) SERVER options;
SELECT streamagg.create_aggregate('a', 'SELECT count(*) FROM later');
SELECT streamagg.push('later', '{}');
ALTER FOREIGN TABLE later OPTIONS (ADD event_time 'ts');
SELECT streamagg.create_aggregate('a', 'SELECT count(*) FROM later');

-- ALTER is checked as CREATE is, under either name
ALTER FOREIGN TABLE later OPTIONS (SET event_time 'k');
ALTER FOREIGN TABLE later ALTER COLUMN k OPTIONS (ADD meta 'rest');
ALTER FOREIGN TABLE later ALTER COLUMN k OPTIONS (ADD encoding 'epoch_s');
ALTER TABLE later OPTIONS (SET event_time 'k');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'later'::regclass;
-- and takes effect with the next batch
ALTER FOREIGN TABLE later OPTIONS (ADD on_decode_error 'drop');
SELECT dropped FROM streamagg.push('later', '{x}');

\pset tuples_only off
\pset format aligned
DROP SCHEMA options CASCADE;
DROP SERVER options, options_kafka;
