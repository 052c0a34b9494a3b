# The archive of a running stream: its rows are the accepted ones, exactly, over kill -9 of the worker,
# and protected; rows of an aggregate that came later can be had from it; days past archive_keep go
# while somebody reads and the worker writes; a stream without an aggregate may fill one.
use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kills = $ENV{STREAMAGG_FULL} ? 20 : 4;
my $slice = $ENV{STREAMAGG_FULL} ? 30_000 : 15_000;
my $canary = 'kNry7Qzw';

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
$kafka->create_topic('secrets', 1);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', user_login_sql() =~ s/,\s+archive 'on'//r);

sub sql { return $node->safe_psql('postgres', @_); }

sql(q{ALTER FOREIGN TABLE user_login OPTIONS (ADD archive 'on')});
isnt(sql(q{SELECT to_regclass('user_login_archive')}), '', 'ALTER makes the archive at once');
my @events = ('events.py', '--seed', 7, '--partitions', 4, '--broken', 0.02, '--topic', 'user-login');
$kafka->script(@events, '--count', $slice);
sql(q{SELECT streamagg.start('user_login')});
foreach my $i (1 .. $kills)
{
    my $producing = $kafka->background(@events, '--skip', $i * $slice, '--count', $slice, '--rate', $slice);
    kill_worker($node, 'postgres', rand 0.8);
    $kafka->finish($producing);
}
my $count = ($kills + 1) * $slice;
is(sql(q{SELECT streamagg.wait_for('user_login', '5 min')}), 't', 'the stream catches up');
is(sql('SELECT sum(read) FROM streamagg.partitions'), $count, 'all was read');

# Exactly: as many as accepted, no offset twice, none that is in quarantine, each of the batches' ranges.
is(sql(<<'END'), '', 'D3: archived rows are the accepted rows of each partition');
SELECT p.partition, p.accepted, a.rows, a.offsets FROM streamagg.partitions p
LEFT JOIN (SELECT _partition, count(*) AS rows, count(DISTINCT _offset) AS offsets FROM user_login_archive GROUP BY 1) a ON a._partition = p.partition
WHERE (a.rows, a.offsets) IS DISTINCT FROM (p.accepted, p.accepted)
END
is(sql(<<'END'), 0, 'none of them is in quarantine');
SELECT count(*) FROM user_login_archive a JOIN streamagg.quarantine q ON q.partition = a._partition AND q.record_offset = a._offset
END
is(sql(<<'END'), sql('SELECT sum(read - tombstones) FROM streamagg.partitions'), 'every offset but tombstones is in one of the two');
SELECT count(*) FROM (SELECT _partition, _offset FROM user_login_archive UNION SELECT partition, record_offset FROM streamagg.quarantine) x
END
# The aggregate's query over the raw archive gives the aggregate (late 'merge').
my $columns = 'window_start, window_end, device_type, locale, logins, first_login, last_login';
my $over_archive = <<'END';
SELECT w.window_start, w.window_end, l.device_type, l.locale, count(*), min(l.ts), max(l.ts)
FROM user_login_archive l, streamagg.tumble(l.ts, '1 minute') w GROUP BY 1, 2, 3, 4
END
is(sql('SELECT count(*) > 100 FROM logins_1m'), 't', 'the aggregate has rows');
is(sql(qq{(SELECT $columns FROM logins_1m EXCEPT ALL ($over_archive)) UNION ALL (($over_archive) EXCEPT ALL SELECT $columns FROM logins_1m)}),
    '', 'the query over the archive gives the aggregate');
is(sql(q{SELECT count(*) > 0 FROM user_login_archive WHERE rest IS NOT NULL}), 't', 'what no column holds is there');

# Days past archive_keep: an old one that a reader has in its sight.
sql(<<'END');
CREATE TABLE old_day (LIKE user_login_archive INCLUDING DEFAULTS);
ALTER TABLE user_login_archive ATTACH PARTITION old_day FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-01-02 00:00Z');
END
my $reader = $node->background_psql('postgres', on_error_stop => 1);
$reader->query_safe('BEGIN; SELECT count(*) FROM user_login_archive');
sql(q{ALTER FOREIGN TABLE user_login OPTIONS (ADD archive_keep '2 days')});
$node->reload;    # the keeper looks at once
wait_until('the day is being detached', sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') });
$kafka->script(@events, '--skip', $count, '--count', 1000);
is(sql(q{SELECT streamagg.wait_for('user_login', '2 min')}), 't', 'the worker goes on while a reader holds the day');
is($reader->query_safe(q{SELECT count(*) > 0 FROM user_login_archive}), 't', 'and the reader');
is(sql(q{SELECT count(*) FROM pg_class WHERE relname = 'old_day'}), 1, 'the day is there as long as the reader is');
$reader->query_safe('COMMIT');
wait_until('the day is gone', sub { $node->reload; sql(q{SELECT count(*) FROM pg_class WHERE relname = 'old_day'}) eq '0' });
$reader->quit;
is(sql(q{SELECT state FROM streamagg.streams WHERE stream = 'user_login'::regclass}), 'running', 'the stream runs');
is(sql(q{SELECT count(*) FROM pg_inherits WHERE inhparent = 'user_login_archive'::regclass}), 2, 'today and tomorrow are there');

# Without an aggregate; canaries in what is protected, in what is not declared beside it, in what fails.
is(sqlstate_of($node, 'postgres', <<'END'), '55000', 'without an aggregate and an archive there is nothing to start');
CREATE FOREIGN TABLE secrets (ip text OPTIONS (path 'net.ip', protect 'sha256'), key text OPTIONS (meta 'key', protect 'mask'), name text OPTIONS (protect 'drop'),
  id text, n int, ts timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'secrets', event_time 'ts', dedup_key 'id');
SELECT streamagg.start('secrets');
END
sql(q{ALTER FOREIGN TABLE secrets OPTIONS (ADD archive 'on'); SELECT streamagg.start('secrets')});
my $record = sub {
    my ($id, $more) = @_;
    return { key => "$canary-key", value => qq({"id":"$id","ts":"2024-01-01T00:00:00Z","name":"$canary-name","net":{"ip":"$canary-ip","port":1}$more}) };
};
$kafka->produce_records('secrets', [], $record->(1, ''), $record->(2, qq(,"n":"$canary-n")), $record->(3, ',"open":"visible"'),
    { value => qq({"id":"4","ts":"2024-01-01T00:00:00Z","net":"$canary-net","name":"$canary"}) }, $record->(1, ',"n":5'));
is(sql(q{SELECT streamagg.wait_for('secrets', '2 min')}), 't', 'a stream without an aggregate is read');
is(sql(q{SELECT accepted, quarantined, duplicate FROM streamagg.partitions WHERE stream = 'secrets'::regclass}), '3|1|1', 'one has a violation, one is a duplicate');
is(sql(q{SELECT string_agg(id || ' ' || (ip IS NOT NULL) || ' ' || coalesce(rest::text, '-'), ', ' ORDER BY _offset) FROM secrets_archive}),
    '1 true {"net": {"port": 1}}, 3 true {"net": {"port": 1}, "open": "visible"}, 4 false -', 'the archive has what is open, and where a path leads elsewhere nothing');
is(sql(qq{SELECT count(*) FROM secrets_archive a WHERE a::text LIKE '%$canary%'}), 0, 'the canary is in no row of the archive');
sql('CHECKPOINT');
my $found = '';
IPC::Run::run([ 'grep', '-rlF', $canary, $node->data_dir ], '>', \$found, '2>', \my $errors);
is($found, '', 'nor in any file of the cluster');

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
sql(q{SELECT streamagg.stop_all()});
$node->stop;
$kafka->stop;
done_testing();
