-- The Yahoo Streaming Benchmark: views per campaign of the advertisement, windows of 10 seconds.
-- Variables: bootstrap, topic. 1000 ads of 100 campaigns; the ids are those of events_ysb.c.
CREATE EXTENSION streamagg;

CREATE TABLE ads (ad_id uuid PRIMARY KEY, campaign int NOT NULL);
INSERT INTO ads
SELECT (lpad(to_hex(n * 2654435761 % 4294967296), 8, '0') || '-0000-4000-8000-' ||
        lpad(to_hex(n), 12, '0'))::uuid, n % 100
FROM generate_series(0::bigint, 999) n;
ANALYZE ads;

CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers :'bootstrap');

CREATE FOREIGN TABLE events (
  user_id    uuid        NOT NULL,
  page_id    uuid        NOT NULL,
  ad_id      uuid        NOT NULL,
  ad_type    text,
  event_type text        NOT NULL CHECK (event_type IN ('view', 'click', 'purchase')),
  event_time timestamptz OPTIONS (encoding 'epoch_ms') NOT NULL,
  ip_address text
) SERVER kafka OPTIONS (topic :'topic', event_time 'event_time');

SELECT streamagg.create_aggregate('result', $$
  SELECT w.window_start, a.campaign, count(*) AS events
  FROM events e JOIN ads a USING (ad_id), streamagg.tumble(e.event_time, '10 seconds') w
  WHERE e.event_type = 'view'
  GROUP BY 1, 2 $$);
