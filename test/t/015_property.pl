# Generated cases (test/property) on a server that is killed by kill -9 in the middle of a push, once in
# each group: what the push did is gone, and everything else is as a plain query has it.
# STREAMAGG_SEED repeats the cases.
use strict;
use warnings;

use FindBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
my $cases = $ENV{STREAMAGG_FULL} ? 600 : 36;
my $node = new_node('property');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
my $output = '';
my $done = IPC::Run::run(
    [ 'python3', "$FindBin::Bin/../property/run.py", '--crash', '--seed', $seed, '--cases', $cases ],
    '>', \$output, '2>&1');
ok($done, "seed $seed: $cases cases with a crash in each group");
like($output, qr/^[1-9]\d* passed, 0 failed$/m, 'all of them were compared');
diag $output unless $done;
my $log = slurp_file($node->logfile);
my $crashes = () = $log =~ /terminated by signal 9/g;
cmp_ok($crashes, '>=', $cases / 12, 'the server was killed in each group');
unlike($log, qr/PANIC|TRAP:|\bXX000\b|terminated by signal (?!9)/, 'the server is unharmed otherwise');
done_testing;
