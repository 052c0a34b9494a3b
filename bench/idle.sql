-- Streams :first to :last, each with an aggregate, all of one topic; started, and at its end.
-- Variable topic.
SELECT format($$
  CREATE FOREIGN TABLE events_%s (
    device_type text,
    ts          timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
  ) SERVER kafka OPTIONS (topic %L, event_time 'ts') $$, n, :'topic'),
  format('SELECT streamagg.create_aggregate(%L, %L)', 'result_' || n, format($$
  SELECT w.window_start, e.device_type, count(*) AS events
  FROM events_%s e, streamagg.tumble(e.ts, '1 minute') w
  GROUP BY 1, 2 $$, n)),
  format('SELECT streamagg.start(%L)', 'events_' || n),
  format('SELECT streamagg.wait_for(%L)', 'events_' || n)
FROM generate_series(:first, :last) n
\gexec
