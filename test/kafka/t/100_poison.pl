# E25, E26: rows that an aggregate fails on. One of many goes to quarantine, alone; when all fail the
# stream halts instead; and when the worker is killed while it looks for them, each is there once.
# STREAMAGG_SEED repeats the delays of the kills.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
srand $seed;
diag "seed $seed: STREAMAGG_SEED=$seed repeats this run";

my $kafka = StreamaggKafka->new;
$kafka->start;
# Small batches, so that many are bisected.
my $node = new_node('main', "streamagg.worker_memory = '16MB'\n");
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', "SET TimeZone = 'UTC';" . $_[0]); }

sub state_of
{
    return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$_[0]'::regclass");
}

sub add_stream
{
    my ($name, $topic, $query) = @_;
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int, k int,
  p int OPTIONS (meta 'partition')) SERVER kafka OPTIONS (topic '$topic', event_time 'ts', watermark_delay '10 s', archive 'on');
SELECT streamagg.create_aggregate('${name}_agg', '$query');
END
    return;
}

sub caught_up { is(sql("SELECT streamagg.wait_for('$_[0]', '120 s')"), 't', "$_[0]: caught up"); return; }

sub record
{
    my ($v, $second, $partition) = @_;
    return sprintf "%d\t\\N\t{\"ts\":%d,\"v\":%s,\"k\":%d}", $partition // 0, 1700000000 + $second, $v, $second % 7;
}

subtest 'E25: one row of many' => sub {
    $kafka->create_topic('one', 1);
    # The bad one would move the watermark by far.
    $kafka->produce('one', map { $_ == 333 ? record(0, 9000) : record($_, $_ % 60) } 1 .. 1000);
    add_stream('one', 'one', 'SELECT k, count(*) AS n, sum(1000 / v) AS s FROM one GROUP BY k');
    add_stream('twin', 'one', 'SELECT k, count(*) AS n, sum(1000 / v) AS s FROM twin WHERE v <> 0 GROUP BY k');
    sql("SELECT streamagg.start('$_')") foreach 'one', 'twin';
    caught_up($_) foreach 'one', 'twin';
    is(sql('SELECT partition, record_offset, stage, code, reason FROM streamagg.quarantine'),
        '0|332|aggregate|22012|aggregate "public.one_agg" fails on the row: its query, a table it joins,'
          . ' or a trigger or constraint of its state table', 'it alone is in quarantine');
    is(sql(q{SELECT read, accepted, quarantined, watermark FROM streamagg.partitions WHERE stream = 'one'::regclass}),
        '1000|999|1|2023-11-14 22:14:09+00', 'the others are accepted; it has not moved the watermark');
    same_rows('a twin that leaves it out', [ split /\n/, sql('SELECT k, n, s FROM one_agg') ],
        [ split /\n/, sql('SELECT k, n, s FROM twin_agg') ]);
    my %sum;
    $sum{ $_ % 60 % 7 } += int(1000 / $_) foreach grep { $_ != 333 } 1 .. 1000;
    is(sql('SELECT k, s FROM one_agg ORDER BY k'), join("\n", map { "$_|$sum{$_}" } sort keys %sum), 'is recomputed');
};

subtest 'E26: every row of a batch' => sub {
    $kafka->create_topic('all', 1);
    $kafka->produce('all', map { record(0, $_) } 1 .. 500);
    add_stream('every', 'all', 'SELECT sum(1000 / v) AS s FROM every');
    sql("SELECT streamagg.start('every')");
    wait_until('the halt', sub { state_of('every') eq 'halted|22012' });
    is(sql(q{SELECT reason FROM streamagg.streams WHERE stream = 'every'::regclass}),
        'aggregate "public.every_agg" fails on every row with SQLSTATE 22012; hint: Its query, the tables it joins,'
          . ' or triggers and constraints of its state table raise this.', 'the reason');
    is(sql(q{SELECT read, accepted, quarantined FROM streamagg.partitions WHERE stream = 'every'::regclass}),
        '0|0|0', 'nothing is counted');
    is(sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'every'::regclass}), 0, 'nothing is in quarantine');
    is(sql(q{DROP VIEW every_agg;
          SELECT streamagg.create_aggregate('every_agg', 'SELECT sum(1000 / nullif(v, 0)) AS s, count(*) AS n FROM every');
          SELECT streamagg.start('every')}), "every_agg\nt", 'with another query');
    caught_up('every');
    is(sql('SELECT n FROM every_agg'), 500, 'all are read');
};

subtest 'E26: one by one' => sub {
    $kafka->create_topic('trickle', 1);
    add_stream('trickle', 'trickle', 'SELECT count(*) AS n, sum(1000 / v) AS s FROM trickle');
    sql("SELECT streamagg.start('trickle')");
    my $producer = $kafka->producer('trickle');
    my $counts = q{SELECT accepted, quarantined FROM streamagg.partitions WHERE stream = 'trickle'::regclass};
    my $feed = sub {
        my ($v, $expected) = @_;
        $kafka->send($producer, record($v, 1));
        wait_until("$expected", sub { sql($counts) eq $expected });
    };
    $feed->(0, "0|$_") foreach 1 .. 9;
    is(state_of('trickle'), 'running|', 'nine bad ones are nine bad ones');
    $feed->(5, '1|9');
    $feed->(0, "1|$_") foreach 10 .. 18;
    is(state_of('trickle'), 'running|', 'a good one between them begins the count anew');
    $feed->(0, '1|19');
    wait_until('the halt', sub { state_of('trickle') eq 'halted|22000' });
    like(sql(q{SELECT reason FROM streamagg.streams WHERE stream = 'trickle'::regclass}),
        qr/its aggregates fail on every row of 10 batches/, 'ten in a row: it may be the query');
    $kafka->send($producer, record(10, 2));
    sql("SELECT streamagg.start('trickle')");
    caught_up('trickle');
    is(sql($counts), '2|19', 'start() goes on');
    is(sql('SELECT n, s FROM trickle_agg'), '2|300', 'with what is good');
    $kafka->end_producer($producer);
};

# A session that keeps everybody else from a group of killed_agg.
sub hold_group
{
    my $session = $node->background_psql('postgres');
    $session->query_safe("BEGIN; SELECT FROM killed_agg_state WHERE k = $_[0] FOR UPDATE");
    return $session;
}

sub worker_waits
{
    return one_value($node, 'postgres', q{SELECT 1 FROM pg_stat_activity
      WHERE backend_type = 'streamagg worker' AND wait_event_type = 'Lock'});
}

subtest 'kill -9 of the worker among poison rows' => sub {
    my ($partitions, $count, $kills) = (4, 280_000, 6);
    my (@records, @quarantine, %rows);
    my @offset = (0) x $partitions;
    $kafka->create_topic('killed', $partitions);
    foreach my $i (0 .. $count - 1)
    {
        my ($partition, $second) = ($i % $partitions, int($i / 1000));
        my $offset = $offset[$partition]++;
        if ($i % 401 == 7)
        {
            push @records, record(0, $second, $partition);
            push @quarantine, "$partition|$offset|aggregate|22012";
        }
        elsif ($i % 1009 == 3)
        {
            push @records, record('"no"', $second, $partition);
            push @quarantine, "$partition|$offset|convert|22P02";
        }
        else
        {
            push @records, record($i % 1000 + 1, $second, $partition);
            my $row = $rows{ $second % 7 } //= [ 0, 0 ];
            $row->[0]++;
            $row->[1] += int(1000 / ($i % 1000 + 1));
        }
    }
    # Only one worker is there to be killed.
    sql('SELECT streamagg.stop_all()');
    add_stream('killed', 'killed', 'SELECT k, count(*) AS n, sum(1000 / v) AS s FROM killed GROUP BY k');
    my $producer = $kafka->producer('killed');
    my $slice = $count / ($kills + 1);
    $kafka->send($producer, splice @records, 0, $slice);
    sql("SELECT streamagg.start('killed')");
    caught_up('killed');
    foreach my $kill (1 .. $kills)
    {
        # Every second time the worker is held at one group's row, in the middle of its search; else a
        # slice is on its way to the broker.
        my $holder = $kill % 2 && hold_group(int rand 7);
        $kafka->hand_over($producer, splice @records, 0, $slice);
        wait_until('a worker at the held row', \&worker_waits) if $holder;
        kill_worker($node, 'postgres', $holder ? 0 : rand 0.3);
        eval { $holder->quit } if $holder;
        $kafka->send($producer);
    }
    $kafka->end_producer($producer);
    caught_up('killed');
    same_rows('each bad record is in quarantine once', [ split /\n/, sql(q{SELECT partition, record_offset, stage, code
          FROM streamagg.quarantine WHERE stream = 'killed'::regclass}) ], \@quarantine);
    same_rows('the good ones are counted once', [ split /\n/, sql('SELECT k, n, s FROM killed_agg') ],
        [ map { join '|', $_, @{ $rows{$_} } } keys %rows ]);
    is(sql(q{SELECT sum(read), sum(quarantined), sum(gaps), sum(lost) FROM streamagg.partitions
          WHERE stream = 'killed'::regclass}), "$count|" . @quarantine . '|0|0', 'and all was read, once');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
