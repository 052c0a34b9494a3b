-- Columns that nobody reads: their values are judged and not kept, and what copies whole rows finds none.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA unread;
SET search_path = unread;
CREATE SERVER unread FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (n int, t text, u text, ts timestamptz NOT NULL) SERVER unread OPTIONS (event_time 'ts');
-- an average is PostgreSQL's to compute, which copies the first row as it is, before it looks at the others
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n, avg(n) AS a FROM s');
SELECT accepted FROM streamagg.push('s', (SELECT array_agg(format('{"n": %s, "t": "%s", "u": "u", "ts": "2024-01-01T00:00:00Z"}', i, repeat('x', i)))
  FROM generate_series(1, 1000) i));
SELECT n, a FROM total;
DROP SCHEMA unread CASCADE;
DROP SERVER unread;
