# Sessions of a key that several writers push at the same time, into two partitions: they queue on the stream's
# progress row, so none is split or doubled.
use strict;
use warnings;

use IPC::Run qw(start finish);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('sessions');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k int, v int, ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER local OPTIONS (event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('visits', 'SELECT w.window_start AS b, w.window_end AS e, k, count(*) AS n, sum(v) AS s FROM s, streamagg.session(ts, ''10 s'') w GROUP BY 1, 2, 3');
END

# An hour of three keys and NULL, a push with rows all over it: stored sessions are bridged all the time.
my $script = $node->basedir . '/push.sql';
PostgreSQL::Test::Utils::append_to_file($script, <<'END');
\set n random(1, 8)
\set p :client_id % 2
SELECT accepted FROM streamagg.push('s', ARRAY(SELECT format('{"k": %s, "v": %s, "ts": %s}', coalesce(nullif((random() * 3)::int, 0)::text, 'null'), i, (random() * 3600)::int) FROM generate_series(1, :n) i), :p);
END
my $out = '';
my $bench = start([ 'pgbench', '-n', '-c', 4, '-j', 2, '-t', 60, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ], '>', \$out, '2>&1');
ok($bench->finish, 'four sessions push into two partitions at once');
unlike($out, qr/ERROR|FATAL|aborted/, 'none is refused') or diag $out;

is($node->safe_psql('postgres', q{SELECT count(*) FROM streamagg.partitions WHERE stream = 's'::regclass AND accepted > 0}), 2, 'both partitions have rows');
is($node->safe_psql('postgres', 'SELECT (SELECT sum(n) FROM visits) = (SELECT sum(accepted) FROM streamagg.partitions), (SELECT sum(s) FROM visits) = (SELECT sum(v) FROM s_archive)'), 't|t',
    'every row is in one session');
is($node->safe_psql('postgres', 'SELECT * FROM (SELECT k, b, lag(e) OVER (PARTITION BY k ORDER BY b) AS before FROM visits) v WHERE b <= before'), '', 'no two that touch each other are apart');
is($node->safe_psql('postgres', <<'END'), '', 'they are the islands of the rows');
WITH marked AS (SELECT *, ts > lag(ts) OVER (PARTITION BY k ORDER BY ts) + interval '10 s' AS begins FROM s_archive),
  numbered AS (SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY k ORDER BY ts) AS island FROM marked),
  islands AS (SELECT min(ts) AS b, max(ts) + interval '10 s' AS e, k, count(*) AS n, sum(v) AS s FROM numbered GROUP BY k, island)
(TABLE islands EXCEPT ALL SELECT b, e, k, n, s FROM visits) UNION ALL (SELECT b, e, k, n, s FROM visits EXCEPT ALL TABLE islands)
END
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM visits'), '>', 10, 'which are many');
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/deadlock detected|could not serialize|changed by somebody else/, 'no deadlock');

# ---- a dump takes sessions along, and the next row joins them
my $copy = new_node('copy');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$copy->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $copy->connstr('postgres'), '-f', $dump ], 'and its restore');
my $push = q{SELECT accepted FROM streamagg.push('s', ARRAY(SELECT format('{"k": 1, "v": 1, "ts": %s}', i) FROM generate_series(0, 3600, 10) i))};
$_->safe_psql('postgres', $push) foreach $node, $copy;
my $shown = 'SELECT b, e, k, n, s FROM visits ORDER BY k, b';
is($copy->safe_psql('postgres', $shown), $node->safe_psql('postgres', $shown), 'the next rows join the same sessions');
is($copy->safe_psql('postgres', 'SELECT count(*) FROM visits WHERE k = 1'), 1, 'an hour of them makes one');
verify_is_empty($copy, 'postgres');
server_is_unharmed($_) foreach $node, $copy;
done_testing;
