-- As many aggregates as the variable says, each as Q1 but with windows of another length.
SELECT format('SELECT streamagg.create_aggregate(%L, %L)', 'result_' || n, format($$
  SELECT w.window_start, e.device_type, e.locale, count(*) AS events, min(e.ts) AS first,
         max(e.ts) AS last
  FROM events e, streamagg.tumble(e.ts, '%s minutes') w
  GROUP BY 1, 2, 3 $$, n))
FROM generate_series(1, :aggregates) n
\gexec
