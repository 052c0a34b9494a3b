# SELECT and INSERT where something is in the way: topics that change while they are read, records that the
# broker does not take, sessions that want too much, statements within cursors, partitions and standbys.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
# RSS counts the shared buffers that a process has touched: few of them
my $node = new_node('main', "shared_buffers = '2MB'\nwal_level = replica\nmax_wal_senders = 3\n");
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub code { return sqlstate_of($node, 'postgres', $_[0]); }

# A session that stays, with what it holds; its statements may fail.
sub session
{
    my $session = $node->background_psql('postgres', on_error_stop => 0);
    my $pid = $session->query('SELECT pg_backend_pid()');
    return ($session, $pid);
}

sub ask
{
    my ($session, $query) = @_;
    my $answer = $session->query($query);
    my $error = $session->{stderr};
    $session->{stderr} = '';
    return $error ne '' ? $error : $answer;
}

sub stream
{
    my ($name, $partitions, $columns, @settings) = @_;
    $kafka->create_topic($name, $partitions, @settings);
    sql("CREATE FOREIGN TABLE $name ($columns, ts timestamptz DEFAULT now()) SERVER kafka OPTIONS (topic '$name', event_time 'ts')");
    return;
}

my $off = q{off bigint OPTIONS (meta 'offset')};

subtest 'B6, B7: the topic changes while it is read' => sub {
    my ($session, $pid) = session();
    foreach my $case ([ 'gone', 0, qr/could not read topic "gone" partition 0 offset \d+.*deleted before they were read/s ],
        [ 'shorter', 100_000, qr/partition 0 has become shorter while it was read.*to offset 199999, and ends before offset 100000\b/s ])
    {
        my ($topic, $again, $expected) = @$case;
        my $fill = "INSERT INTO $topic (v) SELECT repeat('x', 500) FROM generate_series(1, 200000)";
        stream($topic, 1, "v text, $off");
        sql($fill);
        is(ask($session, "BEGIN; DECLARE c CURSOR FOR SELECT off FROM $topic; FETCH 1 FROM c"), '0', "$topic: a cursor");
        $kafka->delete_topic($topic);
        $kafka->create_topic($topic, 1);
        sql("$fill LIMIT $again") if $again;
        like(ask($session, 'MOVE ALL FROM c'), $expected, 'an error, not fewer rows');
        is(resources_of($pid)->{Threads}, 1, 'no thread is left');
        ask($session, 'ROLLBACK');
        is(ask($session, "SELECT count(*) FROM $topic"), $again, 'the topic as it is now');
    }
    stream('dropped', 1, "v text, $off");
    sql(q{INSERT INTO dropped (v) SELECT repeat('x', 500) FROM generate_series(1, 200000)});
    is(ask($session, 'BEGIN; DECLARE c CURSOR FOR SELECT off FROM dropped; FETCH 1 FROM c'), '0', 'a cursor');
    $kafka->delete_topic('dropped');
    like(ask($session, 'MOVE ALL FROM c'), qr/could not read topic "dropped"/, 'the topic is dropped: an error');
    ask($session, 'ROLLBACK');
    $session->quit;

    stream('grows', 1, 'id int');
    ($session, $pid) = session();
    sql('INSERT INTO grows SELECT generate_series(1, 3)');
    is(ask($session, 'BEGIN; DECLARE c CURSOR FOR SELECT id FROM grows; FETCH 1 FROM c'), '1', 'B11: partitions are added');
    $kafka->add_partitions('grows', 3);
    sql('INSERT INTO grows SELECT generate_series(4, 60)');
    is(ask($session, 'FETCH ALL FROM c'), "2\n3", 'B11: a scan that has begun does not see them');
    is(resources_of($pid)->{Threads}, 1, 'at its end a cursor holds no client');
    ask($session, 'COMMIT');
    is(ask($session, 'SELECT count(*), sum(id) FROM grows'), '60|1830', 'B11: the next one does');
    $session->quit;
};

subtest 'what the broker does not take' => sub {
    my $meta = q{id int, k text OPTIONS (meta 'key'), at timestamptz OPTIONS (meta 'timestamp')};
    stream('compacted', 1, $meta, 'cleanup.policy=compact');
    is(code('INSERT INTO compacted VALUES (1)'), '22023', 'a compacted topic: no record without a key');
    is(code(q{INSERT INTO compacted VALUES (1, 'k')}), '', 'one with a key');
    is(code(q{INSERT INTO compacted (id, k, at, ts) VALUES (1, 'k', now() + '2 days', 'epoch')}), '22008', 'nor a time that is too far ahead');
    $kafka->produce('compacted', "0\tk\t\\N");
    is(sql('SELECT count(*) FROM compacted'), 1, 'a tombstone is no row');
};

subtest 'every compression' => sub {
    stream('packed', 1, 'id int');
    my @ways = qw(none gzip snappy lz4 zstd);
    $kafka->produce('packed', [ '--set', "compression.type=$_" ], map { qq(0\t\\N\t{"id": $_, "ts": "2024-05-01T00:00:00Z"}) } 1 .. 500) foreach @ways;
    is(sql('SELECT count(*), sum(id) FROM packed'), @ways * 500 . '|' . @ways * 125_250, "@ways");
};

subtest 'bad records are no error, whatever the stream does with them' => sub {
    stream('mixed', 1, 'id int NOT NULL CHECK (10 / id > 0)');
    sql(q{ALTER FOREIGN TABLE mixed OPTIONS (ADD on_decode_error 'stop', ADD on_violation 'stop', ADD max_bad_ratio '0')});
    $kafka->produce('mixed', map { "0\t\\N\t$_" } '{', '[]', '{"id": "x", "ts": "2024-05-01"}', '{"id": 0, "ts": "2024-05-01"}', '{"id": 11, "ts": "2024-05-01"}',
        '{"id": 3, "ts": "2024-05-01"}', '{"id": null, "ts": "2024-05-01"}', '{"id": 4, "ts": "infinity"}', '{"id": 5, "ts": "2024-05-01"}', '');
    is(sql('SELECT id FROM mixed'), "3\n5", 'the rows that are good');
    is(sql('SELECT count(*) FROM streamagg.quarantine'), 0, 'nothing is noted');
};

subtest 'a session has so many clients and no more' => sub {
    my ($session, $pid) = session();
    my $base = resources_of($pid);
    stream('few', 1, 'id int');
    sql('INSERT INTO few SELECT generate_series(1, 5)');
    my $loop = sub { "DO \$\$ BEGIN FOR i IN 1..100 LOOP EXECUTE format('$_[0]', i); END LOOP; END \$\$" };
    ask($session, 'BEGIN; ' . $loop->('DECLARE c%s CURSOR FOR SELECT id FROM few'));
    like(ask($session, $loop->('FETCH 1 FROM c%s')), qr/ERROR:  too many Kafka clients in one session/, 'cursors that are open');
    ask($session, 'ROLLBACK');
    ask($session, <<'END');
CREATE FUNCTION looks() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM public.few; RETURN true; END $$;
CREATE FOREIGN TABLE mirror (id int, ts timestamptz, CHECK (public.looks())) SERVER kafka OPTIONS (topic 'few', event_time 'ts');
CREATE OR REPLACE FUNCTION looks() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM public.mirror; RETURN true; END $$;
END
    like(ask($session, 'SELECT * FROM mirror'), qr/ERROR:  too many Kafka clients in one session/, 'a CHECK that reads its own stream');
    is_deeply([ @{ resources_of($pid) }{ 'Threads', 'fds' } ], [ 1, $base->{fds} ], 'nothing is left of them');
    ask($session, 'CREATE TABLE parts (id int, ts timestamptz) PARTITION BY LIST (id); '
          . $loop->(q{CREATE FOREIGN TABLE part%1$s PARTITION OF parts FOR VALUES IN (%1$s) SERVER kafka OPTIONS (topic ''few'', event_time ''ts'')}));
    is(ask($session, 'SELECT count(*) FROM parts'), 500, 'streams that are read one after the other');
    $session->quit;
};

subtest 'rows of 10 MB' => sub {
    my ($session, $pid) = session();
    my $peak = sub { my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m; return $kb / 1024; };
    stream('large', 1, 'id int, v text', 'max.message.bytes=30000000');
    sql(q{ALTER FOREIGN TABLE large OPTIONS (ADD max_message_bytes '25MB')});
    ask($session, q{INSERT INTO large SELECT g, repeat('x', 10000000) FROM generate_series(1, 30) g});
    cmp_ok($peak->(), '<', 300, 'are written in bounded memory');
    is(ask($session, 'SELECT count(*), sum(length(v)) FROM large'), '30|300000000', 'and read');
    cmp_ok($peak->(), '<', 400, 'in bounded memory');
    diag 'peak: ' . int($peak->()) . ' MB';
    $session->quit;
};

subtest 'cursors, procedures, prepared statements' => sub {
    my ($session) = session();
    stream('t', 2, "id int, part int OPTIONS (meta 'partition'), $off");
    sql('INSERT INTO t (id, part) SELECT g, g % 2 FROM generate_series(1, 1000) g; CREATE TABLE seen (id int)');
    is(ask($session, 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t WHERE part = 1 ORDER BY off; FETCH 1 FROM c; COMMIT; FETCH 2 FROM c; CLOSE c'), "1\n3\n5", 'WITH HOLD');
    is(ask($session, 'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT id FROM t WHERE part = 1; FETCH 3 FROM c; FETCH BACKWARD 1 FROM c; COMMIT'), "1\n3\n5\n3", 'SCROLL');
    ask($session, 'DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM t LOOP INSERT INTO seen VALUES (r.id); IF r.id % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$');
    is(sql('SELECT count(*), sum(id) FROM seen'), '1000|500500', 'COMMIT within a loop over a stream');
    ask($session, 'INSERT INTO t (id) SELECT id FROM t');
    is(sql('SELECT count(*), sum(id) FROM t'), '2000|1001000', 'a stream inserted into itself ends');
    is(ask($session, 'BEGIN; DECLARE c CURSOR FOR SELECT id FROM t; FETCH 1 FROM c; ALTER FOREIGN TABLE t ADD COLUMN v text; ROLLBACK') =~ /being used by active queries/, 1, 'no ALTER under a cursor');
    ask($session, 'PREPARE i AS INSERT INTO t (id) VALUES ($1); PREPARE s AS SELECT count(*), sum(id) FROM t; SET plan_cache_mode = force_generic_plan');
    is(ask($session, "EXECUTE i (1); ALTER FOREIGN TABLE t $_; EXECUTE i (1); EXECUTE s"), $_ =~ /ADD/ ? '2002|1001002' : '2004|1001004', "prepared statements over $_")
      foreach 'ADD COLUMN v text', 'DROP COLUMN v';
    sql('CREATE MATERIALIZED VIEW kept AS SELECT id FROM t');
    is(sql('REFRESH MATERIALIZED VIEW kept; SELECT count(*) FROM kept'), 2004, 'a materialized view');

    sql(<<'END');
CREATE TABLE parent (id int, ts timestamptz DEFAULT now()) PARTITION BY LIST (id);
CREATE TABLE local PARTITION OF parent FOR VALUES IN (1);
CREATE FOREIGN TABLE sent PARTITION OF parent FOR VALUES IN (2) SERVER kafka OPTIONS (topic 'few', event_time 'ts');
INSERT INTO parent VALUES (1);
UPDATE parent SET id = 2 WHERE id = 1;
END
    is(sql('SELECT (SELECT count(*) FROM local), (SELECT count(*) FROM sent WHERE id = 2)'), '0|2', 'UPDATE moves a row into the topic');

    sql('CREATE TABLE account (id int PRIMARY KEY, n int); INSERT INTO account SELECT g, 0 FROM generate_series(1, 3) g');
    my ($other) = session();
    ask($other, 'BEGIN; UPDATE account SET n = 1 WHERE id = 2');
    $session->query_until(qr/asked/, "\\echo asked\nUPDATE account SET n = n + 10 FROM t WHERE t.id = account.id AND t.off < 3;\n");
    wait_until('the second UPDATE waits', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) > 0 });
    ask($other, 'COMMIT');
    ask($session, 'SELECT 1');
    is(sql('SELECT n FROM account ORDER BY id'), "10\n11\n10", 'an UPDATE that joins a stream sees what another has changed meanwhile');
    $_->quit foreach $session, $other;
};

subtest 'a standby reads, and writes nothing' => sub {
    $node->backup('backup');
    my $standby = PostgreSQL::Test::Cluster->new('standby');
    $standby->init_from_backup($node, 'backup', has_streaming => 1);
    $standby->start;
    is($standby->safe_psql('postgres', 'SELECT count(*) FROM mixed'), 2, 'SELECT');
    is(sqlstate_of($standby, 'postgres', 'INSERT INTO few VALUES (9)'), '25006', 'INSERT');
    is(sqlstate_of($standby, 'postgres', "COPY few (id) FROM STDIN;\n9\n\\."), '25006', 'COPY');
    is(sql('SELECT count(*) FROM few WHERE id = 9'), 0, 'nothing is written');
    $standby->stop;
};

subtest 'A12: a session that waits for a broker can be ended' => sub {
    foreach my $query ('SELECT count(*) FROM large', q{INSERT INTO large SELECT g, repeat('x', 100000) FROM generate_series(1, 100000) g})
    {
        my ($session, $pid) = session();
        $session->query_until(qr/asked/, "\\echo asked\n$query;\n");
        wait_until('the statement', sub { sql("SELECT state = 'active' FROM pg_stat_activity WHERE pid = $pid") eq 't' });
        kill 'STOP', $kafka->pid;
        sql("SELECT pg_terminate_backend($pid)");
        wait_until('the end of the session', sub { !kill 0, $pid }, 10);
        ok(1, (split ' ', $query)[0]);
        kill 'CONT', $kafka->pid;
        eval { $session->quit };
    }
    is(sql('SELECT count(*) FROM few WHERE id = 1'), 1, 'all is well');
};

server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
