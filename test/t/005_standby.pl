# On a standby results are read with the same is_final, and nothing is written; after promotion it
# goes on (F5, F6).
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$primary->append_conf('postgresql.conf', "shared_preload_libraries = 'streamagg'\nmax_worker_processes = 32\nlog_line_prefix = '%m [%p] %e %q%a '\n");
$primary->start;
$primary->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (ts timestamptz) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
CREATE FOREIGN TABLE remote (ts timestamptz) SERVER kafka OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate('minutes', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT streamagg.create_aggregate('remote_n', 'SELECT count(*) AS n FROM remote');
SELECT streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:01:00Z"}', '{']);
SELECT streamagg.start('remote');
END
$primary->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'b', has_streaming => 1);
$standby->start;
$primary->safe_psql('postgres', q{SELECT streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:02:00Z"}'])});
# a row that was never in the stream, for verify() to find
$primary->safe_psql('postgres', q{INSERT INTO s_archive VALUES ('2024-01-01 00:09Z', NULL, 0, 99, '-infinity', now())});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));

my $rows = q{SELECT window_start, n, is_final, updated_at FROM minutes ORDER BY 1};
is($standby->safe_psql('postgres', $rows), $primary->safe_psql('postgres', $rows), 'the view shows the same');
like($standby->safe_psql('postgres', $rows), qr/\|t\|.*\n.*\|t\|.*\n.*\|f\|/, 'with its final rows');
for my $view ('partitions', 'batches', 'quarantine', 'aggregates')
{
    my $order = $view eq 'aggregates' ? 'aggregate::text' : 'stream, partition';
    my $columns = $view eq 'partitions' ? 'stream, partition, next_offset, read, watermark' : '*';
    is($standby->safe_psql('postgres', "SELECT $columns FROM streamagg.$view WHERE stream = 's'::regclass ORDER BY $order"),
        $primary->safe_psql('postgres', "SELECT $columns FROM streamagg.$view WHERE stream = 's'::regclass ORDER BY $order"), "$view, too");
}
is($standby->safe_psql('postgres', q{SELECT stream, state, reason FROM streamagg.streams WHERE stream = 'remote'::regclass}), 'remote|stopped|standby', 'F5: a running stream is stopped there');
is($standby->safe_psql('postgres', q{SELECT problem, expected->>'n' FROM streamagg.verify('minutes')}), 'missing|1', 'verify() works there');
for my $call ("push('s', ARRAY['{}'])", "start('remote')", "stop('remote')", "restart('remote')", 'start_all()', 'stop_all()',
    "create_aggregate('x', 'SELECT count(*) FROM s')", "drop_aggregate('minutes')",
    "backfill('minutes')", "replace_aggregate('minutes', 'SELECT count(*) FROM s')")
{
    is(sqlstate_of($standby, 'postgres', "SELECT streamagg.$call"), '25006', "F5: $call is 25006");
}
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'streamagg (keeper|worker)'}), '0', 'F5: no worker');

$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('postgres', q{SELECT accepted FROM streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:03:00Z"}'])}), '1', 'F6: after promotion it goes on');
is($standby->safe_psql('postgres', 'SELECT count(*), sum(n), count(*) FILTER (WHERE is_final) FROM minutes'), '4|4|3', 'where it was');
wait_until('F6: what was running runs again', sub { (one_value($standby, 'postgres', q{SELECT state FROM streamagg.streams WHERE stream = 'remote'::regclass}) // '') =~ /running|backoff/ }, 20);
accounting_is_right($standby, 'postgres');
$standby->safe_psql('postgres', 'ALTER TABLE s_archive DISABLE TRIGGER USER; DELETE FROM s_archive WHERE _offset = 99');
verify_is_empty($standby, 'postgres');
server_is_unharmed($standby);
done_testing;
