# Without shared_preload_libraries, or in another encoding, CREATE EXTENSION refuses and says what to
# do; what exists already stays readable.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('preload');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "log_line_prefix = '%m [%p] %e %q%a '\nrestart_after_crash = on\n");
$node->start;

# What a statement is told, DETAIL and HINT included.
sub told
{
    my ($database, $sql) = @_;
    my ($status, $out, $err) = $node->psql($database, $sql);
    return $err;
}

# Runs the ALTER SYSTEM that the hint shows, as a user would copy it.
sub follow_hint
{
    my ($message) = @_;
    my ($statement) = $message =~ /HINT:\s+Run (ALTER SYSTEM .*?;)/;
    ok(defined $statement, 'the hint shows a statement') or diag $message;
    $node->safe_psql('postgres', $statement // 'SELECT 1');
    $node->restart;
    return;
}

# ---- nothing is preloaded
my $message = told('postgres', 'CREATE EXTENSION streamagg');
like($message, qr/ERROR:\s+streamagg is not in shared_preload_libraries/, 'CREATE EXTENSION refuses');
like($message, qr/HINT:\s+Run ALTER SYSTEM SET shared_preload_libraries = streamagg; and restart the server/,
    'and shows the line');
is(sqlstate_of($node, 'postgres', 'CREATE EXTENSION streamagg'), '55000', 'with 55000');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'streamagg%'}), '0', 'nothing is left of it');
follow_hint($message);
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'streamagg', 'the line does it');
$node->safe_psql('postgres', 'CREATE EXTENSION streamagg');

# ---- other encodings
for my $encoding ('LATIN1', 'SQL_ASCII')
{
    my $database = lc $encoding;
    $node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
    like(told($database, 'CREATE EXTENSION streamagg'), qr/needs a database with encoding UTF8.*This one has $encoding.*CREATE DATABASE .* ENCODING 'UTF8'/s,
        "$encoding is refused");
    is(sqlstate_of($node, $database, 'CREATE EXTENSION streamagg'), '0A000', 'with 0A000');
}

# ---- an extension in use, then a server without the library
$node->safe_psql('postgres', <<'END');
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
CREATE FOREIGN TABLE s (ts timestamptz) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s');
CREATE FOREIGN TABLE remote (ts timestamptz) SERVER kafka OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate('agg',
  'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT streamagg.create_aggregate('remote_agg', 'SELECT count(*) FROM remote');
SELECT streamagg.push('s', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:01:00Z"}']);
END
my $libraries = 'auto_explain, pg_prewarm';
for my $setting ($libraries, '$libdir/auto_explain')
{
    $node->safe_psql('postgres', "ALTER SYSTEM SET shared_preload_libraries = " . join(', ', map { "'$_'" } split /, /, $setting));
    $node->restart;
    $message = told('postgres', "SELECT streamagg.start('remote')");
    like($message, qr/ERROR:\s+streamagg is not in shared_preload_libraries/, "start() refuses with $setting");
    is(sqlstate_of($node, 'postgres', "SELECT streamagg.start('remote')"), '55000', 'with 55000');
    follow_hint($message);
    my $now = $node->safe_psql('postgres', 'SHOW shared_preload_libraries');
    $now =~ s/"//g;
    is($now, "$setting, streamagg", 'the line keeps the libraries that are there');
    is($node->safe_psql('postgres', "SELECT n FROM agg LIMIT 1"), '1', 'and the server starts with them');
}
$node->safe_psql('postgres', 'ALTER SYSTEM RESET shared_preload_libraries');
$node->restart;
for my $call ("push('s', ARRAY['{}'])", "create_aggregate('x', 'SELECT count(*) FROM s')", "stop('remote')", "restart('remote')", 'start_all()',
    'stop_all()', "wait_for('remote')")
{
    is(sqlstate_of($node, 'postgres', "SELECT streamagg.$call"), '55000', "$call is 55000");
}
is($node->safe_psql('postgres', 'SELECT n, is_final FROM agg ORDER BY window_start'), "1|t\n1|f", 'results can be read');
is($node->safe_psql('postgres', 'SELECT stream, state, workers FROM streamagg.streams ORDER BY stream::text'), "remote|stopped|0\ns|stopped|0",
    'the views, too');
is($node->safe_psql('postgres', 'SELECT read, accepted FROM streamagg.partitions'), '2|2', 'with the counters');
is(sqlstate_of($node, 'postgres', 'DROP VIEW agg'), '', 'aggregates can be dropped');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_class WHERE relname ~ '^agg(_state|_query|)$'}), '0', 'with their parts');
is(sqlstate_of($node, 'postgres', 'DROP FOREIGN TABLE s, remote CASCADE'), '', 'streams, too');
is(sqlstate_of($node, 'postgres', 'DROP EXTENSION streamagg CASCADE'), '', 'and the extension');
server_is_unharmed($node);
done_testing;
