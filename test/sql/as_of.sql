-- as_of(): the offsets that a query's rows stand at.
\set SHOW_CONTEXT never
CREATE SCHEMA offsets;
SET search_path = offsets;
CREATE SERVER offsets FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER offsets OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT streamagg.as_of('total'), n FROM total;
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{', NULL]);
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}'], 12);
SELECT streamagg.as_of('total'), n FROM total;
-- each partition under its number
SELECT key::int AS partition, value AS next_offset FROM jsonb_each(streamagg.as_of('total')) ORDER BY 1;

-- it fits the snapshot of the query, whatever was committed since
BEGIN ISOLATION LEVEL REPEATABLE READ;
DECLARE c CURSOR FOR SELECT streamagg.as_of('total'), n FROM total;
SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);
SELECT streamagg.as_of('total'), n FROM total;
FETCH c;
COMMIT;

-- who may read the aggregate
CREATE ROLE regress_offsets_reader;
CREATE ROLE regress_offsets_column;
CREATE ROLE regress_offsets_stranger;
GRANT USAGE ON SCHEMA offsets TO regress_offsets_reader, regress_offsets_column, regress_offsets_stranger;
GRANT SELECT ON total TO regress_offsets_reader;
GRANT SELECT (n) ON total TO regress_offsets_column;
SET ROLE regress_offsets_reader;
SELECT streamagg.as_of('total'), n FROM total;
SET ROLE regress_offsets_column;
SELECT streamagg.as_of('total'), n FROM total;
SET ROLE regress_offsets_stranger;
SELECT streamagg.as_of('total');
RESET ROLE;
-- what is no aggregate
SELECT streamagg.as_of('total_state');
SELECT streamagg.as_of('s');
SELECT streamagg.as_of(1);
SELECT streamagg.as_of(NULL);

-- an aggregate that is left of a dropped stream stands nowhere
SET client_min_messages = warning;
DROP FOREIGN TABLE s CASCADE;
SELECT streamagg.as_of('total') IS NULL AS nowhere, n FROM total;
DROP SCHEMA offsets CASCADE;
DROP SERVER offsets;
DROP ROLE regress_offsets_reader, regress_offsets_column, regress_offsets_stranger;
