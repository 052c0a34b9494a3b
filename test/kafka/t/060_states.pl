# What stops a stream is seen: its state, reason and SQLSTATE; what passes by itself is tried again.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }

sub state_of
{
    my ($stream) = @_;
    return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$stream'::regclass");
}

sub reason_of
{
    my ($stream) = @_;
    return sql("SELECT reason FROM streamagg.streams WHERE stream = '$stream'::regclass");
}

sub add_stream
{
    my ($name, $options, $query) = @_;
    $kafka->create_topic($name, 1);
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int)
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on' $options);
SELECT streamagg.create_aggregate('${name}_count', '$query');
END
    return;
}

sub record { return "0\t\\N\t{\"ts\":1700000000,\"v\":$_[0]}"; }

add_stream('strict', ", on_violation 'stop'", 'SELECT count(*) AS n FROM strict');
add_stream('divides', '', 'SELECT sum(100 / v) AS n FROM divides');
add_stream('plain', '', 'SELECT count(*) AS n FROM plain');
sql(q{SELECT streamagg.start_all()});

subtest "on_violation 'stop'" => sub {
    $kafka->produce('strict', record(1), record('"secret-7"'), record(3));
    wait_until('the halt', sub { state_of('strict') eq 'halted|22P02' });
    is(reason_of('strict'),
        'stream "strict", topic "strict" partition 0 offset 1: column "v": the value does not have the form of its'
          . q{ type; hint: The stream's options on_decode_error and on_violation say what becomes of}
          . ' such records.',
        'the reason names stream, partition, offset and column, and no value');
    is(sql('SELECT n FROM strict_count'), 0, 'nothing of the batch is kept');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.wait_for('strict')}),
        '55000', 'wait_for does not wait for it');
    $node->restart;
    is(state_of('strict'), 'halted|22P02', 'halted over a restart of the server');
    sql(q{ALTER FOREIGN TABLE strict OPTIONS (SET on_violation 'quarantine')});
    is(sql(q{SELECT streamagg.start('strict')}), 't', 'start() lets it run again');
    is(sql(q{SELECT streamagg.wait_for('strict')}), 't', 'caught up');
    is(sql('SELECT n FROM strict_count'), 2, 'from where it was');
};

subtest 'E25: an expression that fails on a row' => sub {
    $kafka->produce('divides', record(4), record(0));
    is(sql(q{SELECT streamagg.wait_for('divides')}), 't', 'the stream goes on');
    is(sql(q{SELECT stage, code, record_offset FROM streamagg.quarantine WHERE stream = 'divides'::regclass}),
        'aggregate|22012|1', 'that row is in quarantine');
    is(state_of('divides'), 'running|', 'and nothing halts');
};

subtest 'S48, 54: one stream does not stop another' => sub {
    $kafka->produce('plain', record(1));
    is(sql(q{SELECT streamagg.wait_for('plain')}), 't', 'the others go on');
};

subtest 'A1, A2: brokers die and return' => sub {
    $kafka->kill9;
    wait_until('the trouble', sub { state_of('plain') eq 'backoff|08006' });
    like(reason_of('plain'), qr/no broker can be reached/, 'the reason');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.wait_for('plain', '1 s')}),
        '08006', 'wait_for says so, too');
    # long enough for the questions that an idle worker asks the brokers
    sql(q{ALTER FOREIGN TABLE plain OPTIONS (ADD idle_timeout '1 s')});
    sleep 3;
    is(sql(q{SELECT streamagg.stop('plain', timeout => '5 s')}), 't', 'D1: stop() does not wait for brokers');
    is(sql(q{SELECT streamagg.start('plain')}), 't', 'started without brokers');
    wait_until('the back-off', sub { state_of('plain') eq 'backoff|08006' });
    $kafka->start;
    $kafka->produce('plain', record(2));
    is(sql(q{SELECT streamagg.wait_for('plain', '60 s')}), 't', 'it goes on by itself');
    wait_until('the state', sub { state_of('plain') eq 'running|' });
    is(sql('SELECT n FROM plain_count'), 2, 'no record twice, none missing');
};

subtest 'a topic that does not exist' => sub {
    sql(<<'END');
CREATE FOREIGN TABLE missing (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER kafka OPTIONS (topic 'missing', event_time 'ts');
SELECT streamagg.create_aggregate('missing_count', 'SELECT count(*) AS n FROM missing');
SELECT streamagg.start('missing');
END
    wait_until('the state', sub { state_of('missing') eq 'blocked|42704' });
    like(reason_of('missing'), qr/topic "missing"/, 'the reason names it');
    $kafka->create_topic('missing', 1);
    wait_until('a worker that finds it', sub { state_of('missing') eq 'running|' });
    is(sql(q{SELECT streamagg.wait_for('missing')}), 't', 'once it is there');
};

subtest 'B6, B7: offsets that are gone' => sub {
    $kafka->produce('plain', map { record($_) } 1 .. 5);
    is(sql(q{SELECT streamagg.wait_for('plain')}), 't', 'caught up');
    sql(q{SELECT streamagg.stop('plain')});
    $kafka->delete_topic('plain');
    $kafka->create_topic('plain', 1);
    sql(q{SELECT streamagg.start('plain')});
    wait_until('the halt', sub { state_of('plain') eq 'halted|22000' });
    is(sql('SELECT n FROM plain_count'), 7, 'never reset, nothing read twice');
};

subtest 'S19: the owner must be able to log in' => sub {
    sql(<<'END');
CREATE ROLE no_login; GRANT USAGE ON FOREIGN SERVER kafka TO no_login; GRANT ALL ON SCHEMA public TO no_login;
SET ROLE no_login;
CREATE FOREIGN TABLE theirs (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER kafka OPTIONS (topic 'missing', event_time 'ts');
SELECT streamagg.create_aggregate('theirs_count', 'SELECT count(*) AS n FROM theirs');
END
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('theirs')}), '42501', 'refused');
    sql('ALTER ROLE no_login LOGIN');
    is(sql(q{SELECT streamagg.start('theirs')}), 't', 'started');
    is(sql(q{SELECT streamagg.wait_for('theirs')}), 't', 'caught up');
    is(sql(q{SELECT usename FROM pg_stat_activity WHERE application_name = 'theirs'}),
        'no_login', 'the worker is the owner');
};

subtest 'streamagg.enabled' => sub {
    my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker'};
    # after the brokers' return some may still show their last trouble
    my $running = sql(q{SELECT count(*) FROM streamagg.streams WHERE state NOT IN ('stopped', 'halted')});
    cmp_ok($running, '>', 1, 'several run');
    $node->append_conf('postgresql.conf', 'streamagg.enabled = off');
    $node->reload;
    wait_until('the end of all workers', sub { sql($workers) eq '0' });
    $node->append_conf('postgresql.conf', 'streamagg.enabled = on');
    $node->reload;
    wait_until('the workers again', sub { sql($workers) eq $running });
    pass('off and on again');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
done_testing();
