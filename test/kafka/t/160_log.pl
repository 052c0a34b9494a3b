# What a real broker does to a log under a stream: transactions, compaction, retention, topics deleted
# and made anew, partitions added. Nothing is lost without a word, nothing is counted twice.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time);

my $kafka = StreamaggKafka->new(config => { 'log.cleaner.backoff.ms' => 200 });
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }

sub add_stream
{
    my ($name, $partitions, $options, @config) = @_;
    $kafka->create_topic($name, $partitions // 1, @config);
    $options //= '';
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v bigint)
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on' $options);
SELECT streamagg.create_aggregate('${name}_sum', 'SELECT count(*) AS n, sum(v) AS s FROM $name');
END
    return;
}

sub record { my ($v, $partition, $key) = @_; return sprintf qq(%d\t%s\t{"ts":%d,"v":%d}), $partition // 0, $key // '\N', 1700000000 + $v, $v; }
sub produce { my ($topic, @values) = @_; $kafka->produce($topic, map { record($_) } @values); return; }
sub state_of { return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }
sub reason_of { return sql("SELECT reason FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }
sub sums { return sql("SELECT n, coalesce(s, 0) FROM $_[0]_sum"); }
sub start { return sql("SELECT streamagg.start('$_[0]')"); }
sub stop { is(sql("SELECT streamagg.stop('$_[0]')"), 't', "$_[0]: stopped"); return; }
sub seek_to { return sql("SELECT streamagg.seek('$_[0]', $_[1])"); }
sub seek_code { return sqlstate_of($node, 'postgres', "SELECT streamagg.seek('$_[0]', $_[1])"); }
sub caught_up { is(sql("SELECT streamagg.wait_for('$_[0]', '60 s')"), 't', "$_[0]: caught up"); return; }
sub gaps_of { return sql("SELECT partition, first_offset, next_offset, kind FROM streamagg.gaps WHERE stream = '$_[0]'::regclass ORDER BY at"); }
sub events_of { return sql("SELECT detail FROM streamagg.events WHERE stream = '$_[0]'::regclass AND event = '$_[1]' ORDER BY at"); }

sub place_of
{
    return sql("SELECT start_offset, next_offset, read, gaps, lost FROM streamagg.partitions
      WHERE stream = '$_[0]'::regclass ORDER BY partition");
}

sub halts
{
    my ($stream, $sqlstate, $reason) = @_;
    wait_until("the halt of $stream", sub { state_of($stream) eq "halted|$sqlstate" });
    like(reason_of($stream), $reason, "$stream: the reason");
    return;
}

subtest 'B4: an open transaction' => sub {
    add_stream('pinned', 1, q{, idle_timeout '1 s', close_after '1 s', watermark_delay '0'});
    produce('pinned', 1, 2);
    start('pinned');
    caught_up('pinned');
    my $producer = $kafka->producer('pinned', '--transactional', 'open');
    $kafka->send($producer, record(3));
    produce('pinned', 4, 5);
    wait_until('the reason', sub { reason_of('pinned') =~ /partition 0 waits at offset 2 for an open transaction/ });
    is(state_of('pinned'), 'running|', 'it runs');
    wait_until('the lag', sub { sql(q{SELECT lag FROM streamagg.partitions WHERE stream = 'pinned'::regclass}) eq '3' });
    is(place_of('pinned'), '0|2|2|0|0', 'nothing is lost, nothing a gap');
    is(sql(q{SELECT idle FROM streamagg.partitions WHERE stream = 'pinned'::regclass}), 'f', 'the partition is not idle');
    $kafka->hand_over($producer, '!commit');
    $kafka->end_producer($producer);
    caught_up('pinned');
    is(sums('pinned'), '5|15', 'all are counted');
    is(place_of('pinned'), '0|6|5|1|0', 'the marker is a gap');
    wait_until('the end of the waiting', sub { reason_of('pinned') eq '' });
};

subtest 'B5: a compacted topic' => sub {
    my @config = ('cleanup.policy=compact', 'segment.ms=200', 'min.cleanable.dirty.ratio=0.001', 'max.compaction.lag.ms=300', 'delete.retention.ms=100');
    add_stream('compacted', 1, '', @config);
    $kafka->produce('compacted', map { record($_, 0, 'k' . $_ % 3) } 1 .. 30);
    # a segment that is written to is not cleaned: records go on until the first ones are gone
    my $last = 30;
    wait_until('the compaction', sub {
        $last++;
        $kafka->produce('compacted', record($last, 0, 'last'));
        return sql(q{SELECT count(*) FROM compacted WHERE v <= 30}) < 20;
    });
    start('compacted');
    caught_up('compacted');
    my ($start, $next, $read, $gaps, $lost) = split /\|/, place_of('compacted');
    cmp_ok($gaps, '>', 0, 'holes are gaps');
    is($lost, 0, 'and not lost');
    is($next, $last, 'read to the end');
    is(gaps_of('compacted'), '', 'nothing stands in streamagg.gaps');
};

subtest 'B6: retention has passed us' => sub {
    add_stream('late', 1);
    produce('late', 1 .. 5);
    start('late');
    caught_up('late');
    stop('late');
    produce('late', 6 .. 10);
    $kafka->script('topics.py', 'delete_records', 'late', '0', '8');
    start('late');
    halts('late', '22000', qr/partition 0: offsets \[5, 8\) were deleted before they were read.*streamagg\.seek\('late', '\{"0": 8\}'\)/);
    is(sums('late'), '5|15', 'nothing is read behind them');
    is(place_of('late'), '0|5|5|0|0', 'it stands where it stood');
    seek_to('late', q{'{"0": 8}'});
    is(gaps_of('late'), '0|5|8|lost', 'the loss that was accepted stands in gaps');
    start('late');
    caught_up('late');
    is(sums('late'), '7|34', 'it goes on');
    is(place_of('late'), '0|10|7|0|3', 'and all is counted');
};

subtest "B6: on_data_loss 'skip'" => sub {
    add_stream('careless', 2, q{, on_data_loss 'skip'});
    $kafka->produce('careless', map { record($_, $_ % 2) } 1 .. 6);
    start('careless');
    caught_up('careless');
    stop('careless');
    $kafka->produce('careless', map { record($_, $_ % 2) } 7 .. 12);
    $kafka->script('topics.py', 'delete_records', 'careless', $_, '5') foreach 0, 1;
    start('careless');
    caught_up('careless');
    is(sums('careless'), '8|44', 'it goes on by itself, in both partitions');
    is(gaps_of('careless') =~ s/^1.*\n(0.*)$/$1/r =~ s/\n.*//r, '0|3|5|lost', 'what is lost stands in gaps');
    is(place_of('careless'), "0|6|4|0|2\n0|6|4|0|2", 'and is counted');
    is(events_of('careless', 'lost') =~ tr/\n//, 1, 'an event each');
};

subtest 'B9: a topic made anew' => sub {
    add_stream('anew', 1);
    produce('anew', 1 .. 5);
    start('anew');
    caught_up('anew');
    stop('anew');
    $kafka->delete_topic('anew');
    $kafka->create_topic('anew', 1);
    produce('anew', 101 .. 120);
    start('anew');
    halts('anew', '22000', qr/partition 0 offset 4: the record there is not the one that was read/);
    is(sums('anew'), '5|15', 'nothing of the new one is read');
    seek_to('anew', q{'{"0": 0}'});
    start('anew');
    caught_up('anew');
    is(sums('anew'), '25|2225', 'a person lets it go on from the new beginning');
    is(place_of('anew'), '0|20|20|0|0', 'with counters of its own');
    like(gaps_of('anew'), qr/^0\|5\|0\|replaced$/, 'gaps tell of it');
};

subtest 'B10: a topic deleted while it is read' => sub {
    add_stream('deleted', 1);
    produce('deleted', 1 .. 5);
    start('deleted');
    caught_up('deleted');
    $kafka->delete_topic('deleted');
    wait_until('the state', sub { state_of('deleted') !~ /^(running|starting)/ }, 30);
    like(state_of('deleted'), qr/^(blocked|backoff|halted)\|42704$/, 'a state that tells of it within 30 s');
    my $began = time;
    sql(q{SELECT streamagg.stop('deleted')});
    cmp_ok(time - $began, '<', 5, 'stop() within 5 s');
    is(sums('deleted'), '5|15', 'what was read stays');
};

subtest 'B11: partitions are added' => sub {
    add_stream('grown', 1, q{, watermark_delay '0', start_from 'latest'});
    start('grown');
    wait_until('it runs', sub { state_of('grown') eq 'running|' });
    produce('grown', 100);
    caught_up('grown');
    my $watermark = sql(q{SELECT watermark FROM streamagg.streams WHERE stream = 'grown'::regclass});
    $kafka->add_partitions('grown', 3);
    $kafka->produce('grown', record(1, 1), record(2, 2));
    wait_until('the partitions', sub { sql(q{SELECT count(*) FROM streamagg.partitions WHERE stream = 'grown'::regclass}) == 3 }, 30);
    caught_up('grown');
    is(sums('grown'), '3|103', 'read from their beginning');
    is(sql(qq{SELECT watermark >= '$watermark' FROM streamagg.streams WHERE stream = 'grown'::regclass}), 't', 'the watermark does not go back');
    is(events_of('grown', 'partitions'), 'topic "grown" has 3, had 1', 'an event tells of them');
};

subtest 'B12: fewer partitions' => sub {
    add_stream('fewer', 2);
    $kafka->produce('fewer', map { record($_, $_ % 2) } 1 .. 6);
    start('fewer');
    caught_up('fewer');
    stop('fewer');
    $kafka->delete_topic('fewer');
    $kafka->create_topic('fewer', 1);
    start('fewer');
    halts('fewer', '55000', qr/has 1 partitions, stream "fewer" has read 2/);
    is(sums('fewer'), '6|21', 'the state is kept');
    is(place_of('fewer'), "0|3|3|0|0\n0|3|3|0|0", 'and the offsets');
};

subtest 'B22: another consumer of the same group' => sub {
    add_stream('shared', 2);
    $kafka->produce('shared', map { record($_, $_ % 2) } 1 .. 10);
    start('shared');
    my $group = $kafka->background('topics.py', 'join', 'shared', 'streamagg');
    wait_until('the other consumer', sub { $kafka->busy($group); $group->{out} =~ /assigned/ });
    $kafka->produce('shared', map { record($_, $_ % 2) } 11 .. 20);
    caught_up('shared');
    sql(q{SELECT streamagg.restart('shared')});
    $kafka->produce('shared', map { record($_, $_ % 2) } 21 .. 30);
    caught_up('shared');
    is(sums('shared'), '30|465', 'has no effect');
    $group->{run}->signal('TERM');
    $group->{run}->finish;
};

subtest 'seek()' => sub {
    add_stream('sought', 2);
    $kafka->produce('sought', map { record($_, $_ % 2) . "\t" . (1700000000000 + 1000 * $_) } 1 .. 20);
    start('sought');
    caught_up('sought');
    is(seek_code('sought', q{'{"0": 10}'}), '55006', 'not while it runs');
    stop('sought');
    is(seek_code('sought', q{'{"0": 3}'}), '55000', 'not back: its aggregates would count twice');
    is(seek_code('sought', q{'{"0": 11}'}), '22023', 'not behind the end');
    is(seek_code('sought', q{'{"2": 0}'}), '22023', 'not in a partition that is not there');
    is(seek_code('sought', q{'{"0": "x"}'}), '22023', 'not to what is no offset');
    is(seek_code('sought', 'NULL'), '22023', 'not without a target');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.seek('sought', '{"0": 10}', now())}), '22023', 'not with two');
    sql('CREATE ROLE stranger');
    is(sqlstate_of($node, 'postgres', q{SET ROLE stranger; SELECT streamagg.seek('sought', '{"0": 10}')}), '42501', 'not by others than the owner');
    is(sqlstate_of($node, 'postgres', q{SET ROLE stranger; SELECT streamagg.skip('sought', 0, 10, 'x')}), '42501', 'nor skip()');
    is(place_of('sought'), "0|10|10|0|0\n0|10|10|0|0", 'nothing has moved');
    is(gaps_of('sought'), '', 'nothing stands in gaps');
    $kafka->produce('sought', map { record($_, $_ % 2) . "\t" . (1700000000000 + 1000 * $_) } 21 .. 40);
    sql(q{SELECT streamagg.seek('sought', at => to_timestamp(1700000031))});
    is(gaps_of('sought'), "0|10|15|skipped\n1|10|15|skipped", 'forward to a time: what is passed over stands in gaps');
    start('sought');
    caught_up('sought');
    is(sums('sought'), '30|' . (210 + 355), 'it goes on there');
    is(place_of('sought'), "0|20|15|0|5\n0|20|15|0|5", 'all is counted');
    stop('sought');
    sql(q{SELECT streamagg.drop_aggregate('sought_sum')});
    is(seek_code('sought', q{'{"0": 0, "1": 0}'}), '55000', 'nor without them: its archive would have all twice');
    sql(q{ALTER FOREIGN TABLE sought OPTIONS (SET archive 'off'); DROP TABLE sought_archive});
    seek_to('sought', q{'{"0": 0, "1": 0}'});
    sql(q{ALTER FOREIGN TABLE sought OPTIONS (SET archive 'on')});
    sql(q{SELECT streamagg.create_aggregate('sought_sum', 'SELECT count(*) AS n, sum(v) AS s FROM sought')});
    start('sought');
    caught_up('sought');
    is(sums('sought'), '40|820', 'without aggregates and archive it can go back');
};

subtest 'seek() before the first start' => sub {
    add_stream('first', 2, q{, start_from 'latest'});
    $kafka->produce('first', map { record($_, $_ % 2) } 1 .. 10);
    seek_to('first', q{'{"1": 3}'});
    start('first');
    caught_up('first');
    is(sums('first'), '2|16', 'the others begin where start_from says');
    is(place_of('first'), "5|5|0|0|0\n3|5|2|0|0", 'nothing counts as passed over');
};

subtest 'skip()' => sub {
    add_stream('stops', 1, q{, on_violation 'stop'});
    $kafka->produce('stops', record(1), record(2), qq(0\t\\N\t{"ts":1700000000,"v":"x"}), record(4));
    start('stops');
    halts('stops', '22P02', qr/partition 0 offset 2: column "v"/);
    is(place_of('stops') =~ s/\|.*//r, 0, 'nothing of the batch is kept');
    sql(q{SELECT streamagg.skip('stops', 0, 2, 'known to be bad')});
    start('stops');
    caught_up('stops');
    is(sums('stops'), '3|7', 'just that record is left out');
    is(gaps_of('stops'), '0|2|3|skipped', 'it stands in gaps');
    is(place_of('stops'), '0|4|3|0|1', 'and is counted');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.skip('stops', 0, 4, 'x')}), '22023', 'there must be a record');
    is(events_of('stops', 'skip'), 'partition 0, offsets [2, 3): known to be bad', 'an event tells of it');
};

subtest 'start_from' => sub {
    $kafka->create_topic('from', 2);
    $kafka->produce('from', map { record($_, $_ % 2) . "\t" . (1700000000000 + 1000 * $_) } 1 .. 20);
    my $at = '2023-11-14 22:13:31+00'; # 1700000011
    foreach my $case ([ 'a_time', $at, '10|155' ], [ 'a_local_time', '2023-11-14 22:13:31', '10|155' ],
        [ 'offsets', '{"0": 8}', '12|' . (100 + 18 + 20) ], [ 'the_end', '2033-01-01', '0|0' ])
    {
        my ($name, $value, $sums) = @$case;
        sql(<<"END");
SET TimeZone = 'Asia/Tokyo';
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v bigint)
  SERVER kafka OPTIONS (topic 'from', event_time 'ts', start_from '$value', archive 'on');
SELECT streamagg.create_aggregate('${name}_sum', 'SELECT count(*) AS n, sum(v) AS s FROM $name');
END
        is(sql("SELECT count(*), coalesce(sum(v), 0) FROM $name"), $sums, "SELECT from $value");
        start($name);
        caught_up($name);
        is(sums($name), $sums, "the stream from $value");
    }
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
done_testing();
