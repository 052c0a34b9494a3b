-- Q1: per minute, device type and locale.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, e.device_type, e.locale, count(*) AS events, min(e.ts) AS first,
         max(e.ts) AS last
  FROM events e, streamagg.tumble(e.ts, '1 minute') w
  GROUP BY 1, 2, 3 $$);
