# The closing watermark of a topic's partitions: empty ones hold it, idle ones do not, it never goes
# back over a restart, and the last windows close when all partitions have been idle long enough.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('events', 2);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }
sub watermark
{
    return sql(q{SET TimeZone = 'UTC';
      SELECT watermark FROM streamagg.streams WHERE stream = 'events'::regclass});
}
sub final { return sql('SELECT count(*) FROM per_minute WHERE is_final'); }

sub record
{
    my ($partition, $seconds) = @_;
    return "$partition\t\\N\t{\"ts\":" . (1700000040 + $seconds) . '}';    # 22:14:00 UTC
}

sql(<<'END');
CREATE FOREIGN TABLE events (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER kafka OPTIONS (topic 'events', event_time 'ts', watermark_delay '10 s',
    idle_timeout '1 hour', close_after '1 hour', archive 'on');
SELECT streamagg.create_aggregate('per_minute', $$SELECT w.window_start, w.window_end, count(*) AS n
  FROM events e, streamagg.tumble(e.ts, '1 minute') w GROUP BY 1, 2$$);
SELECT streamagg.start('events');
END

$kafka->produce('events', record(0, 0), record(0, 70));
is(sql(q{SELECT streamagg.wait_for('events')}), 't', 'caught up');
is(sql(q{SELECT count(*) FROM streamagg.partitions}), '2', 'an empty partition is known');
is(watermark(), '-infinity', 'an empty partition holds the closing watermark');
is(final(), 0, 'nothing is final');

# Takes effect at the next batch.
sql(q{ALTER FOREIGN TABLE events OPTIONS (SET idle_timeout '1 s')});
wait_until('idle partitions', sub { sql(q{SELECT bool_and(idle) FROM streamagg.partitions}) eq 't' });
$kafka->produce('events', record(0, 71));
is(sql(q{SELECT streamagg.wait_for('events')}), 't', 'caught up');
is(watermark(), '2023-11-14 22:15:01+00', 'G3: an idle partition does not hold it');
is(final(), 1, 'the first minute is final');

$kafka->produce('events', record(1, 5));
is(sql(q{SELECT streamagg.wait_for('events')}), 't', 'a partition that was idle is back');
is(watermark(), '2023-11-14 22:15:01+00', 'it never goes back');
is(sql(q{SELECT late_rows FROM streamagg.aggregates}), 1, 'G4: the row is late, counted');
is(sql(q{SELECT sum(n) FROM per_minute}), 4, 'and merged');

sql(q{SELECT streamagg.stop('events')});
sql(q{SELECT streamagg.start('events')});
is(sql(q{SELECT streamagg.wait_for('events')}), 't', 'started again');
is(watermark(), '2023-11-14 22:15:01+00', 'G6: the same after a restart');
$node->restart;
wait_until('the worker after the restart of the server',
    sub { sql(q{SELECT count(worker_pid) FROM streamagg.partitions}) eq '2' });
is(watermark(), '2023-11-14 22:15:01+00', 'and after one of the server');

sql(q{ALTER FOREIGN TABLE events OPTIONS (SET close_after '1 s')});
wait_until('the end of the last windows', sub { watermark() eq '2023-11-14 22:15:11+00' });
is(final(), 1, 'close_after: the watermark is the last event, its own window still open');
$kafka->produce('events', record(0, 190));
wait_until('the windows before it', sub { final() eq '2' });

# B11: partitions added later are found, listed and read from their beginning.
my $closing = watermark();
sql(q{ALTER FOREIGN TABLE events OPTIONS (SET idle_timeout '1 hour')});
$kafka->add_partitions('events', 3);
wait_until('the new partition', sub { sql(q{SELECT count(*) FROM streamagg.partitions}) eq '3' });
$kafka->produce('events', record(0, 250), record(1, 250));
is(sql(q{SELECT streamagg.wait_for('events')}), 't', 'the others go on');
is(watermark(), $closing, 'B11: a new partition leaves the closing watermark where it is');
$kafka->produce('events', record(2, 0), record(2, 201));
wait_until('its rows', sub { sql(q{SELECT read FROM streamagg.partitions WHERE partition = 2}) eq '2' });
is(sql(q{SELECT start_offset FROM streamagg.partitions WHERE partition = 2}), 0, 'it is read from its beginning');
is(watermark(), '2023-11-14 22:17:11+00', 'and is the lowest now');
is(sql(q{SELECT late_rows FROM streamagg.aggregates}), 2, 'its first row met the closing watermark');

# G7: where the broker's time counts, a producer's clock does not: max_future goes by the record's time.
foreach my $time ([ 'CreateTime', 'quarantined' ], [ 'LogAppendTime', 'accepted' ])
{
    my ($kind, $counter) = @$time;
    my $name = lc $kind;
    $kafka->create_topic($name, 1, "message.timestamp.type=$kind");
    sql(qq{CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
      SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on');
      SELECT streamagg.start('$name')});
    $kafka->produce($name, sprintf "0\t\\N\t{\"ts\": %d}\t%d", time, (time - 86400) * 1000);
    is(sql(qq{SELECT streamagg.wait_for('$name')}), 't', "$kind: caught up");
    is(sql(qq{SELECT $counter FROM streamagg.partitions WHERE stream = '$name'::regclass}), 1, "G7: $kind: $counter");
}
# The broker's time as the event time: rows are in order whatever their producers' clocks say.
$kafka->create_topic('appended', 1, 'message.timestamp.type=LogAppendTime');
sql(q{CREATE FOREIGN TABLE appended (n int, at timestamptz OPTIONS (meta 'timestamp') NOT NULL)
  SERVER kafka OPTIONS (topic 'appended', event_time 'at', watermark_delay '0 s');
  SELECT streamagg.create_aggregate('of_appended', $$SELECT w.window_start, w.window_end, count(*) AS n
    FROM appended, streamagg.tumble(at, '1 day') w GROUP BY 1, 2$$);
  SELECT streamagg.start('appended')});
$kafka->produce('appended', map { sprintf "0\t\\N\t{\"n\": %d}\t%d", $_, (time - $_ * 86400) * 1000 } 1 .. 3);
is(sql(q{SELECT streamagg.wait_for('appended')}), 't', 'LogAppendTime: caught up');
is(sql(q{SELECT rows_in, late_rows FROM streamagg.aggregates WHERE stream = 'appended'::regclass}), '3|0', 'G7: no row is late');
is(sql(q{SELECT delay FROM streamagg.lateness_profile('appended') WHERE note ~ 'max'}), '00:00:00', 'nor out of order');
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
done_testing();
