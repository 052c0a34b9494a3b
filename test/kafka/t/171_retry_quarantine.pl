# Records of the quarantine that are read once more and judged by the stream's present definition: what
# is accepted goes through all aggregates, every counter still adds up, and the results are those of a
# plain query over the topic.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new(config => { 'log.retention.ms' => -1 }, users => { alice => 'a-secret' });
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', @_); }
sub retry { my ($stream, $clause) = @_; return sql("SELECT * FROM streamagg.retry_quarantine('$stream'" . (defined $clause ? ", \$clause\$$clause\$clause\$" : '') . ')'); }
sub statuses { my ($stream) = @_; return sql("SELECT string_agg(status || ' ' || n, ', ' ORDER BY status) FROM (SELECT status, count(*) AS n FROM streamagg.quarantine WHERE stream = '$stream'::regclass GROUP BY 1) x"); }
sub caught_up { my ($stream) = @_; is(sql("SELECT streamagg.wait_for('$stream')"), 't', "$stream has caught up"); return; }

# A record of 2023-11-14T22:13:20Z and so many seconds.
my $start = 1700000000;
sub record { my ($partition, $n, $seconds, $more) = @_; return sprintf "%d\t\\N\t{\"n\":%s,\"ts\":%d%s}\t%d", $partition, $n, $start + $seconds, $more // '', 1000 * ($start + $seconds); }

sub add_stream
{
    my ($name, $partitions) = @_;
    $kafka->create_topic($name, $partitions);
    sql(<<"END");
CREATE FOREIGN TABLE $name (
  n int NOT NULL CONSTRAINT small CHECK (n < 10), h text OPTIONS (meta 'header:h'), p int OPTIONS (meta 'partition'),
  o bigint OPTIONS (meta 'offset'), ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic '$name', format 'json', event_time 'ts', watermark_delay '0 s', idle_timeout '1 s', close_after '2 s', archive 'on');
SELECT streamagg.create_aggregate('${name}_minutes', 'SELECT w.window_start, w.window_end, count(*) AS c, sum(n) AS s, max(h) AS h FROM $name, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT streamagg.create_aggregate('${name}_seen', 'SELECT p, o, count(*) AS times FROM $name GROUP BY 1, 2');
SELECT streamagg.create_aggregate('${name}_punctual', 'SELECT w.window_start, w.window_end, count(*) AS c FROM $name, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', late => 'drop');
SELECT streamagg.start('$name');
END
    return;
}

# The view is what its query gives over the topic; each record was aggregated once.
sub is_right
{
    my ($name) = @_;
    my @expected = split /\n/, sql("SELECT window_start, count(*), sum(n), max(h) FROM $name, streamagg.tumble(ts, '1 min') GROUP BY 1");
    same_rows("$name: the view is its query over the topic", [ split /\n/, sql("SELECT window_start, c, s, h FROM ${name}_minutes") ], \@expected);
    is(sql("SELECT count(*) = count(*) FILTER (WHERE times = 1) AND count(*) = (SELECT sum(accepted) FROM streamagg.partitions WHERE stream = '$name'::regclass) FROM ${name}_seen"),
        't', "$name: accepted are those that were aggregated, each once");
    is(sql("SELECT (SELECT sum(quarantined) FROM streamagg.partitions WHERE stream = '$name'::regclass) = (SELECT count(*) FROM streamagg.quarantine WHERE stream = '$name'::regclass AND status <> 'accepted')"),
        't', "$name: quarantined are those that were not accepted");
    is(sql("SELECT sum(rows_in) = 3 * (SELECT sum(accepted) FROM streamagg.partitions WHERE stream = '$name'::regclass) FROM streamagg.aggregates WHERE stream = '$name'::regclass"),
        't', "$name: every aggregate has met them");
    accounting_is_right($node, 'postgres');
    verify_is_empty($node, 'postgres');
    return;
}

add_stream('r', 2);
$kafka->produce('r', (map { record($_ % 2, $_, $_ * 10) } 1 .. 9), "0\t\\N\t{\t1700000000000", (map { record($_ % 2, 10 + $_, $_ * 10) } 0 .. 9), "1\t\\N\t{\"n\":\"x\"}\t1700000000000", record(0, 9, 200), record(1, 9, 200));
caught_up('r');
is(statuses('r'), 'new 12', 'what breaks a rule is in quarantine');

subtest 'nothing has changed' => sub {
    is(retry('r'), '12|0|12', 'all are refused once more');
    is(statuses('r'), 'failed 12', 'and say so');
    is(sql(q{SELECT string_agg(DISTINCT code, ' ' ORDER BY code) FROM streamagg.quarantine}), '22P02 23514', 'for the same reasons');
    is_right('r');
};

subtest 'a rule has changed while the stream runs' => sub {
    my $pid = worker_pid($node, 'postgres', 'r');
    my $offsets = sql('SELECT partition, next_offset, watermark, read FROM streamagg.partitions ORDER BY 1');
    my $lateness = sql(q{SELECT l.* FROM streamagg.lateness_profile('r') l});
    sql('ALTER FOREIGN TABLE r DROP CONSTRAINT small; ALTER FOREIGN TABLE r ADD CONSTRAINT small CHECK (n < 15)');
    sql(q{BEGIN; SELECT streamagg.retry_quarantine('r'); ROLLBACK});
    is(statuses('r'), 'failed 12', 'a retry that is rolled back leaves nothing');
    is(retry('r', q{code = '23514' AND partition = 0}), '5|3|2', 'a part of them');
    is(statuses('r'), 'accepted 3, failed 9', 'their statuses');
    is(retry('r', q{'small' = ANY (failed_rules)}), '7|2|5', 'the others; what was accepted is not taken again');
    is(retry('r'), '7|0|7', 'what is left');
    is(sql('SELECT partition, next_offset, watermark, read FROM streamagg.partitions ORDER BY 1'), $offsets, 'no offset and no watermark moves');
    is(sql(q{SELECT l.* FROM streamagg.lateness_profile('r') l}), $lateness, 'they do not count as rows that came late');
    is(sql(q{SELECT sum(late_rows) FROM streamagg.aggregates WHERE aggregate = 'r_punctual'::regclass}), 5, 'they are late, and counted');
    is(sql('SELECT sum(c) FROM r_punctual'), 11, 'the aggregate without late rows has not got them');
    is_right('r');
    $kafka->produce('r', record(0, 1, 300, ',"x":1'), record(1, 50, 310));
    caught_up('r');
    is(worker_pid($node, 'postgres', 'r'), $pid, 'the worker has not noticed');
    is(sql(q{SELECT detail FROM streamagg.events WHERE event = 'retry_quarantine' ORDER BY at LIMIT 1}), '12 records, 0 accepted, 12 refused once more, 0 gone, 0 duplicates', 'an event tells of it');
    is_right('r');
};

subtest 'who may, and what a condition may be' => sub {
    sql('CREATE ROLE stranger LOGIN IN ROLE streamagg_reader; CREATE ROLE op LOGIN IN ROLE streamagg_operator; CREATE ROLE boss LOGIN; CREATE ROLE member LOGIN IN ROLE boss');
    my $as = sub { my ($role, $clause) = @_; return sqlstate_of($node, 'postgres', "SET SESSION AUTHORIZATION $role; SELECT streamagg.retry_quarantine('r'" . (defined $clause ? ", \$clause\$$clause\$clause\$" : '') . ')'); };
    is($as->('stranger'), '42501', 'S29: only members of the owner');
    is($as->('op'), '', 'and operators');
    is($as->('op', q{stage = 'check'}), '', 'by a condition, too');
    sql('GRANT USAGE ON FOREIGN SERVER kafka TO boss; GRANT ALL ON SCHEMA public TO boss');
    give_archive($node, 'postgres', 'r_archive', 'boss');
    sql('ALTER FOREIGN TABLE r OWNER TO boss; ALTER VIEW r_minutes OWNER TO boss; ALTER VIEW r_seen OWNER TO boss; ALTER VIEW r_punctual OWNER TO boss');
    sql("ALTER TABLE r_${_}_state OWNER TO boss; ALTER VIEW r_${_}_query OWNER TO boss") foreach 'minutes', 'seen', 'punctual';
    is($as->('member'), '', 'the owner need not be a reader for all of them');
    is($as->('member', q{code = '23514'}), '42501', 'but for a condition over what stands there');
    sql('GRANT streamagg_reader TO boss');
    is($as->('member', q{code = '23514'}), '', 'as a reader it works');
    # the condition runs as who calls
    sql(q{CREATE TABLE secret (k int); CREATE TABLE open (code text); GRANT SELECT ON open TO op; INSERT INTO open VALUES ('22P02')});
    is($as->('op', 'EXISTS (SELECT FROM secret)'), '42501', 'with no more rights than the caller');
    is($as->('op', 'code IN (SELECT code FROM open)'), '', 'and no fewer');
    foreach my $clause ('', 'true) OR (true', 'true; DROP TABLE secret', 'true, true', 'true FROM secret', 'true WHERE true', 'true AS x', 'true LIMIT 1', 'true ORDER BY 1', 'DISTINCT true', 'true) --',
        'true /*', 'SELECT true', 'true UNION SELECT true', 'true GROUP BY 1', 'true FOR UPDATE')
    {
        is($as->('op', $clause), '42601', "no condition: $clause");
    }
    is($as->('op', q{true -- or not}), '', 'a comment is no way out');
    is($as->('op', q{1}), '42804', 'not a boolean');
    is($as->('op', q{stream = $1}), '42P02', 'no parameter');
    is($as->('op', q{nothing = 1}), '42703', 'no such column');
    is(sql(q{SELECT streamagg.retry_quarantine('r', NULL) IS NULL}), 't', 'NULL is NULL');
    sql(q{CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka; CREATE FOREIGN TABLE l (n int, ts timestamptz) SERVER local OPTIONS (event_time 'ts')});
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.retry_quarantine('l')}), '55000', 'a local stream has nothing to read');
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.retry_quarantine('secret')}), '42809', 'a table is no stream');
    is(sqlstate_of($node, 'postgres', q{BEGIN READ ONLY; SELECT streamagg.retry_quarantine('r')}), '25006', 'not in a read-only transaction');
    # another stream's records are out of reach
    is(sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream <> 'r'::regclass}), 0, 'there is no other stream with records');
    is_right('r');
};

subtest 'rows that an aggregate fails on; headers; later than all before' => sub {
    add_stream('q', 1);
    sql(q{CREATE TABLE part (n int, divisor int); INSERT INTO part SELECT i, i % 2 FROM generate_series(0, 9) i;
      SELECT streamagg.create_aggregate('q_shares', 'SELECT q.n, sum(100 / part.divisor) AS s FROM q JOIN part USING (n) GROUP BY 1')});
    $kafka->produce_records('q', [], map { { value => sprintf('{"n":%d,"ts":%d}', $_, $start + $_), timestamp => 1000 * ($start + $_), headers => [ [ h => "h$_" ] ] } } 0 .. 9);
    caught_up('q');
    is(sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'q'::regclass AND stage = 'aggregate'}), 5, 'half of them');
    is(retry('q'), '5|0|5', 'rows that all fail stay where they are');
    sql('UPDATE part SET divisor = 2 WHERE divisor = 0');
    is(retry('q'), '5|5|0', 'the table that the query joins is put right');
    is(sql('SELECT string_agg(n || E\':\' || s, E\' \' ORDER BY n) FROM q_shares'), '0:50 1:100 2:50 3:100 4:50 5:100 6:50 7:100 8:50 9:100', 'their sums');
    is(sql('SELECT h FROM q_minutes'), 'h9', 'headers are there again');
    sql('SELECT streamagg.drop_aggregate(\'q_shares\')');
    $kafka->produce('q', record(0, 99, 1000));
    caught_up('q');
    my $closing = sub { return sql(qq{SELECT extract(epoch FROM watermark)::bigint - $start FROM streamagg.streams WHERE stream = 'q'::regclass}) };
    wait_until('the partition is idle, and its windows closed', sub { $closing->() . sql(q{SELECT idle FROM streamagg.partitions WHERE stream = 'q'::regclass}) eq '9t' });
    sql('ALTER FOREIGN TABLE q DROP CONSTRAINT small');
    is(retry('q'), '1|1|0', 'a record later than all that were accepted');
    is(sql(q{SELECT late_rows FROM streamagg.aggregates WHERE aggregate = 'q_punctual'::regclass}), 0, 'is not late');
    is(sql(qq{SELECT extract(epoch FROM watermark)::bigint - $start FROM streamagg.partitions WHERE stream = 'q'::regclass}), 1000, 'and moves the watermark');
    wait_until('the last windows close, though nothing else comes', sub { $closing->() eq '1000' });
    is(sql('SELECT string_agg(is_final::text, E\' \' ORDER BY window_start) FROM q_minutes'), 'true false', 'so that they are final');
    is_right('q');
};

subtest 'credentials and keys are those of the owner' => sub {
    my $ca = slurp_file($kafka->file('ca.pem'));
    my $sasl = $kafka->bootstrap('SASL_SSL');
    $kafka->create_topic('x', 1);
    sql(<<"END");
CREATE ROLE keyholder LOGIN IN ROLE streamagg_admin;
CREATE SERVER secure FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$sasl', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN', ssl_ca_pem '$ca');
GRANT USAGE ON FOREIGN SERVER secure TO keyholder;
CREATE USER MAPPING FOR keyholder SERVER secure OPTIONS (username 'alice', password 'a-secret');
GRANT ALL ON SCHEMA public TO keyholder;
SET ROLE keyholder;
SELECT streamagg.create_key('k');
CREATE FOREIGN TABLE x (n int CONSTRAINT small CHECK (n < 10), ip text OPTIONS (protect 'hmac', protect_key 'k'), ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL)
  SERVER secure OPTIONS (topic 'x', event_time 'ts');
SELECT streamagg.create_aggregate('x_ips', 'SELECT ip, count(*) AS c FROM x GROUP BY 1');
SELECT streamagg.start('x');
END
    $kafka->produce('x', record(0, 1, 1, ',"ip":"10.0.0.1"'), record(0, 11, 2, ',"ip":"10.0.0.1"'), record(0, 12, 3, ',"ip":"10.0.0.2"'));
    caught_up('x');
    sql('ALTER FOREIGN TABLE x DROP CONSTRAINT small');
    is(sql(q{SET ROLE op; SELECT * FROM streamagg.retry_quarantine('x', $$code = '23514'$$)}), '2|2|0', 'an operator without either');
    is(sql(q{SELECT string_agg(c::text, ' ' ORDER BY c) FROM x_ips WHERE ip IN (streamagg.pseudonym('x', 'ip', '10.0.0.1'), streamagg.pseudonym('x', 'ip', '10.0.0.2'))}), '1 2', 'the values are protected as ever');
    sql(q{DROP USER MAPPING FOR keyholder SERVER secure; UPDATE streamagg.quarantine_log SET status = 'new' WHERE stream = 'x'::regclass});
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.retry_quarantine('x')}), '28000', 'not even a superuser\'s own');
    sql(q{SELECT streamagg.stop('x')});
};

subtest 'under load, two at a time' => sub {
    add_stream('b', 3);
    sql('ALTER FOREIGN TABLE b DROP CONSTRAINT small; ALTER FOREIGN TABLE b ADD CONSTRAINT small CHECK (n % 3 <> 0)');
    my $producer = $kafka->producer('b');
    my $serial = 0;
    my $some = sub { return map { $serial++; record($serial % 3, $serial, $serial / 10) } 1 .. 40000; };
    $kafka->send($producer, $some->());
    caught_up('b');
    sql('ALTER FOREIGN TABLE b DROP CONSTRAINT small; ALTER FOREIGN TABLE b ADD CONSTRAINT small CHECK (n % 9 <> 0)');
    $kafka->hand_over($producer, $some->());
    my @sessions = map { my $out = ''; my $run = IPC::Run::start([ 'psql', '-XqAt', '-d', $node->connstr('postgres'), '-c', q{SELECT retried, accepted, failed FROM streamagg.retry_quarantine('b')} ], '<', \undef, '>', \$out, '2>&1'); [ $run, \$out ] } 1 .. 2;
    $_->[0]->finish foreach @sessions;
    my ($first, $second) = sort { $b <=> $a } map { /^\d+\|(\d+)\|\d+$/ ? $1 : die $_ } map { ${ $_->[1] } } @sessions;
    cmp_ok($first, '>=', 8889, 'one has taken them');
    cmp_ok($second, '<', 8889, 'the other has not taken them, too');
    $kafka->end_producer($producer);
    caught_up('b');
    sql('ALTER FOREIGN TABLE b DROP CONSTRAINT small');
    retry('b');
    is(sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'b'::regclass AND status <> 'accepted'}), 0, 'in the end all are accepted');
    is(sql(q{SELECT sum(accepted) FROM streamagg.partitions WHERE stream = 'b'::regclass}), $serial, 'all of them');
    is_right('b');
};

subtest 'records that are far apart' => sub {
    add_stream('f', 2);
    $kafka->produce('f', record(0, 11, 0), record(1, 12, 0), (map { record(0, 1, 1 + $_ / 1000) } 1 .. 45000), record(0, 13, 50), record(1, 1, 50), record(1, 14, 51));
    caught_up('f');
    sql('ALTER FOREIGN TABLE f DROP CONSTRAINT small');
    is(retry('f', 'record_offset > 0'), '2|2|0', 'the last ones');
    is(retry('f'), '2|2|0', 'the first ones');
    sql(q{UPDATE streamagg.quarantine_log SET status = 'new' WHERE stream = 'f'::regclass; UPDATE streamagg.partition_progress SET quarantined = quarantined + 2, accepted = accepted - 2 WHERE stream = 'f'::regclass});
    is(retry('f'), '4|4|0', 'all of them in one call');
    is(sql(q{SELECT sum(times) FROM f_seen WHERE times > 1}), 8, 'those and no others');
    sql(q{SELECT streamagg.stop('f')});
};

subtest 'records that are gone' => sub {
    sql(q{SELECT streamagg.stop_all()});
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.retry_quarantine('r')}), '', 'a stream need not run');
    my $left = sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'r'::regclass AND status = 'failed'});
    my $before = sql('SELECT * FROM r_minutes ORDER BY 1');
    $kafka->stop;
    is(sqlstate_of($node, 'postgres', q{SELECT streamagg.retry_quarantine('r')}), '08006', 'no broker: an error, nothing is counted as gone');
    # records of long ago, all of them
    my $properties = $kafka->file('server.properties');
    PostgreSQL::Test::Utils::append_to_file($properties, "log.retention.ms=3600000\nlog.retention.check.interval.ms=300\nlog.initial.task.delay.ms=100\n");
    $kafka->start;
    wait_until('the records are deleted', sub { $kafka->script('topics.py', 'ends', 'r') =~ /^0,(\d+),\1$/m && $kafka->script('topics.py', 'ends', 'r') =~ /^1,(\d+),\1$/m });
    sql('ALTER FOREIGN TABLE r DROP CONSTRAINT small');
    is(retry('r'), "$left|0|$left", 'what is gone has failed');
    like(statuses('r'), qr/gone $left$/, 'and says so');
    is(retry('r'), '0|0|0', 'nobody asks for it again');
    is(sql('SELECT * FROM r_minutes ORDER BY 1'), $before, 'the results stay');
    accounting_is_right($node, 'postgres');
    verify_is_empty($node, 'postgres');
};

server_is_unharmed($node);
$node->stop('fast');
$kafka->stop;
done_testing();
