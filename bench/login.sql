-- The login events as a stream; q1.sql and others aggregate it.
-- Variables: bootstrap, topic. ip is protected: its digest is made where a query reads it, hex digits
-- whose order no language has a say in.
CREATE EXTENSION streamagg;
SELECT streamagg.create_key('pii');

CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers :'bootstrap');

CREATE FOREIGN TABLE events (
  user_id     uuid        NOT NULL,
  app_version text,
  device_type text        NOT NULL CHECK (device_type IN ('android', 'ios', 'web')),
  ip          text OPTIONS (protect 'hmac', protect_key 'pii', canonical 'inet') COLLATE "C",
  locale      text,
  device_id   text,
  ts          timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic :'topic', event_time 'ts', watermark_delay '30 seconds');
