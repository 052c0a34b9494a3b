# D4: a record that crashes the server does it a few times, not for ever: batches that follow a crash
# are marked and shrink, and the stream halts at the record that did it three times running. Other
# streams go on; crashes by chance halt nothing; without a crash nothing is marked.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my ($records, $bad) = (3000, 1777);

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

my $library = PostgreSQL::Test::Utils::tempdir . '/crash_on.so';
chomp(my $include = `pg_config --includedir-server`);
system_or_bail('cc', '-shared', '-fPIC', '-I', $include, '-o', $library, "$StreamaggKafka::scripts/../lib/crash_on.c");

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub column_of { return one_value($node, 'postgres', "SELECT $_[1] FROM streamagg.streams WHERE stream = '$_[0]'::regclass") // ''; }
sub crashes { return scalar(() = slurp_file($node->logfile) =~ /was terminated by signal 9/g); }
sub state_of { return column_of($_[0], 'state, sqlstate'); }

sub produce
{
    my ($topic, @values) = @_;
    $kafka->produce($topic, map { qq(0\t\\N\t{"ts":1700000000,"v":$_}) } @values);
    return;
}

sub define_crash { return "CREATE OR REPLACE FUNCTION crash_on(int, int) RETURNS boolean IMMUTABLE STRICT $_[0]"; }

sql(define_crash("LANGUAGE c AS '$library', 'crash_on'"));
foreach my $name ('crashes', 'good')
{
    $kafka->create_topic($name, 1);
    my $check = $name eq 'crashes' ? 'CHECK (public.crash_on(v, -1))' : '';
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, v int $check)
  SERVER kafka OPTIONS (topic '$name', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_count', 'SELECT count(*) AS n FROM $name');
SELECT streamagg.start('$name');
END
    produce($name, 1);
    is(sql("SELECT streamagg.wait_for('$name')"), 't', "$name runs");
}
is(sql(q{SELECT pg_relation_size('streamagg.attempt')}), 0, 'no marker without a crash');

subtest 'D4: one record among many' => sub {
    produce('crashes', map { $_ == $bad ? -1 : $_ } 1 .. $records - 1);
    produce('good', 1 .. 99);
    wait_until('the halt', sub { state_of('crashes') eq 'halted|57P02' }, 120);
    is(column_of('crashes', 'reason'),
        qq(stream "crashes", topic "crashes" partition 0 offset $bad: this record has crashed the server 3 times running; )
          . qq(hint: SELECT streamagg.skip('public.crashes', 0, $bad, 'why') passes it; streamagg.start() tries it once more.),
        'the reason names the record, and what to do');
    is(sql('SELECT n FROM crashes_count'), $bad, 'all before it is committed');
    my $crashed = crashes();
    cmp_ok($crashed, '<=', 9, "after $crashed crashes");
    is(sql(q{SELECT streamagg.wait_for('good')}), 't', 'the other stream goes on');
    is(sql('SELECT n FROM good_count'), 100, 'and has every record once');
    is(sql(q{SELECT count(*) FROM streamagg.events WHERE event = 'halted' AND stream = 'good'::regclass}), 0, 'it was never blamed');
};

subtest 'D4: start() tries the record once more' => sub {
    my $before = crashes();
    sql(q{SELECT streamagg.start('crashes')});
    wait_until('the crash', sub { crashes() > $before }, 60);
    wait_until('the halt', sub { state_of('crashes') eq 'halted|57P02' }, 60);
    is(crashes(), $before + 1, 'one crash, and halted again');
    sql(define_crash("LANGUAGE sql AS 'SELECT true'"));
    sql(q{SELECT streamagg.start('crashes')});
    is(sql(q{SELECT streamagg.wait_for('crashes')}), 't', 'the function is put right');
    is(sql('SELECT n FROM crashes_count'), $records, 'every record once');
};

subtest 'D4: crashes by chance' => sub {
    produce('good', 1 .. 20);
    kill_worker($node, 'postgres', 0) foreach 1 .. 6;
    produce('good', 1 .. 20);
    wait_until('the server', sub { one_value($node, 'postgres', 'SELECT 1') });
    is(sql(q{SELECT streamagg.wait_for('good')}), 't', 'halt no stream');
    is(sql('SELECT n FROM good_count'), 140, 'every record once');
    is(sql(q{SELECT streamagg.wait_for('crashes')}), 't', 'this one is as well as any');
    produce('crashes', 1);
    is(sql(q{SELECT streamagg.wait_for('crashes')}), 't', 'both commit');
    is(sql('SELECT count(*) FROM streamagg.attempt'), 0, 'and no marker is left');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
is(join("\n", grep { /PANIC|TRAP:|\bXX000\b/ } split /\n/, slurp_file($node->logfile)), '', 'nothing but these crashes in the log');
$node->stop;
$kafka->stop;
done_testing();
