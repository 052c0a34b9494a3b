# A running worker follows the types of its columns when they are altered. Without an archive: PostgreSQL
# refuses to alter a composite type that a table has a column of.
use strict;
use warnings;

use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
# what the worker itself must be safe from
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET array_nulls = off');

sub sql { return $node->safe_psql('postgres', @_); }

# Produces a record with this value in column v, and waits until it is read.
sub send_value
{
    my ($value) = @_;
    $kafka->produce('typed', "0\t\\N\t{\"ts\":1700000000,$value}");
    is(sql(q{SELECT streamagg.wait_for('typed')}), 't', "$value is read");
    return;
}

sub seen { return sql('SELECT v FROM seen ORDER BY 1'); }

sub last_fault
{
    return sql('SELECT column_name, code FROM streamagg.quarantine ORDER BY record_offset DESC LIMIT 1');
}

$kafka->create_topic('typed', 1);
sql(<<'END');
CREATE TYPE mood AS ENUM ('sad');
CREATE DOMAIN small AS int;
CREATE TYPE item AS (a int);
CREATE FOREIGN TABLE typed (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, m mood, d small, c item, l text[])
  SERVER kafka OPTIONS (topic 'typed', event_time 'ts');
SELECT streamagg.create_aggregate('seen', 'SELECT concat_ws('' '', m, d, c::text, l::text) AS v, count(*) FROM typed GROUP BY 1');
SELECT streamagg.start('typed');
END
send_value('"m": "sad", "d": 1, "c": {"a": 1}, "l": "{null}"');
is(seen(), 'sad 1 (1) {NULL}', 'as the types are at first');
my $worker = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamagg worker'});

subtest 'an enum gets a label' => sub {
    send_value('"m": "wise"');
    is(last_fault(), 'm|22P02', 'no label yet');
    sql(q{ALTER TYPE mood ADD VALUE 'wise'});
    send_value('"m": "wise"');
    like(seen(), qr/^wise$/m, 'a label from then on');
};

subtest 'a domain gets a constraint' => sub {
    sql('ALTER DOMAIN small ADD CONSTRAINT few CHECK (VALUE < 10)');
    send_value('"d": 11');
    is(last_fault(), 'd|23514', 'checked');
    sql('ALTER DOMAIN small DROP CONSTRAINT few');
    send_value('"d": 11');
    like(seen(), qr/^11$/m, 'not any more');
};

subtest 'a composite type is altered' => sub {
    sql('ALTER TYPE item ADD ATTRIBUTE b text');
    send_value('"c": {"a": 2, "b": "x"}');
    like(seen(), qr/^\(2,x\)$/m, 'a new attribute');
    sql('ALTER TYPE item DROP ATTRIBUTE a');
    send_value('"c": {"a": "two", "b": "y"}');
    like(seen(), qr/^\(y\)$/m, 'an attribute less');
};

is(sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamagg worker'}),
    $worker, 'the same worker all along');

subtest 'a type becomes one that would round unseen' => sub {
    sql('ALTER TYPE item ADD ATTRIBUTE price numeric(5,2)');
    $kafka->produce('typed', "0\t\\N\t{\"ts\":1700000000,\"c\":{\"price\":1.234}}");
    wait_until('the halt',
        sub { sql(q{SELECT state, sqlstate FROM streamagg.streams}) eq 'halted|0A000' });
    unlike(seen(), qr/1\.23/, 'and nothing is rounded');
};

$node->stop;
$kafka->stop;
done_testing();
