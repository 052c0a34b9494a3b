# Start, stop, restart, wait_for and the rest: what they return, what they do at commit and at
# rollback, and that dropping the extension or the database ends the workers.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time);

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

# A stream over its topic and the count of its rows, in a database: NAME, NAME_count.
sub add_stream
{
    my ($database, $name) = @_;
    $kafka->create_topic("$database-$name", 2);
    $node->safe_psql($database, <<"END");
CREATE FOREIGN TABLE $name (
  k text, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic '$database-$name', format 'json', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_count', 'SELECT k, count(*) AS n FROM $name GROUP BY k');
END
    return;
}

my $serial = 0;

sub records
{
    my ($n) = @_;
    return map { sprintf "%d\t\\N\t{\"k\":\"a\",\"ts\":%d}", $_ % 2, 1700000000 + $serial++ } 1 .. $n;
}

sub sql { return $node->safe_psql('postgres', @_); }
sub counted { return sql('SELECT coalesce(sum(n), 0) FROM a_count'); }
sub state { return sql(q{SELECT state FROM streamagg.streams WHERE stream = 'a'::regclass}); }
sub workers { return sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker'}); }
sub caught_up { return sql(q{SELECT streamagg.wait_for('a')}); }

# Produces n records, waits for them; the count is as expected.
sub flows
{
    my ($n, $total, $name) = @_;
    $kafka->produce('postgres-a', records($n));
    is(caught_up(), 't', "$name: caught up");
    is(counted(), $total, "$name: counted");
    return;
}

subtest 'before the start' => sub {
    $kafka->create_topic('postgres-bare', 1);
    sql(q{CREATE FOREIGN TABLE bare (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
      SERVER kafka OPTIONS (topic 'postgres-bare', event_time 'ts')});
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('bare')}),
        '55000', 'no aggregate: nothing to start');
    add_stream('postgres', 'a');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.wait_for('a')}),
        '55000', 'wait_for: not running');
    is(state(), 'stopped', 'a new stream is stopped');
    sql(q{BEGIN; SELECT streamagg.start('a'); ROLLBACK});
    is(state(), 'stopped', 'F14: a start that is rolled back starts nothing');
    is(sqlstate_of($node, 'postgres',
            q{BEGIN; SELECT streamagg.start('a'); SELECT streamagg.wait_for('a'); COMMIT}),
        '55000', 'wait_for: started in this transaction');
    is(workers(), 0, 'no worker');
};

subtest 'start' => sub {
    my $session = $node->background_psql('postgres');
    $session->query('BEGIN');
    is($session->query(q{SELECT streamagg.start('a')}), 't', 'start is true');
    is(workers(), 0, 'nothing runs before the commit');
    $session->query('COMMIT');
    $session->quit;
    flows(10, 10, 'start');
    my ($status, $out, $err) = $node->psql('postgres', q{SELECT streamagg.start('a')});
    is($out, 'f', 'start of a running stream is false');
    like($err, qr/NOTICE/, 'and a notice');
    is(workers(), 1, 'one worker');
    is(state(), 'running', 'the state');
    is(sql(q{SELECT application_name FROM pg_stat_activity WHERE backend_type = 'streamagg worker'}),
        'a', 'the worker is named after its stream');
};

subtest 'wait_for' => sub {
    my $locker = $node->background_psql('postgres');
    $locker->query('BEGIN');
    $locker->query('LOCK TABLE a_count_state IN ACCESS EXCLUSIVE MODE');
    $kafka->produce('postgres-a', records(5));
    is(sql(q{SELECT streamagg.wait_for('a', '300 ms')}), 'f', 'false after the timeout');
    $locker->query('ROLLBACK');
    $locker->quit;
    is(caught_up(), 't', 'true once the records are committed');
    is(counted(), 15, 'counted');
};

subtest 'stop' => sub {
    is(sql(q{SELECT streamagg.stop('a')}), 't', 'stop is true');
    is(workers(), 0, 'stop waits for the end of the worker');
    is(state(), 'stopped', 'the state');
    $kafka->produce('postgres-a', records(5));
    is(counted(), 15, 'nothing is read while it is stopped');
    is(sql(q{SELECT streamagg.start('a')}), 't', 'started again');
    is(caught_up(), 't', 'caught up');
    is(counted(), 20, 'it goes on where it was');
    is(sql(q{BEGIN; SELECT streamagg.stop('a', mode => 'abort'); ROLLBACK}), 't',
        'a stop that is rolled back');
    wait_until('the worker after the rollback of stop', sub { worker_pid($node, 'postgres', 'a') });
    flows(5, 25, 'it runs again');
};

subtest 'restart' => sub {
    my $old = worker_pid($node, 'postgres', 'a');
    is(sql(q{SELECT streamagg.restart('a')}), 't', 'restart is true');
    wait_until('another worker', sub { (worker_pid($node, 'postgres', 'a') // $old) != $old });
    flows(5, 30, 'restart');
};

subtest 'two streams' => sub {
    add_stream('postgres', 'b');
    $kafka->produce('postgres-b', records(7));
    is(sql(q{SELECT streamagg.start('b')}), 't', 'the second starts');
    is(sql(q{SELECT streamagg.wait_for('b')}), 't', 'caught up');
    is(sql('SELECT sum(n) FROM b_count'), 7, 'its own records');
    is(counted(), 30, 'and the first has none of them');
    is(workers(), 2, 'a worker each');
    is(sql('SELECT streamagg.stop_all()'), 2, 'stop_all stops both');
    is(workers(), 0, 'no worker');
    $kafka->produce('postgres-b', records(1));
    is(sql('SELECT streamagg.start_all()'), 2, 'start_all starts both');
    is(sql(q{SELECT streamagg.wait_for('b')}), 't', 'caught up');
    is(sql('SELECT sum(n) FROM b_count'), 8, 'they go on');
    is(sql(q{SELECT streamagg.stop('b')}), 't', 'one stops');
    is(worker_pid($node, 'postgres', 'b'), undef, 'it is gone');
    flows(5, 35, 'the other');
};

subtest 'a restart of the server' => sub {
    $node->restart;
    wait_until('the worker after a restart', sub { worker_pid($node, 'postgres', 'a') });
    flows(5, 40, 'what ran runs again');
    is(worker_pid($node, 'postgres', 'b'), undef, 'what was stopped stays so');
    is(state(), 'running', 'the state');
};

subtest 'transactions of Kafka' => sub {
    my $before = sql(q{SELECT sum(gaps) FROM streamagg.partitions WHERE stream = 'a'::regclass});
    $kafka->produce('postgres-a', [ '--transactional', 't1' ],
        records(4), '!commit', records(6), '!abort', records(2), '!commit', records(3), '!abort');
    is(caught_up(), 't', 'B2: a log that ends in an aborted transaction is read to its end');
    is(counted(), 46, 'B1: aborted records are not seen');
    # 9 aborted records, and a control record per transaction and partition that it wrote to.
    my $after = sql(q{SELECT sum(gaps) FROM streamagg.partitions WHERE stream = 'a'::regclass});
    is($after - $before, 9 + 4 * 2, 'aborted and control records are gaps');
    is(sql(q{SELECT string_agg(next_offset::text, ' ' ORDER BY partition)
          FROM streamagg.partitions WHERE stream = 'a'::regclass}),
        join(' ', $kafka->ends('postgres-a')), 'nothing is left behind');
    is(sql(q{SELECT sum(lag) FROM streamagg.partitions WHERE stream = 'a'::regclass}),
        0, 'B2: control records leave no lag');
};

subtest 'test_connection' => sub {
    is(sql(q{SELECT bool_and(ok) FROM streamagg.test_connection('kafka')}), 't', 'all steps are ok');
    my $closed = PostgreSQL::Test::Cluster::get_free_port();
    sql("CREATE SERVER nobody FOREIGN DATA WRAPPER streamagg_kafka
      OPTIONS (bootstrap_servers '127.0.0.1:$closed')");
    my $began = time;
    is(sql(q{SELECT bool_and(ok) FROM streamagg.test_connection('nobody')}),
        'f', 'a broker that is not there');
    cmp_ok(time - $began, '<', 20, 'is found out soon');
    isnt(sql(q{SELECT string_agg(detail, ' ') FROM streamagg.test_connection('nobody') WHERE NOT ok}),
        '', 'and said');
};

subtest 'DROP DATABASE' => sub {
    add_database($node, 'other', $kafka);
    add_stream('other', 'c');
    $node->safe_psql('other', q{SELECT streamagg.start('c')});
    $kafka->produce('other-c', records(3));
    is($node->safe_psql('other', q{SELECT streamagg.wait_for('c')}), 't', 'runs');
    my $pid = worker_pid($node, 'other', 'c');
    my $began = time;
    $node->safe_psql('postgres', 'DROP DATABASE other');
    cmp_ok(time - $began, '<', 5, 'a database with a running stream is dropped at once');
    ok(!-e "/proc/$pid", 'its worker is gone');
    is(worker_pid($node, 'postgres', 'a') ? 1 : 0, 1, 'the worker of another database stays');
};

# The schema takes the extension along.
foreach my $kind ('EXTENSION', 'SCHEMA')
{
    subtest "DROP $kind" => sub {
        my $database = lc "dropped_$kind";
        add_database($node, $database, $kafka);
        add_stream($database, 'd');
        $node->safe_psql($database, q{SELECT streamagg.start('d')});
        $kafka->produce("$database-d", records(3));
        is($node->safe_psql($database, q{SELECT streamagg.wait_for('d')}), 't', 'runs');
        my $pid = worker_pid($node, $database, 'd');
        $node->safe_psql($database, "DROP $kind streamagg CASCADE");
        my $began = time;
        wait_until('the end of the worker', sub { !-e "/proc/$pid" }, 30);
        cmp_ok(time - $began, '<', 5, 'E23: the worker is gone within 5 seconds');
        is($node->safe_psql($database, q{SELECT relname FROM pg_class WHERE relname = 'd_count_state'}),
            'd_count_state', 'the state table stays');
        is($node->safe_psql($database, q{SELECT (to_jsonb(s)->>'n')::int FROM d_count_state s}),
            3, 'with its rows');
        $node->safe_psql($database, 'CREATE EXTENSION streamagg');
        is($node->safe_psql($database, 'SELECT count(*) FROM streamagg.streams'), 0, 'created anew');
    };
}
flows(5, 51, 'the stream of another database');

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
my $began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 5, 'a fast shutdown with running streams is fast');
$kafka->stop;
done_testing();
