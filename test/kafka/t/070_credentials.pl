# A broker with TLS and SASL: streams of ordinary users with credentials of their own, from the user
# mapping, a file or a certificate; what is said when they are wrong.
use strict;
use warnings;

use IPC::Run ();
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use version;

my $kafka = StreamaggKafka->new(users => { alice => 'alices-secret', carol => 'carols-secret' });
$kafka->start;
$kafka->create_topic('t', 2);
$kafka->produce('t', map { $_ % 2 . qq(\t\\N\t{"ts":170000000$_,"v":$_}) } 0 .. 9);
my $node = new_node('main');
my $ca = slurp_file($kafka->file('ca.pem'));
my ($sasl, $ssl) = ($kafka->bootstrap('SASL_SSL'), $kafka->bootstrap('SSL'));
my $secret = PostgreSQL::Test::Utils::tempdir . '/secret';

sub sql { return $node->safe_psql('postgres', @_); }

sub standing
{
    my ($stream) = @_;
    return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$stream'::regclass");
}

# A stream of alice's on the server, with an aggregate.
sub add_stream
{
    my ($name, $server) = @_;
    sql(<<"END");
SET ROLE alice;
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int) SERVER $server OPTIONS (topic 't', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_sum', 'SELECT count(*) AS n, sum(v) AS v FROM $name');
END
    return;
}

# alice's mapping of the server.
sub set_mapping
{
    my ($server, $options) = @_;
    sql("DROP USER MAPPING IF EXISTS FOR alice SERVER $server; CREATE USER MAPPING FOR alice SERVER $server OPTIONS ($options)");
    return;
}

# Started by alice, it reads all that is there.
sub reads_through
{
    my ($stream, $what) = @_;
    is(sql("SET ROLE alice; SELECT streamagg.start('$stream')"), 't', "$what: started");
    is(sql("SELECT streamagg.wait_for('$stream')"), 't', "$what: caught up");
    is(sql("SELECT n, v FROM ${stream}_sum"), '10|45', "$what: every record");
    sql("SELECT streamagg.stop('$stream')");
    return;
}

sql(<<"END");
CREATE EXTENSION streamagg;
CREATE ROLE alice LOGIN;
GRANT ALL ON SCHEMA public TO alice;
CREATE SERVER sasl FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers '$sasl', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN', ssl_ca_pem '$ca');
CREATE SERVER scram FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers '$sasl', security_protocol 'sasl_ssl', sasl_mechanism 'scram-sha-256', ssl_ca_pem '$ca');
CREATE SERVER filed FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers '$sasl', security_protocol 'SASL_SSL', sasl_mechanism 'plain', ssl_ca_pem '$ca');
CREATE SERVER cloud FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$sasl', preset 'confluent_cloud', ssl_ca_pem '$ca');
CREATE SERVER certificate FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$ssl', security_protocol 'ssl', ssl_ca_pem '$ca');
GRANT USAGE ON FOREIGN SERVER sasl, scram, filed, cloud, certificate TO alice;
END
add_stream($_, $_) for 'sasl', 'scram', 'filed', 'cloud', 'certificate';

subtest 'S12: no user mapping' => sub {
    is(sqlstate_of($node, 'postgres', q{SET ROLE alice; SELECT streamagg.start('sasl')}), '28000', 'start() refuses');
    is(sqlstate_of($node, 'postgres', q{SET ROLE alice; SELECT streamagg.test_connection('sasl')}), '28000', 'test_connection(), too');
    is(standing('sasl'), 'stopped|', 'the stream is not started');
};

subtest 'S7: a mapping of her own' => sub {
    sql(q{SET ROLE alice; CREATE USER MAPPING FOR alice SERVER sasl OPTIONS (username 'alice', password 'alices-secret')});
    is(sql(q{SET ROLE alice; SELECT bool_and(ok) FROM streamagg.test_connection('sasl')}), 't', 'test_connection()');
    reads_through('sasl', 'PLAIN');
};

subtest 'a wrong password' => sub {
    set_mapping('cloud', q{username 'alice', password 'wrong-secret'});
    like(sql(q{SET ROLE alice; SELECT detail FROM streamagg.test_connection('cloud') WHERE NOT ok}),
        qr/Check username and password of the user mapping/, 'test_connection() says what to check');
    is(sql(q{SELECT streamagg.start('cloud')}), 't', 'started');
    wait_until('the halt', sub { standing('cloud') eq 'halted|28000' });
    like(sql(q{SELECT reason FROM streamagg.streams WHERE stream = 'cloud'::regclass}), qr/topic "t".*Check username and password/, 'with a reason');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.wait_for('cloud')}), '55000', 'wait_for() does not wait');
    sql(q{SELECT streamagg.stop('cloud')});
    set_mapping('cloud', q{username 'alice', password 'alices-secret'});
    reads_through('cloud', 'put right, by a preset');
};

subtest 'S10: a password in a file' => sub {
    append_to_file($secret, "carols-secret\n");
    set_mapping('filed', "username 'carol', password 'file:$secret'");
    reads_through('filed', 'file:');
    unlink $secret;
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('filed')}), 'F0000', 'without the file');
    append_to_file($secret, "carols-secret\n");
    is(sql(q{SELECT streamagg.start('filed')}), 't', 'and when it is back');
    is(sql(q{SELECT streamagg.wait_for('filed')}), 't', 'caught up');
    sql(q{SELECT streamagg.stop('filed')});
};

# librdkafka before 2.6.1 sends a nonce that Kafka 4 does not take
subtest 'SCRAM' => sub {
    my ($library) = sql('SELECT streamagg.version()') =~ /librdkafka[^0-9]*([0-9.]+)/;
    set_mapping('scram', q{username 'carol', password 'carols-secret'});
    return reads_through('scram', 'SCRAM') if version->parse($library) >= version->parse('2.6.1');
    is(sql(q{SELECT streamagg.start('scram')}), 't', 'started');
    wait_until('the halt', sub { standing('scram') eq 'halted|28000' });
    like(sql(q{SELECT reason FROM streamagg.streams WHERE stream = 'scram'::regclass}), qr/librdkafka must be 2\.6\.1/, "librdkafka $library: the reason says so");
};

subtest 'S7: a certificate and its key' => sub {
    isnt(sql(q{SELECT coalesce(min(detail), '') FROM streamagg.test_connection('certificate') WHERE NOT ok}), '', 'the broker wants one');
    set_mapping('certificate', "ssl_certificate_pem 'file:" . $kafka->file('client.pem') . "', ssl_key_pem 'file:" . $kafka->file('client.key')
          . "', ssl_key_password 'key-password'");
    reads_through('certificate', 'certificate');
};

subtest 'S3, S14, S15: the worker asks anew' => sub {
    my @faults = (
        [ 'S3', q{DROP ssl_ca_pem, ADD ssl_ca_location '/etc/passwd'}, "DROP ssl_ca_location, ADD ssl_ca_pem '$ca'" ],
        [ 'S14', q{SET security_protocol 'sasl_plaintext'}, q{SET security_protocol 'sasl_ssl'} ],
        [ 'S15', q{ADD ssl_endpoint_identification_algorithm 'none'}, q{DROP ssl_endpoint_identification_algorithm} ]);
    sql('GRANT USAGE ON FOREIGN DATA WRAPPER streamagg_kafka TO alice; ALTER SERVER sasl OWNER TO alice');
    foreach (@faults)
    {
        my ($fault, $change, $back) = @$_;
        is(sql(q{SET ROLE alice; SELECT streamagg.start('sasl')}), 't', "$fault: started");
        is(sql(q{SELECT streamagg.wait_for('sasl')}), 't', "$fault: it runs");
        is(sqlstate_of($node, 'postgres', "SET ROLE alice; ALTER SERVER sasl OPTIONS ($change)"), '42501', "$fault: the server's owner may not");
        sql("ALTER SERVER sasl OPTIONS ($change)");
        wait_until('the halt', sub { standing('sasl') eq 'halted|42501' });
        is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('sasl')}), '42501', "$fault: nor use what a superuser wrote");
        sql(q{SELECT streamagg.stop('sasl')});
        sql("ALTER SERVER sasl OPTIONS ($back)");
    }
    sql('ALTER SERVER sasl OWNER TO CURRENT_USER');
};

subtest 'S10: no secret where it does not belong' => sub {
    my $dump = '';
    sql("DROP USER MAPPING FOR alice SERVER $_") for 'sasl', 'cloud', 'scram';
    IPC::Run::run([ 'pg_dump', '-d', $node->connstr('postgres') ], '>', \$dump) or die 'pg_dump';
    like($dump, qr/password 'file:\Q$secret\E'/, 'a dump holds the reference');
    my %text = (
        'a dump' => $dump, 'the log' => slurp_file($node->logfile), 'pg_stat_activity' => sql('TABLE pg_stat_activity'),
        'views' => sql('SELECT s::text FROM streamagg.streams s UNION ALL SELECT e::text FROM streamagg.events e'));
    is(join(' ', $text{$_} =~ /(?:alices|carols|wrong)-secret|PRIVATE/g), '', "no secret in $_") for sort keys %text;
};

verify_is_empty($node, 'postgres');
server_is_unharmed($node);
done_testing;
