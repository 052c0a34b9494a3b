# Faults of the log that a real broker cannot be made to show: it is a scripted one. Nothing is counted
# twice, what cannot be read halts the stream with its offset, and skip() passes just that.
use strict;
use warnings;

use StreamaggScripted;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggScripted->new(nodes => 2);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }

sub add_stream
{
    my ($name, $partitions, $options) = @_;
    $kafka->do(create => $name, partitions => $partitions // 1);
    $options //= '';
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v bigint, o bigint OPTIONS (meta 'offset'))
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on' $options);
SELECT streamagg.create_aggregate('${name}_sum', 'SELECT count(*) AS n, sum(v) AS s, sum(o) AS o FROM $name');
END
    return;
}

sub append
{
    my ($topic, $from, $to, %more) = @_;
    $kafka->do(append => $topic, values => [ map { qq({"ts":1700000000,"v":$_}) } $from .. $to ], %more);
    return;
}

sub state_of { return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }
sub reason_of { return sql("SELECT reason FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }
sub sums { return sql("SELECT n, s FROM $_[0]_sum"); }
sub start { return sql("SELECT streamagg.start('$_[0]')"); }
sub gaps_of { return sql("SELECT partition, first_offset, next_offset, kind, reason FROM streamagg.gaps WHERE stream = '$_[0]'::regclass ORDER BY at"); }

sub place_of
{
    return sql("SELECT start_offset, next_offset, read, gaps, lost FROM streamagg.partitions
      WHERE stream = '$_[0]'::regclass ORDER BY partition");
}

# Until the stream stands at this offset.
sub reaches
{
    my ($stream, $offset, $partition) = @_;
    $partition //= 0;
    is(sql(qq(SELECT streamagg.wait_for('$stream', '60 s', '{"$partition": $offset}'))), 't', "$stream: at offset $offset");
    return;
}

sub halts
{
    my ($stream, $sqlstate, $reason) = @_;
    wait_until("the halt of $stream", sub { state_of($stream) eq "halted|$sqlstate" });
    like(reason_of($stream), $reason, "$stream: the reason");
    return;
}

subtest 'the scripted broker' => sub {
    add_stream('plain', 2);
    append('plain', 1, 10);
    append('plain', 1, 5, producer => 7);
    append('plain', 11, 12);
    $kafka->do(append => 'plain', control => 'abort', producer => 7);
    append('plain', 100, 101, partition => 1);
    start('plain');
    reaches('plain', 18);
    reaches('plain', 2, 1);
    is(sums('plain'), '14|279', 'what is committed is counted');
    is(place_of('plain'), "0|18|12|6|0\n0|2|2|0|0", 'what is aborted is a gap');
};

subtest 'B16: repeated offsets' => sub {
    add_stream('repeated');
    start('repeated');
    append('repeated', 1, 5);
    # the second batch of one reply begins again at offset 3
    append('repeated', 4, 8, base => 3);
    reaches('repeated', 8);
    append('repeated', 9, 13, base => 8, offsets => [ 8, 8, 9, 8, 10 ]);
    reaches('repeated', 11);
    is(sql('SELECT n, o FROM repeated_sum'), '11|55', 'each offset is counted once');
    is(place_of('repeated'), '0|11|11|0|0', 'and read once');
};

subtest 'B18: a wrong checksum' => sub {
    add_stream('crc');
    append('crc', 1, 5);
    append('crc', 6, 9, fault => 'crc');
    append('crc', 10, 12);
    start('crc');
    halts('crc', 'XX001', qr/partition 0 offset 5: the records there cannot be read.*streamagg\.skip\('crc', 0, 5, /);
    is(sums('crc'), '5|15', 'what was before is counted, nothing of what is behind');
    is(place_of('crc'), '0|5|5|0|0', 'it stands before the batch');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.skip('crc', 0, 3, 'no')}), '22023', 'what was read cannot be skipped');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.skip('crc', 1, 3, 'no')}), '22023', 'nor what is nowhere');
    sql(q{SELECT streamagg.skip('crc', 0, 5, 'disk of broker 2')});
    start('crc');
    reaches('crc', 12);
    is(sums('crc'), '8|48', 'it goes on behind the batch');
    is(gaps_of('crc'), '0|5|9|skipped|disk of broker 2', 'what was skipped stands in gaps');
    is(place_of('crc'), '0|12|8|0|4', 'and is counted');
};

subtest 'B19: what cannot be decompressed' => sub {
    add_stream('codec');
    append('codec', 1, 5);
    append('codec', 6, 305, fault => 'codec');
    start('codec');
    halts('codec', 'XX001', qr/partition 0 offset 5: the records there cannot be read/);
    is(sums('codec'), '5|15', 'what was before is counted');
    sql(q{SELECT streamagg.skip('codec', 0, 5, 'unknown codec')});
    start('codec');
    reaches('codec', 305);
    append('codec', 1, 1);
    reaches('codec', 306);
    is(sums('codec'), '6|16', 'it goes on behind the batch');
    is(gaps_of('codec'), '0|5|305|skipped|unknown codec', 'what was skipped stands in gaps');
    sql(q{SELECT streamagg.restart('codec')});
    append('codec', 2, 2);
    reaches('codec', 307);
    is(sums('codec'), '7|18', 'and after a restart');
};

subtest 'B8: a log that was cut and has grown again' => sub {
    add_stream('regrown');
    append('regrown', 1, 6);
    append('regrown', 7, 10);
    start('regrown');
    reaches('regrown', 10);
    is(sql(q{SELECT streamagg.stop('regrown')}), 't', 'stopped');
    $kafka->do(truncate => 'regrown', end => 6);
    append('regrown', 100, 120, base => 6);
    start('regrown');
    halts('regrown', '22000', qr/partition 0 offset 9: the record there is not the one that was read/);
    is(sums('regrown'), '10|55', 'nothing of the new log is read');
    # a person knows where the new records begin
    sql(q{SELECT streamagg.seek('regrown', '{"0": 6}')});
    start('regrown');
    reaches('regrown', 27);
    is(sums('regrown'), '31|2365', 'it goes on where it was told');
    is(place_of('regrown'), '6|27|21|0|0', 'the counters are those of the new log');
    like(gaps_of('regrown'), qr/^0\|10\|6\|replaced\|/, 'which stands in gaps');
    like(sql(q{SELECT detail FROM streamagg.events WHERE event = 'seek'}), qr/back from offset 10 to 6, until then read 10, gaps 0, lost 0/,
        'the old counters stand in events');
};

subtest 'B8: the same while it runs' => sub {
    add_stream('cut');
    append('cut', 1, 6);
    append('cut', 7, 10);
    start('cut');
    reaches('cut', 10);
    $kafka->do('disconnect');
    append('cut', 11, 12);
    reaches('cut', 12);
    is(state_of('cut'), 'running|', 'a lost connection alone is no fault');
    $kafka->do(leader => 'cut', node => -1);
    $kafka->do('disconnect');
    $kafka->do(truncate => 'cut', end => 6);
    append('cut', 100, 120, base => 6);
    $kafka->do(leader => 'cut', node => 1);
    halts('cut', '22000', qr/partition 0 offset 11: the record there is not the one that was read/);
    is(sums('cut'), '12|78', 'nothing of the new log is read');
};

subtest 'B7: a log that was cut' => sub {
    add_stream('shorter');
    append('shorter', 1, 6);
    append('shorter', 7, 10);
    start('shorter');
    reaches('shorter', 10);
    $kafka->do(truncate => 'shorter', end => 6);
    $kafka->do('disconnect');
    halts('shorter', '22000', qr/was read up to offset 10, and ends at offset 6.*seek\('shorter', '\{"0": 6\}'\)/);
    sql(q{SELECT streamagg.seek('shorter', '{"0": 6}')});
    append('shorter', 20, 21);
    start('shorter');
    reaches('shorter', 8);
    is(sums('shorter'), '12|96', 'the command of the hint accepts it');
};

subtest 'B7: a log without its last record' => sub {
    add_stream('last');
    append('last', 1, 9);
    append('last', 10, 10);
    start('last');
    reaches('last', 10);
    is(sql(q{SELECT streamagg.stop('last')}), 't', 'stopped');
    $kafka->do(truncate => 'last', end => 9);
    start('last');
    halts('last', '22000', qr/was read up to offset 10, and ends at offset 9/);
    is(sums('last'), '10|55', 'what was counted stays');
};

subtest 'B8: a last record that is gone is no fault' => sub {
    add_stream('expired');
    append('expired', 1, 5);
    append('expired', 6, 10);
    start('expired');
    reaches('expired', 10);
    sql(q{SELECT streamagg.stop('expired')});
    append('expired', 11, 12);
    $kafka->do(expire => 'expired', first => 10);
    start('expired');
    reaches('expired', 12);
    is(sums('expired'), '12|78', 'it goes on');
    is(place_of('expired'), '0|12|12|0|0', 'nothing is lost');
};

subtest 'B13: the leader moves' => sub {
    add_stream('moving', 1, q{, batch_interval '1 ms'});
    start('moving');
    foreach my $i (1 .. 100)
    {
        append('moving', $i, $i);
        $kafka->do(leader => 'moving', node => $i % 2);
    }
    reaches('moving', 100);
    is(sums('moving'), '100|5050', 'each record once');
    is(place_of('moving'), '0|100|100|0|0', 'and counted so');
};

subtest 'B14: no leader' => sub {
    add_stream('headless', 2);
    start('headless');
    append('headless', 1, 3);
    reaches('headless', 3);
    $kafka->do(leader => 'headless', node => -1);
    append('headless', 4, 5);
    append('headless', 10, 11, partition => 1);
    reaches('headless', 2, 1);
    is(place_of('headless'), "0|3|3|0|0\n0|2|2|0|0", 'the other partition goes on');
    sql(q{SELECT streamagg.restart('headless')});
    append('headless', 12, 12, partition => 1);
    reaches('headless', 3, 1);
    $kafka->do(leader => 'headless', node => 1);
    reaches('headless', 5);
    is(sums('headless'), '8|48', 'and this one, once it has a leader');
};

subtest 'B21: two workers overlap' => sub {
    add_stream('fenced');
    append('fenced', 1, 5);
    start('fenced');
    reaches('fenced', 5);
    my $other = $node->background_psql('postgres');
    $other->query(q{BEGIN});
    $other->query(q{UPDATE streamagg.stream_progress SET batch = batch + 1 WHERE stream = 'fenced'::regclass});
    append('fenced', 6, 7);
    wait_until('the batch that waits for the other', sub {
        sql(q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fenced' AND wait_event_type = 'Lock'});
    });
    $other->query(q{COMMIT});
    $other->quit;
    wait_until('the fence', sub { $node->log_contains(qr/stream "fenced" tries again: stream "fenced" was written by another process/) });
    reaches('fenced', 7);
    is(sums('fenced'), '7|28', 'nothing twice');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
done_testing();
