-- Q1 over the login events: per minute, device type and locale.
-- Variables: bootstrap, topic. ip is protected and nobody reads it.
CREATE EXTENSION streamagg;
SELECT streamagg.create_key('pii');

CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers :'bootstrap');

CREATE FOREIGN TABLE login (
  user_id     uuid        NOT NULL,
  app_version text,
  device_type text        NOT NULL CHECK (device_type IN ('android', 'ios', 'web')),
  ip          text OPTIONS (protect 'hmac', protect_key 'pii', canonical 'inet'),
  locale      text,
  device_id   text,
  ts          timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic :'topic', event_time 'ts', watermark_delay '30 seconds');

SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, l.device_type, l.locale, count(*) AS events, min(l.ts) AS first,
         max(l.ts) AS last
  FROM login l, streamagg.tumble(l.ts, '1 minute') w
  GROUP BY 1, 2, 3 $$);
