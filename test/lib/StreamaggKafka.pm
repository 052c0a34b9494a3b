# A real Apache Kafka for TAP tests: one broker (KRaft, controller and broker in one process) on
# free ports of 127.0.0.1, its data in the test's directory.
#
#   my $kafka = StreamaggKafka->new(config => { 'num.partitions' => 4 });
#   $kafka->start;
#   $kafka->create_topic('t', 4, 'cleanup.policy=compact');
#   $kafka->produce('t', "0\tkey\t{}");
#
# With users it also listens on SASL_SSL (PLAIN and SCRAM-SHA-256) and on SSL, there only for clients
# with a certificate that it has signed:
#
#   my $kafka = StreamaggKafka->new(users => { alice => 'secret' });
#   $kafka->bootstrap('SASL_SSL');   slurp_file($kafka->file('ca.pem'));
#
# Everything waits by polling; nothing sleeps a fixed time. The broker dies with the test.
# The environment names the jars: STREAMAGG_KAFKA_JARS (set by test/run).
package StreamaggKafka;

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(basename dirname);
use File::Path qw(make_path remove_tree);
use IO::Handle;
use IO::Socket::INET;
use IPC::Open2 qw(open2);
use IPC::Run ();
use JSON::PP ();
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(time usleep);

# Where topics.py, produce.py, events.py and recompute.py live.
our $scripts = abs_path(dirname(__FILE__) . '/../kafka');

my $brokers = 0;
my @running;

# name: default TEST_kafka1, …; config: further properties of the broker; users: password by name. What an earlier run of
# the test left is removed.
sub new
{
    my ($class, %args) = @_;
    my $name = $args{name} // basename($0, '.pl') . '_kafka' . ++$brokers;
    my $jars = $ENV{STREAMAGG_KAFKA_JARS}
      // croak 'STREAMAGG_KAFKA_JARS is not set: run the test by test/run';

    croak "no Kafka in $jars" unless glob "$jars/kafka_2.13-*.jar";
    my $self = bless {
        name => $name,
        dir => abs_path($PostgreSQL::Test::Utils::tmp_check) . "/$name",
        log => abs_path($PostgreSQL::Test::Utils::log_path) . "/$name.log",
        jars => $jars,
        port => PostgreSQL::Test::Cluster::get_free_port(),
        controller => PostgreSQL::Test::Cluster::get_free_port(),
        pid => undef,
    }, $class;
    remove_tree($self->{dir});
    make_path($self->{dir});
    my $users = $args{users} // {};
    $self->_configure({ %{ $args{config} // {} }, %$users ? $self->_secure($users) : () });
    $self->_java('kafka.tools.StorageTool', 'format', '-t', 'c3RyZWFtYWdnLXRlc3QtMQ',
        '-c', "$self->{dir}/server.properties",
        map { ('--add-scram', "SCRAM-SHA-256=[name=$_,password=$users->{$_}]") } sort keys %$users);
    return $self;
}

# listener: default PLAINTEXT.
sub bootstrap
{
    my ($self, $listener) = @_;
    return '127.0.0.1:' . ($listener ? $self->{listeners}{$listener} : $self->{port});
}

# A file of the broker's directory: ca.pem, and client.pem and client.key of a client.
sub file { my ($self, $name) = @_; return "$self->{dir}/$name"; }
sub pid { my $self = shift; return $self->{pid}; }
sub logfile { my $self = shift; return $self->{log}; }

sub _openssl
{
    my ($self, @command) = @_;
    my $output = '';
    IPC::Run::run([ 'openssl', @command ], '<', \undef, '&>', \$output) or croak "@command: $output";
    return;
}

# NAME.key and NAME.pem, signed by the authority in ca.pem; encrypted with the password if there is one.
sub _certify
{
    my ($self, $name, $password) = @_;
    $self->_openssl('req', '-newkey', 'rsa:2048', defined $password ? ('-passout', "pass:$password") : '-nodes',
        '-subj', "/CN=$name", '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', $self->file("$name.key"), '-out', $self->file("$name.csr"));
    $self->_openssl('x509', '-req', '-days', 2, '-in', $self->file("$name.csr"), '-CA', $self->file('ca.pem'), '-CAkey', $self->file('ca.key'),
        '-CAcreateserial', '-copy_extensions', 'copy', '-out', $self->file("$name.pem"));
    return;
}

# Certificates, and the properties of the listeners that need them.
sub _secure
{
    my ($self, $users) = @_;
    my %port = map { $_ => PostgreSQL::Test::Cluster::get_free_port() } 'SASL_SSL', 'SSL';
    $self->{listeners} = \%port;
    $self->_openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', 2, '-subj', '/CN=ca',
        '-keyout', $self->file('ca.key'), '-out', $self->file('ca.pem'));
    $self->_certify('broker');
    $self->_certify('client', 'key-password');
    PostgreSQL::Test::Utils::append_to_file($self->file('broker.store'),
        join '', map { PostgreSQL::Test::Utils::slurp_file($self->file("broker.$_")) } 'key', 'pem');
    my $jaas = join ' ', 'org.apache.kafka.common.security.plain.PlainLoginModule required',
      map { qq(user_$_="$users->{$_}") } sort keys %$users;
    return (
        'listeners' => join(',', "PLAINTEXT://127.0.0.1:$self->{port}", "CONTROLLER://127.0.0.1:$self->{controller}",
            map { "$_://127.0.0.1:$port{$_}" } sort keys %port),
        'advertised.listeners' => join(',', "PLAINTEXT://127.0.0.1:$self->{port}", map { "$_://127.0.0.1:$port{$_}" } sort keys %port),
        'listener.security.protocol.map' => 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL',
        'ssl.keystore.type' => 'PEM', 'ssl.keystore.location' => $self->file('broker.store'),
        'ssl.truststore.type' => 'PEM', 'ssl.truststore.location' => $self->file('ca.pem'),
        'listener.name.ssl.ssl.client.auth' => 'required',
        'sasl.enabled.mechanisms' => 'PLAIN,SCRAM-SHA-256',
        'listener.name.sasl_ssl.plain.sasl.jaas.config' => "$jaas;",
        'listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config' => 'org.apache.kafka.common.security.scram.ScramLoginModule required;');
}

sub _configure
{
    my ($self, $more) = @_;
    my %config = (
        'process.roles' => 'broker,controller',
        'node.id' => 1,
        'controller.quorum.voters' => "1\@127.0.0.1:$self->{controller}",
        'controller.listener.names' => 'CONTROLLER',
        'listeners' =>
          "PLAINTEXT://127.0.0.1:$self->{port},CONTROLLER://127.0.0.1:$self->{controller}",
        'advertised.listeners' => "PLAINTEXT://127.0.0.1:$self->{port}",
        'listener.security.protocol.map' => 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'log.dirs' => "$self->{dir}/data",
        'num.partitions' => 1,
        'auto.create.topics.enable' => 'false',
        'offsets.topic.replication.factor' => 1,
        'offsets.topic.num.partitions' => 1,
        'transaction.state.log.replication.factor' => 1,
        'transaction.state.log.min.isr' => 1,
        'transaction.state.log.num.partitions' => 1,
        'share.coordinator.state.topic.replication.factor' => 1,
        'share.coordinator.state.topic.min.isr' => 1,
        'group.initial.rebalance.delay.ms' => 0,
        # A deleted topic's files go soon, an unclean start does not wait for the old session.
        'log.segment.delete.delay.ms' => 1000,
        'broker.session.timeout.ms' => 3000,
        'broker.heartbeat.interval.ms' => 500,
        %$more);

    open my $file, '>', "$self->{dir}/server.properties" or croak "server.properties: $!";
    print $file "$_=$config{$_}\n" foreach sort keys %config;
    close $file or croak "server.properties: $!";
    return;
}

# The command of one of Kafka's classes; small heap, quick start.
sub _command
{
    my ($self, @class_and_args) = @_;
    return ('java', "-Djava.io.tmpdir=$self->{dir}", '-XX:-UsePerfData', '-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
        '-Xshare:auto', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
        '-Dorg.slf4j.simpleLogger.showDateTime=true',
        '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
        '-cp', "$self->{jars}/*", @class_and_args);
}

sub _java
{
    my ($self, @command) = @_;
    my $output = '';
    IPC::Run::run([ $self->_command(@command) ], '<', \undef, '&>', \$output)
      or croak "@command: $output";
    return;
}

# Starts the broker, anew or again on the same port and data, and waits until it answers.
sub start
{
    my $self = shift;
    croak "$self->{name} runs already" if defined $self->{pid};
    my $began = time;
    # setpriv: when the test dies, however it dies, the broker goes, too.
    my @command = ('setpriv', '--pdeathsig', 'KILL',
        $self->_command('kafka.Kafka', "$self->{dir}/server.properties"));

    my $pid = fork // croak "fork: $!";
    if ($pid == 0)
    {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $self->{log};
        open STDERR, '>&', \*STDOUT;
        chdir $self->{dir};
        exec @command or POSIX::_exit(127);
    }
    $self->{pid} = $pid;
    push @running, $self;
    $self->_wait_until_up;
    printf "# %s: broker at %s after %.1f s\n", $self->{name}, $self->bootstrap, time - $began;
    return;
}

# Asks until the broker answers; a broker that has ended is an error at once.
sub _wait_until_up
{
    my $self = shift;
    my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

    while (!IO::Socket::INET->new(PeerAddr => $self->bootstrap, Timeout => 1))
    {
        if (waitpid($self->{pid}, WNOHANG) != 0)
        {
            $self->_forget;
            croak "$self->{name} ended while starting, see $self->{log}:\n"
              . PostgreSQL::Test::Utils::slurp_file($self->{log});
        }
        croak "$self->{name} did not start, see $self->{log}" if time > $deadline;
        usleep 50_000;
    }
    $self->script('topics.py', 'wait');
    return;
}

sub _forget
{
    my $self = shift;
    $self->{pid} = undef;
    @running = grep { $_ != $self } @running;
    return;
}

# Ends the broker by a signal (default a clean end) and waits until it is gone.
sub _end
{
    my ($self, $signal) = @_;
    return unless defined $self->{pid};
    kill $signal, $self->{pid};
    my $deadline = time + 60;
    while (waitpid($self->{pid}, WNOHANG) == 0)
    {
        kill 'KILL', $self->{pid} if time > $deadline;
        usleep 20_000;
    }
    $self->_forget;
    return;
}

sub stop { my $self = shift; $self->_end('TERM'); return; }
sub kill9 { my $self = shift; $self->_end('KILL'); return; }
sub restart { my $self = shift; $self->stop; $self->start; return; }

# The command line of a script of test/kafka against this broker.
sub script_command
{
    my ($self, $script, @args) = @_;
    return ('/usr/bin/python3', '-B', "$scripts/$script", '--bootstrap', $self->bootstrap, @args);
}

# Runs one of test/kafka's scripts against this broker; gives back its standard output.
sub script
{
    my ($self, $script, @args) = @_;
    my ($output, $errors) = ('', '');
    IPC::Run::run([ $self->script_command($script, @args) ], '<', \undef, '>', \$output, '2>',
        \$errors)
      or croak "$script @args: $errors";
    return $output;
}

# create_topic(NAME, PARTITIONS, 'name=value', …)
sub create_topic { my $self = shift; $self->script('topics.py', 'create', @_); return; }
sub delete_topic { my $self = shift; $self->script('topics.py', 'delete', @_); return; }
sub add_partitions { my $self = shift; $self->script('topics.py', 'add_partitions', @_); return; }

# The high water mark of each partition, control records included.
sub ends
{
    my ($self, $topic) = @_;
    return map { (split /,/)[2] } split /\n/, $self->script('topics.py', 'ends', $topic);
}

# produce(TOPIC, LINE, …), or with options for produce.py first: produce(TOPIC, ['--hex'], LINE, …).
# Lines as produce.py reads them; all are acknowledged on return.
sub produce
{
    my ($self, $topic, @lines) = @_;
    my @options = ref $lines[0] ? @{ shift @lines } : ();
    my $input = join '', map { "$_\n" } @lines;
    my ($output, $errors) = ('', '');
    IPC::Run::run([ $self->script_command('produce.py', '--topic', $topic, @options) ],
        '<', \$input, '>', \$output, '2>', \$errors)
      or croak "produce.py: $errors";
    return;
}

# produce_records(TOPIC, [OPTION, …], { value => BYTES, key => BYTES, headers => [[NAME, BYTES], …],
# partition => N, timestamp => MS }, …): what is not there is null, the partition 0.
sub produce_records
{
    my ($self, $topic, $options, @records) = @_;
    my $json = JSON::PP->new->canonical;
    my $hex = sub { defined $_[0] ? unpack('H*', $_[0]) : undef };
    my @lines;

    foreach my $record (@records)
    {
        my %line = (%$record, map { $_ => $hex->($record->{$_}) } 'key', 'value');
        $line{headers} = [ map { [ $_->[0], $hex->($_->[1]) ] } @{ $record->{headers} // [] } ];
        push @lines, $json->encode(\%line);
    }
    $self->produce($topic, [ '--json', @$options ], @lines);
    return;
}

# A producer that stays; what it has to complain of goes to the test's log.
sub producer
{
    my ($self, $topic, @options) = @_;
    my ($from, $to);
    my $pid = open2($from, $to, 'setpriv', '--pdeathsig', 'KILL',
        $self->script_command('produce.py', '--topic', $topic, @options));
    $to->autoflush(1);
    return { pid => $pid, from => $from, to => $to };
}

# Gives a producer lines, without waiting until all of them are sent.
sub hand_over
{
    my ($self, $producer, @lines) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print { $producer->{to} } map { "$_\n" } @lines or croak "produce.py: $!";
    return;
}

# Gives a producer lines; all are acknowledged on return, earlier ones, too.
sub send
{
    my ($self, $producer, @lines) = @_;
    $self->hand_over($producer, @lines, '!flush');
    readline $producer->{from} or croak 'produce.py ended';
    return;
}

sub end_producer
{
    my ($self, $producer) = @_;
    close $producer->{to};
    waitpid $producer->{pid}, 0;
    croak "produce.py ended with $?" if $?;
    return;
}

# A script in the background; dies with the test. Gives a handle for finish().
sub background
{
    my ($self, $script, @args) = @_;
    my $job = { name => "$script @args", out => '', err => '' };
    $job->{run} = IPC::Run::start(
        [ 'setpriv', '--pdeathsig', 'KILL', $self->script_command($script, @args) ],
        '<', \undef, '>', \$job->{out}, '2>', \$job->{err});
    return $job;
}

# True while a background script runs.
sub busy
{
    my ($self, $job) = @_;
    $job->{run}->pump_nb;
    return $job->{run}->pumpable;
}

# Waits for a background script, gives back its output, dies with its errors.
sub finish
{
    my ($self, $job) = @_;
    $job->{run}->finish or croak "$job->{name}: $job->{err}";
    return $job->{out};
}

END
{
    my $exit_code = $?;
    $_->kill9 foreach @running;
    $? = $exit_code;
}

1;
