-- An aggregate a minute over groups, whose windows are kept for a time; a batch is an hour of all groups.
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE events (k int NOT NULL, ts timestamptz NOT NULL)
SERVER local OPTIONS (event_time 'ts', watermark_delay '10 seconds');
SELECT streamagg.create_aggregate('by_minute', $$
  SELECT w.window_start, w.window_end, k, count(*) AS n, sum(k) AS total
  FROM events, streamagg.tumble(ts, '1 minute') w GROUP BY 1, 2, 3 $$, retention => :'retention');

CREATE TABLE batches (day int, ms float8);
-- the hours of a day, counted from 0
CREATE PROCEDURE push_day(day int, groups int) LANGUAGE plpgsql AS $$
DECLARE
  began timestamptz;
  messages text[];
BEGIN
  FOR hour IN 0..23 LOOP
    SELECT array_agg(format('{"k": %s, "ts": "%sZ"}', k, at) ORDER BY at, k) INTO messages
    FROM generate_series(1, groups) k, generate_series(0, 59) minute,
      to_char('2020-01-01'::timestamp + make_interval(days => day, hours => hour, mins => minute), 'YYYY-MM-DD"T"HH24:MI:SS') at;
    began := clock_timestamp();
    PERFORM streamagg.push('events', messages);
    INSERT INTO batches VALUES (day, extract(epoch FROM clock_timestamp() - began) * 1000);
    COMMIT;
  END LOOP;
END $$;

CREATE VIEW due AS
SELECT FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid, streamagg.aggregate_catalog a
WHERE inhparent = a.state_table
  AND substring(pg_get_expr(relpartbound, c.oid), $r$TO \('(.*)'\)$r$)::timestamptz + a.kept <= streamagg.closed_until(a.state_table);
