-- The accounts that must balance at the end of demo/run: fact, what it should be, what it is.
-- :produced and :broken are the broker's own counts.
WITH p AS (
  SELECT sum(read) AS read, sum(accepted) AS accepted, sum(quarantined) AS quarantined,
         sum(tombstones) AS tombstones, sum(dropped + duplicate) AS left_out,
         sum(gaps + lost) AS missed, sum(lag) AS lag
  FROM streamagg.partitions
  WHERE stream = 'user_login'::regclass),
v AS (
  SELECT count(DISTINCT window_start) AS windows, coalesce(sum(logins), 0) AS logins
  FROM logins_1m)
SELECT fact, expected, found
FROM p, v, LATERAL (VALUES
  (1, 'events produced = records read', :produced, p.read),
  (2, 'records read = accepted + quarantined + tombstones', p.read,
      p.accepted + p.quarantined + p.tombstones),
  (3, 'broken events = quarantined', :broken, p.quarantined),
  (4, 'accepted = logins in the view', p.accepted, v.logins),
  (5, 'windows in the view', greatest(v.windows, 1), v.windows),
  (6, 'records missed or left out', 0, p.missed + p.left_out),
  (7, 'lag', 0, p.lag)) AS c (n, fact, expected, found)
ORDER BY n;
