# Generated cases (test/property) over topics: between the portions of the records, and while they are read, rollups
# and columns are added, streams stopped and started, workers killed by kill -9, and the server stopped in the
# middle of it.  Views, counters and archives are what plain queries say.  STREAMAGG_SEED repeats the cases.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use List::Util qw(sum);
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
my $times = $ENV{STREAMAGG_FULL} ? 10 : 2;    # each of what may happen
my $directory = PostgreSQL::Test::Utils::tempdir;
my @streams = map { { topic => "property_$_", name => "property_$_.s0" } } 0, 1;
srand $seed;

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic($_->{topic}, 3) foreach @streams;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }

sub topic_py
{
    my $output = '';
    local @ENV{'PGHOST', 'PGPORT', 'PGDATABASE'} = ($node->host, $node->port, 'postgres');
    my $done = IPC::Run::run([ 'python3', "$FindBin::Bin/../../property/topic.py", '--seed', $seed, @_ ], '&>', \$output);
    ok($done, "seed $seed: $_[0]") or diag $output;
    return $output;
}

# A function of both streams.
sub call
{
    my ($function, $more) = @_;
    sql("SET client_min_messages = warning; SELECT streamagg.$function('$_->{name}'" . ($more // '') . ')') foreach @streams;
    return;
}

my %happens = (
    nothing => sub { },
    caught_up => sub { call('wait_for', q{, '1 min'}); },
    stopped => sub { call('stop'); },
    restarted => sub { call('restart'); },
    killed => sub { kill_process($node, 'postgres', 'streamagg worker', rand 0.2); },
    crashed => sub {
        $node->stop('immediate');
        # refused while a process of before is there; what start() has noted of that one is taken back by stop()
        wait_until('the server', sub { $node->start(fail_ok => 1) || !$node->stop('fast', fail_ok => 1) && 0 });
    });
my @plan = map { [ rand, $_ ] } (sort keys %happens) x $times;
@plan = map { $_->[1] } sort { $a->[0] <=> $b->[0] } @plan;

topic_py('make', $directory);
foreach my $stream (@streams)
{
    $stream->{lines} = [ split /\n/, slurp_file("$directory/$stream->{topic}") ];
    $stream->{portion} = 1 + int(@{ $stream->{lines} } / @plan);
    $stream->{producer} = $kafka->producer($stream->{topic}, '--json');
}
foreach my $number (0 .. $#plan)
{
    $kafka->hand_over($_->{producer}, splice @{ $_->{lines} }, 0, $_->{portion}) foreach @streams;
    call('start');    # what was stopped meets the portion that came meanwhile
    # steps 0 to 2 in the middle, while there is something to read
    topic_py('begin', $_) foreach grep { $number == int(($_ + 1) * @plan / 4) } 0 .. 2;
    $happens{ $plan[$number] }->();
}
$kafka->end_producer($_->{producer}) foreach @streams;
call('start');
call('wait_for', q{, '2 min'});
topic_py('begin', 3);
is(sql(q{SELECT string_agg(state, ' ') FROM streamagg.streams}), 'running running', 'both run');
is(sum(map { scalar @{ $_->{lines} } } @streams), 0, 'all was sent');
cmp_ok(sql('SELECT min(n) FROM (SELECT max(batch) AS n FROM streamagg.batches GROUP BY stream) x'), '>=', $times, 'in several batches');
like(topic_py('check'), qr/^[1-9]\d* passed, 0 failed$/m, 'views, counters and archives are right, after: ' . join ' ', @plan);
accounting_is_right($node, 'postgres');
server_is_unharmed($node);
call('stop');
$node->stop;
$kafka->stop;
done_testing();
