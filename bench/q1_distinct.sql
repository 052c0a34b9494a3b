-- Q1 and the distinct addresses: each kept once a group.
SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, e.device_type, e.locale, count(*) AS events, min(e.ts) AS first,
         max(e.ts) AS last, count(DISTINCT e.ip) AS ips
  FROM events e, streamagg.tumble(e.ts, '1 minute') w
  GROUP BY 1, 2, 3 $$);
