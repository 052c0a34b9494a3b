# A merge rule and an aggregate that uses it are not lost to each other: who comes second waits, and is refused
# or not by what the first has done.
use strict;
use warnings;

use IPC::Run qw(start pump finish timeout);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('rules');
$node->safe_psql('postgres', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (n int, ts timestamptz) SERVER local OPTIONS (event_time 'ts');
CREATE AGGREGATE mean(int) (sfunc = int4_avg_accum, stype = int8[], finalfunc = int8_avg, initcond = '{0,0}');
END
my $make_rule = q{SELECT streamagg.create_merge_rule('mean(int)', '{sum($1),count($1)}', '{"coalesce($1 + $2, $1, $2)",$1 + $2}', '$1::numeric / nullif($2, 0)')};
my $drop_rule = q{SELECT streamagg.drop_merge_rule('mean(int)')};
my $make = q{SELECT streamagg.create_aggregate('means', 'SELECT mean(n) AS mean FROM s')};

# A session whose transaction has done this and is open, until done with it.
sub open_transaction
{
    my ($sql) = @_;
    my ($in, $out) = ("BEGIN; $sql; SELECT 'it is open';\n", '');
    my $session = start([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$out, timeout($PostgreSQL::Test::Utils::timeout_default));
    pump $session until $out =~ /it is open/;
    return sub { $in .= "$_[0];\n"; finish $session };
}

sub with_patience_of_100_ms { return sqlstate_of($node, 'postgres', "SET lock_timeout = '100 ms'; $_[0]") }

$node->safe_psql('postgres', $make_rule);
for my $end ('ROLLBACK', 'COMMIT')
{
    my $close = open_transaction($make);
    is(with_patience_of_100_ms($drop_rule), '55P03', 'the drop of a rule waits for who makes an aggregate');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.push('s', ARRAY['{"n": 1, "ts": "2024-01-01T00:00:00Z"}'])}), '', 'a batch does not');
    ok($close->($end), $end);
}
is(with_patience_of_100_ms($drop_rule), '2BP01', 'the rule is in use then');
$node->safe_psql('postgres', q{SELECT streamagg.drop_aggregate('means')});
my $close = open_transaction($drop_rule);
is(with_patience_of_100_ms($make), '55P03', 'who makes an aggregate waits for the drop of a rule');
ok($close->('COMMIT'), 'the rule is dropped');
is(with_patience_of_100_ms($make), '0A000', 'there is no rule then');
server_is_unharmed($node);
done_testing;
