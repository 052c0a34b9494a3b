-- Every type against jsonb_populate_record, over a table of values: what is stored and what is refused are the same,
-- but where a value would be rounded or read the clock, and where a fast way is stricter by design.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';
SET client_min_messages = warning;
SET lc_monetary = 'C';
CREATE SCHEMA types_oracle;
SET search_path = types_oracle;
CREATE SERVER types FOREIGN DATA WRAPPER streamagg_kafka;
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/lib/types.sql'
\i :file
CREATE TYPE mood AS ENUM ('sad', 'happy', '1');
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE DOMAIN required AS text NOT NULL CHECK (VALUE <> 'x');
CREATE DOMAIN few AS int[] CHECK (cardinality(VALUE) < 3);
CREATE TYPE pair AS (a small, b text);
CREATE TYPE nest AS (p pair, ps pair[], d date);
CREATE DOMAIN whole AS pair CHECK ((VALUE).a IS NOT NULL);
CREATE TABLE typed (type text);
INSERT INTO typed VALUES ('int2'), ('int4'), ('int8'), ('float4'), ('float8'), ('numeric'), ('numeric(4,1)'), ('money'), ('bool'), ('text'), ('varchar(4)'), ('char(4)'),
  ('bytea'), ('uuid'), ('inet'), ('cidr'), ('macaddr'), ('bit(3)'), ('varbit(3)'), ('json'), ('jsonb'), ('xml'), ('oid'), ('point'), ('tsvector'), ('date'), ('time'), ('time(1)'),
  ('timetz'), ('timestamp'), ('timestamp(0)'), ('timestamptz'), ('interval'), ('interval(0)'), ('mood'), ('small'), ('required'), ('few'), ('pair'), ('nest'), ('whole'),
  ('int4range'), ('numrange'), ('tsrange'), ('int4multirange'), ('text[]'), ('int[]'), ('numeric(4,1)[]'), ('date[]'), ('timestamptz[]'), ('mood[]'), ('small[]'), ('pair[]'), ('nest[]'),
  ('varchar(4)[]'), ('jsonb[]'), ('int4range[]'), ('required[]'), ('bool[]'), ('float8[]');
CREATE TABLE valued (value text);
INSERT INTO valued VALUES ('0'), ('1'), ('-7'), ('12'), ('1.0'), ('1.25'), ('1e2'), ('1e39'), ('1e-46'), ('40000'), ('3e9'), ('1e20'), ('true'), ('false'), ('null'), ('""'), ('" "'), ('"x"'), ('" 12 "'), ('"1.25"'), ('"+5"'),
  ('"yes"'), ('"sad"'), ('"NaN"'), ('"-inf"'), ('"\\x00ff"'), ('"101"'), ('"abcdef"'), ('"abc   "'), ('"10.1.2.3"'), ('"10.0.0.0/8"'), ('"::1"'), ('"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'), ('"08:00:2b:01:02:03"'),
  ('"2024-02-29"'), ('"2024-02-30"'), ('"2024-02-29 10:11:12.5"'), ('"2024-02-29T23:00:00.5-02:00"'), ('"20240229"'), ('"Feb 29 2024"'), ('"10:11:12.25"'), ('"10:11:12+02"'), ('"infinity"'), ('"-infinity"'), ('"epoch"'),
  ('"now"'), ('"today"'), ('"1 day"'), ('"1.5 s"'), ('"allballs"'), ('"[1,3)"'), ('"[1.5,]"'), ('"empty"'), ('"[2024-01-01,infinity)"'), ('"{[1,2],[5,6]}"'), ('"{}"'), ('"{1,2}"'), ('"{1,NULL}"'), ('"{now}"'), ('"(1,x)"'), ('"(,)"'), ('"(11,)"'),
  ('"(\"(1,a)\",\"{}\",2024-01-01)"'), ('"{\"(1,a)\"}"'), ('"<a>b</a>"'), ('"(1,2)"'), ('"a:1 b"'), ('"\u00e4\ud83d\ude00\""'),
  ('[]'), ('[1]'), ('[1, 2, 3]'), ('[[1], [2]]'), ('[[1], 2]'), ('[1.25]'), ('[1.2, null]'), ('["x", "sad"]'), ('["sad"]'), ('["now"]'), ('["2024-02-29"]'), ('["2024-02-29 10:00:00.123456+01", "epoch"]'), ('[true]'), ('["[1,2]"]'), ('[null]'), ('[{}]'), ('[{"a": 1}]'), ('[{"a": 11}]'),
  ('["(1,x)"]'), ('{}'), ('{"a": 1}'), ('{"a": 11}'), ('{"a": "3", "b": [1, 2]}'), ('{"b": "x", "A": 1}'), ('{"a": null, "b": null}'), ('{"p": {"a": 1}, "ps": [{"b": "x"}, null], "d": "2024-01-01"}'), ('{"p": "(1,x)", "ps": "{}", "d": "infinity"}'),
  ('{"p": [1]}'), ('{"ps": {"a": 1}}'), ('{"d": "now"}'), ('{"ps": [{"a": 11}]}');
CREATE FUNCTION oracle(type text, VARIADIC vals text[]) RETURNS TABLE (value text, stored text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TYPE asked AS (v %s)', type);
  FOREACH value IN ARRAY vals LOOP
    BEGIN
      EXECUTE 'SELECT coalesce((jsonb_populate_record(NULL::asked, jsonb_build_object(''v'', $1::jsonb))).v::text, ''(null)'')' INTO stored USING value;
    EXCEPTION WHEN OTHERS THEN stored := SQLSTATE;
    END;
    RETURN NEXT;
  END LOOP;
  DROP TYPE asked;
END $$;
CREATE TABLE compared AS SELECT type, t.value, coalesce(ours.stored, code) AS ours, theirs.stored AS theirs
FROM typed, (SELECT array_agg(value) AS all FROM valued) v, try(type, VARIADIC v.all) ours JOIN valued t USING (value), oracle(type, VARIADIC v.all) theirs WHERE theirs.value = t.value;
SELECT count(*) = (SELECT count(*) FROM typed) * (SELECT count(*) FROM valued) AS all, count(*) FILTER (WHERE ours IS NULL OR theirs IS NULL) AS missing,
  count(*) FILTER (WHERE ours !~ '^[0-9A-Z]{5}$') > 1000 AS many_stored, count(DISTINCT ours) FILTER (WHERE ours ~ '^[0-9A-Z]{5}$') > 8 AS many_codes FROM compared;
-- where we differ
SELECT type, value, ours, theirs FROM compared WHERE ours <> theirs AND value !~ '(now|today)' ORDER BY type COLLATE "C", value COLLATE "C";
SELECT type, string_agg(value || ' ' || ours, ' · ' ORDER BY value COLLATE "C") FROM compared WHERE ours <> theirs AND value ~ '(now|today)' GROUP BY 1 ORDER BY type COLLATE "C";
DROP SCHEMA types_oracle CASCADE;
DROP SERVER types;
