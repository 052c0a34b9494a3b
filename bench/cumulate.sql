-- Q1 over windows that grow by 10 seconds to a minute. Those of a whole minute are Q1's: they count.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, w.window_end, e.device_type, e.locale,
         count(*) * (extract(second FROM w.window_end) = 0)::int AS events,
         min(e.ts) AS first, max(e.ts) AS last
  FROM events e, streamagg.cumulate(e.ts, '10 seconds', '1 minute') w
  GROUP BY 1, 2, 3, 4 $$);
