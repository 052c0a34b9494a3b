-- jsonb as oracle: verdicts and values of documents, as they are and as the value of a key (I1 to I8, I23, I24).
-- The documents are in test/data/json_documents.txt; those here need more than a line, or differ on purpose.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA json_oracle;
SET search_path = json_oracle;
\getenv source PG_ABS_SRCDIR
\set source :source '/data/json_documents.txt'
CREATE TABLE documents (doc text);
-- a line is one column: no line has the delimiter or the quote
COPY documents FROM :'source' (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02', FORCE_NOT_NULL (doc));
DELETE FROM documents WHERE doc LIKE '## %';
INSERT INTO documents VALUES (''), (' '), (E'\n'), (E' \t\r\n'), (E'\n1'), (E'1\n'), (E'\r\n[\r\n1\r\n,\r\n2\r\n]\r\n'), (E'{\n"a"\n:\n1\n}\n'), ('{} '), (E'"a\nb"'), (E'"a\rb"'),
  (E'"\x01"'), (E'"\x02"'), (E'"a\\\nb"'), (E'[1,\n]'), (E'{"a": 1}\n{"a": 2}'), (E'{"a": 1} // one\n'), (E'# one\n{"a": 1}'), (E'tr\nue'), (E'1\n2'), (E'-\n1'), (E'"\\u00\n41"'), (E'1\x01'), (E'[\x01]');
-- long ones: around what readers do at once, and to megabytes
INSERT INTO documents SELECT '"' || repeat(c, n) || e || '"' FROM (VALUES ('x'), ('é'), ('\n'), ('\u00e9'), ('\ud83d\ude00'), ('\\'), (' ')) c(c),
  (VALUES (15), (16), (17), (31), (32), (61), (62), (63), (64), (65), (127), (5000)) n(n), (VALUES (''), ('\"'), ('\')) e(e);
INSERT INTO documents SELECT repeat('7', n) || e FROM (VALUES (15), (16), (17), (18), (19), (20), (63), (64), (65), (5000), (131072)) n(n), (VALUES (''), ('.5'), ('e0'), ('x'), ('.')) e(e);
INSERT INTO documents SELECT repeat(' ', n) || d || repeat(E'\n', n) FROM (VALUES (1), (30), (31), (32), (33), (62), (63), (64), (65), (4000)) n(n), (VALUES ('1'), ('{"a": "b"}'), ('[tru]'), ('[ ]')) d(d);
INSERT INTO documents SELECT '{' || string_agg(format('"key %s": %s', i, i), ',') || ', "a": "last"}' FROM generate_series(1, 5000) i;
INSERT INTO documents SELECT '[' || string_agg('{"a": [1, "b", null]}', ',') || e || ']' FROM generate_series(1, 5000) i, (VALUES (''), (','), ('}')) e(e) GROUP BY e;
INSERT INTO documents SELECT '{"' || repeat('k', n) || '": 1, "a": 2}' FROM (VALUES (1), (7), (8), (9), (15), (16), (17), (255), (100000)) n(n);
INSERT INTO documents VALUES ('"' || repeat('x', 1000000) || '"'), ('"' || repeat('x', 100000)), (repeat(' ', 100000) || 'x'), ('[' || repeat('1,', 40000) || '1]'), ('[' || repeat('1,', 40000) || ']');
-- as deep as both go: 512 levels, of which the object around a value is one
INSERT INTO documents SELECT repeat(o, n) || i || repeat(c, n) FROM (VALUES ('[', ']'), ('{"a":', '}'), ('[{"":', '}]')) b(o, c), (VALUES (1), (64), (65), (255)) n(n), (VALUES ('1'), ('"x"'), ('{}'), ('x'), ('"\u0000"')) i(i);
INSERT INTO documents SELECT repeat(o, n) || '1' || repeat(c, n - m) FROM (VALUES ('[', ']'), ('{"a":', '}')) b(o, c), (VALUES (510), (511)) n(n), (VALUES (0), (1), (-1)) m(m);
SELECT count(*) > 900 AS enough FROM documents;

-- what jsonb says of a message: its SQLSTATE, or ok
CREATE FUNCTION jsonb_says(message text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE value jsonb; BEGIN value := message::jsonb; RETURN 'ok'; EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE; END $$;
CREATE TABLE messages AS
SELECT way, row_number() OVER (PARTITION BY way ORDER BY doc COLLATE "C") - 1 AS o, doc, message FROM documents,
  LATERAL (VALUES (0, doc), (1, '{"ts": "2024-01-01T00:00:00Z", "v": ' || doc || '}')) m(way, message);
-- one byte order mark at the beginning is passed over: jsonb is asked without it
ALTER TABLE messages ADD marked boolean, ADD says text, ADD value jsonb;
UPDATE messages SET marked = message LIKE U&'\FEFF%', says = jsonb_says(regexp_replace(message, U&'^\FEFF', ''));
UPDATE messages SET value = regexp_replace(message, U&'^\FEFF', '')::jsonb WHERE says = 'ok';

CREATE SERVER json_oracle FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (
  v jsonb, a jsonb, ab jsonb OPTIONS (path 'a.b'), e jsonb OPTIONS (path '""'), ee jsonb OPTIONS (path '"".""'), q jsonb OPTIONS (path '"a"""'), vab jsonb OPTIONS (path 'v.a.b'), ts timestamptz,
  p int OPTIONS (meta 'partition'), o bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp')
) SERVER json_oracle OPTIONS (event_time 'at', max_message_bytes '2MB');
SELECT streamagg.create_aggregate('seen', $$
  SELECT p, o, min(v::text) AS v, min(a::text) AS a, min(ab::text) AS ab, min(e::text) AS e, min(ee::text) AS ee, min(q::text) AS q, min(vab::text) AS vab, count(*) AS n
  FROM s GROUP BY 1, 2 $$);
SELECT DISTINCT way, read = accepted + quarantined AS complete, dropped, tombstones FROM (SELECT way, array_agg(message ORDER BY o) AS all_of_them FROM messages GROUP BY 1) m,
  streamagg.push('s', all_of_them, way) ORDER BY 1;
CREATE VIEW judged AS
SELECT m.*, CASE WHEN says = 'ok' AND jsonb_typeof(value) <> 'object' THEN '22023' ELSE says END AS expected, coalesce(q.code, CASE WHEN s.n = 1 THEN 'ok' END) AS found,
  v, a, ab, e, ee, s.q, vab
FROM messages m LEFT JOIN seen s ON s.p = way AND s.o = m.o LEFT JOIN streamagg.quarantine q ON q.stream = 's'::regclass AND partition = way AND record_offset = m.o;

-- the verdicts; a document that is no object is 22023 for a stream, and all else is as jsonb says: no differences
SELECT way, marked, says AS jsonb, found AS stream, count(*) FROM judged GROUP BY 1, 2, 3, 4 ORDER BY way, marked, says COLLATE "C", found COLLATE "C";
SELECT way, left(message, 80) AS message, says AS jsonb, expected, found FROM judged WHERE found IS DISTINCT FROM expected ORDER BY way, o;
-- the values, JSON null being NULL: no differences
CREATE FUNCTION printed(value jsonb) RETURNS text LANGUAGE sql AS $$ SELECT nullif(value, 'null')::text $$;
SELECT count(v) AS v, count(a) AS a, count(ab) AS ab, count(e) AS e, count(ee) AS ee, count(q) AS q, count(vab) AS vab FROM judged;
SELECT way, left(message, 80) AS message, left(v, 40) AS v, a, ab, e, ee, q, vab FROM judged WHERE found = 'ok' AND (v, a, ab, e, ee, q, vab) IS DISTINCT FROM
  (printed(value -> 'v'), printed(value -> 'a'), printed(value #> '{a,b}'), printed(value -> ''), printed(value #> '{"",""}'), printed(value -> 'a"'), printed(value #> '{v,a,b}')) ORDER BY way, o;
-- wrapped, a document is judged as it is alone, but for those that go on behind a value; and has its value
SELECT doc AS document, jsonb_says(doc) AS jsonb, found AS stream, v FROM judged WHERE way = 1 AND jsonb_says(doc) IS DISTINCT FROM found ORDER BY o;
SELECT left(doc, 80) AS document, left(v, 40) AS v FROM judged WHERE way = 1 AND jsonb_says(doc) = 'ok' AND v IS DISTINCT FROM printed(doc::jsonb);

-- where a stream differs from jsonb: levels beyond 512, sizes
CREATE TABLE deliberate (o serial, what text, message text);
INSERT INTO deliberate (what, message) SELECT format('%s levels of %s', n, o), '{"a":' || repeat(o, n - 1) || '0' || repeat(c, n - 1) || '}'
FROM (VALUES (512), (513), (1000)) n(n), (VALUES ('{"a":', '}'), ('[', ']')) b(o, c) ORDER BY n, o COLLATE "C";
INSERT INTO deliberate (what, message) VALUES ('250000 brackets', repeat('[', 250000)), ('a fault at level 512', repeat('[', 512) || 'x' || repeat('[', 512)),
  ('a fault at level 513', repeat('{"a":', 513) || 'x'), ('as long as max_message_bytes', '{"a": "' || repeat('x', 2 * 1024 * 1024 - 9) || '"}'),
  ('longer than max_message_bytes', '{"a": "' || repeat('x', 2 * 1024 * 1024 - 8) || '"}'), ('a number too large, and again', '{"v": 1e999999, "v": 1}'), ('a number too large, then a fault', '{"v": 1e999999 x}');
-- numbers beyond numeric, which are of no account where no column wants them
INSERT INTO deliberate (what, message) SELECT n, replace(f, 'n', n) FROM unnest(ARRAY['n', '[n]', '{"z": n}', '{"z": [n]}', '{"v": n}', '{"v": [n]}', '{"v": {"a": {"b": n}}}']) WITH ORDINALITY f(f, i),
  unnest('{1e131071,1e131072,-1e131072,1e-16383,1e-16384,0e-16384,0e131072,0e1073741822,0e1073741824,0e99999999999999999999,-0.0e+99999999999999999999,1e99999999999999999999,1e-99999999999999999999}'::text[]) WITH ORDINALITY n(n, k) ORDER BY k, i;
SELECT read = accepted + quarantined AS complete FROM streamagg.push('s', (SELECT array_agg(message ORDER BY o) FROM deliberate), 2);
CREATE VIEW differing AS SELECT d.o, what, message, jsonb_says(message) AS jsonb, coalesce(q.code, 'ok') AS stream
FROM deliberate d LEFT JOIN streamagg.quarantine q ON q.stream = 's'::regclass AND partition = 2 AND record_offset = d.o - 1;
SELECT what, jsonb, stream FROM differing WHERE o <= 13 ORDER BY o;
SELECT string_agg(n, ' ' ORDER BY first) AS n, verdicts FROM (
  SELECT what AS n, min(o) AS first, string_agg(replace(message, what, 'n') || ': ' || CASE WHEN jsonb = stream THEN jsonb ELSE jsonb || ' ' || stream END, '; ' ORDER BY o) AS verdicts
  FROM differing WHERE o > 13 GROUP BY what) v GROUP BY verdicts ORDER BY min(first);

SET client_min_messages = warning;
DROP SCHEMA json_oracle CASCADE;
DROP SERVER json_oracle;
