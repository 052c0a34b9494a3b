# What the TAP tests of streamagg share: a server, polling, faults, and the oracles that are checked
# after every fault (faults are provoked by the tests, never by chance).
package StreamaggTest;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(new_node add_database wait_until one_value sqlstate_of worker_pid kill_worker
  accounting_is_right verify_is_empty give_archive kill_process server_is_unharmed same_rows resources_of user_login_sql login_rows);

# The workers that tests killed: only these may be in the log as terminated by a signal.
my %killed;

# A server with streamagg loaded that comes back after a crash. extra: lines for postgresql.conf.
sub new_node
{
    my ($name, $extra) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
    # %e: the oracle looks for SQLSTATEs of internal errors.
    $node->append_conf('postgresql.conf', <<'END' . ($extra // ''));
shared_preload_libraries = 'streamagg'
max_worker_processes = 32
restart_after_crash = on
log_statement = none
log_line_prefix = '%m [%p] %e %q%a '
END
    $node->start;
    return $node;
}

# A database with the extension and a server `kafka` for the broker.
sub add_database
{
    my ($node, $database, $kafka) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $database") unless $database eq 'postgres';
    my $bootstrap = $kafka->bootstrap;
    $node->safe_psql($database, <<"END");
CREATE EXTENSION streamagg;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$bootstrap');
END
    return;
}

# Polls until the code gives a true value, and gives it back; dies after timeout seconds.
sub wait_until
{
    my ($what, $code, $timeout) = @_;
    my $deadline = time + ($timeout // $PostgreSQL::Test::Utils::timeout_default);
    while (1)
    {
        my $found = $code->();
        return $found if $found;
        die "not in time: $what" if time > $deadline;
        usleep 50_000;
    }
}

# The output of a query; undef when the server is not there (it recovers from a crash) or refuses:
# then psql can be gone before it was given the query.
sub one_value
{
    my ($node, $database, $sql) = @_;
    my ($status, $out) = eval { $node->psql($database, $sql, on_error_stop => 1) };
    die $@ if $@ && $@ !~ /Broken pipe/;
    return defined $status && $status == 0 ? $out : undef;
}

# The SQLSTATE that a statement fails with; '' when it succeeds.
sub sqlstate_of
{
    my ($node, $database, $sql) = @_;
    my ($status, $out, $err) =
      $node->psql($database, "\\set VERBOSITY sqlstate\n$sql", on_error_stop => 1);
    return '' if $status == 0;
    return $err =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5})/ ? $1 : $err;
}

# The process id of a stream's worker, undef when there is none.
sub worker_pid
{
    my ($node, $database, $stream) = @_;
    my $condition = defined $stream ? " AND application_name = '$stream'" : '';
    my $pid = one_value($node, $database, <<"END");
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'streamagg worker' AND datname = current_database()$condition LIMIT 1
END
    return $pid ? $pid : undef;
}

# kill -9 of the worker after a delay in seconds: the server goes down and comes back by itself.
# Returns when another worker is there. On a worker that has just gone, another is taken.
sub kill_worker
{
    my ($node, $database, $delay) = @_;
    my $pid;
    wait_until('a worker to kill', sub {
        $pid = worker_pid($node, $database) or return 0;
        usleep $delay * 1_000_000;
        return kill 'KILL', $pid;
    });
    $killed{$pid} = 1;
    wait_until('the worker after a crash', sub {
        my $next = worker_pid($node, $database);
        return defined $next && $next != $pid;
    });
    return $pid;
}

# Every offset is in exactly one bucket, and the buckets add up.
sub accounting_is_right
{
    my ($node, $database) = @_;
    is($node->safe_psql($database, <<'END'), '', 'every offset is in exactly one bucket');
SELECT stream, partition, read, accepted, quarantined, dropped, duplicate, tombstones,
  start_offset, next_offset, gaps, lost
FROM streamagg.partitions
WHERE read <> accepted + quarantined + dropped + duplicate + tombstones
  OR next_offset - start_offset <> read + gaps + lost
END
    return;
}

# Every aggregate of a stream with an archive is what its query over the archive gives; there is one.
sub verify_is_empty
{
    my ($node, $database) = @_;
    my ($count, @found) = split /\n/, $node->safe_psql($database, <<'END');
SELECT count(*) FROM streamagg.aggregates JOIN streamagg.archive_catalog USING (stream);
SELECT a.aggregate, v.problem, v.expected, v.found
FROM streamagg.aggregates a JOIN streamagg.archive_catalog USING (stream), streamagg.verify(a.aggregate) v LIMIT 10;
END
    cmp_ok($count, '>', 0, "$database: aggregates that have an archive");
    is(join("\n", @found), '', "$database: verify() finds nothing in them");
    return;
}

# An archive and its days to another owner, as its stream.
sub give_archive
{
    my ($node, $database, $archive, $role) = @_;
    $node->safe_psql($database, <<"END");
SELECT format('ALTER TABLE %s OWNER TO %I', relid, '$role') FROM pg_partition_tree('$archive') \\gexec
END
    return;
}

# kill -9 of a process of this type after a delay in seconds; waits until the server is back. One that
# has just ended by itself takes nothing along: then another is killed.
sub kill_process
{
    my ($node, $database, $type, $delay) = @_;
    my $checkpointer = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'};
    my $before = $node->safe_psql($database, $checkpointer);
    usleep $delay * 1_000_000;
    wait_until("a $type to kill", sub {
        my $pid = one_value($node, $database, "SELECT pid FROM pg_stat_activity WHERE backend_type = '$type' LIMIT 1") or return 0;
        kill 'KILL', $pid or return 0;
        $killed{$pid} = 1;
        foreach (1 .. 200)
        {
            my $now = one_value($node, $database, $checkpointer);
            return 1 if $now && $now != $before;
            usleep 50_000;
        }
        return 0;
    });
    return;
}

# Nothing in the log that no user may ever meet, no process ended by a signal but those we killed.
sub server_is_unharmed
{
    my ($node) = @_;
    my @lines = split /\n/, PostgreSQL::Test::Utils::slurp_file($node->logfile);
    my @bad = grep { /PANIC|TRAP:|\bXX000\b/ } @lines;
    push @bad, grep { /\(PID (\d+)\) was terminated by signal/ && !$killed{$1} } @lines;
    is(join("\n", @bad), '', 'the server is unharmed');
    return;
}

# The same rows in whatever order? Prints some of those that differ.
sub same_rows
{
    my ($name, $found, $expected) = @_;
    my (%difference, @missing, @extra);
    $difference{$_}++ foreach @$expected;
    $difference{$_}-- foreach @$found;
    @missing = grep { $difference{$_} > 0 } sort keys %difference;
    @extra = grep { $difference{$_} < 0 } sort keys %difference;
    my $same = ok(!@missing && !@extra && @$expected > 0, $name . ': ' . @$expected . ' rows');
    return 1 if $same;
    diag scalar(@missing) . " rows are missing, e. g.";
    diag "  $_" foreach @missing[ 0 .. ($#missing < 9 ? $#missing : 9) ];
    diag scalar(@extra) . " rows should not be there, e. g.";
    diag "  $_" foreach @extra[ 0 .. ($#extra < 9 ? $#extra : 9) ];
    return 0;
}

# What a process holds: rss in kB, threads, fds. Undef when it is gone. Regular files are left out of
# the fds: PostgreSQL keeps relations and WAL segments open as it likes, up to a limit of its own.
sub resources_of
{
    my ($pid) = @_;
    open my $status, '<', "/proc/$pid/status" or return;
    my %found = map { /^(VmRSS|RssAnon|Threads):\s+(\d+)/ ? ($1 => $2) : () } <$status>;
    opendir my $fds, "/proc/$pid/fd" or return;
    $found{fds} = grep { !/^\./ && !-f "/proc/$pid/fd/$_" } readdir $fds;
    return \%found;
}

# The stream and the aggregate that recompute.py knows, on the topic of that name.
sub user_login_sql
{
    my ($topic) = @_;
    $topic //= 'user-login';
    return <<"END";
CREATE FOREIGN TABLE user_login (
  user_id uuid NOT NULL, app_version text,
  device_type text NOT NULL CHECK (device_type IN ('android','ios','web')),
  ip text, locale text, device_id text,
  ts timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic '$topic', format 'json', event_time 'ts', watermark_delay '30 seconds',
  archive 'on');
SELECT streamagg.create_aggregate('logins_1m', \$\$
  SELECT w.window_start, w.window_end, l.device_type, l.locale, count(*) AS logins,
    min(l.ts) AS first_login, max(l.ts) AS last_login
  FROM user_login l, streamagg.tumble(l.ts, '1 minute') w GROUP BY 1, 2, 3, 4 \$\$);
END
}

# recompute.py's three tables as streamagg has them: name => [lines].
sub login_rows
{
    my ($node, $database) = @_;
    my %query = (
        'view.csv' => <<'END',
SELECT concat_ws(',', us(window_start), us(window_end), device_type, coalesce(locale, '\N'), logins,
  us(first_login), us(last_login)) FROM logins_1m
END
        'partitions.csv' => <<'END',
SELECT concat_ws(',', partition, read, accepted, quarantined, tombstones, gaps, next_offset,
  coalesce(us(watermark)::text, '\N')) FROM streamagg.partitions WHERE stream = 'user_login'::regclass
END
        'quarantine.csv' => <<'END');
SELECT concat_ws(',', partition, record_offset) FROM streamagg.quarantine
WHERE stream = 'user_login'::regclass
END
    $node->safe_psql($database, <<'END');
CREATE OR REPLACE FUNCTION us(timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE
AS 'SELECT (extract(epoch FROM $1) * 1000000)::bigint';
END
    return map { $_ => [ split /\n/, $node->safe_psql($database, $query{$_}) ] } keys %query;
}

1;
