-- What demo/run shows again and again: how far the stream is, the most active address, the newest
-- windows, the quarantine.
\pset format unaligned
\pset tuples_only on
SELECT format('%s  %s, lag %s (%s s); read %s = accepted %s + quarantined %s',
              to_char(clock_timestamp(), 'HH24:MI:SS'),
              concat_ws(': ', s.state, CASE WHEN s.state <> 'running' THEN s.reason END),
              coalesce(s.lag, 0), round(coalesce(s.lag_seconds, 0), 1),
              coalesce(sum(p.read), 0), coalesce(sum(p.accepted), 0),
              coalesce(sum(p.quarantined), 0))
FROM streamagg.streams s LEFT JOIN streamagg.partitions p USING (stream)
WHERE s.stream = 'user_login'::regclass
GROUP BY s.state, s.reason, s.lag, s.lag_seconds;

SELECT format('logins_by_ip: %s addresses, the most active %s… with %s logins', count(*),
              left((array_agg(ip ORDER BY logins DESC, ip))[1], 16), max(logins))
FROM logins_by_ip;

SELECT format('logins_1m, the newest of %s rows with %s logins:', count(*), sum(logins))
FROM logins_1m;
\pset tuples_only off
\pset format aligned

SELECT to_char(window_start, 'HH24:MI') AS "from", to_char(window_end, 'HH24:MI') AS "to",
       device_type, logins, to_char(last_login, 'HH24:MI:SS') AS last_login,
       round(share_of_2_3_0, 3) AS share_of_2_3_0, is_final
FROM logins_1m
ORDER BY window_start DESC, device_type
LIMIT 9;

SELECT reason AS "streamagg.quarantine: reason", count(*) AS events
FROM streamagg.quarantine
WHERE stream = 'user_login'::regclass
GROUP BY reason
ORDER BY events DESC, reason
LIMIT 6;
