# Messages that no text can hold (invalid UTF-8, raw NUL, UTF-16): the golden vectors of
# test/vectors/bytes.json, through Kafka.
use strict;
use warnings;

use File::Basename qw(dirname);
use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $vectors = decode_json(slurp_file(dirname(__FILE__) . '/../../vectors/bytes.json'));

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('events', 1);
$kafka->produce('events', ['--hex'], map { "0\t\\N\t$_->{hex}" } @$vectors);

my $node = new_node('main');
add_database($node, 'postgres', $kafka);
$node->safe_psql('postgres', <<'END');
CREATE FOREIGN TABLE events (
  ts timestamptz OPTIONS (encoding 'iso8601') NOT NULL, k text, v int
) SERVER kafka OPTIONS (topic 'events', format 'json', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('agg', 'SELECT k, count(*) AS n FROM events GROUP BY k');
SELECT streamagg.start('events');
END
is($node->safe_psql('postgres', q{SELECT streamagg.wait_for('events')}), 't', 'read');

my %code = map { split /\|/ } split /\n/,
  $node->safe_psql('postgres', 'SELECT record_offset, code FROM streamagg.quarantine');
foreach my $offset (0 .. $#$vectors)
{
    my $vector = $vectors->[$offset];
    is($code{$offset}, $vector->{code}, "$vector->{name} ($vector->{why})");
}
is($node->safe_psql('postgres', 'SELECT sum(n) FROM agg'),
    scalar(grep { !defined $_->{code} } @$vectors), 'the sound ones are counted');
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
