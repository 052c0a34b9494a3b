# Sessions that push at the same time queue up: totals are exact, offsets without holes, nobody is
# refused, also while aggregates are made and dropped.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $clients = 8;
my $pushes = 60;
my $node = new_node('concurrent');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
END

# A push of 1 to 5 records, sometimes two in a transaction.
sub script
{
    my ($stream, $partitions) = @_;
    my $push = "SELECT accepted FROM streamagg.push('$stream', ARRAY(SELECT format('{\"client\": :client_id, \"key\": %s, \"ts\": \"2024-01-01T00:%s:00Z\"}', (:k + i) % 7, 10 + i)"
      . " FROM generate_series(1, :n) i), :p);";
    my $script = $node->basedir . "/$stream.sql";
    PostgreSQL::Test::Utils::append_to_file($script, <<"END");
\\set n random(1, 5)
\\set k random(1, 1000)
\\set p random(0, $partitions - 1)
\\set two random(1, 5)
BEGIN;
$push
\\if :two = 1
$push
\\endif
COMMIT;
END
    return $script;
}

for my $partitions (1, 4)
{
    my $stream = "s$partitions";
    $node->safe_psql('postgres', <<"END");
CREATE FOREIGN TABLE $stream (client int, key int, p int OPTIONS (meta 'partition'), o bigint OPTIONS (meta 'offset'), ts timestamptz)
  SERVER local OPTIONS (event_time 'ts', watermark_delay '1 hour', archive 'on');
SELECT streamagg.create_aggregate('offsets_$stream', 'SELECT p, o, count(*) AS times FROM $stream GROUP BY 1, 2');
SELECT streamagg.create_aggregate('keys_$stream', 'SELECT key, count(*) AS n FROM $stream GROUP BY 1');
SELECT streamagg.create_aggregate('total_$stream', 'SELECT count(*) AS n, count(client) AS c FROM $stream');
END
    my ($out, $err) = ('', '');
    my $bench = start([ 'pgbench', '-n', '-c', $clients, '-j', 2, '-t', $pushes, '-f', script($stream, $partitions), '-h', $node->host, '-p', $node->port, 'postgres' ],
        '>', \$out, '2>', \$err);
    # meanwhile: aggregates come and go
    my $made = 0;
    wait_until('pushes are under way', sub { (one_value($node, 'postgres', "SELECT n > 20 FROM total_$stream") // '') eq 't' });
    while ($bench->pumpable && $made < 30)
    {
        $made++;
        $node->safe_psql('postgres', "SELECT streamagg.create_aggregate('late_${stream}_$made', 'SELECT key, count(*) AS n FROM $stream GROUP BY 1')");
        $bench->pump_nb;
    }
    ok($bench->finish, "$clients sessions push into $partitions partitions") or diag $err;
    unlike($err, qr/ERROR|FATAL|aborted/, 'none is refused');
    cmp_ok($made, '>', 0, "$made aggregates are made meanwhile");

    is($node->safe_psql('postgres', "SELECT count(*) FROM streamagg.partitions WHERE stream = '$stream'::regclass"), $partitions, 'all partitions are there');
    is($node->safe_psql('postgres', <<"END"), '', 'every offset of every partition once');
SELECT p.partition, p.next_offset, count(*), max(o.o) FROM streamagg.partitions p JOIN offsets_$stream o ON o.p = p.partition
WHERE p.stream = '$stream'::regclass GROUP BY 1, 2
HAVING count(*) <> p.next_offset OR min(o.o) <> 0 OR max(o.o) <> p.next_offset - 1 OR bool_or(o.times <> 1)
END
    is($node->safe_psql('postgres', <<"END"), 't|t|t|t', 'all totals are the same');
SELECT (SELECT sum(accepted) FROM streamagg.partitions WHERE stream = '$stream'::regclass) = n, c = n,
  (SELECT sum(n) FROM keys_$stream) = n, (SELECT rows_in FROM streamagg.aggregates WHERE aggregate = 'total_$stream'::regclass) = n FROM total_$stream
END
    cmp_ok($node->safe_psql('postgres', "SELECT n FROM total_$stream"), '>=', $clients * $pushes, 'and no push is missing');
    # each of those made meanwhile holds a whole number of the last batches
    my @wrong;
    for my $i (1 .. $made)
    {
        my $fits = $node->safe_psql('postgres', <<"END");
SELECT sum(l.n) IS NOT DISTINCT FROM nullif(a.rows_in, 0)
  AND (a.rows_in = 0 OR a.rows_in IN (SELECT sum(accepted) OVER (ORDER BY batch DESC) FROM streamagg.batches WHERE stream = '$stream'::regclass))
FROM streamagg.aggregates a LEFT JOIN late_${stream}_$i l ON true WHERE a.aggregate = 'late_${stream}_$i'::regclass GROUP BY a.rows_in
END
        push @wrong, $i unless $fits eq 't';
    }
    is("@wrong", '', 'an aggregate made meanwhile holds all batches from some on');
    is($node->safe_psql('postgres', "SELECT string_agg(batch::text, ',' ORDER BY batch) = string_agg(n::text, ',' ORDER BY n)
      FROM (SELECT batch, row_number() OVER (ORDER BY batch) AS n FROM streamagg.batches WHERE stream = '$stream'::regclass) b"), 't', 'batches are numbered without holes');
}
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected|could not serialize/, 'no deadlock');

# ---- a push waits for the one before it in the same stream, and sees what became of it
my $push = q{SELECT streamagg.push('s1', ARRAY['{"ts": "2024-01-01T00:00:00Z"}'])};

# A session that runs the commands; what it says goes to the second value.
sub session
{
    my (@commands) = @_;
    my $output = '';
    my $session = start([ 'psql', '-Xqt', '-v', 'VERBOSITY=sqlstate', '-d', $node->connstr('postgres'), map { ('-c', $_) } @commands ],
        '<', '/dev/null', '>', \$output, '2>', \$output);
    return ($session, \$output);
}

sub backend_where
{
    my ($condition) = @_;
    return wait_until($condition, sub { one_value($node, 'postgres', "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND $condition LIMIT 1") });
}

for my $case ([ 'COMMIT', 'READ COMMITTED', '', 2 ], [ 'ROLLBACK', 'READ COMMITTED', '', 1 ], [ 'COMMIT', 'REPEATABLE READ', '40001', 1 ], [ 'ROLLBACK', 'REPEATABLE READ', '', 1 ])
{
    my ($end, $level, $error, $more) = @$case;
    my $before = $node->safe_psql('postgres', 'SELECT n FROM total_s1');
    my ($holder) = session('SELECT pg_advisory_lock(1)', 'SELECT pg_sleep(600)');
    my $pid = backend_where(q{wait_event = 'PgSleep'});
    my ($first) = session('BEGIN', $push, 'SELECT pg_advisory_xact_lock(1)', $end);
    backend_where(q{wait_event = 'advisory'});
    is(sqlstate_of($node, 'postgres', "SET lock_timeout = '100 ms'; $push"), '55P03', 'the second waits');
    is($node->safe_psql('postgres', q{SELECT accepted FROM streamagg.push('s4', ARRAY['{"ts": "2024-01-01T00:00:00Z"}'])}), '1', 'another stream does not');
    my ($second, $output) = session("BEGIN ISOLATION LEVEL $level", $push, 'COMMIT');
    backend_where(q{wait_event_type = 'Lock' AND query ~ 'push'});
    $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
    $_->finish foreach $holder, $first, $second;
    is($$output =~ /ERROR:\s+(\w+)/ ? $1 : '', $error, "$level behind $end: " . ($error || 'goes on'));
    is($node->safe_psql('postgres', 'SELECT n FROM total_s1') - $before, $more, 'and nothing is lost or doubled');
}
server_is_unharmed($node);
done_testing;
