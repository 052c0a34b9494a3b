# A push is all or nothing: rolled back, in a savepoint, in a backend that is killed, in a server that
# goes down at once.
use strict;
use warnings;

use IPC::Run qw(start);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

# fsync stays off: what is killed are processes, not the machine.
my $node = new_node('crash', "synchronous_commit = on\n");
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (n int, o bigint OPTIONS (meta 'offset'), ts timestamptz) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
SELECT streamagg.create_aggregate('seen', 'SELECT n, o, count(*) AS times FROM s GROUP BY 1, 2');
SELECT streamagg.create_aggregate('minutes', 'SELECT w.window_start, w.window_end, count(*) AS n, sum(n) AS total
  FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
-- n records of this number, one of them broken, one a tombstone
CREATE FUNCTION feed(number int, times int) RETURNS bigint LANGUAGE sql AS $$
  SELECT read FROM streamagg.push('s', (SELECT array_agg(format('{"n": %s, "ts": "2024-01-01T00:%sZ"}', number, to_char(i % 3600 * interval '1 s', 'MI:SS')))
    FROM generate_series(1, times) i) || ARRAY['{', NULL]) $$;
END

# The committed numbers, with how often; and all that must fit together.
sub is_consistent
{
    my ($expected, $what) = @_;
    my $found = $node->safe_psql('postgres', "SELECT string_agg(n || ':' || c, ' ' ORDER BY n) FROM (SELECT n, count(*) AS c FROM seen GROUP BY 1) x");
    is($found, $expected, $what);
    is($node->safe_psql('postgres', <<'END'), 't|t|t|t|t|t', '… and everything fits together');
SELECT p.next_offset = p.read, p.accepted = (SELECT count(*) FROM seen), p.accepted = (SELECT sum(n) FROM minutes),
  p.accepted = (SELECT min(rows_in) FROM streamagg.aggregates) AND p.accepted = (SELECT max(rows_in) FROM streamagg.aggregates),
  p.quarantined = (SELECT count(*) FROM streamagg.quarantine),
  p.read = (SELECT sum(read) FROM streamagg.batches) AND (SELECT bool_and(times = 1) FROM seen)
FROM streamagg.partitions p
END
    accounting_is_right($node, 'postgres');
    verify_is_empty($node, 'postgres');
    return;
}

# A session that runs the SQL and then sleeps, until it is killed.
sub sleeping_session
{
    my ($sql) = @_;
    my $output = '';
    my @commands = map { ('-c', $_) } split(/; ?/, $sql), 'SELECT pg_sleep(600)';
    my $session = start([ 'psql', '-Xqt', '-d', $node->connstr('postgres'), @commands ], '<', '/dev/null', '>', \$output, '2>', \$output);
    my $pid = wait_until('the session sleeps',
        sub { one_value($node, 'postgres', q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'}) });
    return ($session, $pid);
}

sub wait_for_server
{
    wait_until('the server is back', sub { (one_value($node, 'postgres', 'SELECT 1') // '') eq '1' });
    return;
}

$node->safe_psql('postgres', 'SELECT feed(1, 100)');
is_consistent('1:100', 'a push');
$node->psql('postgres', 'BEGIN; SELECT feed(2, 100); ROLLBACK');
is_consistent('1:100', 'a push that is rolled back leaves nothing');
$node->safe_psql('postgres', <<'END');
BEGIN;
SELECT feed(3, 10);
SAVEPOINT a;
SELECT feed(4, 10);
ROLLBACK TO a;
SELECT feed(5, 10);
SAVEPOINT b;
SELECT feed(6, 10);
RELEASE b;
COMMIT;
END
is_consistent('1:100 3:10 5:10 6:10', 'savepoints');
$node->safe_psql('postgres', <<'END');
DO $$
BEGIN
  FOR i IN 1 .. 20 LOOP
    BEGIN
      PERFORM feed(7, 1);
      PERFORM 1 / (i % 2);
    EXCEPTION WHEN division_by_zero THEN
      NULL;
    END;
  END LOOP;
END $$;
END
is_consistent('1:100 3:10 5:10 6:10 7:10', 'errors that are caught');
my ($status) = $node->psql('postgres', q{SELECT feed(8, 10); SELECT streamagg.push('s', ARRAY['{"n": 8, "ts": "2024-01-01T00:00:00Z"}'], -1)},
    extra_params => ['--single-transaction'], on_error_stop => 1);
isnt($status, 0, 'an error behind a push');
is_consistent('1:100 3:10 5:10 6:10 7:10', 'takes the push along');

# ---- kill -9 of a backend that has pushed, and the crash of all that follows
my ($session, $pid) = sleeping_session('BEGIN; SELECT feed(10, 1000);');
ok(kill('KILL', $pid), 'a backend is killed with its push not committed');
$session->finish;
wait_for_server();
is_consistent('1:100 3:10 5:10 6:10 7:10', 'nothing of it is there');
($session, $pid) = sleeping_session('SELECT feed(11, 1000);');
kill 'KILL', $pid;
$session->finish;
wait_for_server();
is_consistent('1:100 3:10 5:10 6:10 7:10 11:1000', 'what was committed is there');

# ---- the whole server goes down at once, with one push committed and one not
$node->safe_psql('postgres', 'SELECT feed(12, 50)');
($session, $pid) = sleeping_session('BEGIN; SELECT feed(13, 50);');
$node->stop('immediate');
$session->finish;
$node->start;
is_consistent('1:100 3:10 5:10 6:10 7:10 11:1000 12:50', 'an immediate stop');
$node->safe_psql('postgres', 'SELECT feed(14, 50)');
is_consistent('1:100 3:10 5:10 6:10 7:10 11:1000 12:50 14:50', 'and on it goes');

# ---- a cancelled push
($session, $pid) = sleeping_session('SELECT 1;');
$node->psql('postgres', q{SET statement_timeout = '20 ms'; SELECT feed(15, 400000)});
is_consistent('1:100 3:10 5:10 6:10 7:10 11:1000 12:50 14:50', 'a push that is cancelled leaves nothing');
kill 'TERM', $pid;
$session->finish;
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP:|\bXX000\b/, 'the server is unharmed but for those that were killed');
done_testing;
