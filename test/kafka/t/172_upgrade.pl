# A release after this one: the tree as version 1.1, with an upgrade script, is built and installed under
# a running server. Library and SQL objects of two versions do not work together and say so; streams wait
# and go on by themselves; no record is lost or counted twice.
# The server is a copy of the installed one, so that nothing else meets version 1.1.
use strict;
use warnings;

use Cwd qw(getcwd);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $tree = getcwd();
my $work = PostgreSQL::Test::Utils::tempdir;

# ---------------------------------------------------------------- a server of our own

sub config { my ($name, $program) = @_; my $found = `${\($program // 'pg_config')} --$name`; chomp $found; return $found; }

# PostgreSQL finds its directories from where its programs are, so a copy works anywhere.
sub copy_server
{
    my ($to) = @_;
    foreach my $dir (map { config($_) } 'bindir', 'pkglibdir', 'sharedir')
    {
        make_path(dirname("$to$dir"));
        system_or_bail('cp', '-a', $dir, "$to$dir") unless -e "$to$dir";
    }
    return dirname($to . config('bindir'));
}

# The tree as version 1.1. Only what names the version is compiled anew.
sub next_version
{
    my ($to) = @_;
    my $script = <<'END';
\echo Use "ALTER EXTENSION streamagg UPDATE" to load this file. \quit
ALTER TABLE streamagg.stream_catalog ADD COLUMN note text NOT NULL DEFAULT 'of 1.1';
CREATE FUNCTION streamagg.answer() RETURNS int LANGUAGE sql IMMUTABLE RETURN 42;
END
    make_path($to);
    system_or_bail('cp', '-a', map({ "$tree/$_" } 'src', 'sql', 'Makefile', 'streamagg.control'), $to);
    PostgreSQL::Test::Utils::append_to_file("$to/sql/streamagg--1.0--1.1.sql", $script);
    system_or_bail('sed', '-i', "s/^default_version = .*/default_version = '1.1'/", "$to/streamagg.control");
    system_or_bail('sed', '-i.before', 's/\(LIBRARY_VERSION "\)[^"]*/\11.1/', "$to/src/streamagg.h");
    system_or_bail('touch', '-r', "$to/src/streamagg.h.before", "$to/src/streamagg.h");
    foreach my $file (glob "$to/src/*.c")
    {
        (my $object = $file) =~ s/c$/o/;
        unlink $object if slurp_file($file) =~ /STREAMAGG_LIBRARY_VERSION/;
    }
    return $to;
}

my $prefix = copy_server("$work/server");
is(config('sharedir', "$prefix/bin/pg_config"), "$work/server" . config('sharedir'), 'the server is a copy');
my $next = next_version("$work/next");

# ---------------------------------------------------------------- version 1.0

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
my @events = ('events.py', '--seed', 11, '--partitions', 4, '--broken', 0.02, '--topic', 'user-login');
my $node = PostgreSQL::Test::Cluster->new('upgrade', install_path => $prefix);
$node->init(extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'streamagg'\nmax_worker_processes = 32\nlog_line_prefix = '%m [%p] %e %q%a '\n");
$node->start;
foreach my $database ('d', 'e')
{
    add_database($node, $database, $kafka);
    $node->safe_psql($database, user_login_sql());
    $node->safe_psql($database, q{CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka; CREATE FOREIGN TABLE l (ts timestamptz) SERVER local OPTIONS (event_time 'ts'); SELECT streamagg.start('user_login')});
}
is($node->safe_psql('d', q{SELECT extversion FROM pg_extension WHERE extname = 'streamagg'}), '1.0', 'version 1.0');
# Built before there is any load: that takes longer than the load does.
sub build
{
    my ($target, $programs) = @_;
    system_or_bail('make', '-s', '-C', $next, $target, "PG_CONFIG=$programs/pg_config");
    return;
}

build('all', config('bindir'));
my $load = $kafka->background(@events, '--count', 60000, '--rate', 5000);

sub read_so_far { my ($database) = @_; return $node->safe_psql($database, 'SELECT coalesce(sum(read), 0) FROM streamagg.partitions'); }
sub goes_on { my ($database, $what) = @_; my $before = read_so_far($database); wait_until($what, sub { read_so_far($database) > $before }); pass($what); return; }

# Library and SQL objects differ: the stream waits and says why, the functions refuse, results can be read.
sub differ
{
    my ($database, $library, $script) = @_;
    my $words = "streamagg's library is version $library, its SQL objects are version $script";
    wait_until('the stream waits', sub { (one_value($node, $database, q{SELECT state || '|' || sqlstate || '|' || reason FROM streamagg.streams WHERE stream = 'user_login'::regclass}) // '') eq "backoff|55000|$words" });
    pass("E24: library $library, SQL $script: the stream waits and says why");
    my $before = read_so_far($database);
    foreach my $call ("start('user_login')", "stop('user_login')", 'start_all()', "push('l', ARRAY['{}'])", "retry_quarantine('user_login')", 'adopt()', "create_aggregate('x', 'SELECT count(*) FROM l')")
    {
        my ($status, $out, $error) = $node->psql($database, "\\set VERBOSITY verbose\nSELECT streamagg.$call");
        like($error, qr/55000: \Q$words\E\n.*HINT:.*ALTER EXTENSION streamagg UPDATE/s, "E24: $call is refused");
    }
    cmp_ok($node->safe_psql($database, 'SELECT coalesce(sum(logins), 0) FROM logins_1m'), '>', 0, 'results can be read');
    is(read_so_far($database), $before, 'and nothing is read meanwhile');
    is(worker_pid($node, $database, 'user_login'), undef, 'there is no worker');
    return;
}

# ---------------------------------------------------------------- version 1.1

goes_on($_, "$_ runs") foreach 'd', 'e';
build('install', "$prefix/bin");
ok(-e "$work/server" . config('sharedir') . '/extension/streamagg--1.0--1.1.sql', 'upgrade scripts are installed');
goes_on('d', 'new files change nothing');
$node->safe_psql('d', 'BEGIN; ALTER EXTENSION streamagg UPDATE; ROLLBACK');
goes_on('d', 'E24: nor does an update that is rolled back');

subtest 'the SQL objects are new, the library is old' => sub {
    $node->safe_psql('d', 'ALTER EXTENSION streamagg UPDATE');
    differ('d', '1.0', '1.1');
    goes_on('e', 'another database is not concerned');
};
$node->restart;
subtest 'the library is new, the SQL objects are old' => sub {
    goes_on('d', 'E24: where both are new it goes on by itself');
    differ('e', '1.1', '1.0');
    $node->safe_psql('e', 'ALTER EXTENSION streamagg UPDATE');
    goes_on('e', 'E24: it goes on by itself after the update') if $kafka->busy($load);
};
$kafka->finish($load);

# ---------------------------------------------------------------- nothing was lost

my $out = "$PostgreSQL::Test::Utils::tmp_check/recompute";
mkdir $out;
$kafka->script('recompute.py', '--topic', 'user-login', '--out', $out);
foreach my $database ('d', 'e')
{
    is($node->safe_psql($database, q{SELECT streamagg.wait_for('user_login', '3 min')}), 't', "E24: $database has caught up");
    is($node->safe_psql($database, 'SELECT extversion FROM pg_extension WHERE extname = \'streamagg\''), '1.1', 'with version 1.1');
    is($node->safe_psql($database, q{SELECT note, streamagg.answer(), state FROM streamagg.stream_catalog JOIN streamagg.streams USING (stream) WHERE stream = 'user_login'::regclass}), 'of 1.1|42|running', 'and what it brings');
    my %found = login_rows($node, $database);
    same_rows("$database: $_ equals the recomputation", $found{$_}, [ split /\n/, slurp_file("$out/$_") ]) foreach sort keys %found;
    accounting_is_right($node, $database);
    verify_is_empty($node, $database);
}

# An installation that was updated is one that is new.
$node->safe_psql('postgres', 'CREATE EXTENSION streamagg');
my $members = q{SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'streamagg') AND deptype = 'e'};
same_rows('the members of the extension', [ split /\n/, $node->safe_psql('d', $members) ], [ split /\n/, $node->safe_psql('postgres', $members) ]);
server_is_unharmed($node);
$node->stop('fast');
$kafka->stop;
done_testing();
