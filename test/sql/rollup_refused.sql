-- What cannot be rolled up is refused.
\set SHOW_CONTEXT never
SET TimeZone = 'UTC';
CREATE SCHEMA rollup_refused;
SET search_path = rollup_refused;
CREATE SERVER rollup_refused FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, n int, ts timestamptz NOT NULL) SERVER rollup_refused OPTIONS (event_time 'ts');
SELECT streamagg.create_aggregate('a', 'SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1');
-- sizes
SELECT streamagg.create_rollup('r', 'a', '10 min');
SELECT streamagg.create_rollup('r', 'a', '5 min');
SELECT streamagg.create_rollup('r', 'a', '25 min');
SELECT streamagg.create_rollup('r', 'a', '0');
SELECT streamagg.create_rollup('r', 'a', '1 month');
SELECT streamagg.create_rollup('r', 'a', NULL);
SELECT streamagg.create_rollup(NULL, 'a', '1 h');
SELECT streamagg.create_rollup('r', NULL, '1 h');
SELECT streamagg.create_rollup('a', 'a', '1 h');
SELECT streamagg.create_rollup('', 'a', '1 h');
SELECT streamagg.create_rollup('r', 's', '1 h');
SELECT streamagg.create_rollup('r', 'a_state', '1 h');
-- no window, and windows that more than the grouping reads
SELECT streamagg.create_aggregate('total', 'SELECT count(*) FROM s');
SELECT streamagg.create_rollup('r', 'total', '1 h');
SELECT streamagg.create_aggregate('filtered', 'SELECT w.window_start, count(*) FILTER (WHERE ts > w.window_start + ''1 min'') FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1');
SELECT streamagg.create_rollup('r', 'filtered', '1 h');
SELECT streamagg.create_aggregate('summed', 'SELECT w.window_start, max(w.window_end - ts) AS m FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1');
SELECT streamagg.create_rollup('r', 'summed', '1 h');
SELECT streamagg.create_aggregate('where', 'SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''10 min'') w WHERE ts < w.window_end - interval ''1 min'' GROUP BY 1');
SELECT streamagg.create_rollup('r', 'where', '1 h');
SELECT streamagg.create_aggregate('keyed', 'SELECT w.window_start, extract(minute FROM w.window_start) AS m, count(*) FROM s, streamagg.tumble(ts, ''10 min'') w GROUP BY 1, 2');
SELECT streamagg.create_rollup('r', 'keyed', '1 h');
SELECT streamagg.create_aggregate('binned', 'SELECT date_bin(''1 min'', ts, ''2000-01-01''::timestamptz) AS b, sum(extract(epoch FROM date_bin(''1 min'', ts, ''2000-01-01''::timestamptz))) FROM s GROUP BY 1');
SELECT streamagg.create_rollup('r', 'binned', '1 h');
-- calendars
SELECT streamagg.create_aggregate('weeks', 'SELECT date_trunc(''week'', ts, ''UTC'') AS w, count(*) FROM s GROUP BY 1');
SELECT streamagg.create_rollup('r', 'weeks', '1 month');
SELECT streamagg.create_rollup('r', 'weeks', '1 day');
SELECT streamagg.create_rollup('r', 'weeks', '2 weeks');
SELECT streamagg.create_rollup('r', 'weeks', '30 days');
-- its query is the aggregate's
SELECT streamagg.create_rollup('r', 'a', '1 h');
SELECT streamagg.replace_aggregate('r', 'SELECT w.window_start, count(*) FROM s, streamagg.tumble(ts, ''2 h'') w GROUP BY 1');
-- others may not
CREATE ROLE rollup_other;
GRANT USAGE, CREATE ON SCHEMA rollup_refused TO rollup_other;
SET ROLE rollup_other;
SELECT streamagg.create_rollup('other', 'a', '1 h');
RESET ROLE;
DROP SCHEMA rollup_refused CASCADE;
DROP ROLE rollup_other;
