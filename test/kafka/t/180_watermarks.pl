# What the closing watermark waits for, and that it never goes back: partitions are idle only where a broker
# says so, and to the process that saw it; the last windows close only while nothing comes.
use strict;
use warnings;

use StreamaggScripted;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggScripted->new(nodes => 2);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }

# Each partition begins with a row of second 0.
sub add_stream
{
    my ($name, $partitions, $options) = @_;
    $kafka->do(create => $name, partitions => $partitions);
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', watermark_delay '10 s', max_future '1 day', $options);
SELECT streamagg.create_aggregate('${name}_m', 'SELECT w.window_start, w.window_end, count(*) AS n FROM $name, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
END
    append($name, $_, 0) foreach 0 .. $partitions - 1;
    sql("SELECT streamagg.start('$name')");
    reaches($name, $_, 1) foreach 0 .. $partitions - 1;
    return;
}

sub append
{
    my ($topic, $partition, @seconds) = @_;
    $kafka->do(append => $topic, partition => $partition, values => [ map { '{"ts":' . (1700000040 + $_) . '}' } @seconds ]);
    return;
}

sub alter { my ($name, $options) = @_; sql("ALTER FOREIGN TABLE $name OPTIONS ($options)"); return; }
sub idle { return sql("SELECT string_agg(idle::text, ' ' ORDER BY partition) FROM streamagg.partitions WHERE stream = '$_[0]'::regclass"); }
sub late { return sql("SELECT late_rows FROM streamagg.aggregates WHERE stream = '$_[0]'::regclass"); }

# In seconds of that minute.
sub closing { return sql("SELECT extract(epoch FROM watermark)::int - 1700000040 FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }

# Until the partition stands at this offset.
sub reaches
{
    my ($stream, $partition, $offset) = @_;
    wait_until("offset $offset of $stream",
        sub { sql("SELECT next_offset FROM streamagg.partitions WHERE stream = '$stream'::regclass AND partition = $partition") eq $offset });
    return;
}

subtest 'no broker says that there is no more' => sub {
    add_stream('headless', 2, q{idle_timeout '100 ms', close_after '1 hour', batch_interval '10 ms'});
    wait_until('idle partitions', sub { idle('headless') eq 'true true' });
    is(closing('headless'), -10, 'the lowest partition');
    $kafka->do(leader => 'headless', node => -1);
    # read to its end, as far as the worker knows, and active from the next batch on
    sql(q{UPDATE streamagg.partition_progress SET idle = false WHERE stream = 'headless'::regclass AND partition = 0});
    append('headless', 1, 100);
    reaches('headless', 1, 2);
    wait_until('the other partition', sub { idle('headless') =~ / true/ });
    is(idle('headless'), 'false true', 'a partition that nobody answers for is not idle');
    alter('headless', q{SET batch_interval '2 s'});
    append('headless', 1, 101);
    reaches('headless', 1, 3);
    like(idle('headless'), qr/^false/, 'nor with a batch of another that was collected when it was due');
    is(closing('headless'), -10, 'it holds the closing watermark');
    $kafka->do(leader => 'headless', node => 1);
    wait_until('an answer', sub { idle('headless') eq 'true true' });
};

subtest 'what came while nobody looked' => sub {
    add_stream('resumed', 2, q{idle_timeout '100 ms'});
    wait_until('idle partitions', sub { idle('resumed') eq 'true true' });
    sql(q{SELECT streamagg.stop('resumed')});
    alter('resumed', q{SET idle_timeout '1 hour'});
    sql(q{SELECT streamagg.start('resumed')});
    append('resumed', 0, 1000);
    reaches('resumed', 0, 2);
    is(closing('resumed'), -10, 'a partition that was idle before is waited for');
    append('resumed', 1, 50);
    reaches('resumed', 1, 2);
    is(closing('resumed'), 40, 'until it goes on');
    is(late('resumed'), 0, 'so its rows are in time');
};

subtest 'the end of the last windows' => sub {
    add_stream('ending', 1, q{idle_timeout '100 ms', close_after '1 s', batch_interval '2 s'});
    wait_until('the idle partition', sub { idle('ending') eq 'true' });
    # it is being collected when close_after is over
    append('ending', 0, 100);
    reaches('ending', 0, 2);
    is(closing('ending'), 90, 'a batch with rows does not close their windows');
    append('ending', 0, 95);
    reaches('ending', 0, 3);
    is(late('ending'), 0, 'rows behind them are in time');
    wait_until('the end', sub { closing('ending') eq '100' });
    is(sql('SELECT count(*) FROM ending_m WHERE is_final'), 1, 'the window of the maximum event time itself stays open');
};

subtest 'G6: crashes' => sub {
    add_stream('crashed', 2, q{idle_timeout '100 ms', close_after '100 ms'});
    append('crashed', 0, 1000);
    wait_until('the end of the windows', sub { closing('crashed') eq '1000' });
    alter('crashed', q{SET idle_timeout '1 hour', SET close_after '1 hour', SET watermark_delay '1 hour'});
    append('crashed', 0, 1001);
    reaches('crashed', 0, 3);
    is(closing('crashed'), 1000, 'a longer watermark_delay does not take it back');
    kill_worker($node, 'postgres', 0);
    is(closing('crashed'), 1000, 'nor does kill -9 of a worker');
    append('crashed', 1, 500);
    reaches('crashed', 1, 2);
    is(late('crashed'), 1, 'rows are judged by it');
    is(closing('crashed'), 1000, 'nor do the batches behind it');
    $node->kill9;
    # refused while a process of before is there; what start() has noted of that one is taken back by stop()
    wait_until('the server', sub { $node->start(fail_ok => 1) || !$node->stop('fast', fail_ok => 1) && 0 });
    is(closing('crashed'), 1000, 'nor kill -9 of the postmaster');
    append('crashed', 1, 501);
    reaches('crashed', 1, 3);
    is(late('crashed'), 2, 'the next row is late, too');
    is(closing('crashed'), 1000, 'and it stands where it stood');
};

accounting_is_right($node, 'postgres');
server_is_unharmed($node);
done_testing();
