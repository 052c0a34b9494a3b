# bench/run measures all of its workloads, the accounts of each reading are right (or it fails), and
# what it writes down are figures that can be; bench/report makes the documentation of them. How
# fast anything is is not asserted.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use IPC::Run ();
use JSON::PP ();
use List::Util qw(all);
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = abs_path(dirname(__FILE__) . '/../../..');
my $docs = PostgreSQL::Test::Utils::tempdir;

sub succeeds
{
    my ($what, @command) = @_;
    my ($output, $errors) = ('', '');
    my $fine = IPC::Run::run(\@command, '<', \undef, '>', \$output, '2>', \$errors);
    diag $output if $what =~ /measures/ || !$fine;
    ok($fine, $what) or diag $errors;
    return;
}

# All numbers of a structure; JSON::PP has no NaN and no infinity, and dies of them.
sub numbers
{
    my ($value) = @_;
    return map { numbers($_) } @$value if ref $value eq 'ARRAY';
    return map { numbers($_) } values %$value if ref $value eq 'HASH';
    return $value =~ /^-?[0-9]/ ? $value : ();
}

# Lists of measurements, one of each pair.
sub are_positive
{
    my ($what, $figures, @names) = @_;
    my @wrong = grep { my $list = $figures->{$_}; !@$list || !all { $_ > 0 } @$list } @names;
    is("@wrong", '', "$what: more than nothing");
    return;
}

my @of_pairs = qw(raw_rate raw_cpu rate peak_mb upserts wal_bytes worker_cpu server_cpu worker_multiple server_multiple);

succeeds('bench/run measures all workloads, and the accounts are right',
    "$tree/bench/run", 'all', '--quick', '--json', "$docs/performance.json");
my $found = JSON::PP->new->decode(slurp_file("$docs/performance.json"));

is(join(' ', sort keys %$found),
    'broken-1 cumulate growth-aggregates growth-groups growth-partitions hop idle latency q1 q2c qu ysb', 'figures of every workload');
is(scalar(grep { abs($_) > 1e9 } numbers($found)), 0, 'none is beyond reason');

subtest 'beside the raw read' => sub {
    foreach my $name (qw(q1 q2c qu ysb))
    {
        my $figures = $found->{$name}{figures};
        are_positive($name, $figures, @of_pairs);
        cmp_ok($figures->{server_cpu}[0], '>=', $figures->{worker_cpu}[0], "$name: the worker is a part of the server");
        cmp_ok($figures->{hot}[0], '<=', 1, "$name: no more updates within their page than there are");
    }
    are_positive('broken', $found->{'broken-1'}{ratios}, qw(worker server wall));
};

subtest 'growth' => sub {
    foreach my $name (qw(aggregates groups partitions))
    {
        my @rows = @{ $found->{"growth-$name"}{rows} };
        is(scalar(@rows), 2, "$name: two sizes");
        are_positive("$name, $_->{size}", $_->{figures}, @of_pairs) foreach @rows;
        my ($small, $large) = map { $_->{figures}{upserts}[0] } @rows;
        cmp_ok($small, '<', $large, "$name: the larger has more to write") if $name ne 'partitions';
    }
};

subtest 'idle streams and latency' => sub {
    is(join(' ', map { $_->{size} } @{ $found->{idle}{rows} }), '0 1 3', 'idle: sizes');
    is(scalar(grep { $_->{size} && $_->{workers_ms} <= 0 } @{ $found->{idle}{rows} }), 0, 'idle: workers are there');
    my $latency = $found->{latency}{figures};
    my @order = map { $latency->{$_} } qw(p50 p95 p99 most);
    is_deeply([ sort { $a <=> $b } @order ], \@order, 'latency: percentiles in order');
    cmp_ok($order[0], '>', 0, 'latency: nothing is seen before it is produced');
    cmp_ok($latency->{cores}, '>', 0, 'latency: CPU');
    cmp_ok($latency->{resident_mb}, '>', $latency->{shared_mb}, 'latency: memory');
};

subtest 'the documentation is made of the figures' => sub {
    copy("$tree/docs/performance.md", $docs) or die $!;
    succeeds('bench/report', "$tree/bench/report", '--docs', $docs);
    succeeds('what it wrote is what it would write', "$tree/bench/report", '--check', '--docs', $docs);
    unlike(slurp_file("$docs/performance.md"), qr/<!-- bench: \w+ -->\n<!-- end/, 'every table is there');
    succeeds('the chart is XML', 'python3', '-c', 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])', "$docs/performance.svg");
    succeeds('the documentation of this tree is, too', "$tree/bench/report", '--check');
};
done_testing();
