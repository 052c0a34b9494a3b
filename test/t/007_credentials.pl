# What a broker gets to see of credentials, and what is told of what it says: with a broker that writes
# down every password and refuses it.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $script = abs_path(dirname(__FILE__) . '/../lib/sasl_broker.py');
my $directory = PostgreSQL::Test::Utils::tempdir;
my @brokers;

# Starts a broker, with TLS when it is given a certificate; gives its port.
sub start_broker
{
    my @pem = @_;
    my ($out, $err) = ('', '');
    push @brokers, IPC::Run::start([ 'setpriv', '--pdeathsig', 'KILL', 'python3', '-B', $script, $directory, @pem ],
        '<', \undef, '>', \$out, '2>', \$err);
    wait_until('the broker', sub { $brokers[-1]->pump_nb; die $err if $err; return $out =~ /\n/ });
    return $out + 0;
}

# What the broker answers from now on.
sub answer
{
    my ($text) = @_;
    unlink "$directory/text";
    append_to_file("$directory/text", $text);
    return;
}

# What it has seen since the last look, without repetitions.
sub seen
{
    my %lines = map { $_ => 1 } -e "$directory/seen" ? split(/\n/, slurp_file("$directory/seen")) : ();
    unlink "$directory/seen";
    return join ' ', sort keys %lines;
}

# ---- secrets in a file, in a pipe, in the environment; certificate and key for 127.0.0.1 only
append_to_file("$directory/secret", "from-file\n");
append_to_file("$directory/windows", "from windows \r\n");
append_to_file("$directory/empty", '');
append_to_file("$directory/lines", "first\nsecond\n\n");
POSIX::mkfifo("$directory/pipe", 0600) or die $!;
$ENV{STREAMAGG_TEST_SECRET} = 'from-env';
IPC::Run::run([ qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1 -keyout),
    "$directory/key", '-out', "$directory/certificate" ], '&>', \my $output) or die 'openssl';
my $certificate = slurp_file("$directory/certificate");
append_to_file("$directory/pem", $certificate . slurp_file("$directory/key"));
my $clear = start_broker();
my $tls = start_broker("$directory/pem");
answer('no');

my $node = new_node('credentials');
$node->safe_psql('postgres', <<"END");
CREATE EXTENSION streamagg;
CREATE ROLE alice LOGIN;
GRANT ALL ON SCHEMA public TO alice;
CREATE SERVER clear FOREIGN DATA WRAPPER streamagg_kafka
  OPTIONS (bootstrap_servers '127.0.0.1:$clear', security_protocol 'sasl_plaintext', sasl_mechanism 'PLAIN');
CREATE SERVER hubs FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '127.0.0.1:$tls', preset 'event_hubs', ssl_ca_pem '$certificate');
GRANT USAGE ON FOREIGN SERVER clear, hubs TO alice;
CREATE USER MAPPING FOR CURRENT_USER SERVER clear OPTIONS (username 'alice', password 'literal');
CREATE USER MAPPING FOR CURRENT_USER SERVER hubs OPTIONS (password 'connection-string');
SET ROLE alice;
CREATE FOREIGN TABLE s (ts timestamptz) SERVER clear OPTIONS (event_time 'ts', topic 't');
SELECT streamagg.create_aggregate('n', 'SELECT count(*) AS n FROM s');
END

# What test_connection() tells of a server; with an ALTER before it.
sub tested
{
    my ($server, $alter) = @_;
    return $node->safe_psql('postgres', ($alter // '') . "; SELECT ok, detail FROM streamagg.test_connection('$server') WHERE step = 'brokers'");
}

sub with_password
{
    my ($source) = @_;
    return "ALTER USER MAPPING FOR CURRENT_USER SERVER clear OPTIONS (SET password '$source')";
}

like(tested('clear'), qr/^f\|.*Check username and password/, 'a broker that refuses is told of');
is(seen(), "alice\tliteral", 'it was sent the user name and the password');
my %sent = ("file:$directory/secret" => 'from-file', "file:$directory/windows" => 'from windows ', "file:$directory/lines" => 'first\nsecond\n',
    'env:STREAMAGG_TEST_SECRET' => 'from-env');
foreach my $source (sort keys %sent)
{
    tested('clear', with_password($source));
    is(seen(), "alice\t$sent{$source}", "S10: what $source holds is sent");
}
foreach my $source ("file:$directory/empty", "file:$directory/pipe", "file:$directory", "file:$directory/nothing", 'env:STREAMAGG_TEST_NOTHING')
{
    $node->safe_psql('postgres', with_password($source));
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.test_connection('clear')}), 'F0000', "S10: $source has none");
}
is(seen(), '', 'and then nothing is sent');

# ---- what a dump holds
$node->safe_psql('postgres', with_password("file:$directory/secret"));
my $dump = '';
IPC::Run::run([ 'pg_dump', '-d', $node->connstr('postgres') ], '>', \$dump) or die 'pg_dump';
like($dump, qr/password 'file:/, 'S10: a dump holds the reference');
unlike($dump, qr/from-file/, 'not the secret');

# ---- a broker may repeat what it was sent, and say whatever it likes
answer('I know you, your password is from-file');
my $said = tested('clear');
like($said, qr/not shown: it holds a password/, 'S44: a text that holds the password is not told');
answer("\x07\e[2J\n\xc3\xa4" . 'x' x 900);
$said = tested('clear');
like($said, qr/\?\?\[2J\?\?\?x+\. Check/, 'S44: nor control characters or other encodings');
is(length(($said =~ /^f\|(.*)\. Check/)[0]), 200, 'S44: nor more than 200 characters');
seen();

# ---- the worker
sub state_of { return $node->safe_psql('postgres', q{SELECT state, sqlstate FROM streamagg.streams WHERE stream = 's'::regclass}); }

answer('your password is from-file');
is(sqlstate_of($node, 'postgres', q{SET ROLE alice; SELECT streamagg.start('s')}), '28000', 'S12: start() refuses a stream whose owner has no credentials');
is(seen(), '', 'S12: those of others are not used');
$node->safe_psql('postgres', "CREATE USER MAPPING FOR alice SERVER clear OPTIONS (username 'bob', password 'file:$directory/secret'); SELECT streamagg.start('s')");
wait_until('the halt', sub { state_of() eq 'halted|28000' });
is(seen(), "bob\tfrom-file", "S12: the worker sends its owner's");
$node->safe_psql('postgres', 'DROP USER MAPPING FOR alice SERVER clear');
is(sqlstate_of($node, 'postgres', q{SELECT streamagg.start('s')}), '28000', 'a mapping that is gone');
# past start(): a worker that is running already asks again, too
$node->safe_psql('postgres', q{UPDATE streamagg.stream_catalog SET halted = false, code = NULL, reason = NULL});
$node->stop;
seen(); # the mapping was new when it was first used: it may have been tried once more
$node->start;
wait_until('the halt', sub { state_of() eq 'halted|28000' });
like($node->safe_psql('postgres', q{SELECT reason FROM streamagg.streams WHERE stream = 's'::regclass}),
    qr/role "alice" has no user name and password for server "clear"/, 'S12: the worker refuses, too');
is(seen(), '', 'S12: and sends nothing');
$node->safe_psql('postgres', q{BEGIN; CREATE USER MAPPING FOR alice SERVER clear OPTIONS (username 'bob', password 'pw-literal'); ALTER SERVER clear OWNER TO alice;
  UPDATE streamagg.stream_catalog SET halted = false, code = NULL, reason = NULL; COMMIT});
$node->restart;
wait_until('the halt', sub { state_of() eq 'halted|42501' });
is(seen(), '', 'S14: nor over a connection without TLS, when the server is no superuser\'s');

# ---- TLS
answer('no');
like(tested('hubs'), qr/^f\|.*Check username and password/, 'TLS with the certificate in the option');
is(seen(), "\$ConnectionString\tconnection-string", "the preset's user name");
like(tested('hubs', "ALTER SERVER hubs OPTIONS (SET bootstrap_servers 'localhost:$tls')"), qr/^f\|.*Check security_protocol/, 'S15: a broker by another name is not trusted');
like(tested('hubs', q{ALTER SERVER hubs OPTIONS (ADD ssl_endpoint_identification_algorithm 'https')}), qr/^f\|.*Check security_protocol/, 'S15: nor when that is said');
is(seen(), '', 'S15: and sent nothing');
tested('hubs', q{ALTER SERVER hubs OPTIONS (SET ssl_endpoint_identification_algorithm 'none')});
is(seen(), "\$ConnectionString\tconnection-string", 'but where a superuser switched that off');
# one error for a missing, an unreadable and a wrong file of certificates
my %told;
foreach my $file ("$directory/nothing", '/etc/shadow', "$directory/secret", "$directory/empty")
{
    my (undef, undef, $err) = $node->psql('postgres', "BEGIN; ALTER SERVER hubs OPTIONS (DROP ssl_ca_pem, ADD ssl_ca_location '$file'); SELECT streamagg.test_connection('hubs')");
    $told{$err}++;
}
is(join('', map { s/^psql:<stdin>:\d+: //r } keys %told), <<'END' =~ s/\n\z//r, 'S3: one error for whatever is wrong with a file');
ERROR:  could not create a Kafka client
DETAIL:  librdkafka cannot use option "ssl_ca_location".
HINT:  Check the options of the server and of the user mapping. Certificates and keys must be PEM, and readable for the database server.
END
foreach my $option ('ssl_certificate_pem', 'ssl_key_pem')
{
    my (undef, undef, $err) = $node->psql('postgres', "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER hubs OPTIONS (ADD $option 'file:$directory/secret'); SELECT streamagg.test_connection('hubs')");
    like($err, qr/librdkafka cannot use option "$option"/, "what is no PEM in $option");
}

# ---- nowhere a secret, and no file of the server by name in what librdkafka says
my $log = slurp_file($node->logfile);
unlike($log, qr/from-file|from-env|connection-string|pw-literal/, 'no password in the log');
unlike($log, qr/fopen|No such file/, 'S3: nor whether a file exists');
unlike($node->safe_psql('postgres', 'SELECT s::text FROM streamagg.streams s UNION ALL SELECT e::text FROM streamagg.events e UNION ALL SELECT a::text FROM pg_stat_activity a'),
    qr/from-file|from-env|pw-literal/, 'nor in a view');
server_is_unharmed($node);
done_testing;
