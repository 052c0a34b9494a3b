-- Q1 over windows of a minute that begin every 10 seconds. Those of a full minute are Q1's: they count.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, e.device_type, e.locale,
         count(*) * (extract(second FROM w.window_start) = 0)::int AS events,
         min(e.ts) AS first, max(e.ts) AS last
  FROM events e, streamagg.hop(e.ts, '10 seconds', '1 minute') w
  GROUP BY 1, 2, 3 $$);
