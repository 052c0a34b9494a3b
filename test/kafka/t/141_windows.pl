# hop and cumulate windows on a running stream: backfilled from the archive and from the topic while events
# come, they are what plain queries over the topic say.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('user-login', 4);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', user_login_sql());
$node->safe_psql('postgres', q{ALTER FOREIGN TABLE user_login OPTIONS (SET watermark_delay '0 seconds')});
my @events = ('events.py', '--seed', 7, '--partitions', 4, '--topic', 'user-login');
my $sent = 20_000;
$kafka->script(@events, '--count', $sent);
$node->safe_psql('postgres', q{SELECT streamagg.start('user_login')});
$node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '5 min')});

my %query = (
    hop => q{SELECT w.window_start, w.window_end, l.device_type, count(*) AS n, min(l.ts) AS first
      FROM user_login l, streamagg.hop(l.ts, '20 s', '50 s') w GROUP BY 1, 2, 3},
    hop_pairs => q{SELECT w.window_start, l.device_type, count(*) AS n, avg(extract(epoch FROM w.window_end - l.ts)) AS left
      FROM user_login l, streamagg.hop(l.ts, '20 s', '50 s') w GROUP BY 1, 2},
    cumulate => q{SELECT w.window_start, w.window_end, l.locale, count(*) AS n, max(l.ts) AS last
      FROM user_login l, streamagg.cumulate(l.ts, '20 s', '2 min') w GROUP BY 1, 2, 3});

# How the views differ from the queries over the topic, once all of it is in them.
sub differences
{
    $node->safe_psql('postgres', q{SELECT streamagg.wait_for('user_login', '5 min')});
    return join "\n", grep { $_ ne '' } map { $node->safe_psql('postgres', <<"END") } sort keys %query;
WITH shown AS (SELECT to_jsonb(v) - 'is_final' - 'updated_at' AS v FROM $_ v), plain AS (SELECT to_jsonb(q) AS v FROM ($query{$_}) q)
SELECT '$_', d.* FROM ((TABLE shown EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE shown)) d LIMIT 5
END
}

my $producing = $kafka->background(@events, '--skip', $sent, '--count', 40_000, '--rate', 5_000);
$node->safe_psql('postgres', "SELECT streamagg.create_aggregate('$_', \$\$$query{$_}\$\$, backfill => '"
      . ($_ eq 'cumulate' ? 'archive' : 'kafka') . q{')}) foreach sort keys %query;
$node->safe_psql('postgres', "SELECT streamagg.create_aggregate('${_}_dropping', \$\$$query{$_}\$\$, late => 'drop')") foreach sort keys %query;
ok($kafka->busy($producing), 'made while events came');
$kafka->finish($producing);
is(differences(), '', 'new aggregates have what was before, and what came meanwhile');
verify_is_empty($node, 'postgres');

$producing = $kafka->background(@events, '--skip', $sent + 40_000, '--count', 40_000, '--rate', 5_000);
$node->safe_psql('postgres', "DELETE FROM ${_}_state WHERE ctid IN (SELECT ctid FROM ${_}_state LIMIT 100)") foreach sort keys %query;
foreach my $name (sort keys %query)
{
    my $source = $name eq 'cumulate' ? 'kafka' : 'archive';
    cmp_ok($node->safe_psql('postgres', "SELECT streamagg.backfill('$name', source => '$source')"), '>', $sent, "$name from $source");
    cmp_ok($node->safe_psql('postgres', "SELECT streamagg.backfill('${name}_dropping')"), '>', 0, "$name less late pairs");
}
$kafka->finish($producing);
is(differences(), '', 'after backfills on the running stream');
verify_is_empty($node, 'postgres');
cmp_ok($node->safe_psql('postgres', q{SELECT sum(late_pairs) FROM streamagg.aggregates WHERE aggregate::text LIKE '%dropping'}), '>', 0, 'some pairs were late');
is($node->safe_psql('postgres', q{SELECT restarts = 0, state FROM streamagg.streams}), 't|running', 'it runs on');
accounting_is_right($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
