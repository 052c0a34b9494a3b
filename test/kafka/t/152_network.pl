# Networks that fail: a stream goes on by itself with every record once, and as long as it cannot it
# says so within half a minute. All goes through a proxy that black-holes, delays, cuts, or babbles.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $kafka = StreamaggKafka->new;
my ($inner, $outer) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 2;
my $directory = PostgreSQL::Test::Utils::tempdir;
# A listener of its own, which clients are told to reach through the proxy.
append_to_file($kafka->file('server.properties'), join '', map { "$_\n" }
    "listeners=PLAINTEXT://127.0.0.1:$kafka->{port},CONTROLLER://127.0.0.1:$kafka->{controller},PROXIED://127.0.0.1:$inner",
    "advertised.listeners=PLAINTEXT://127.0.0.1:$kafka->{port},PROXIED://127.0.0.1:$outer",
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    'inter.broker.listener.name=PLAINTEXT');
$kafka->start;

sub mode
{
    my ($mode) = @_;
    open my $file, '>', "$directory/mode.new" or die $!;
    print $file $mode;
    close $file or die $!;
    rename "$directory/mode.new", "$directory/mode" or die $!;
    return;
}

mode('pass');
my $said = '';
my $proxy = IPC::Run::start([ 'setpriv', '--pdeathsig', 'KILL', '/usr/bin/python3', '-B', "$StreamaggKafka::scripts/../lib/proxy.py",
        $directory, $outer, $inner ], '<', \undef, '>', \$said);
$proxy->pump until $said =~ /listens/;

my $node = new_node('main');
$node->safe_psql('postgres', <<"END");
CREATE EXTENSION streamagg;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '127.0.0.1:$outer', reconnect_backoff_max_ms '500');
CREATE FOREIGN TABLE s (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int) SERVER kafka OPTIONS (topic 's', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('s_count', 'SELECT count(*) AS n, sum(v) AS v FROM s');
END
$kafka->create_topic('s', 2);

my ($sent, $sum) = (0, 0);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub state_of { return sql('SELECT state, sqlstate FROM streamagg.streams'); }

sub produce
{
    my ($n) = @_;
    $kafka->produce('s', map { $_ % 2 . qq(\t\\N\t{"ts":1700000000,"v":$_}) } 1 .. $n);
    ($sent, $sum) = ($sent + $n, $sum + $n * ($n + 1) / 2);
    return;
}

sub all_is_there
{
    my ($name) = @_;
    wait_until($name, sub { sql('SELECT n FROM s_count') == $sent }, 90);
    is(sql('SELECT n, v FROM s_count'), "$sent|$sum", "$name: every record once");
    return;
}

sub is_told_within
{
    my ($seconds, $state, $reason) = @_;
    my $began = time;
    wait_until($state, sub { state_of() eq $state }, $seconds + 10);
    cmp_ok(time - $began, '<=', $seconds, "$state within $seconds s");
    like(sql('SELECT reason FROM streamagg.streams'), $reason, 'and why');
    return;
}

sql(q{SELECT streamagg.start('s')});
produce(100);
all_is_there('the way is open');

subtest 'A6: a black hole' => sub {
    mode('hole');
    produce(100);
    is_told_within(32, 'backoff|08006', qr/the brokers do not answer|nothing comes/);
    my $began = time;
    is(sql(q{SELECT streamagg.stop('s', timeout => '10 s')}), 't', 'D1: stop() in the hole');
    cmp_ok(time - $began, '<', 3, 'is soon done');
    sql(q{SELECT streamagg.start('s')});
    wait_until('a failure to connect', sub { state_of() eq 'backoff|08006' }, 40);
    mode('pass');
    all_is_there('out of the hole');
    wait_until('the state', sub { state_of() eq 'running|' });
};

subtest 'A4: brokers that are far away' => sub {
    mode('delay 2');
    produce(100);
    all_is_there('a record takes seconds');
    sql(q{SELECT streamagg.restart('s')});
    produce(100);
    all_is_there('so does a start');
    my $pid = worker_pid($node, 'postgres', 's');
    my $began = time;
    sql("SELECT pg_terminate_backend($pid)");
    wait_until('its end', sub { !kill 0, $pid });
    cmp_ok(time - $began, '<', 3, 'but no end');
    mode('pass');
};

subtest 'A5: connections that are cut at any byte' => sub {
    mode('cut 20000');
    foreach (1 .. 15)
    {
        produce(400);
        usleep 200_000;
    }
    mode('pass');
    all_is_there('cut again and again');
};

subtest 'A2: a broker that is gone for a while' => sub {
    $kafka->kill9;
    is_told_within(40, 'backoff|08006', qr/no broker can be reached|do not answer/);
    $kafka->start;
    produce(100);
    all_is_there('it is back');
};

subtest 'A11: a port that is not Kafka' => sub {
    sql(q{SELECT streamagg.stop('s')});
    mode('garbage');
    sql(q{SELECT streamagg.start('s')});
    is_told_within(60, 'backoff|08P01', qr/does not speak Kafka's protocol/);
    mode('pass');
    produce(100);
    all_is_there('Kafka after all');
};

subtest 'it was never more than one process, and nothing is left' => sub {
    wait_until('the state', sub { state_of() eq 'running|' });
    is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker'}), 1, 'one worker');
    cmp_ok(resources_of(worker_pid($node, 'postgres', 's'))->{VmRSS}, '<', 300_000, 'in bounded memory');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
$proxy->kill_kill;
done_testing();
