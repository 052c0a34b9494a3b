# S1, S4: of all the names that librdkafka has, however they are spelt, only the allow-list is taken, as
# an option of a server or of a user mapping, from whomever; and nothing of theirs has any effect.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $script = abs_path(dirname(__FILE__) . '/../lib/librdkafka_names.py');
my $node = new_node('names');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE ROLE ordinary;
GRANT USAGE ON FOREIGN DATA WRAPPER streamagg_kafka TO ordinary;
END

# ---- a library, a command and files that would leave a trace
my $traces = PostgreSQL::Test::Utils::tempdir;
my $canary = PostgreSQL::Test::Utils::tempdir;
append_to_file("$canary/canary.c", <<"END");
#include <fcntl.h>
static void trace(void) __attribute__((constructor));
static void trace(void) { open("$traces/loaded", O_CREAT | O_WRONLY, 0600); }
int conf_init(void *conf, void **opaque, char *error, unsigned long size) { return 0; }
END
append_to_file("$canary/canary.sh", "#!/bin/sh\ntouch $traces/executed\n");
chmod 0755, "$canary/canary.sh";
IPC::Run::run([ 'cc', '-shared', '-fPIC', '-o', "$canary/canary.so", "$canary/canary.c" ]) or die 'cc';

sub traces
{
    opendir my $directory, $traces or die $!;
    return join ' ', sort grep { !/^\./ } readdir $directory;
}

IPC::Run::run([ 'python3', '-B', $script, '--load', "$canary/canary.so" ]) or die $script;
is(traces(), 'loaded', 'the library that must not be loaded leaves a trace when it is');
unlink "$traces/loaded";

# ---- the names, each with a value that librdkafka would take
my %value = (
    'plugin.library.paths' => "$canary/canary.so", 'ssl.engine.location' => "$canary/canary.so", 'ssl.providers' => "$canary/canary.so",
    'sasl.kerberos.kinit.cmd' => "$canary/canary.sh", 'sasl.mechanism' => 'PLAIN', 'sasl.mechanisms' => 'PLAIN',
    'bootstrap.servers' => 'a:1', 'metadata.broker.list' => 'a:1', 'ssl.ca.location' => '/etc/passwd', 'offset.store.path' => "$traces/written");
my ($listed, $errors) = ('', '');
IPC::Run::run([ 'python3', '-B', $script ], '<', \undef, '>', \$listed, '2>', \$errors) or die $errors;
my %default = map { split /\t/, $_, 2 } split /\n/, $listed;
my $names = keys %default;
cmp_ok($names, '>', 150, "librdkafka has $names names");
ok(exists $default{$_}, "$_ is one of them") for sort keys %value, 'interceptors', 'stats_cb', 'acks', 'test.mock.num.brokers';
my @rows;
foreach my $name (sort keys %default)
{
    my $value = $value{$name} // ($name =~ /location|keytab/ ? "$traces/written" : length $default{$name} ? $default{$name} : '1');
    push @rows, join ', ', map { s/'/''/g; "'$_'" } my ($n, $v) = ($name, $value);
}

# How a name is taken, in every spelling, as an option of a server and of a user mapping.
$node->safe_psql('postgres', 'CREATE TABLE name (name text, value text); GRANT SELECT ON name TO ordinary; INSERT INTO name VALUES '
      . join(', ', map { "($_)" } @rows) . <<'END');
;
CREATE TABLE spelling AS SELECT DISTINCT spelt, value FROM name, unnest(ARRAY[name, replace(name, '.', '_')]) n,
  unnest(ARRAY[n, upper(n), initcap(n), upper(left(n, 1)) || substr(n, 2), left(n, -1) || upper(right(n, 1)), ' ' || n, n || ' ', n || E'\n', n || E'\t', '"' || n || '"']) spelt;
GRANT SELECT ON spelling TO ordinary;
CREATE FUNCTION verdict(create_it text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE create_it;
  RAISE 'taken' USING ERRCODE = 'UDONE';
EXCEPTION WHEN OTHERS THEN
  RETURN replace(SQLSTATE, 'UDONE', 'taken');
END $$;
END

sub taken_by
{
    my ($role, $scope) = @_;
    my %create = (
        server => q{'CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (%I %L)'},
        mapping => q{'CREATE SERVER tried FOREIGN DATA WRAPPER streamagg_kafka; CREATE USER MAPPING FOR CURRENT_USER SERVER tried OPTIONS (%I %L)'});
    return $node->safe_psql('postgres', <<"END");
SET ROLE $role;
SELECT v || ': ' || string_agg(spelt, ' ' ORDER BY spelt COLLATE "C")
FROM (SELECT spelt, verdict(format($create{$scope}, spelt, value)) AS v FROM spelling) t WHERE v <> 'HV00D' GROUP BY v ORDER BY v;
END
}

cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM spelling'), '>', 2000, 'and many more spellings');
my $mapping = 'taken: ssl_certificate_pem ssl_key_password ssl_key_pem';
my $server = 'taken: bootstrap_servers broker_address_family client_id connections_max_idle_ms fetch_error_backoff_ms fetch_max_bytes'
  . ' fetch_message_max_bytes fetch_min_bytes fetch_wait_max_ms isolation_level metadata_max_age_ms queued_max_messages_kbytes'
  . ' queued_min_messages receive_message_max_bytes reconnect_backoff_max_ms reconnect_backoff_ms sasl_mechanism security_protocol'
  . ' socket_connection_setup_timeout_ms socket_keepalive_enable socket_timeout_ms%s ssl_ca_pem ssl_endpoint_identification_algorithm';
is(taken_by('postgres', 'server'), sprintf($server, ' ssl_ca_location'), 'S4: servers of superusers take the allow-list, nothing else');
is(taken_by('ordinary', 'server'), "42501: ssl_ca_location\n" . sprintf($server, ''), 'S4: servers of others less the path');
is(taken_by('postgres', 'mapping'), $mapping, 'S4: user mappings of superusers');
is(taken_by('ordinary', 'mapping'), $mapping, 'S4: user mappings of others');

is(traces(), '', 'S1: nothing was loaded, executed or written');
server_is_unharmed($node);
done_testing;
