-- The accounts that must balance at the end of demo/run: what, what it should be, what it is.
-- :produced and :broken are the broker's own counts; all else is streamagg's.
WITH p AS (
  SELECT sum(read) AS read, sum(accepted) AS accepted, sum(quarantined) AS quarantined,
         sum(tombstones) AS tombstones, sum(dropped + duplicate) AS left_out,
         sum(gaps + lost) AS missed, sum(lag) AS lag
  FROM streamagg.partitions
  WHERE stream = 'user_login'::regclass),
v AS (
  SELECT coalesce(sum(logins), 0) AS logins
  FROM logins_1m),
i AS (
  SELECT coalesce(sum(logins), 0) AS logins, count(*) AS addresses,
         count(*) FILTER (WHERE ip ~ '^[0-9a-f]{64}$') AS pseudonyms
  FROM logins_by_ip),
q AS (
  SELECT count(*) AS rows
  FROM streamagg.quarantine
  WHERE stream = 'user_login'::regclass)
SELECT fact, expected, found
FROM p, v, i, q, LATERAL (VALUES
  (1, 'events that the broker got = records read', :produced, p.read),
  (2, 'records read = accepted + quarantined + tombstones', p.read,
      p.accepted + p.quarantined + p.tombstones),
  (3, 'broken events that the broker got = quarantined', :broken, p.quarantined),
  (4, 'quarantined = rows of streamagg.quarantine', p.quarantined, q.rows),
  (5, 'accepted = sum of logins in the view', p.accepted, v.logins),
  (6, 'accepted = sum of logins by address', p.accepted, i.logins),
  (7, 'addresses = pseudonyms', i.addresses, i.pseudonyms),
  (8, 'nothing missed, dropped or left out', 0, p.missed + p.left_out),
  (9, 'lag', 0, p.lag)) AS c (n, fact, expected, found)
ORDER BY n;
