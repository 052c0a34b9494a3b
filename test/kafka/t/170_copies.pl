# A database, its copies and its heirs, all under load: a dump that is restored beside the original, a
# database made from a template, databases that are dropped, a standby that is promoted, pg_upgrade.
# Copies start nothing before adopt(); in each the results are those of a recomputation.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
my @events = ('events.py', '--seed', 7, '--partitions', 4, '--broken', 0.02, '--topic', 'user-login');
my $sent = 0;

# Some more events in the background, for a few seconds.
sub load { my ($count) = @_; my $job = $kafka->background(@events, '--skip', $sent, '--count', $count, '--rate', 5000); $sent += $count; return $job; }

my @locale = (extra => [ '--locale=C.UTF-8', '--encoding=UTF8' ]);
my $conf = "shared_preload_libraries = 'streamagg'\nmax_worker_processes = 32\nlog_line_prefix = '%m [%p] %e %q%a '\n";

sub state_of { my ($node, $database) = @_; return one_value($node, $database, q{SELECT state FROM streamagg.streams WHERE stream = 'user_login'::regclass}) // ''; }
sub is_running { my ($node, $database, $what) = @_; wait_until($what, sub { state_of($node, $database) eq 'running' }); pass($what); return; }

# All that was sent has been read, and the tables are those of a recomputation.
my $recomputed = 0;
sub is_right
{
    my ($node, $database, $what) = @_;
    my $out = "$PostgreSQL::Test::Utils::tmp_check/recompute";
    is($node->safe_psql($database, q{SELECT streamagg.wait_for('user_login', '3 min')}), 't', "$what: caught up");
    mkdir $out;
    $kafka->script('recompute.py', '--topic', 'user-login', '--out', $out) if $recomputed != $sent;
    $recomputed = $sent;
    my %found = login_rows($node, $database);
    same_rows("$what: $_", $found{$_}, [ split /\n/, slurp_file("$out/$_") ]) foreach sort keys %found;
    is($node->safe_psql($database, 'SELECT sum(read) FROM streamagg.partitions'), $sent, "$what: each record once");
    accounting_is_right($node, $database);
    verify_is_empty($node, $database);
    return;
}

# Nothing runs in a copy, and start() says what to do.
sub starts_nothing
{
    my ($node, $database, $what) = @_;
    is(state_of($node, $database), 'stopped', "$what: F1: the stream is stopped");
    is($node->safe_psql($database, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'streamagg (keeper|worker)' AND datname = current_database()}), '0', "$what: nothing runs");
    foreach my $call ("start('user_login')", "restart('user_login')", 'start_all()', "wait_for('user_login')")
    {
        is(sqlstate_of($node, $database, "SELECT streamagg.$call"), '55000', "$what: $call is refused");
    }
    my ($status, $out, $error) = $node->psql($database, q{SELECT streamagg.start('user_login')});
    like($error, qr/restored or copied.*\nDETAIL:  1 stream comes from another database\.\nHINT:  .*streamagg\.adopt\(\)/, "$what: and why");
    return;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, @locale);
$node->append_conf('postgresql.conf', $conf);
$node->start;
add_database($node, 'd', $kafka);
$node->safe_psql('d', user_login_sql());
$node->safe_psql('d', q{SELECT streamagg.create_key('k'); SELECT streamagg.start('user_login')});

subtest 'F2: a dump under load, restored beside the running original' => sub {
    my $dir = $node->basedir;
    my $load = load(30000);
    wait_until('some are read', sub { $node->safe_psql('d', 'SELECT coalesce(sum(read), 0) FROM streamagg.partitions') > 5000 });
    $node->command_ok([ 'pg_dump', '-Fd', '-j', '4', '-f', "$dir/directory", '-d', $node->connstr('d') ], 'pg_dump -j4');
    $node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/custom", '-d', $node->connstr('d') ], 'pg_dump -Fc');
    foreach my $format ('custom', 'directory')
    {
        $node->safe_psql('postgres', "CREATE DATABASE $format");
        $node->command_ok([ 'pg_restore', '-j', '4', '--exit-on-error', '-d', $node->connstr($format), "$dir/$format" ], "pg_restore -j4 of $format");
        accounting_is_right($node, $format);
        verify_is_empty($node, $format);
    }
    starts_nothing($node, 'custom', 'a restore in the same server');
    is(sqlstate_of($node, 'custom', q{CREATE ROLE stranger LOGIN IN ROLE streamagg_operator; SET ROLE stranger; SELECT streamagg.adopt()}), '42501', 'adopt() is not for operators');
    is($node->safe_psql('custom', q{CREATE ROLE admin IN ROLE streamagg_admin; SET ROLE admin; SELECT streamagg.adopt()}), 1, 'but for streamagg_admin: one stream');
    is_running($node, 'custom', 'what ran runs again');
    is($node->safe_psql('custom', 'SELECT streamagg.adopt()'), 0, 'there is nothing else to adopt');
    is($node->safe_psql('custom', q{SELECT count(*) FROM streamagg.events WHERE event = 'adopt' AND actor = 'admin'}), 1, 'an event tells of it');
    is(state_of($node, 'd'), 'running', 'the original runs on');
    $kafka->finish($load);
    is_right($node, 'd', 'the original');
    is_right($node, 'custom', 'the copy beside it');
    # the other copy: first stopped, then adopted, then started
    is($node->safe_psql('directory', 'SELECT streamagg.stop_all(); SELECT streamagg.adopt()'), "1\n1", 'stopped before it is adopted');
    is(state_of($node, 'directory'), 'stopped', 'it stays so');
    is($node->safe_psql('directory', q{SELECT streamagg.start('user_login')}), 't', 'until it is started');
    is_right($node, 'directory', 'the other copy');
};

subtest 'a template' => sub {
    is(sqlstate_of($node, 'postgres', 'CREATE DATABASE twin TEMPLATE d'), '55006', 'E21: not while streams run');
    is($node->safe_psql('d', 'SELECT streamagg.stop_all()'), 1, 'stopped');
    is(sqlstate_of($node, 'postgres', 'CREATE DATABASE twin TEMPLATE d'), '', 'E21: a template after stop()');
    is($node->safe_psql('d', q{SELECT streamagg.start('user_login')}), 't', 'the original starts again');
    starts_nothing($node, 'twin', 'E21: the twin');
    is($node->safe_psql('twin', 'SELECT streamagg.adopt()'), 1, 'adopted');
    is(state_of($node, 'twin'), 'stopped', 'it was stopped and stays so');
    is($node->safe_psql('twin', 'SELECT streamagg.start_all()'), 1, 'started');
    my $load = load(5000);
    $kafka->finish($load);
    is_right($node, 'twin', 'the twin');
    is_right($node, 'd', 'the original');
};

subtest 'databases are dropped' => sub {
    my $pid = worker_pid($node, 'd', 'user_login');
    $node->safe_psql('postgres', 'CREATE DATABASE other; CREATE ROLE nobody LOGIN');
    is(sqlstate_of($node, 'postgres', 'DROP DATABASE other'), '', 'E18: a database without streams');
    is(worker_pid($node, 'd', 'user_login'), $pid, 'E18: while those of another run on');
    # who may not drop it, does not stop it
    $pid = worker_pid($node, 'twin', 'user_login');
    is(sqlstate_of($node, 'postgres', 'SET ROLE nobody; DROP DATABASE twin'), '42501', 'E20: not the owner');
    is(sqlstate_of($node, 'postgres', 'SET ROLE nobody; DROP DATABASE twin WITH (FORCE)'), '42501', 'E20: by force neither');
    is(worker_pid($node, 'twin', 'user_login'), $pid, 'E20: the worker has not noticed');
    my $session = $node->background_psql('twin');
    $session->query_safe('SELECT 1');
    is(sqlstate_of($node, 'postgres', 'DROP DATABASE twin'), '55006', 'E20: somebody else is connected');
    is_running($node, 'twin', 'E20: the stream runs again');
    $session->quit;
    is(sqlstate_of($node, 'postgres', 'DROP DATABASE twin'), '', 'E20: a database with a running stream');
    $session = $node->background_psql('directory');
    $session->query_safe('SELECT 1');
    is(sqlstate_of($node, 'postgres', 'DROP DATABASE directory WITH (FORCE)'), '', 'E19: by force, with a session in it');
    is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT datname, ' ' ORDER BY datname) FROM pg_stat_activity WHERE backend_type ~ 'streamagg (keeper|worker)'}), 'custom d', 'the others run on');
    eval { $session->quit };
};

my $standby = PostgreSQL::Test::Cluster->new('standby');
subtest 'a standby is promoted under load' => sub {
    $node->backup('b');
    $standby->init_from_backup($node, 'b', has_streaming => 1);
    $standby->start;
    my $load = load(40000);
    my $before = $standby->safe_psql('d', 'SELECT sum(next_offset) FROM streamagg.partitions');
    wait_until('the standby follows', sub { $standby->safe_psql('d', 'SELECT sum(next_offset) FROM streamagg.partitions') > $before + 5000 });
    is(state_of($standby, 'd'), 'stopped', 'F5: nothing runs there');
    is(sqlstate_of($standby, 'd', 'SELECT streamagg.adopt()'), '25006', 'F5: and nothing can be adopted');
    ok($kafka->busy($load), 'F6: under load');
    $node->stop('immediate');
    $standby->promote;
    is_running($standby, 'd', 'F6: what ran runs again without adopt()');
    is_running($standby, 'custom', 'F6: in each database');
    $kafka->finish($load);
    is_right($standby, 'd', 'F6: after promotion');
    is_right($standby, 'custom', 'F6: and the copy');
};

my $new = PostgreSQL::Test::Cluster->new('new');
subtest 'pg_upgrade' => sub {
    $new->init(@locale);
    $new->append_conf('postgresql.conf', $conf);
    $_->append_conf('postgresql.conf', 'log_min_messages = debug1') foreach $new, $standby;
    my $key = $standby->safe_psql('d', q{SELECT streamagg.export_key('k')});
    is_right($standby, 'd', 'F4: before');
    my %before = login_rows($standby, 'd');
    $standby->stop;
    my $load = load(5000);
    my $work = "$PostgreSQL::Test::Utils::tmp_check/upgrade";
    mkdir $work;
    chdir $work;
    my $bin = $standby->config_data('--bindir');
    command_ok([ 'pg_upgrade', '--retain', '-b', $bin, '-B', $bin, '-d', $standby->data_dir, '-D', $new->data_dir, '-p', $standby->port, '-P', $new->port, '-s', $standby->host ],
        'F4: pg_upgrade');
    chdir $PostgreSQL::Test::Utils::tmp_check . '/..';
    my @logs = grep { -s } glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log');
    isnt(scalar @logs, 0, 'the logs of both servers during it');
    is(join('', map { grep { /streamagg (launcher|keeper|worker)/ } split /\n/, slurp_file($_) } @logs), '', 'F4: no process of ours meanwhile');
    $new->start;
    like(slurp_file($new->logfile), qr/registering background worker "streamagg launcher"/, 'F4: it would have been seen');
    my %after = login_rows($new, 'd');
    same_rows("F4: $_ is the same", $after{$_}, $before{$_}) foreach sort keys %after;
    is($new->safe_psql('d', q{SELECT streamagg.export_key('k')}), $key, 'F4: and the key');
    is(sqlstate_of($new, 'd', 'DROP TABLE logins_1m_state'), '2BP01', 'F4: the ties are there');
    starts_nothing($new, 'd', 'F4: a server with another system identifier');
    is($new->safe_psql('d', 'SELECT streamagg.adopt()'), 1, 'F4: adopted');
    $kafka->finish($load);
    is_right($new, 'd', 'F4: after pg_upgrade');
    is(state_of($new, 'custom'), 'stopped', 'F4: each database by itself');
};

server_is_unharmed($_) foreach $node, $standby, $new;
$new->stop('fast');
$kafka->stop;
done_testing();
