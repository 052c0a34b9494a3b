-- demo/run runs this file and shows every statement. To try it on a broker of your own:
--   psql -v bootstrap=localhost:9092 -f demo/demo.sql

-- The engine itself comes with shared_preload_libraries = 'streamagg'; this adds the SQL side.
CREATE EXTENSION streamagg;

-- Where Kafka is.
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers :'bootstrap');

-- A key for the pseudonyms of personal data.
SELECT streamagg.create_key('demo');

-- A topic is a foreign table, and its constraints are the data-quality rules: an event that breaks
-- a type, NOT NULL or CHECK goes to quarantine with the reason, never into a result.
-- ip and device_id are personal data: they become pseudonyms while an event is read.
CREATE FOREIGN TABLE user_login (
  user_id     uuid        NOT NULL,
  app_version text,
  device_type text        NOT NULL CHECK (device_type IN ('android', 'ios', 'web')),
  ip          text        OPTIONS (protect 'hmac', protect_key 'demo', canonical 'inet'),
  locale      text,
  device_id   text        OPTIONS (protect 'hmac', protect_key 'demo'),
  ts          timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
) SERVER kafka
  OPTIONS (topic 'user-login', format 'json', event_time 'ts', watermark_delay '30 seconds');

-- A continuous aggregate is a query. Its result is the view logins_1m, kept up to date from here on.
SELECT streamagg.create_aggregate('logins_1m', $$
  SELECT w.window_start, w.window_end, l.device_type,
         count(*) AS logins,
         min(l.ts) AS first_login,
         max(l.ts) AS last_login,
         avg((l.app_version = '2.3.0')::int) AS share_of_2_3_0
  FROM user_login l, streamagg.tumble(l.ts, '1 minute') w
  GROUP BY 1, 2, 3 $$);

-- A second one over the same stream, without a window: totals since the beginning, by pseudonym.
SELECT streamagg.create_aggregate('logins_by_ip', $$
  SELECT ip, count(*) AS logins, max(ts) AS last_login FROM user_login GROUP BY ip $$);

-- Read the topic from its beginning, and go on until told to stop.
SELECT streamagg.start('user_login');
