-- Options of protection that would not work, or would show the clear value by a second way, are refused; what rest and headers leave out.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA protection_options;
SET search_path = protection_options;
CREATE SERVER protection_options FOREIGN DATA WRAPPER streamagg_kafka;
SELECT streamagg.create_key('protection_options');
-- what a table with these columns is told
CREATE FUNCTION try(columns text, options text DEFAULT $$event_time 'ts'$$) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  code text;
  message text;
  detail text;
  hint text;
BEGIN
  EXECUTE format('CREATE FOREIGN TABLE tried (%s, ts timestamptz) SERVER protection_options OPTIONS (%s)', columns, options);
  DROP FOREIGN TABLE tried;
  RETURN 'taken';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
  RETURN concat_ws(E'\n', code || ' ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset tuples_only on
\pset format unaligned
\set hmac 'protect ''hmac'', protect_key ''protection_options'''

-- S39: without a key, what can be guessed is not protected
CREATE FOREIGN TABLE warned (ip text OPTIONS (protect 'sha256'), ts timestamptz) SERVER protection_options OPTIONS (event_time 'ts');
ALTER FOREIGN TABLE warned ALTER COLUMN ip OPTIONS (SET protect 'mask');
ALTER FOREIGN TABLE warned ALTER COLUMN ip OPTIONS (SET protect 'sha256');
SET client_min_messages = error;
-- the type is the form of the result: which take which
SELECT kind, type, left(try(format('c %s OPTIONS (%s)', type, CASE kind WHEN 'hmac' THEN :'hmac' ELSE format('protect %L', kind) END)), 5)
FROM unnest(ARRAY['hmac', 'sha256', 'truncate', 'mask', 'drop']) kind,
  unnest(ARRAY['text', 'bytea', 'uuid', 'inet', 'cidr', 'varchar', 'varchar(64)', 'char(64)', 'int', 'jsonb', 'timestamptz', 'text[]']) type
WHERE left(try(format('c %s OPTIONS (%s)', type, CASE kind WHEN 'hmac' THEN :'hmac' ELSE format('protect %L', kind) END)), 5) = 'taken' ORDER BY 1, 2;
SELECT try(format('c int OPTIONS (%s)', :'hmac'));
SELECT try($$c varchar(64) OPTIONS (protect 'sha256')$$);
SELECT try($$c uuid OPTIONS (protect 'truncate')$$);
SELECT try($$c bytea OPTIONS (protect 'mask')$$);
-- the event time has none
SELECT try(format('c timestamptz OPTIONS (%s)', :'hmac'), $$event_time 'c'$$);
SELECT try($$c timestamptz OPTIONS (protect 'mask')$$, $$event_time 'c'$$);

-- options that belong together, or do not
SELECT try($$c text OPTIONS (protect 'hmac')$$);
SELECT o, try(format('c text OPTIONS (protect %s)', o)) FROM unnest(ARRAY[$$'sha256', protect_key 'protection_options'$$, $$'mask', protect_key 'protection_options'$$,
  $$'drop', domain 'd'$$, $$'truncate', domain 'd'$$, $$'mask', encoding 'epoch_s'$$]) o;
SELECT o, try(format('c text OPTIONS (%s)', o)) FROM unnest(ARRAY[$$protect_key 'protection_options'$$, $$domain 'd'$$, $$canonical 'none'$$, $$canonical 'inet'$$]) o;
SELECT m, try(format('c text OPTIONS (meta %L, %s)', m, :'hmac')) FROM unnest(ARRAY['partition', 'offset', 'timestamp', 'topic', 'headers', 'rest', 'raw', 'key', 'header:trace']) m;

-- no second way: the whole message, the same path, an enclosing one, the key, a header of that name
SELECT o, try(format('c text OPTIONS (path %s, %s), o %s', '''a."b.c".d''', :'hmac', o)) FROM unnest(ARRAY[$$text OPTIONS (meta 'raw')$$, $$bytea OPTIONS (meta 'raw')$$,
  $$jsonb OPTIONS (path '$')$$, $$text OPTIONS (path '$')$$, $$jsonb OPTIONS (path 'a')$$, $$text OPTIONS (path 'a."b.c"')$$, $$text OPTIONS (path '"a"."b.c"."d"')$$]) o;
SELECT o, try(format('c text OPTIONS (path %s, %s), o %s', '''a."b.c".d''', :'hmac', o)) FROM unnest(ARRAY[$$jsonb OPTIONS (path 'a.b')$$, $$jsonb OPTIONS (path 'a.b.c.d')$$,
  $$jsonb OPTIONS (path 'A')$$, $$text OPTIONS (path 'd')$$, $$text OPTIONS (path 'a."b.c".dd')$$, $$text OPTIONS (path 'a."b.c".d', protect 'mask')$$, $$jsonb OPTIONS (path 'a', protect 'drop')$$,
  $$jsonb OPTIONS (meta 'rest')$$, $$jsonb OPTIONS (meta 'headers')$$, $$text OPTIONS (meta 'key')$$]) o;
SELECT try(format('a jsonb, c text OPTIONS (path %s, %s)', '''a.b''', :'hmac')), try(format('c text OPTIONS (%s), o text OPTIONS (path %s)', :'hmac', '''c'''));
SELECT k, o, try(format('c text OPTIONS (%s, protect %s), o %s', k, '''mask''', o)) FROM (VALUES ($$meta 'key'$$, $$bytea OPTIONS (meta 'key')$$),
  ($$meta 'header:trace'$$, $$text OPTIONS (meta 'header:trace')$$), ($$meta 'header:trace'$$, $$text OPTIONS (meta 'header:Trace')$$), ($$meta 'header:trace'$$, $$jsonb OPTIONS (meta 'headers')$$),
  ($$meta 'header:trace'$$, $$text OPTIONS (meta 'key')$$), ($$meta 'key'$$, $$bytea OPTIONS (meta 'raw')$$), ($$meta 'key'$$, $$text OPTIONS (meta 'key', protect 'drop')$$)) v(k, o);
-- nor by ALTER
CREATE FOREIGN TABLE altered (ip text OPTIONS (protect 'mask'), a jsonb, k text OPTIONS (meta 'key', protect 'mask'), ts timestamptz)
  SERVER protection_options OPTIONS (event_time 'ts');
ALTER FOREIGN TABLE altered ALTER COLUMN a OPTIONS (ADD path 'ip');
ALTER FOREIGN TABLE altered ALTER COLUMN ip OPTIONS (ADD path 'a.ip');
ALTER FOREIGN TABLE altered ADD COLUMN raw text OPTIONS (meta 'raw');
ALTER TABLE altered ADD COLUMN key text OPTIONS (meta 'key');
ALTER TABLE altered ALTER COLUMN ip TYPE varchar;
ALTER TABLE altered RENAME COLUMN a TO b;
ALTER TABLE altered ADD COLUMN a jsonb, ALTER COLUMN ip OPTIONS (ADD path 'a.ip');
ALTER FOREIGN TABLE altered ALTER COLUMN ip OPTIONS (SET protect 'hmac');
SELECT attname, attfdwoptions FROM pg_attribute WHERE attrelid = 'altered'::regclass AND attnum > 0 ORDER BY attnum;
-- a table that is completed later is checked then
CREATE FOREIGN TABLE later (ip text OPTIONS (protect 'mask'), o text OPTIONS (path 'ip'), ts timestamptz) SERVER protection_options;
SELECT streamagg.push('later', '{}');
ALTER FOREIGN TABLE later OPTIONS (ADD event_time 'ts');
-- to protect no more is the owner's to decide
ALTER FOREIGN TABLE altered ALTER COLUMN ip OPTIONS (DROP protect);

-- rest leaves out what has a column, however its key is spelt, and of keys that come twice both
\pset tuples_only off
\pset format aligned
CREATE FOREIGN TABLE r (
  id int,
  ip text OPTIONS (protect 'mask'),
  mail text OPTIONS (path 'user.mail', protect 'drop'),
  odd text OPTIONS (path '"a.b"."c""d"', protect 'mask'),
  rest jsonb OPTIONS (meta 'rest'),
  headers jsonb OPTIONS (meta 'headers'),
  ts timestamptz
) SERVER protection_options OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('rests', 'SELECT id, ip, mail, odd, rest, headers FROM r GROUP BY id, ip, mail, odd, rest, headers');
SELECT accepted FROM streamagg.push('r', (SELECT array_agg(format('{"id": %s, %s, "ts": "2024-01-01T00:00:00Z"}', id, part) ORDER BY id) FROM (VALUES
  (1, '"ip": "clear text", "else": 1'), (2, '"\u0069p": "clear text", "else": {"ip": "not this"}'), (3, '"ip": "clear text", "ip": "clear once more"'),
  (4, '"ip": "clear text", "\u0069\u0070": "clear once more", "IP": 1'), (5, '"user": {"mail": "clear text", "name": "u"}'), (6, '"user": {"mail": "clear text", "\u006dail": "clear too"}'),
  (7, '"user": {"mail": "clear text"}, "user": {"mail": "clear too", "name": "u"}'), (8, '"user": "no object"'), (9, '"user": [{"mail": "another path"}]'),
  (10, '"a.b": {"c\"d": "clear text", "c": 1}, "a": {"b": {"c\"d": "another path"}}'), (11, '"ip": null, "user": {"mail": null}'), (12, '"ip\u0020": "another key", "ip.": 1'),
  (13, '"user.mail": "another key"'), (14, '"": {"ip": 1}')) v(id, part)));
SELECT id, ip, mail, odd, rest, headers FROM rests ORDER BY id;
SELECT count(*) AS leaks FROM rests WHERE rests::text ~ 'clear';
SELECT code, column_name, reason, record FROM streamagg.quarantine WHERE stream = 'r'::regclass;

DROP SCHEMA protection_options CASCADE;
DROP SERVER protection_options;
DELETE FROM streamagg.key_store WHERE name = 'protection_options';
