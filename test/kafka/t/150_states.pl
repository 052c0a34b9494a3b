# Streams that stop for something go on by themselves when it is put right: blocked ones look for it,
# halted ones see the definitions change. Whatever waits shows its state, reason and SQLSTATE.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new(
    users => { alice => 'first-secret', bob => 'bobs-secret' },
    config => {
        'authorizer.class.name' => 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users' => 'User:ANONYMOUS', 'allow.everyone.if.no.acl.found' => 'true' });
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
my $sasl = $kafka->bootstrap('SASL_SSL');
my $ca = PostgreSQL::Test::Utils::slurp_file($kafka->file('ca.pem'));

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub column_of { return sql("SELECT $_[1] FROM streamagg.streams WHERE stream = '$_[0]'::regclass"); }
sub state_of { return column_of($_[0], 'state, sqlstate'); }

sub comes_to
{
    my ($stream, $state, $timeout) = @_;
    my $seen = '';
    my $reached = eval { wait_until($state, sub { ($seen = state_of($stream)) eq $state }, $timeout // 60) };
    is($seen, $state, "$stream is $state");
    return $reached;
}

# A stream of its owner on a topic, and the count of its records.
sub add_stream
{
    my ($name, %args) = @_;
    my $topic = $args{topic} // $name;
    my ($server, $columns, $owner) = ($args{server} // 'kafka', $args{columns} // 'v int', $args{owner} // 'app');
    $kafka->create_topic($topic, $args{partitions} // 1) unless $args{no_topic};
    sql(<<"END");
SET ROLE $owner;
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, $columns)
  SERVER $server OPTIONS (topic '$topic', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_count', '${\($args{query} // "SELECT count(*) AS n FROM $name")}');
END
    return;
}

sub records { my ($topic, $n) = @_; $kafka->produce($topic, map { qq(0\t\\N\t{"ts":1700000000,"v":$_}) } 1 .. $n); return; }

sub counts
{
    my ($stream, $n, $name) = @_;
    is(sql("SELECT streamagg.wait_for('$stream')"), 't', "$name: caught up");
    is(sql("SELECT n FROM ${stream}_count"), $n, "$name: every record once");
    return;
}

sub goes_on
{
    my ($stream, $n, $what, $seconds) = @_;
    my $began = time;
    comes_to($stream, 'running|', $seconds // 60);
    counts($stream, $n, $what);
    return;
}

sql(<<"END");
CREATE ROLE app LOGIN;
GRANT ALL ON SCHEMA public TO app;
GRANT streamagg_admin TO app;
CREATE TABLE names (v int, name text);
GRANT SELECT ON names TO app;
INSERT INTO names VALUES (1, 'one');
CREATE SERVER sasl FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$sasl', security_protocol 'sasl_ssl',
  sasl_mechanism 'PLAIN', ssl_ca_pem '$ca');
GRANT USAGE ON FOREIGN SERVER kafka, sasl TO app;
CREATE USER MAPPING FOR app SERVER sasl OPTIONS (username 'alice', password 'first-secret');
END

subtest 'a topic that does not exist yet: blocked' => sub {
    add_stream('missing', no_topic => 1);
    sql(q{SELECT streamagg.start('missing')});
    comes_to('missing', 'blocked|42704');
    like(column_of('missing', 'reason'), qr/topic "missing".*hint: Check the stream's option topic/, 'the reason names it');
    is(column_of('missing', 'next_retry > now()'), 't', 'and it says when it looks again');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.wait_for('missing')}), '55000', 'wait_for() does not wait');
    my ($status, $out, $err) = $node->psql('postgres', q{SELECT streamagg.start('missing')});
    is($out, 'f', 'start() has nothing to start');
    $kafka->create_topic('missing', 1);
    records('missing', 3);
    goes_on('missing', 3, 'the topic is there');
};

subtest 'A9: a secret that was rotated' => sub {
    add_stream('secret', server => 'sasl');
    records('secret', 2);
    sql(q{SELECT streamagg.start('secret')});
    counts('secret', 2, 'before');
    sql(q{ALTER USER MAPPING FOR app SERVER sasl OPTIONS (SET password 'wrong-secret')});
    comes_to('secret', 'halted|28000');
    like(column_of('secret', 'reason'), qr/Check username and password/, 'the reason');
    records('secret', 2);
    # other definitions change meanwhile: no broker is asked for it
    my $log = -s $node->logfile;
    sql('CREATE ROLE somebody; CREATE SCHEMA somewhere; CREATE TABLE somewhere.t (); GRANT app TO somebody');
    sql(q{ALTER SERVER kafka OPTIONS (ADD client_id 'other')});
    wait_until('the worker of another stream with its new options', sub { state_of('missing') eq 'running|' && column_of('missing', 'workers') });
    is(state_of('secret'), 'halted|28000', 'still halted');
    unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $log), qr/"secret" halts/, 'and not tried');
    sql(q{ALTER USER MAPPING FOR app SERVER sasl OPTIONS (SET password 'first-secret')});
    goes_on('secret', 4, 'the mapping is altered', 10);
    is(sql(q{SELECT detail FROM streamagg.events WHERE event = 'retry' AND stream = 'secret'::regclass}),
        'what it depends on has changed', 'an event tells');
};

subtest 'A10: an ACL of the broker is revoked while it runs' => sub {
    my @acl = ("$StreamaggKafka::scripts/../lib/acl.py", '--bootstrap', $kafka->bootstrap);
    PostgreSQL::Test::Utils::system_or_bail("/usr/bin/python3", @acl, 'deny', 'alice', 'secret');
    records('secret', 1);
    comes_to('secret', 'blocked|42501');
    like(column_of('secret', 'reason'), qr/topic "secret".*ACLs must allow READ/, 'the reason names the topic');
    PostgreSQL::Test::Utils::system_or_bail("/usr/bin/python3", @acl, 'allow', 'alice', 'secret');
    goes_on('secret', 5, 'granted again');
};

subtest 'E17: the owner loses a right and gets it back' => sub {
    add_stream('joined', query => 'SELECT count(*) AS n FROM joined j LEFT JOIN public.names USING (v)');
    records('joined', 2);
    sql(q{SELECT streamagg.start('joined')});
    counts('joined', 2, 'before');
    sql('REVOKE SELECT ON names FROM app');
    records('joined', 1);
    comes_to('joined', 'halted|42501');
    like(column_of('joined', 'reason'), qr/permission denied for table names/, 'the reason');
    $node->restart;
    comes_to('joined', 'halted|42501'); # a start looks anew, once
    sql('GRANT SELECT ON names TO app');
    goes_on('joined', 3, 'granted again', 20);
    sql('REVOKE USAGE ON SCHEMA streamagg FROM PUBLIC');
    sql('GRANT USAGE ON SCHEMA streamagg TO PUBLIC');
    my $pid = worker_pid($node, 'postgres', 'joined');
    sql("ALTER ROLE app NOLOGIN; SELECT pg_terminate_backend($pid)");
    comes_to('joined', 'halted|42501');
    like(column_of('joined', 'reason'), qr/role "app", may not log in/, 'no LOGIN: the reason');
    sql('ALTER ROLE app LOGIN');
    records('joined', 1);
    goes_on('joined', 4, 'LOGIN again', 20);
};

subtest 'a function that a CHECK calls is gone, and comes back' => sub {
    sql(q{CREATE FUNCTION is_good(int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN public.is_positive($1); END'});
    sql(q{CREATE FUNCTION is_positive(int) RETURNS boolean LANGUAGE sql AS 'SELECT $1 > 0'});
    add_stream('calls', columns => 'v int CHECK (public.is_good(v))');
    records('calls', 1);
    sql(q{SELECT streamagg.start('calls')});
    counts('calls', 1, 'before');
    sql('ALTER FUNCTION is_positive(int) RENAME TO is_larger');
    records('calls', 1);
    comes_to('calls', 'halted|42883');
    sql('ALTER FUNCTION is_larger(int) RENAME TO is_positive');
    goes_on('calls', 2, 'named again', 20);
};

subtest 'a key that is missing' => sub {
    sql(q{SET ROLE app; SELECT streamagg.create_key('pii')});
    add_stream('keyed', columns => q{v text OPTIONS (protect 'hmac', protect_key 'pii')});
    records('keyed', 1);
    sql(q{DELETE FROM streamagg.key_store WHERE name = 'pii'});
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('keyed')}), '42704', 'start() says so');
    sql(q{INSERT INTO streamagg.key_store (name, source, secret, owner) SELECT 'pii', 'random', sha256('x'), 'app'::regrole});
    sql(q{SELECT streamagg.start('keyed')});
    counts('keyed', 1, 'with it');
    sql(q{DELETE FROM streamagg.key_store WHERE name = 'pii'; ALTER FOREIGN TABLE keyed OPTIONS (ADD batch_interval '50 ms')});
    comes_to('keyed', 'blocked|42704');
    like(column_of('keyed', 'reason'), qr/key "pii" does not exist/, 'the reason names it');
    sql(q{SET ROLE app; SELECT streamagg.create_key('pii')});
    records('keyed', 1);
    goes_on('keyed', 2, 'made again', 15);
};

subtest 'E14: ACCESS EXCLUSIVE is held on a state table' => sub {
    add_stream('locked');
    sql(q{SELECT streamagg.start('locked')});
    records('locked', 1);
    counts('locked', 1, 'before');
    my $session = $node->background_psql('postgres');
    $session->query('BEGIN; LOCK TABLE locked_count_state IN ACCESS EXCLUSIVE MODE');
    records('locked', 1);
    comes_to('locked', 'backoff|55P03', 30);
    like(column_of('locked', 'reason'), qr/another session holds/, 'the reason');
    # while it pauses and while it tries again: never as if all were well
    my %states;
    my $until = time + 8;
    $states{ column_of('locked', 'state') }++ while time < $until;
    is_deeply([ keys %states ], ['backoff'], 'until it goes on');
    is(sql(q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker' AND application_name = 'locked'}) <= 1, 1, 'one worker waits');
    $session->query('ROLLBACK');
    $session->quit;
    goes_on('locked', 2, 'let go');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
