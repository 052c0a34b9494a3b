# bench/run works, and its readings give the accounts that the generator kept; no time is asserted.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IPC::Run ();
use Test::More;

my @bench = (abs_path(dirname(__FILE__) . '/../../../bench') . '/run', 'broken', 'q1', '--quick');
my ($output, $errors) = ('', '');
my $fine = IPC::Run::run(\@bench, '<', \undef, '>', \$output, '2>', \$errors);

diag $output;
ok($fine, 'all was read, and the accounts are right') or diag $errors;
like($output, qr/^1 % broken against none, worker: median \d+\.\d+/m, 'broken compares a pair');
like($output, qr/^multiple of raw, worker: median \d+\.\d+/m, 'q1 does, too');
done_testing();
