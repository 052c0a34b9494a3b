-- Every object of the extension says what it is, and so does every column of every view.
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
BEGIN;
SELECT plan(8);

CREATE TEMP VIEW members AS
SELECT classid, objid, pg_describe_object(classid, objid, 0) AS what FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'streamagg');

SELECT cmp_ok((SELECT count(*)::int FROM members), '>', 40, 'the extension has members to look at');
-- what PostgreSQL makes along with a relation is no object of its own
SELECT is_empty($$SELECT what FROM members WHERE obj_description(objid, classid::regclass::name) IS NULL
    AND classid NOT IN ('pg_type'::regclass) AND what !~ '^(schema|toast|rule|index|constraint)'$$,
  'every table, view, function, wrapper and event trigger has a comment');
SELECT is_empty($$SELECT what FROM members WHERE coalesce(obj_description(objid, classid::regclass::name), 'X.') !~ '\.$'$$,
  'comments are sentences');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN members m ON m.objid = a.attrelid JOIN pg_class c ON c.oid = a.attrelid
    WHERE m.classid = 'pg_class'::regclass AND c.relkind = 'v' AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) IS NULL$$,
  'every column of every view has a comment');
SELECT is_empty($$SELECT attname FROM pg_attribute WHERE attrelid = 'streamagg.merge_rules'::regclass AND attnum > 0
    AND col_description(attrelid, attnum) IS NULL$$,
  'every column of merge_rules has a comment');
SELECT isnt(obj_description((SELECT oid FROM pg_extension WHERE extname = 'streamagg'), 'pg_extension'), NULL, 'the extension has a comment');

-- what create_aggregate makes
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz) SERVER local OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('agg', 'SELECT k, count(*) AS n FROM s GROUP BY 1') \g /dev/null
SELECT is_empty($$SELECT relname FROM pg_class WHERE relname ~ '^agg' AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL$$,
  'view, state and definition of an aggregate have comments');
SELECT is_empty($$SELECT attname FROM pg_attribute WHERE attrelid = 'agg'::regclass AND attname IN ('is_final', 'updated_at')
    AND col_description(attrelid, attnum) IS NULL$$,
  'the columns that the view adds have comments');
SELECT * FROM finish();
ROLLBACK;
