-- jsonb as oracle, of values in columns of other types: text, json and numeric take what jsonb_populate_record takes.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
CREATE SCHEMA json_oracle_values;
SET search_path = json_oracle_values;
\getenv source PG_ABS_SRCDIR
\set source :source '/data/json_documents.txt'
CREATE TABLE documents (doc text);
COPY documents FROM :'source' (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02', FORCE_NOT_NULL (doc));
DELETE FROM documents WHERE doc LIKE '## %';
-- numbers in strings, and numbers at the ends of numeric
INSERT INTO documents SELECT format('"%s"', n) FROM unnest('{1,-1,+1,01,00.10,1.5,.5,5.,1e5,1E-5,1e+5,-.5e-1," 1","1 ","\\t1\\n","1 2","- 1",--1,+-1,.,-,e5,1e,1e+,1.2.3,"1,5",one,true,null,NaN,nan,Infinity,-Infinity,inf,0x,x10,$1,1%,١}'::text[]) n;
INSERT INTO documents SELECT format(f, n) FROM unnest('{%s,"\"%s\"",[%s]}'::text[]) f, unnest('{1e131071,1e131072,-1e131072,1e-16383,1e-16384,0e-16384,0e131072,0e1073741822,0e1073741824,0e99999999999999999999,-0.0e+99999999999999999999,1e99999999999999999999}'::text[]) n;

-- what jsonb_populate_record makes of a message: SQLSTATE or ok, and the value's text
CREATE TYPE of_text AS (v text);
CREATE TYPE of_json AS (v json);
CREATE TYPE of_numeric AS (v numeric);
CREATE FUNCTION populated(kind text, message text, OUT says text, OUT printed text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT (jsonb_populate_record(NULL::%I, $1::jsonb)).v::text', 'of_' || kind) INTO printed USING message;
  says := 'ok';
EXCEPTION WHEN OTHERS THEN says := SQLSTATE;
END $$;
-- what is no JSON is of no interest here, nor what goes on behind a value
CREATE TABLE messages AS SELECT row_number() OVER (ORDER BY doc COLLATE "C") - 1 AS o, doc, '{"v": ' || doc || '}' AS message
FROM documents WHERE (populated('text', '{"v": ' || doc || '}')).says IN ('ok', '22003') AND (populated('text', '{"v": [' || doc || ']}')).says IN ('ok', '22003');

CREATE SERVER json_oracle_values FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s_text (v text, o bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp')) SERVER json_oracle_values OPTIONS (event_time 'at');
CREATE FOREIGN TABLE s_json (v json, o bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp')) SERVER json_oracle_values OPTIONS (event_time 'at');
CREATE FOREIGN TABLE s_numeric (v numeric, o bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp')) SERVER json_oracle_values OPTIONS (event_time 'at');
SELECT streamagg.create_aggregate('seen_' || kind, format('SELECT o, min(v::text) AS v, count(*) AS n FROM s_%s GROUP BY 1', kind)) FROM unnest('{text,json,numeric}'::text[]) kind;
SELECT kind, read = accepted + quarantined AS complete, read > 300 AS enough
FROM unnest('{text,json,numeric}'::text[]) kind, streamagg.push(('s_' || kind)::regclass, (SELECT array_agg(message ORDER BY o) FROM messages));

CREATE VIEW seen AS SELECT 'text' AS kind, o, v FROM seen_text UNION ALL SELECT 'json', o, v FROM seen_json UNION ALL SELECT 'numeric', o, v FROM seen_numeric;
CREATE TABLE judged AS
SELECT kind, m.o, doc, says, printed, left(btrim(doc, E' \t'), 1) AS first, coalesce(q.code, CASE WHEN s.o IS NOT NULL THEN 'ok' END) AS found, v
FROM unnest('{text,json,numeric}'::text[]) kind CROSS JOIN messages m CROSS JOIN LATERAL populated(kind, message) LEFT JOIN seen s USING (kind, o)
LEFT JOIN streamagg.quarantine q ON q.stream = ('s_' || kind)::regclass AND record_offset = m.o;
SELECT kind, says AS jsonb, found AS stream, count(*) FROM judged GROUP BY 1, 2, 3 ORDER BY kind COLLATE "C", says COLLATE "C", found COLLATE "C";
-- on purpose: text takes numbers as they are written, of any size, and json takes objects and arrays so;
-- numeric takes no NaN and no infinity, and does not look into an array for its numbers
CREATE VIEW expected AS
SELECT *, CASE WHEN kind = 'text' AND first ~ '[-0-9]' OR kind = 'json' AND first IN ('{', '[') THEN 'as written'
  WHEN kind = 'numeric' AND printed IN ('NaN', 'Infinity', '-Infinity') THEN 'not finite' WHEN kind = 'numeric' AND first IN ('{', '[') THEN 'composite' END AS on_purpose
FROM judged;
SELECT kind, on_purpose, says AS jsonb, found AS stream, count(*), count(*) FILTER (WHERE v IS DISTINCT FROM printed) AS values_differ, count(*) FILTER (WHERE v = btrim(doc, E' \t')) AS as_written
FROM expected WHERE on_purpose IS NOT NULL GROUP BY 1, 2, 3, 4 ORDER BY kind COLLATE "C", on_purpose, says COLLATE "C";
-- everything else: no differences
SELECT kind, left(doc, 80) AS document, says AS jsonb, left(printed, 40) AS printed, found AS stream, left(v, 40) AS v FROM expected
WHERE on_purpose IS NULL AND (says, printed) IS DISTINCT FROM (found, v) ORDER BY kind COLLATE "C", o;

SET client_min_messages = warning;
DROP SCHEMA json_oracle_values CASCADE;
DROP SERVER json_oracle_values;
