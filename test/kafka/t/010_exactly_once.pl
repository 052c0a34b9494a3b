# Exactly once: the worker is killed by kill -9 at random moments, the broker, too; the view, the
# quarantine and the counters are those of a recomputation that shares no code with streamagg.
# STREAMAGG_FULL=1 (test/run --full): 1,000,000 events and 50 kills instead of 300,000 and 10.
# STREAMAGG_SEED repeats the events and the order and delays of the faults.
use strict;
use warnings;

use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $count = $ENV{STREAMAGG_FULL} ? 1_000_000 : 300_000;
my $worker_kills = $ENV{STREAMAGG_FULL} ? 50 : 10;
my $broker_kills = 2;
my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
srand $seed;
diag "seed $seed: STREAMAGG_SEED=$seed repeats this run";

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', user_login_sql() . <<'END');
SELECT streamagg.create_aggregate('addresses', $$
  SELECT w.window_start, l.device_type, count(*) AS logins, count(DISTINCT l.ip) AS ips,
    count(DISTINCT l.user_id) FILTER (WHERE l.locale IS NOT NULL) AS users
  FROM user_login l, streamagg.tumble(l.ts, '1 hour') w GROUP BY 1, 2 $$);
END

# One slice of the events lies there at the start; during each of the others something is killed.
my @faults = shuffle((('worker') x $worker_kills), (('broker') x $broker_kills));
my $slice = int($count / (@faults + 1));
my @events = ('events.py', '--seed', $seed, '--partitions', 4, '--broken', 0.02, '--topic',
    'user-login');
$kafka->script(@events, '--count', $count - @faults * $slice);
my $sent = $count - @faults * $slice;
$node->safe_psql('postgres', q{SELECT streamagg.start('user_login')});

my $began = time;
my $hit = 0;
foreach my $fault (@faults)
{
    my $producing = $kafka->background(@events, '--skip', $sent, '--count', $slice, '--rate',
        $slice / 2);
    my $delay = rand 1.5;
    if ($fault eq 'worker')
    {
        kill_worker($node, 'postgres', $delay);
    }
    else
    {
        usleep $delay * 1_000_000;
        $kafka->kill9;
        usleep rand 1_000_000;
        $kafka->start;
    }
    $hit++ if $kafka->busy($producing);
    $kafka->finish($producing);
    $sent += $slice;
}
diag sprintf '%d events over %d faults in %.0f s, %d of the faults over before their slice was',
  $sent, scalar @faults, time - $began, $hit;
is($sent, $count, 'all events are produced');

is($node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '10 min')}),
    't', 'the stream catches up');

my $out = $PostgreSQL::Test::Utils::tmp_check . '/recompute';
mkdir $out;
$kafka->script('recompute.py', '--topic', 'user-login', '--out', $out);
my %found = login_rows($node, 'postgres');
foreach my $table (sort keys %found)
{
    same_rows("$table equals the recomputation",
        $found{$table}, [ split /\n/, slurp_file("$out/$table") ]);
}
is($node->safe_psql('postgres', <<'END'), "$count|0|0|0|0|0", 'D3: all that was sent was read, once');
SELECT sum(read), sum(dropped), sum(duplicate), sum(lost), sum(gaps), sum(lag)
FROM streamagg.partitions
END
is($node->safe_psql('postgres', q{SELECT state FROM streamagg.streams}), 'running', 'it runs on');
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
is($node->safe_psql('postgres', <<'END'), 't|t', 'distinct values are counted just when they are kept');
SELECT sum(ips) > 0 AND sum(ips) = (SELECT count(*) FROM addresses_distinct),
  sum(users) > 0 AND sum(users) = (SELECT count(*) FROM addresses_distinct_2) FROM addresses
END
server_is_unharmed($node);

$node->safe_psql('postgres', q{SELECT streamagg.stop('user_login')});
$node->stop;
$kafka->stop;
done_testing();
