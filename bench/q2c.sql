-- Q2c: Q1, and the greatest pseudonym of an address: a digest for each row.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, e.device_type, e.locale, count(*) AS events, min(e.ts) AS first,
         max(e.ts) AS last, max(e.ip) AS ip
  FROM events e, streamagg.tumble(e.ts, '1 minute') w
  GROUP BY 1, 2, 3 $$);
