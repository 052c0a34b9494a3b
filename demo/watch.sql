-- What demo/run shows every two seconds: the stream, the newest three windows, the quarantine.
SELECT to_char(clock_timestamp(), 'HH24:MI:SS') AS at, s.state, s.lag, s.lag_seconds,
       sum(p.read) AS read, sum(p.accepted) AS accepted, sum(p.quarantined) AS quarantined
FROM streamagg.streams s LEFT JOIN streamagg.partitions p USING (stream)
WHERE s.stream = 'user_login'::regclass
GROUP BY s.state, s.lag, s.lag_seconds;

SELECT to_char(window_start, 'HH24:MI') AS "from", to_char(window_end, 'HH24:MI') AS "to",
       device_type, logins, to_char(last_login, 'HH24:MI:SS') AS last_login,
       round(share_of_2_3_0, 3) AS share_of_2_3_0, is_final
FROM logins_1m
ORDER BY window_start DESC, device_type
LIMIT 9;

SELECT reason AS "reason for quarantine", column_name, count(*) AS events
FROM streamagg.quarantine
WHERE stream = 'user_login'::regclass
GROUP BY reason, column_name
ORDER BY events DESC, reason
LIMIT 6;
