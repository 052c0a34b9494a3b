-- QU: per minute and user: about as many groups as rows in a batch.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, e.user_id, count(*) AS events
  FROM events e, streamagg.tumble(e.ts, '1 minute') w
  GROUP BY 1, 2 $$);
