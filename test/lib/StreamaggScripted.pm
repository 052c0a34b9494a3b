# A broker of the tests' own, for faults that a real one cannot be made to show: scripted_broker.py.
#
#   my $kafka = StreamaggScripted->new(nodes => 2);
#   $kafka->do(create => 't', partitions => 1);
#   $kafka->do(append => 't', values => ['{}'], fault => 'crc');
#
# It takes the place of a StreamaggKafka where only its bootstrap() is needed. It ends with the test.
package StreamaggScripted;

use strict;
use warnings;

use Carp qw(croak);
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Handle;
use IPC::Open2 qw(open2);
use JSON::PP ();

our $script = abs_path(dirname(__FILE__) . '/scripted_broker.py');

sub new
{
    my ($class, %args) = @_;
    my ($from, $to);
    my $pid = open2($from, $to, 'setpriv', '--pdeathsig', 'KILL', 'python3', '-B', $script, $args{nodes} // 1);
    $to->autoflush(1);
    my @ports = split ' ', readline($from) // croak 'scripted_broker.py did not start';
    return bless { pid => $pid, from => $from, to => $to, ports => \@ports }, $class;
}

sub bootstrap
{
    my $self = shift;
    return join ',', map { "127.0.0.1:$_" } @{ $self->{ports} };
}

# do(COMMAND => TOPIC, NAME => VALUE, …): returns when it is done.
sub do
{
    my ($self, $command, $topic, %arguments) = @_;
    my $json = JSON::PP->new->canonical->allow_nonref;
    print { $self->{to} }
      $json->encode({ do => $command, defined $topic ? (topic => $topic) : (), %arguments }), "\n";
    my $answer = readline $self->{from} // '';
    croak "scripted_broker.py: $command" unless $answer eq "ok\n";
    return;
}

1;
