# What a worker holds does not grow with what it has read, and is given back when it stops.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(usleep);

my ($steps, $step) = (5, 200_000);
my $seed = $ENV{STREAMAGG_SEED} // 20;

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
# RSS counts the shared buffers that a process has touched: with few of them all are touched early,
# and what grows after that is the worker's own.
# Little memory for a batch: it is in full use from the first backlog on, whatever the timing.
my $node = new_node('main', <<'END');
shared_buffers = '2MB'
wal_buffers = '1MB'
streamagg.worker_memory = '16MB'
END
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', user_login_sql());

# Processes of streamagg: "type pid", launcher and keeper included.
sub processes
{
    return split /\n/, $node->safe_psql('postgres', <<'END');
SELECT backend_type || ' ' || pid FROM pg_stat_activity
WHERE backend_type LIKE 'streamagg %' ORDER BY 1
END
}

sub launcher
{
    my ($line) = grep { /launcher/ } processes();
    return ($line // '') =~ /(\d+)$/ ? $1 : undef;
}

sub start_and_wait
{
    $node->safe_psql('postgres', q{SELECT streamagg.start('user_login')});
    is($node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '120 s')}),
        't', 'caught up');
    # all may be committed already, before the worker is up
    wait_until('the worker', sub { defined worker_pid($node, 'postgres', 'user_login') });
    return;
}

# A worker gives memory back when it rests, within some seconds: what it holds at the least.
sub rested
{
    my $pid = worker_pid($node, 'postgres', 'user_login');
    my $least = resources_of($pid);
    foreach (1 .. 14)
    {
        usleep 500_000;
        my $now = resources_of($pid);
        $least = $now if $now->{VmRSS} < $least->{VmRSS};
    }
    return $least;
}

my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
my %before = (postmaster => resources_of($postmaster), launcher => resources_of(launcher()));

# The worker over 1,000,000 events, each step read to its end.
my @held;
foreach my $number (1 .. $steps)
{
    $kafka->script('events.py', '--seed', $seed, '--count', $step, '--skip', ($number - 1) * $step,
        '--topic', 'user-login');
    start_and_wait() if $number == 1;
    is($node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '120 s')}),
        't', 'read ' . $number * $step);
    my $now = $number == 1 || $number == $steps ? rested() : resources_of(worker_pid($node, 'postgres', 'user_login'));
    push @held, $now;
    diag join ', ', $number * $step . ' events', map { "$_ $now->{$_}" } sort keys %$now;
}
is($node->safe_psql('postgres', 'SELECT sum(read) FROM streamagg.partitions'),
    $steps * $step, 'all is read');
my ($first, $last) = @held[ 0, -1 ];
cmp_ok($last->{VmRSS}, '<=', 1.1 * $first->{VmRSS}, 'resident memory does not grow');
# The library opens its second connection to a broker when it likes, within the first seconds.
cmp_ok($last->{fds}, '<=', $held[1]{fds}, 'file descriptors do not grow');
cmp_ok($last->{Threads}, '<=', $first->{Threads}, 'threads do not grow');

# Stopped: the process is gone, and with it its threads; nobody else holds more than before.
foreach my $cycle (1 .. 5)
{
    start_and_wait() if $cycle > 1;
    my $worker = worker_pid($node, 'postgres', 'user_login');
    is($node->safe_psql('postgres', q{SELECT streamagg.stop('user_login')}), 't', 'stopped');
    ok(!-e "/proc/$worker", "no worker process is left, cycle $cycle");
}
is(scalar(grep { /worker/ } processes()), 0, 'no worker is shown');
wait_until('the end of a keeper that has nothing to keep',
    sub { !grep { /keeper/ } processes() }, 60);
my %after = (postmaster => resources_of($postmaster), launcher => resources_of(launcher()));
foreach my $who (sort keys %before)
{
    cmp_ok($after{$who}{fds}, '<=', $before{$who}{fds}, "$who: no file descriptor is left");
    is($after{$who}{Threads}, 1, "$who: one thread");
}

# A session that has asked the broker holds neither thread nor descriptor of it afterwards.
my $session = $node->background_psql('postgres');
my $pid = $session->query('SELECT pg_backend_pid()');
$session->query(q{SELECT * FROM streamagg.test_connection('kafka')});
my $once = resources_of($pid);
$session->query(q{SELECT * FROM streamagg.test_connection('kafka')}) foreach 1 .. 5;
my $often = resources_of($pid);
is($once->{Threads}, 1, 'test_connection leaves no thread');
is($often->{Threads}, 1, 'nor do six');
cmp_ok($often->{fds}, '<=', $once->{fds}, 'nor a file descriptor');
$session->quit;

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
