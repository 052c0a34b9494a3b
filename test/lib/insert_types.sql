-- For kafka/t/110_insert.pl: a table with a column of every type that a stream takes, and values that are hard to write as JSON; and a stream of the same columns.
CREATE TYPE mood AS ENUM ('sad', '1');
CREATE TYPE item AS (a int, b text, c timestamptz);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN thing AS item;
CREATE TABLE twin (id int, c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_oid oid, c_numeric numeric, c_exact numeric(6,2), c_float4 float4, c_float8 float8, c_money money,
  c_text text, c_varchar varchar(8), c_char char(5), c_bytea bytea, c_hex bytea, c_base64 bytea, c_bit bit(3), c_varbit varbit,
  c_date date, c_time time, c_time0 time(0), c_timetz timetz, c_timestamp timestamp, c_timestamp3 timestamp(3), c_timestamptz timestamptz, c_epoch_s timestamptz, c_epoch_ms timestamptz, c_epoch_us timestamptz, c_iso8601 timestamptz, c_interval interval,
  c_uuid uuid, c_inet inet, c_cidr cidr, c_mac macaddr, c_mac8 macaddr8, c_json json, c_jsonb jsonb, c_xml xml, c_point point, c_box box, c_path path, c_circle circle, c_lseg lseg, c_line line, c_polygon polygon,
  c_tsvector tsvector, c_tsquery tsquery, c_lsn pg_lsn, c_tid tid, c_range int4range, c_nrange numrange, c_tsrange tstzrange, c_drange daterange, c_multi int4multirange,
  c_mood mood, c_positive positive, c_item item, c_thing thing, c_ints int[], c_texts text[], c_times timestamptz[], c_bytes bytea[], c_items item[], c_moods mood[], c_grid int[][], c_jsonbs jsonb[], c_floats float8[], c_snapshot pg_snapshot);
INSERT INTO twin (id) VALUES (0);
INSERT INTO twin VALUES (1, true, -32768, -2147483648, -9223372036854775808, 4294967295, 1.10, -1234.50, 1.1, 0.1, -1234.5,
  E'a "quoted" \\ \n\t\x01 ü 😀', 'var', 'ab', '\x00ff5c', '\x00ff', '\x00ff10', B'101', B'',
  '2024-02-29', '23:59:59.999999', '12:00', '10:00:00.5-03:30', '2024-01-01 12:00:00.000001', '2024-01-01 12:00:00.123', '2024-01-01 12:00:00.123456+05', '2024-01-01 12:00:00.123456+05', '1969-12-31 23:59:59.999999Z', '1900-01-01 00:00:00.1Z', '2024-01-01', '1 year -2 mons 3 days -04:05:06.7',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '{"b": 1e2,  "a": [1, null]}', '{"b": 1e2, "a": [1, null, "x"], "": {}}', '<a b="c">d</a>', '(1.5,-2)', '((1,2),(3,4))', '[(1,2),(3,4)]', '<(1,2),3>', '[(1,2),(3,4)]', '{1,2,3}', '((1,2),(3,4),(5,6))',
  $x$'a':1 'b c':2A$x$, $x$'a' & !'b'$x$, '16/B374D848', '(0,1)', '[1,5)', '[1.5,)', '[2024-01-01,2024-02-01)', '[2024-01-01,)', '{[1,3),[5,7)}',
  'sad', 7, ROW(1, 'x"y', '2024-01-01 10:00:00.5Z'), ROW(NULL, '', NULL), '{1,NULL,3}', '{a,"b c",NULL,"\"q\"",""}', '{"2024-01-01 10:00:00.123456Z",infinity}', '{"\\x00ff"}', ARRAY[ROW(1,'a',NULL)::item, NULL, ROW(2,'b','2024-01-01')::item], '{sad,1}', '{{1,2},{3,4}}', ARRAY['{"a":1}'::jsonb, '"s"', '3'], '{0.1,1e300,NaN,-Infinity}', '10:20:10,14,15');
INSERT INTO twin (id, c_bool, c_numeric, c_float4, c_float8, c_text, c_bytea, c_date, c_timestamp, c_timestamptz, c_jsonb, c_json, c_interval, c_ints, c_range, c_mood, c_time, c_timetz) VALUES
  (2, false, 0.00, 'NaN', 'Infinity', '', '', 'infinity', '-infinity', 'infinity', '"string"', '"json string"', '00:00', '{}', 'empty', '1', '24:00', '24:00:00+15:59'),
  (3, NULL, -0.5, '-Infinity', '-0', 'null', '\x', '-infinity', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '12345678901234567890.123456789', '[ 1 , 2 ]', '178000000 years', NULL, NULL, NULL, NULL, NULL),
  (4, NULL, 1e-100, 1e-45, 5e-324, repeat('x', 100000), decode(repeat('00ff', 5000), 'hex'), '0001-01-01', '0001-01-01', '0001-01-01 00:00Z', '[]', 'true', '-1 mon', NULL, NULL, NULL, NULL, NULL),
  (5, NULL, 123456789012345678901234567890.5, 3.4028235e38, 1.7976931348623157e308, 'true', NULL, '294276-12-31', '0044-03-15 12:00 BC', '1970-01-01 00:00Z', 'true', '123', NULL, NULL, NULL, NULL, NULL, NULL);

-- the stream everything, of a column c_encoding with that encoding
DO $$
DECLARE
  columns text;
BEGIN
  SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)) || coalesce(' OPTIONS (encoding ''' || substring(attname FROM '^c_(hex|base64|iso8601|epoch_m?u?s)$') || ''')', ''), ', ' ORDER BY attnum)
  INTO columns FROM pg_attribute WHERE attrelid = 'twin'::regclass AND attnum > 0;
  EXECUTE format('CREATE FOREIGN TABLE everything (%s, at timestamptz OPTIONS (meta ''timestamp'')) SERVER kafka OPTIONS (topic ''everything'', event_time ''at'')', columns);
END $$;
