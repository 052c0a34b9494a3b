# What a PostgreSQL server does to its streams: settings of roles, cancelled and dead-locked batches, a
# lack of slots, memory or disk, DROP DATABASE, starts and stops by many. Every record is counted once.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(time usleep);

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

my %sent;

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub column_of { return one_value($node, 'postgres', "SELECT $_[1] FROM streamagg.streams WHERE stream = '$_[0]'::regclass") // ''; }
sub state_of { return column_of($_[0], 'state, sqlstate'); }

sub add_stream
{
    my ($name, $database) = @_;
    $kafka->create_topic($name, 1);
    $node->safe_psql($database // 'postgres', <<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int)
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_count', 'SELECT v, count(*) AS n FROM $name GROUP BY v');
SELECT streamagg.start('$name');
END
    return;
}

sub produce
{
    my ($name, $n) = @_;
    $kafka->produce($name, map { qq(0\t\\N\t{"ts":1700000000,"v":$_}) } 1 .. $n);
    $sent{$name} += $n;
    return;
}

sub all_is_there
{
    my ($name, $why, $database) = @_;
    wait_until($why, sub { (one_value($node, $database // 'postgres', "SELECT coalesce(sum(n), 0) FROM ${name}_count") // 0) == $sent{$name} }, 90);
    is($node->safe_psql($database // 'postgres', "SELECT sum(n) FROM ${name}_count"), $sent{$name}, "$why: every record once");
    return;
}

add_stream('s');
produce('s', 10);
all_is_there('s', 'a stream');

subtest 'E6–E9, E31: settings of the role and the database' => sub {
    sql(<<'END');
ALTER ROLE postgres SET default_transaction_isolation = 'serializable';
ALTER ROLE postgres SET lock_timeout = '1ms';
ALTER ROLE postgres SET statement_timeout = '1ms';
ALTER ROLE postgres SET idle_in_transaction_session_timeout = '1ms';
ALTER ROLE postgres SET synchronous_commit = off;
ALTER DATABASE postgres SET default_transaction_read_only = on;
ALTER DATABASE postgres SET TimeZone = 'Asia/Kathmandu';
ALTER DATABASE postgres SET DateStyle = 'German';
ALTER DATABASE postgres SET search_path = 'nowhere';
END
    local $ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c search_path=public -c synchronous_commit=on';
    sql(q{SELECT streamagg.restart('s')});
    produce('s', 50);
    all_is_there('s', 'its own settings win');
    is(state_of('s'), 'running|', 'it runs');
    kill_worker($node, 'postgres', 0);
    produce('s', 50);
    all_is_there('s', 'E31: asynchronous commits and a crash');
    sql("ALTER ROLE postgres RESET ALL; ALTER DATABASE postgres RESET ALL");
    sql(q{SELECT streamagg.restart('s')});
};

subtest 'E27: pg_cancel_backend' => sub {
    my $session = $node->background_psql('postgres');
    $session->query('BEGIN; LOCK TABLE s_count_state IN ACCESS EXCLUSIVE MODE');
    produce('s', 10);
    my $waiting = q{SELECT pid FROM pg_stat_activity WHERE application_name = 's' AND wait_event_type = 'Lock'};
    my $pid = wait_until('a batch under way', sub { sql($waiting) });
    sql("SELECT pg_cancel_backend($pid)");
    wait_until('the cancel', sub { state_of('s') eq 'backoff|57014' });
    $session->query('ROLLBACK');
    $session->quit;
    all_is_there('s', 'the batch is retried');
};

subtest 'E5: a deadlock' => sub {
    # a trigger locks the other table after the state; a session does it the other way round
    sql(<<'END');
CREATE TABLE other (n int); INSERT INTO other VALUES (1);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE public.other SET n = n; RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT OR UPDATE ON s_count_state FOR EACH STATEMENT EXECUTE FUNCTION touch();
END
    my $session = $node->background_psql('postgres');
    # the session waits for long before it looks for a deadlock: the worker is the one that finds it, and
    # late enough to have one
    $node->append_conf('postgresql.conf', q{deadlock_timeout = '5s'});
    $node->reload;
    $session->query("SET deadlock_timeout = '30s'; BEGIN; UPDATE other SET n = n");
    produce('s', 10);
    wait_until('a batch that waits', sub { sql(q{SELECT pid FROM pg_stat_activity WHERE application_name = 's' AND wait_event_type = 'Lock'}) });
    $session->query_until(qr/asked/, "\\echo asked\nUPDATE s_count_state SET updated_at = updated_at;\n");
    wait_until('the deadlock', sub { slurp_file($node->logfile) =~ /tries again: deadlock detected/ });
    $session->query('ROLLBACK');
    $session->quit;
    all_is_there('s', 'the batch is retried');
    sql('DROP TRIGGER t ON s_count_state');
};

subtest 'E2, E3: no disk, no memory' => sub {
    # what the server says of a full disk or too little memory, from a trigger: the error alone counts
    sql(<<'END');
CREATE TABLE lack (code text, most int); INSERT INTO lack VALUES ('53100', 5);
CREATE FUNCTION lack() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE l record;
BEGIN
  SELECT * INTO l FROM public.lack;
  IF (SELECT count(*) FROM rows) > l.most THEN RAISE EXCEPTION USING ERRCODE = l.code, MESSAGE = 'lack'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER i AFTER INSERT ON s_count_state REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION lack();
END
    sql(q{TRUNCATE s_count_state});
    my $before = $sent{s};
    foreach my $code ('53100', '53200')
    {
        sql("UPDATE lack SET code = '$code'; TRUNCATE s_count_state; SELECT streamagg.stop('s')");
        $sent{s} = 0;
        produce('s', 200);
        sql(q{SELECT streamagg.start('s')});
        wait_until("back-off after $code", sub { state_of('s') eq "backoff|$code" });
        sql(q{UPDATE lack SET most = 40});
        all_is_there('s', "$code: smaller batches, which go through");
        is(sql(q{SELECT count(*) FROM streamagg.quarantine}), 0, 'and nothing in quarantine');
    }
    sql('DROP TRIGGER i ON s_count_state');
};

subtest 'E22: no worker slot is free' => sub {
    $node->append_conf('postgresql.conf', 'max_worker_processes = 5');
    $node->restart;
    add_stream("slot$_") foreach 1 .. 3;
    produce("slot$_", 1) foreach 1 .. 3;
    my $waiting = q{SELECT stream FROM streamagg.streams WHERE state = 'backoff' AND sqlstate = '53400' AND reason ~ 'max_worker_processes' LIMIT 1};
    wait_until('a stream without a slot', sub { sql($waiting) });
    is(sqlstate_of($node, 'postgres', 'SELECT 1'), '', 'nothing else is hurt');
    my $lucky = wait_until('one with a slot', sub { sql(q{SELECT stream FROM streamagg.streams WHERE state = 'running' AND stream <> 's'::regclass LIMIT 1}) });
    all_is_there($lucky, 'another');
    sql(q{SELECT streamagg.stop('s')});
    sql("SELECT streamagg.stop('$lucky')");
    all_is_there($_, 'a slot is free') foreach grep { $_ ne $lucky } map { "slot$_" } 1 .. 3;
    $node->append_conf('postgresql.conf', 'max_worker_processes = 32');
    $node->restart;
    sql(q{SELECT streamagg.stop_all()});
    sql(q{SELECT streamagg.start('s')});
    wait_until('the worker', sub { worker_pid($node, 'postgres', 's') });
};

subtest 'F13: many start one stream' => sub {
    sql(q{SELECT streamagg.stop('s')});
    my $events = q{SELECT count(*) FROM streamagg.events WHERE stream = 's'::regclass AND event = 'start'};
    my $before = sql($events);
    my @sessions = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 8;
    $_->query_until(qr/asked/, "\\echo asked\nSELECT streamagg.start('s');\n") foreach @sessions;
    $_->query(q{SELECT 'done'}) foreach @sessions;
    is(sql($events), $before + 1, 'one of them started it');
    $_->quit foreach @sessions;
    produce('s', 5);
    all_is_there('s', 'it runs');
    is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker' AND application_name = 's'}), 1, 'by one worker');
};

subtest 'F15: stopped and started many times under load' => sub {
    my $times = $ENV{STREAMAGG_FULL} ? 1000 : 60;
    my $producer = $kafka->producer('s');
    foreach my $i (1 .. $times)
    {
        $kafka->hand_over($producer, map { qq(0\t\\N\t{"ts":1700000000,"v":$_}) } 1 .. 100);
        $sent{s} += 100;
        sql($i % 3 ? q{SELECT streamagg.stop('s'); SELECT streamagg.start('s')} : q{SELECT streamagg.stop('s', mode => 'abort'); SELECT streamagg.start('s')});
    }
    $kafka->end_producer($producer);
    all_is_there('s', "$times times");
};

subtest 'E18–E21: databases that are dropped and copied' => sub {
    my $dropped_within = sub {
        my ($command, $seconds, $name) = @_;
        my $began = time;
        $node->safe_psql('postgres', $command);
        cmp_ok(time - $began, '<', $seconds, $name);
    };
    foreach my $name ('own', 'forced', 'copied')
    {
        add_database($node, $name, $kafka);
        add_stream("in_$name", $name);
        produce("in_$name", 3);
        all_is_there("in_$name", "$name runs", $name);
    }
    $node->safe_psql('postgres', 'CREATE DATABASE unrelated');
    $dropped_within->('DROP DATABASE unrelated', 2, 'E18: another database, while streams run');
    $node->safe_psql('postgres', 'CREATE ROLE stranger LOGIN');
    isnt(sqlstate_of($node, 'postgres', 'SET ROLE stranger; DROP DATABASE own'), '', 'E20: who does not own it');
    is(worker_pid($node, 'own', 'in_own') ? 1 : 0, 1, 'E20: stops nothing');
    $dropped_within->('DROP DATABASE own', 5, 'E20: without FORCE the workers stop first');
    $dropped_within->('DROP DATABASE forced WITH (FORCE)', 5, 'E19: with FORCE');
    isnt(sqlstate_of($node, 'postgres', 'CREATE DATABASE copy TEMPLATE copied'), '', 'E21: no template while it runs');
    $node->safe_psql('copied', 'SELECT streamagg.stop_all()');
    wait_until('the end of the keeper', sub { sqlstate_of($node, 'postgres', 'CREATE DATABASE copy TEMPLATE copied') eq '' }, 30);
    is($node->safe_psql('copy', 'SELECT sum(n) FROM in_copied_count'), 3, 'E21: stopped it is one');
    is($node->safe_psql('copy', q{SELECT state FROM streamagg.streams}), 'stopped', 'E21: and the copy runs nothing');
    produce('s', 5);
    all_is_there('s', 'the stream of another database goes on');
};

subtest 'E24: a library of another version' => sub {
    sql(q{SELECT streamagg.stop('s'); UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'streamagg'});
    my (undef, undef, $err) = $node->psql('postgres', q{SELECT streamagg.start('s')});
    like($err, qr/library is version 1\.0, its SQL objects are version 0\.9/, 'is named');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('s')}), '55000', 'and refused');
    sql(q{UPDATE pg_extension SET extversion = '1.0' WHERE extname = 'streamagg'; SELECT streamagg.start('s')});
    produce('s', 5);
    all_is_there('s', 'put right');
};

accounting_is_right($node, 'postgres');
sql(q{SELECT streamagg.backfill('s_count')}); # its state was truncated
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
