# Backfills beside pushes, two at once, cancelled, terminated, throttled, and of an aggregate that is
# dropped meanwhile; aggregates that are made and replaced while others push.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('backfill', "max_prepared_transactions = 2\n");
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k int, ts timestamptz) SERVER local OPTIONS (event_time 'ts', watermark_delay '1 hour', archive 'on');
SELECT streamagg.create_aggregate('a', 'SELECT w.window_start, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
END

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub in_background
{
    my ($sql) = @_;
    my $job = { out => '', err => '' };
    $job->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-v', 'VERBOSITY=verbose', '-c', $sql ],
        '<', \undef, '>', \$job->{out}, '2>', \$job->{err});
    return $job;
}

subtest 'beside pushes' => sub {
    my $script = $node->basedir . '/push.sql';
    PostgreSQL::Test::Utils::append_to_file($script, <<'END');
\set k random(1, 5)
\set p random(0, 2)
SELECT streamagg.push('s', ARRAY(SELECT format('{"k": %s, "ts": "2024-01-01T00:%s:00Z"}', (:k + i) % 7, 10 + i) FROM generate_series(1, 5) i), :p);
END
    my ($out, $err) = ('', '');
    my $bench = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 300, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
        '>', \$out, '2>', \$err);
    my $rounds = 0;
    while ($bench->pumpable && $rounds < 8)
    {
        my @jobs = map { in_background(q{SELECT streamagg.backfill('a')}) } 1 .. 2;
        sql("SELECT streamagg.create_aggregate('new$rounds', 'SELECT count(*) AS n FROM s', backfill => 'archive')");
        sql(q{SELECT streamagg.replace_aggregate('a', 'SELECT w.window_start, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2')}) if $rounds % 3 == 0;
        $_->{run}->finish foreach @jobs;
        is($_->{err}, '', "backfill beside pushes, round $rounds") foreach @jobs;
        $rounds++;
        eval { $bench->pump_nb };
    }
    $bench->finish;
    unlike($err, qr/ERROR|aborted/, 'no push was refused');
    verify_is_empty($node, 'postgres');
    is(sql('SELECT sum(n) FROM a'), 4 * 300 * 5, 'every row once');
    is(sql(join ' UNION ', map { "SELECT n FROM new$_" } 0 .. $rounds - 1), 4 * 300 * 5, "in each of $rounds new aggregates, too");
};

subtest 'a push that is cancelled while it waits' => sub {
    sql(q{BEGIN; SELECT streamagg.push('s', ARRAY['{"k": 1, "ts": "2024-01-01T00:10:00Z"}']); PREPARE TRANSACTION 'waits'});
    my ($status, $out, $err) = $node->psql('postgres', <<'END', on_error_stop => 0);
SET statement_timeout = '200ms';
SELECT streamagg.push('s', ARRAY['{"k": 1, "ts": "2024-01-01T00:10:00Z"}']);
RESET statement_timeout;
COMMIT PREPARED 'waits';
SELECT accepted FROM streamagg.push('s', ARRAY['{"k": 1, "ts": "2024-01-01T00:10:00Z"}']);
END
    like($err, qr/statement timeout/, 'it is cancelled');
    like($out, qr/^1$/m, 'and the next one of the session works');
    verify_is_empty($node, 'postgres');
};

# A backfill of three slices that rests behind the first.
sub resting_backfill
{
    my $job = in_background(q{SELECT streamagg.backfill('a')});
    wait_until('the first slice', sub { sql(q{SELECT count(*) FROM streamagg.backfills WHERE state = 'running' AND done_to IS NOT NULL}) });
    return $job;
}
sub processes { return sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg backfill'}); }

subtest 'cancelled, terminated, resumed' => sub {
    sql(<<'END');    # in front of all, rows that make several slices
INSERT INTO s_archive (k, ts, _partition, _offset, _watermark, _received_at)
SELECT n % 3, timestamptz '2020-01-01' + n / 1000 * interval '1 min', 0, -n, '-infinity', now() FROM generate_series(1, 600000) n
END
    sql('ALTER SYSTEM SET streamagg.backfill_rate = 1000');
    $node->reload;
    my $job = resting_backfill();
    is(sql(q{SELECT min(n), max(n), count(DISTINCT updated_at) FROM a WHERE window_start < '2021-01-01'}), '333|334|1', 'a slice is visible');
    is(sql(q{SELECT accepted FROM streamagg.push('s', ARRAY['{"k": 1, "ts": "2024-01-01T00:10:00Z"}'])}), 1, 'pushes go on');
    is(sqlstate_of($node, 'postgres', q{SET lock_timeout = '100ms'; DROP TABLE s_archive}), '55P03', 'and the archive stays');
    sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT streamagg.backfill%'});
    $job->{run}->finish;
    like($job->{err}, qr/57014/, 'the caller is cancelled');
    wait_until('the end of the process', sub { processes() == 0 });
    is(sql(q{SELECT count(*) FROM streamagg.backfills WHERE state = 'interrupted' AND done_to IS NOT NULL AND rows_read > 0}), 1, 'it tells how far it was');
    is(sql(q{SELECT count(*) FROM streamagg.verify('a') WHERE problem <> 'missing'}), 0, 'nothing is half done');

    $job = resting_backfill();
    sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'streamagg backfill'});
    $job->{run}->finish;
    like($job->{err}, qr/57P01/, 'the caller is told of a process that is gone');
    wait_until('the end of that', sub { processes() == 0 });
    is(sql(q{SELECT count(*) FROM pg_locks WHERE relation = 's_archive'::regclass}), 0, 'and of what it held');

    $node->append_conf('postgresql.auto.conf', 'streamagg.backfill_rate = 0');
    $node->reload;
    my $from = sql(q{SELECT done_to FROM streamagg.backfills WHERE state = 'interrupted' ORDER BY started_at DESC LIMIT 1});
    is(sql("SELECT streamagg.backfill('a', '$from') < 600000"), 't', 'it goes on where it was');
    is(sql(q{SELECT count(*) FROM streamagg.verify('a')}), 0, 'and then all is there');
};

accounting_is_right($node, 'postgres');

subtest 'dropped' => sub {
    $node->append_conf('postgresql.auto.conf', 'streamagg.backfill_rate = 1000');
    $node->reload;
    my $job = resting_backfill();
    sql(q{SELECT streamagg.drop_aggregate('a')});
    $node->append_conf('postgresql.auto.conf', 'streamagg.backfill_rate = 0');
    $node->reload;
    $job->{run}->finish;
    like($job->{err}, qr/42809.*is not a continuous aggregate/, 'the backfill ends');
    is(sql('SELECT count(*) FROM streamagg.backfills'), 0, 'and is forgotten with the aggregate');
};

server_is_unharmed($node);
$node->stop;
done_testing();
