# Sessions over kills: rows of four partitions, out of order, a key in each of them; the worker is killed by
# kill -9 while it reads, and the sessions are the islands of the rows, each row in one.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
srand $seed;
diag "seed $seed: STREAMAGG_SEED=$seed repeats the rows";

my $kafka = StreamaggKafka->new(config => { 'log.retention.ms' => -1 });
$kafka->start;
$kafka->create_topic('clicks', 4);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
sub sql { return $node->safe_psql('postgres', @_); }

sql(<<'END');
CREATE FOREIGN TABLE clicks (k int, v int, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER kafka OPTIONS (topic 'clicks', event_time 'ts', watermark_delay '20 s', archive 'on', batch_interval '20 ms', idle_timeout '1 s', close_after '1 s');
SELECT streamagg.create_aggregate('visits', 'SELECT w.window_start AS b, w.window_end AS e, k, count(*) AS n, sum(v) AS s FROM clicks, streamagg.session(ts, ''5 s'') w GROUP BY 1, 2, 3');
-- a key that one partition has: sessions that leave late rows out can be repeated
SELECT streamagg.create_aggregate('punctual', 'SELECT w.window_start AS b, w.window_end AS e, k, v % 4 AS p, count(*) AS n, sum(v) AS s FROM clicks, streamagg.session(ts, ''5 s'') w GROUP BY 1, 2, 3, 4', late => 'drop');
SELECT streamagg.start('clicks');
END

# Twenty keys, a second a row and key or so, a tenth of the rows up to a minute late; v tells the partition.
my $now = 1_700_000_000;
my $sent = 0;
sub produce
{
    my ($count) = @_;
    my @lines;
    for (1 .. $count)
    {
        $now++ if rand() < 0.2;
        my $partition = int rand 4;
        my $time = $now - (rand() < 0.1 ? int rand 60 : int rand 3);
        push @lines, sprintf "%d\t\\N\t{\"k\": %d, \"v\": %d, \"ts\": %d}\t%d", $partition, int rand 20, 4 * int(rand 1000) + $partition, $time, 1000 * $time;
    }
    $kafka->produce('clicks', @lines);
    $sent += $count;
    return;
}

my $kills = 5;
for (1 .. $kills)
{
    produce(4000);
    kill_worker($node, 'postgres', rand 0.2);
}
produce(4000);
is(sql(q{SELECT streamagg.wait_for('clicks', '1 min')}), 't', "the stream catches up after $kills kills");
is(sql(q{SELECT sum(accepted) FROM streamagg.partitions WHERE stream = 'clicks'::regclass}), $sent, 'all rows are accepted');
is(sql('SELECT sum(n), (SELECT count(*) FROM clicks_archive) FROM visits'), "$sent|$sent", 'each is in one session');
is(sql(<<'END'), '', 'the sessions are the islands of the rows of the topic');
WITH r AS MATERIALIZED (SELECT * FROM clicks),
  marked AS (SELECT *, ts > lag(ts) OVER (PARTITION BY k ORDER BY ts) + interval '5 s' AS begins FROM r),
  numbered AS (SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY k ORDER BY ts) AS island FROM marked),
  islands AS (SELECT min(ts) AS b, max(ts) + interval '5 s' AS e, k, count(*) AS n, sum(v) AS s FROM numbered GROUP BY k, island)
(TABLE islands EXCEPT ALL SELECT b, e, k, n, s FROM visits) UNION ALL (SELECT b, e, k, n, s FROM visits EXCEPT ALL TABLE islands)
END
cmp_ok(sql('SELECT count(*) FROM visits'), '>', 100, 'which are many');
cmp_ok(sql(q{SELECT late_rows FROM streamagg.aggregates WHERE aggregate = 'punctual'::regclass}), '>', 0, 'late rows are left out of the others');
verify_is_empty($node, 'postgres');
accounting_is_right($node, 'postgres');
is(sqlstate_of($node, 'postgres', "SELECT streamagg.backfill('visits', source => 'kafka')"), '0A000', 'no backfill from Kafka');
sql('UPDATE visits_state SET n = n + 1');
is(sql(q{SELECT streamagg.backfill('visits')}), $sent, 'a backfill from the archive while the stream runs');
produce(1000);
is(sql(q{SELECT streamagg.wait_for('clicks', '1 min')}), 't', 'and more rows behind it');
verify_is_empty($node, 'postgres');
# idle for close_after, the topic's highest time closes what ended before
wait_until('sessions are final', sub { one_value($node, 'postgres', 'SELECT bool_and(is_final = (e <= (SELECT max(ts) FROM clicks_archive))) FROM visits') eq 't' });
server_is_unharmed($node);
done_testing;
