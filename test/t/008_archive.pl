# An archive over time: days past archive_keep go while somebody reads and a push writes, also when the
# server dies in the middle; days are made ahead; a dump brings rows and what keeps them.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('archive');
$node->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
GRANT USAGE ON FOREIGN SERVER local TO stream_owner;
CREATE SCHEMA s AUTHORIZATION stream_owner;
SET SESSION AUTHORIZATION stream_owner;
CREATE FOREIGN TABLE s.s (n int, ts timestamptz) SERVER local OPTIONS (event_time 'ts', archive 'on', dedup_key 'n');
-- so many days ago, with a row
CREATE PROCEDURE s.add_day(ago int) LANGUAGE plpgsql AS $$
DECLARE
  day date := (now() AT TIME ZONE 'UTC')::date - ago;
BEGIN
  EXECUTE format('CREATE TABLE s.day_%s (LIKE s.s_archive INCLUDING DEFAULTS)', ago);
  EXECUTE format('INSERT INTO s.day_%s VALUES (%1$s, now(), NULL, 0, 0, now(), %L)', ago, day || ' 12:00:00Z');
  EXECUTE format('ALTER TABLE s.s_archive ATTACH PARTITION s.day_%s FOR VALUES FROM (%L) TO (%L)', ago, day || ' 00:00:00Z', day + 1 || ' 00:00:00Z');
END $$;
SELECT streamagg.push('s.s', ARRAY['{"n": -1, "ts": "2024-01-01T00:00:00Z"}']);
CALL s.add_day(8);
CALL s.add_day(9);
CALL s.add_day(10);
END

sub sql { return $node->safe_psql('postgres', @_); }
sub days { return sql(q{SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 's'::regnamespace AND relname ~ '^day' AND relkind = 'r'}); }
sub push_row { return sql(qq{SELECT accepted FROM streamagg.push('s.s', ARRAY['{"n": $_[0], "ts": "2024-01-01T00:00:00Z"}'])}); }

is(days(), 'day_10 day_8 day_9', 'there are old days');
is(sql(q{SELECT count(*) FROM pg_inherits WHERE inhparent = 's.s_archive'::regclass}), 5, 'today and tomorrow are there');

# Without archive_keep nothing goes; a push of a local stream is what wakes its keeper.
push_row(1);
is(days(), 'day_10 day_8 day_9', 'without archive_keep days stay');

# A reader in the middle of a transaction, with rows of the old days in its sight.
my $reader = $node->background_psql('postgres', on_error_stop => 1);
is($reader->query_safe('BEGIN; SELECT count(*) FROM s.s_archive'), 5, 'a reader has begun');
sql(q{ALTER FOREIGN TABLE s.s OPTIONS (ADD archive_keep '8 days')});
is(push_row(2), 1, 'a push that wakes the keeper');
wait_until('a day is being detached', sub { sql('SELECT count(*) FROM pg_inherits WHERE inhdetachpending') });
is(push_row(3), 1, 'pushes go on meanwhile');
is($reader->query_safe('SELECT count(*) FROM s.s_archive WHERE n < 0'), 1, 'the reader goes on, too');
is(sql(q{SET lock_timeout = '5s'; SELECT count(*) FROM s.s_archive WHERE n IN (-1, 1, 2, 3, 8)}), 5, 'and another one begins');
is(days(), 'day_10 day_8 day_9', 'nothing is dropped from under the reader');

# The server dies with the day half detached, and the reader with it.
$node->stop('immediate');
eval { $reader->quit };
$node->start;
wait_until('what was begun is done after the restart', sub { (one_value($node, 'postgres', q{SELECT count(*) FROM pg_class WHERE relname IN ('day_9', 'day_10')}) // '') eq '0' });
is(days(), 'day_8', 'old days are gone');
push_row(4);
push_row(5);
is(sql(q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM s.s_archive}), '-1 1 2 3 4 5 8', 'rows of the other days stay');
is(sql('SELECT count(*) FROM streamagg.expired_partitions'), 0, 'nothing is left to do');
is(sql(q{SELECT count(*) FROM streamagg.events WHERE event = 'drop_archive_day'}), 2, 'events tell it');

# Dump and restore, with rows; the restored one goes on, and refuses changes at once.
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
my $fresh = new_node('restored');
$fresh->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN');
$fresh->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $fresh->connstr('postgres') ], 'restore');
is($fresh->safe_psql('postgres', q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM s.s_archive}), '-1 1 2 3 4 5 8', 'rows are there');
my $as_owner = 'SET SESSION AUTHORIZATION stream_owner; ';
is(sqlstate_of($fresh, 'postgres', "$as_owner DELETE FROM s.s_archive"), '55000', 'an archive that was restored is not changed');
is(sqlstate_of($fresh, 'postgres', "$as_owner TRUNCATE s.day_8"), '55000', 'nor are its days');
is(sqlstate_of($fresh, 'postgres', "$as_owner ALTER TABLE s.s_archive DISABLE TRIGGER ALL"), '42501', 'nor what keeps it');
is($fresh->safe_psql('postgres', $as_owner . q{SELECT duplicate || ' ' || accepted FROM streamagg.push('s.s', ARRAY['{"n": 5, "ts": "2024-01-01T00:00:00Z"}', '{"n": 6, "ts": "2024-01-01T00:00:00Z"}'])}),
    '1 1', 'it goes on, and knows what was accepted');
is($fresh->safe_psql('postgres', q{SELECT string_agg(_offset::text, ' ' ORDER BY _offset) FROM s.s_archive WHERE n IN (5, 6)}), '5 7', 'where it was');
# --clean into the same database: the archive is dropped and brought again
$node->command_ok([ 'pg_dump', '--clean', '--if-exists', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump --clean');
$fresh->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $fresh->connstr('postgres') ], 'restore over it');
is($fresh->safe_psql('postgres', q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM s.s_archive}), '-1 1 2 3 4 5 8', 'rows are those of the dump');

server_is_unharmed($_) foreach $node, $fresh;
$_->stop foreach $node, $fresh;
done_testing();
