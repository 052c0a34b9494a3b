# Windows past their retention go while somebody reads and batches come, also when the server dies in the
# middle; late rows do not bring them back; a dump brings partitions and all.
use strict;
use warnings;

use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('retention');
$node->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER local TO stream_owner;
CREATE SCHEMA s AUTHORIZATION stream_owner;
SET SESSION AUTHORIZATION stream_owner;
CREATE FOREIGN TABLE s.s (n int, ts timestamptz NOT NULL) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
SELECT streamagg.create_aggregate('s.a', $$SELECT w.window_start, w.window_end, count(*) AS n FROM s.s, streamagg.tumble(ts, '1 minute') w GROUP BY 1, 2$$, retention => '2 hours');
END

sub sql { return $node->safe_psql('postgres', @_); }
# a row at each of these hours of a day
sub push_hours { my $rows = join(', ', map { sprintf q('{"n": 1, "ts": "2024-01-01T%02d:00:00Z"}'), $_ } @_); return sql("SELECT accepted || ' ' || late FROM streamagg.push('s.s', ARRAY[$rows])"); }
sub hours { return sql(q{SELECT string_agg(extract(hour FROM window_start)::text, ' ' ORDER BY window_start) FROM s.a}); }
sub tables { return sql(q{SELECT string_agg(right(relname, 2), ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 's'::regnamespace AND relname ~ '^a_state_p' AND relkind = 'r'}); }

is(push_hours(0, 1, 2), '3 0', 'rows of three hours');
is(tables(), '00 01 02', 'a partition an hour');

# A reader in the middle of a transaction, with an open cursor over all of them.
my $reader = $node->background_psql('postgres', on_error_stop => 1);
is($reader->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT extract(hour FROM window_start) FROM s.a ORDER BY 1; FETCH 1 FROM c}), 0, 'a reader has begun');
is(push_hours(4), '1 0', 'a push past the retention of the first hour');
wait_until('its partition is being detached', sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') });
is(sql(q{SET lock_timeout = '5s'; SELECT accepted FROM streamagg.push('s.s', ARRAY['{"n": 1, "ts": "2024-01-01T05:00:00Z"}'])}), 1, 'pushes go on meanwhile, and make partitions');
is($reader->query_safe('FETCH ALL FROM c'), "1\n2", 'the cursor goes on');
is($reader->query_safe('SELECT count(*) FROM s.a'), 3, 'the reader sees what it saw');
is(sql(q{SET lock_timeout = '5s'; SELECT count(*) FROM s.a WHERE window_start >= '2024-01-01 02:00Z'}), 3, 'and another one begins');
is(sql(q{SET lock_timeout = '5s'; SELECT count(*) FROM streamagg.verify('s.a')}), 0, 'and verify() finds nothing wrong');
is(tables(), '00 01 02 04 05', 'nothing is dropped from under the reader');
# late rows of the window that goes
is(push_hours(0), '1 1', 'a row for the window that goes is late');
# over when the reader is
$reader->query_safe('COMMIT');
push_hours(5);
wait_until('the partitions go', sub { tables() eq '02 04 05' });
is(hours(), '2 4 5', 'with their windows');
is(push_hours(0, 1), '2 2', 'rows for what is gone are late');
is(tables(), '02 04 05', 'and bring nothing back');
is(sql(q{SELECT late_rows FROM streamagg.aggregates}), 3, 'they are counted');
is(sql(q{SELECT string_agg(regexp_replace(detail, '.*_', ''), ' ' ORDER BY at) FROM streamagg.events WHERE event = 'drop_windows'}), '00 01', 'events tell what went');
is(sqlstate_of($node, 'postgres', q{SELECT streamagg.create_rollup('s.late_rollup', 's.a', '2 hours')}), '55000', 'a rollup would begin with a part of its windows');

# The server dies with a partition half detached, and the reader with it.
$reader->query_safe('BEGIN; SELECT * FROM s.a');
push_hours(6);
wait_until('another partition is being detached', sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') });
$node->stop('immediate');
eval { $reader->quit };
$node->start;
wait_until('what was begun is done after the restart', sub { (one_value($node, 'postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'a_state_p20240101_02'}) // '') eq '0' });
is(hours(), '4 5 6', 'other windows stay');

# It dies between DETACH and DROP: what is noted is dropped then, though the state has got a column, but no other table.
sql(<<'END');
INSERT INTO streamagg.expired_partitions VALUES ('s.a_state_p20240101_04', 's.a_state');
ALTER TABLE s.a_state DETACH PARTITION s.a_state_p20240101_04;
SELECT streamagg.add_column('s.a', 'most', 'max(s.n)');
END
$node->stop('immediate');
$node->start;
wait_until('what was detached is dropped after the restart', sub { (one_value($node, 'postgres', q{SELECT count(*) FROM pg_class WHERE relname = 'a_state_p20240101_04'}) // '') eq '0' });
sql(q{CREATE TABLE s.other (n int); INSERT INTO streamagg.expired_partitions VALUES ('s.other', 's.a_state')});
push_hours(9);
wait_until('the keeper goes on behind a note that means another table', sub { tables() eq '06 09' });
is(sql('SELECT count(*) FROM s.other'), 0, 'which it leaves alone');
is(sql('SELECT count(*) FROM streamagg.expired_partitions'), 0, 'nothing is left to do');

# Dump and restore: partitions and what is known of them; it goes on there.
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
my $fresh = new_node('restored');
$fresh->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN');
$fresh->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $fresh->connstr('postgres') ], 'restore');
is($fresh->safe_psql('postgres', 'SELECT retention FROM streamagg.aggregates'), '02:00:00', 'the retention is there');
is($fresh->safe_psql('postgres', q{SELECT accepted || ' ' || late FROM streamagg.push('s.s', ARRAY['{"ts": "2024-01-01T10:00:00Z"}', '{"ts": "2024-01-01T06:00:00Z"}'])}), '2 1', 'rows are judged by it');
wait_until('old partitions go there', sub { $fresh->safe_psql('postgres', q{SELECT string_agg(right(relname, 2), ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^a_state_p' AND relkind = 'r'}) eq '09 10' });
is($fresh->safe_psql('postgres', q{SELECT count(*) FROM streamagg.verify('s.a')}), 0, 'and the rest is as the archive says');

# A backfill that has begun, and waits for a batch by which windows go, leaves those alone.
my $batch = $fresh->background_psql('postgres', on_error_stop => 1);
$batch->query_safe(q{BEGIN; SELECT streamagg.push('s.s', ARRAY['{"ts": "2024-01-01T13:00:00Z"}'])});
my $told = '';
my $backfill = start([ 'psql', '-Xqt', '-d', $fresh->connstr('postgres'), '-c', q{SELECT streamagg.backfill('s.a')} ], '<', '/dev/null', '>', \$told, '2>', \$told);
wait_until('the backfill waits', sub { $fresh->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg backfill' AND wait_event_type = 'Lock'}) });
$batch->query_safe('COMMIT');
$backfill->finish;
like($told, qr/^\s*1\s*$/, 'it reads the rows of the window that is kept');
wait_until('another one goes', sub { $fresh->safe_psql('postgres', q{SELECT string_agg(right(relname, 2), ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^a_state_p' AND relkind = 'r'}) eq '10 13' });
$batch->quit;

# DROP of the aggregate takes a partition along that the keeper has noted, and somebody detached.
$reader = $node->background_psql('postgres', on_error_stop => 1);
$reader->query_safe('BEGIN; SELECT * FROM s.a');
push_hours(12);
wait_until('a partition is being detached once more', sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') });
$node->stop('immediate');
eval { $reader->quit };
$node->append_conf('postgresql.conf', 'streamagg.enabled = off');
$node->start;
sql('ALTER TABLE s.a_state DETACH PARTITION s.a_state_p20240101_06 FINALIZE');
sql(q{SELECT streamagg.drop_aggregate('s.a')});
is(sql(q{SELECT count(*) FROM pg_class WHERE relname ~ '^a_state'}), 0, 'nothing stays of an aggregate that is dropped');
is(sql('SELECT count(*) FROM streamagg.expired_partitions'), 0, 'nor a note');

server_is_unharmed($_) foreach $node, $fresh;
$_->stop foreach $node, $fresh;
done_testing();
