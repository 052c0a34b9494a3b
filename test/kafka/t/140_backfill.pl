# A backfill on a running stream, its process or the worker killed by kill -9 again and again: no row is
# counted twice or lost, whether a slice was done or not. An aggregate is replaced while events come and
# readers look: they see the old groups or the new ones, never both and never none.
# STREAMAGG_SEED repeats the events and the delays.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $kills = 20;
my $slice = 10_000;
my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
srand $seed;
diag "seed $seed: STREAMAGG_SEED=$seed repeats this run";

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', user_login_sql());
my @events = ('events.py', '--seed', $seed, '--partitions', 4, '--topic', 'user-login');
$kafka->script(@events, '--count', 100_000);
my $sent = 100_000;
$node->safe_psql('postgres', q{SELECT streamagg.start('user_login')});
$node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '5 min')});

# A statement in a session of its own.
sub in_background
{
    my ($sql) = @_;
    my $job = { out => '', err => '' };
    $job->{run} = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ],
        '<', \undef, '>', \$job->{out}, '2>', \$job->{err});
    return $job;
}

# The view is what the topic says, by a program that shares no code with streamagg.
sub view_is_right
{
    my ($name) = @_;
    my $out = $PostgreSQL::Test::Utils::tmp_check . "/recompute$sent";
    $node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '5 min')});
    mkdir $out;
    $kafka->script('recompute.py', '--topic', 'user-login', '--out', $out);
    my %found = login_rows($node, 'postgres');
    same_rows($name, $found{'view.csv'}, [ split /\n/, slurp_file("$out/view.csv") ]);
    verify_is_empty($node, 'postgres');
    return;
}

# Backfills one after the other, so that the kill meets one; nothing repairs what it leaves.
my $interrupted = 0;
foreach my $number (1 .. $kills)
{
    my $producing = $kafka->background(@events, '--skip', $sent, '--count', $slice, '--rate', 10_000);
    my $filling = in_background(q{SELECT sum(streamagg.backfill('logins_1m')) FROM generate_series(1, 1000)});
    my $type = $number % 2 ? 'streamagg backfill' : 'streamagg worker';
    kill_process($node, 'postgres', $type, 0.2 + rand 1.0);
    $filling->{run}->finish;
    $interrupted++ if $filling->{err} =~ /connection|terminat/;
    $kafka->finish($producing);
    $sent += $slice;
}
is($interrupted, $kills, 'each kill has met backfills at work');
wait_until('the worker', sub { worker_pid($node, 'postgres') });
view_is_right("after $kills kills during backfills");
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM streamagg.backfills WHERE state = 'interrupted'}),
    '>', 0, 'backfills tells which were interrupted');

# What was tampered with is found, and repaired while events come.
$node->safe_psql('postgres', <<'END');
DELETE FROM logins_1m_state WHERE ctid IN (SELECT ctid FROM logins_1m_state ORDER BY window_start, locale LIMIT 100);
UPDATE logins_1m_state SET logins = logins + 1 WHERE window_start = (SELECT min(window_start) + interval '5 min' FROM logins_1m_state);
INSERT INTO logins_1m_state SELECT window_start, 'web', 'nowhere', 1, now(), now(), now() FROM logins_1m_state LIMIT 1;
END
is($node->safe_psql('postgres', q{SELECT problem, count(*) > 0 FROM streamagg.verify('logins_1m') GROUP BY 1 ORDER BY 1}),
    "differs|t\nextra|t\nmissing|t", 'verify() finds what was tampered with');
my $producing = $kafka->background(@events, '--skip', $sent, '--count', 5 * $slice, '--rate', 10_000);
my $read = $node->safe_psql('postgres', q{SELECT streamagg.backfill('logins_1m')});
cmp_ok($read, '>=', 0.9 * $sent, "the backfill has read $read rows");
# and aggregates are made that begin with all that was before
$node->safe_psql('postgres', <<"END") foreach 1 .. 8;
SELECT streamagg.create_aggregate('devices$_', 'SELECT device_type, count(*) AS n FROM user_login GROUP BY 1', backfill => 'archive');
END
ok($kafka->busy($producing), 'while events came');
$kafka->finish($producing);
$sent += 5 * $slice;
view_is_right('after a repair on the running stream');
is($node->safe_psql('postgres', join ' UNION ', map { "SELECT sum(n) FROM devices$_" } 1 .. 8),
    $node->safe_psql('postgres', 'SELECT sum(logins) FROM logins_1m'), 'each has every row once');
$node->safe_psql('postgres', "SELECT streamagg.drop_aggregate('devices$_')") foreach 1 .. 8;

# Two definitions with the same columns, which no reader may see together.
sub definition
{
    my ($device) = @_;
    return "SELECT w.window_start, w.window_end, $device AS device_type, l.locale, count(*) AS logins,"
      . ' min(l.ts) AS first_login, max(l.ts) AS last_login'
      . " FROM user_login l, streamagg.tumble(l.ts, ''1 minute'') w GROUP BY 1, 2, 3, 4";
}
$producing = $kafka->background(@events, '--skip', $sent, '--count', 10 * $slice, '--rate', 10_000);
my ($polls, $bad, $seen, $rows) = (0, 0, 'a', 0);
my $kind = $node->safe_psql('postgres', q{SELECT 'logins_1m'::regclass::oid});
foreach my $device ('upper(l.device_type)', 'l.device_type', 'upper(l.device_type)', 'l.device_type')
{
    my $replacing = in_background("SELECT streamagg.replace_aggregate('logins_1m', '" . definition($device) . "')");
    my $last = $device =~ /upper/ ? 'A' : 'a';
    my $after = 0;
    while ($replacing->{run}->pumpable || $after++ < 3)
    {
        my $found = $node->safe_psql('postgres', <<'END');
SELECT count(*) FILTER (WHERE device_type = upper(device_type)), count(*), sum(logins) FROM logins_1m
END
        my ($upper, $count, $logins) = split /\|/, $found;
        my $shows = $upper == 0 ? 'a' : $upper == $count ? 'A' : 'both';
        # each is seen once, then the other: no way back, and what was counted stays counted
        $bad++ if $count == 0 || $shows eq 'both' || $logins < $rows || ($seen eq $last && $shows ne $last);
        ($seen, $rows) = ($shows, $logins);
        $polls++;
        eval { $replacing->{run}->pump_nb }; # dies when it has just ended
    }
    $replacing->{run}->finish;
    is($replacing->{err}, '', 'replaced');
    is($seen, $last, 'readers see it');
}
is($bad, 0, "no mixture and no gap in $polls looks");
ok($kafka->busy($producing), 'while events came');
$kafka->finish($producing);
$sent += 10 * $slice;
is($node->safe_psql('postgres', q{SELECT 'logins_1m'::regclass::oid}), $kind, 'it is the same view');
view_is_right('after replacements on the running stream');

# From the topic itself, while events come.
$producing = $kafka->background(@events, '--skip', $sent, '--count', 5 * $slice, '--rate', 10_000);
$node->safe_psql('postgres', 'DELETE FROM logins_1m_state WHERE ctid IN (SELECT ctid FROM logins_1m_state LIMIT 300)');
$read = $node->safe_psql('postgres', q{SELECT streamagg.backfill('logins_1m', source => 'kafka')});
cmp_ok($read, '>=', 0.9 * $sent, "a backfill from Kafka has read $read rows");
ok($kafka->busy($producing), 'while events came');
$kafka->finish($producing);
$sent += 5 * $slice;
view_is_right('after a backfill from Kafka on the running stream');
$node->safe_psql('postgres', q{SELECT streamagg.create_aggregate('devices', 'SELECT device_type, count(*) AS n FROM user_login GROUP BY 1', backfill => 'kafka')});
is($node->safe_psql('postgres', 'SELECT d.n = l.n FROM (SELECT sum(n) AS n FROM devices) d, (SELECT sum(logins) AS n FROM logins_1m) l'), 't', 'a new one has all that was before');
is(sqlstate_of($node, 'postgres', q{SELECT streamagg.backfill('nothing', source => 'kafka')}), '42P01', 'of no aggregate');
$node->safe_psql('postgres', <<'END');
SELECT streamagg.create_aggregate('dropping', 'SELECT w.window_start, count(*) AS n FROM user_login l, streamagg.tumble(l.ts, ''1 minute'') w GROUP BY 1', late => 'drop');
END
is(sqlstate_of($node, 'postgres', q{SELECT streamagg.backfill('dropping', source => 'kafka')}), '0A000', 'which rows were late, the topic does not tell');
# what it would give now is not what it gave
my $before = $node->safe_psql('postgres', 'SELECT count(*), sum(logins) FROM logins_1m');
$node->safe_psql('postgres', q{ALTER FOREIGN TABLE user_login ADD CONSTRAINT no_web CHECK (device_type <> 'web')});
is(sqlstate_of($node, 'postgres', q{SELECT streamagg.backfill('logins_1m', source => 'kafka')}), '55000', 'other constraints, other rows: refused');
$node->safe_psql('postgres', 'ALTER FOREIGN TABLE user_login DROP CONSTRAINT no_web');

is($node->safe_psql('postgres', q{SELECT restarts = 0, state FROM streamagg.streams}), 't|running', 'it runs on');
accounting_is_right($node, 'postgres');
server_is_unharmed($node);

$node->safe_psql('postgres', q{SELECT streamagg.stop('user_login')});
$kafka->delete_topic('user-login');
$kafka->create_topic('user-login', 4);
my ($status, $out, $err) = $node->psql('postgres', q{SELECT streamagg.backfill('logins_1m', source => 'kafka')});
like($err, qr/partition 0 no longer has the offsets from 0 to \d+/, 'what the topic has lost is named');
is($node->safe_psql('postgres', 'SELECT count(*), sum(logins) FROM logins_1m'), $before, 'and nothing was replaced');
$node->stop;
$kafka->stop;
done_testing();
