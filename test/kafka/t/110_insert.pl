# INSERT into a stream: what is written is read back as the same rows, is confirmed before the statement
# ends and stays whatever becomes of the transaction. Nothing is written that would not be accepted.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new(users => { alice => 'secret' });
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub code { return sqlstate_of($node, 'postgres', $_[0]); }
sub records { my $n = 0; $n += $_ foreach $kafka->ends($_[0]); return $n; }

# A second stream over a topic shows its messages: partition|key|time|headers|message, in order.
my $views = 0;
sub messages
{
    my ($topic) = @_;
    my $stream = 'messages_' . ++$views;
    sql(<<"END");
CREATE FOREIGN TABLE $stream (part int OPTIONS (meta 'partition'), off bigint OPTIONS (meta 'offset'), key bytea OPTIONS (meta 'key'),
  ts timestamptz OPTIONS (meta 'timestamp'), headers jsonb OPTIONS (meta 'headers'), raw text OPTIONS (meta 'raw'))
  SERVER kafka OPTIONS (topic '$topic', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${stream}_seen', 'SELECT part, off, min(encode(key, ''escape'')) AS key, min(ts) AS ts, min(headers::text) AS headers, min(raw) AS raw FROM $stream GROUP BY 1, 2');
SELECT streamagg.start('$stream');
SELECT streamagg.wait_for('$stream');
SELECT streamagg.stop('$stream');
END
    return split /\n/, sql("SET TimeZone = 'UTC'; SELECT part, key, ts, headers, raw FROM ${stream}_seen ORDER BY part, off");
}

# The messages alone.
sub documents { return map { (split /\|/, $_, 5)[4] } messages(@_); }

subtest 'every type is read back as it was' => sub {
    my $columns = q{string_agg(format('%I::text', attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'twin'::regclass AND attnum > 1};
    $kafka->create_topic('everything', 1);
    sql(slurp_file("$StreamaggKafka::scripts/../lib/insert_types.sql"));
    my $list = sql("SELECT $columns");
    (my $least = $list) =~ s/(c_\w+)::text/min($1::text) AS $1/g;
    sql("SELECT streamagg.create_aggregate('back', 'SELECT id, $least, count(*) AS n FROM everything GROUP BY 1'); SELECT streamagg.start('everything')");
    # a session whose settings would print most values in another way
    sql(<<'END');
SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = 0; SET bytea_output = 'escape'; SET xmloption = 'document';
INSERT INTO everything SELECT * FROM twin;
END
    sql(q{SELECT streamagg.wait_for('everything')});
    is(sql('SELECT sum(accepted), sum(quarantined) FROM streamagg.partitions'), '6|0', 'all are accepted');
    sql("CREATE TABLE given AS SELECT id, $list FROM twin");
    (my $names = $list) =~ s/::text//g;
    sql("CREATE TABLE found AS SELECT id, $names FROM back");
    is(sql(<<'END'), '', 'no value is another');
SELECT id, key, left(g.value, 50), left(f.value, 50)
FROM (SELECT id, j.* FROM given, json_each_text(row_to_json(given)) j) g
FULL JOIN (SELECT id, j.* FROM found, json_each_text(row_to_json(found)) j) f USING (id, key) WHERE g.value IS DISTINCT FROM f.value
END
    is(sql('SELECT count(*) FROM given, json_each_text(row_to_json(given)) j WHERE j.value IS NOT NULL') > 120, 1, 'of many values');
    sql(q{SELECT streamagg.stop('everything')});
};

subtest 'paths make the document again' => sub {
    $kafka->create_topic('paths', 1);
    sql(<<'END');
CREATE FOREIGN TABLE nested (a int OPTIONS (path 'x.y.a'), b int OPTIONS (path 'x.b'), q text OPTIONS (path '"a.""b".c'), c int, ts timestamptz OPTIONS (path 't', encoding 'epoch_s'))
  SERVER kafka OPTIONS (topic 'paths', event_time 'ts');
INSERT INTO nested VALUES (1, 2, 'q', 3, 'epoch'), (NULL, 2, NULL, NULL, 'epoch'), (NULL, NULL, NULL, NULL, '1970-01-01 00:00:01.5Z'), (1, NULL, NULL, NULL, '1969-12-31 23:59:59.999999Z');
CREATE FOREIGN TABLE merged (doc jsonb OPTIONS (path '$'), o jsonb, oa int OPTIONS (path 'o.a'), rest jsonb OPTIONS (meta 'rest'), ts timestamptz OPTIONS (encoding 'epoch_s'))
  SERVER kafka OPTIONS (topic 'paths', event_time 'ts');
INSERT INTO merged VALUES (NULL, '{"b": 2}', 1, '{"z": 3}', 'epoch'), ('{"o": {"c": 3}, "n": 1.50}', '{"b": 2}', 1, '{"z": {}}', 'epoch'), ('{"ts": 7}', NULL, NULL, NULL, NULL), (NULL, '[1]', NULL, '{}', 'epoch');
CREATE FOREIGN TABLE whole (raw text OPTIONS (meta 'raw'), v int, ts timestamptz OPTIONS (encoding 'epoch_s'))
  SERVER kafka OPTIONS (topic 'paths', event_time 'ts');
INSERT INTO whole VALUES (' {"ts" : 1, "v":1} ', NULL, NULL), (NULL, 2, 'epoch');
END
    is_deeply([ documents('paths') ], [
        '{"x":{"y":{"a":1},"b":2},"a.\"b":{"c":"q"},"c":3,"t":0}',
        '{"x":{"b":2},"t":0}',
        '{"t":1.5}',
        '{"x":{"y":{"a":1}},"t":-0.000001}',
        '{"o": {"a": 1, "b": 2}, "z": 3, "ts": 0}',
        '{"n": 1.50, "o": {"a": 1, "b": 2, "c": 3}, "z": {}, "ts": 0}',
        '{"ts": 7}',
        '{"o": [1], "ts": 0}',
        ' {"ts" : 1, "v":1} ',
        '{"v":2,"ts":0}',
    ], 'the messages');
    my %wrong = (
        q{merged (o, oa, ts) VALUES ('5', 1, 'epoch')} => '22023',
        q{merged (rest, oa, ts) VALUES ('{"o": {"a": 2}}', 1, 'epoch')} => '22023',
        q{merged (rest, ts) VALUES ('{"ts": 1}', 'epoch')} => '22023',
        q{merged (rest, ts) VALUES ('[]', 'epoch')} => '22023',
        q{merged (doc, ts) VALUES ('1', 'epoch')} => '22023',
        q{merged (o, ts) VALUES ('null', 'epoch')} => '22023',
        q{whole VALUES ('{"ts": 1}', 1, NULL)} => '22023',
        q{whole (raw) VALUES ('no JSON')} => '22P02',
        q{whole (raw) VALUES ('{"ts": "x"}')} => '22P02',
        q{whole (raw) VALUES ('{"v": 1}')} => '23502',
    );
    is(code("INSERT INTO $_"), $wrong{$_}, "refused: $_") foreach sort keys %wrong;
    is(records('paths'), 10, 'nothing of these is written');
};

subtest 'meta columns' => sub {
    $kafka->create_topic('meta', 4);
    sql(<<'END');
CREATE FOREIGN TABLE meta (v int, part int OPTIONS (meta 'partition'), off bigint OPTIONS (meta 'offset'), at timestamptz OPTIONS (meta 'timestamp'), key text OPTIONS (meta 'key'), topic text OPTIONS (meta 'topic'),
  headers jsonb OPTIONS (meta 'headers'), trace text OPTIONS (meta 'header:trace'), ts timestamptz OPTIONS (meta 'timestamp')) SERVER kafka OPTIONS (topic 'meta', event_time 'ts');
CREATE FOREIGN TABLE bytes (v int, key bytea OPTIONS (meta 'key'), trace bytea OPTIONS (meta 'header:trace'), ts timestamptz OPTIONS (meta 'timestamp')) SERVER kafka OPTIONS (topic 'meta', event_time 'ts');
INSERT INTO meta (v, part, key, at) VALUES (1, 1, 'k', '2024-01-01 00:00:00.123999Z'), (2, 1, '', '1970-01-01 00:00:00.001Z');
INSERT INTO meta (v, part, at, headers, trace) VALUES (3, 1, '2024-01-01Z', '{"a": "1", "b": null, "trace": "old", "": ""}', 'new'), (4, 1, '2024-01-01Z', '{}', NULL);
INSERT INTO bytes (v, key, ts, trace) VALUES (5, 'foobar', '2024-01-01Z', NULL), (6, 'foobar', '2024-01-01Z', 't'), (7, '21', '2024-01-01Z', NULL);
END
    is_deeply([ messages('meta') ], [
        '0|21|2024-01-01 00:00:00+00||{"v":7}',
        '1|k|2024-01-01 00:00:00.123+00||{"v":1}',
        '1||1970-01-01 00:00:00.001+00||{"v":2}',
        '1||2024-01-01 00:00:00+00|{"": "", "a": "1", "b": null, "trace": "new"}|{"v":3}',
        '1||2024-01-01 00:00:00+00||{"v":4}',
        '2|foobar|2024-01-01 00:00:00+00||{"v":5}',
        '2|foobar|2024-01-01 00:00:00+00|{"trace": "t"}|{"v":6}',
    ], 'partition, key, time and headers are those given; a key chooses the partition that Java clients choose');
    is(sql('SELECT key IS NULL FROM messages_2_seen WHERE part = 1 ORDER BY off'), "f\nf\nt\nt", 'no key and an empty one are two');
    sql(q{INSERT INTO meta (v) VALUES (8)}) foreach 1 .. 20;
    cmp_ok(scalar(grep { $_ > 4 } $kafka->ends('meta')), '>=', 2, 'without a key any partition is chosen');
    my %wrong = (
        'off) VALUES (1' => '428C9', 'topic) VALUES (\'meta\'' => '428C9', 'part) VALUES (4' => '42704', 'part) VALUES (-1' => '22023',
        'at) VALUES (\'infinity\'' => '22008', 'at) VALUES (\'epoch\'' => '22008', 'at) VALUES (\'0001-01-01 BC\'' => '22007',
        'at, ts) VALUES (\'2024-01-01\', \'2024-01-02\'' => '22023', 'headers) VALUES (\'[]\'' => '22023', 'headers) VALUES (\'{"a": 1}\'' => '22023');
    is(code("INSERT INTO meta ($_)"), $wrong{$_}, "refused: $_") foreach sort keys %wrong;
    is(records('meta'), 27, 'nothing of these is written');
};

$kafka->create_topic('rows', 1);
sql(<<'END');
CREATE FOREIGN TABLE rows (id int NOT NULL, v text CHECK (v <> 'bad'), ts timestamptz DEFAULT now()) SERVER kafka OPTIONS (topic 'rows', event_time 'ts');
CREATE TABLE copied (id int, v text);
END

subtest 'ways to insert' => sub {
    my $expected = 0;
    my $is_written = sub {
        my ($rows, $sql, $name) = @_;
        sql($sql);
        is(records('rows'), $expected += $rows, $name);
    };
    $is_written->(1, q{INSERT INTO rows VALUES (1, 'a')}, 'a row');
    $is_written->(0, q{INSERT INTO rows SELECT 1 WHERE false}, 'none');
    $is_written->(250, q{INSERT INTO rows SELECT generate_series(1, 250)}, 'INSERT SELECT');
    $is_written->(3, "COPY rows (id, v) FROM STDIN;\n1\ta\n2\t\\N\n3\t\n\\.\n", 'COPY');
    $is_written->(2, q{PREPARE p AS INSERT INTO rows VALUES ($1, $2); EXECUTE p(1, 'a'); EXECUTE p(2, NULL)}, 'a prepared statement');
    $is_written->(2, <<'END', 'a function, and a subtransaction');
DO $$
BEGIN
  INSERT INTO rows VALUES (1, 'a');
  BEGIN
    INSERT INTO rows VALUES (1, 'a');
    RAISE EXCEPTION 'undone';
  EXCEPTION WHEN raise_exception THEN
  END;
END $$
END
    $is_written->(1, q{WITH w AS (INSERT INTO rows VALUES (1)) SELECT 1}, 'in WITH');
    $is_written->(1, q{CREATE VIEW v AS SELECT id AS number FROM rows; INSERT INTO v VALUES (1)}, 'through a view');
    $is_written->(2, <<'END', 'a partition of a table');
CREATE TABLE parent (id int NOT NULL, v text, ts timestamptz DEFAULT now()) PARTITION BY LIST (id);
CREATE TABLE ordinary PARTITION OF parent FOR VALUES IN (1);
ALTER TABLE parent ATTACH PARTITION rows FOR VALUES IN (2, 3);
INSERT INTO parent VALUES (1), (2);
COPY parent (id) FROM STDIN;
1
3
\.
ALTER TABLE parent DETACH PARTITION rows;
END
    $is_written->(2, <<'END', 'with triggers');
CREATE FUNCTION before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v || '!'; RETURN CASE WHEN NEW.id > 0 THEN NEW END; END $$;
CREATE FUNCTION after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO copied VALUES (NEW.id, NEW.v); RETURN NULL; END $$;
CREATE TRIGGER b BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION before();
CREATE TRIGGER a AFTER INSERT ON rows FOR EACH ROW EXECUTE FUNCTION after();
INSERT INTO rows VALUES (1, 'x'), (0, 'y'), (2, 'z');
DROP TRIGGER a ON rows; DROP TRIGGER b ON rows;
END
    is(sql('SELECT * FROM copied ORDER BY id'), "1|x!\n2|z!", 'which see the rows');
    $is_written->(1, q{BEGIN; INSERT INTO rows VALUES (1, 'rolled back'); ROLLBACK}, 'ROLLBACK takes nothing back');
    like((documents('rows'))[-1], qr/rolled back/, 'it is there');
    $is_written->(100_000, q{INSERT INTO rows SELECT g, repeat('x', 100) FROM generate_series(1, 100000) g}, 'many');
    like(sql(q{EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) INSERT INTO rows VALUES (1)}), qr/Topic: rows/, 'EXPLAIN names the topic');
    is(records('rows'), ++$expected, 'EXPLAIN ANALYZE writes, as ever');
    is(code(q{BEGIN READ ONLY; INSERT INTO rows VALUES (1)}), '25006', 'not in a read-only transaction');
    is(records('rows'), $expected, 'nothing more');
};

subtest 'what would not be accepted is not written' => sub {
    my $before = records('rows');
    my %wrong = (
        q{NULL, 'a'} => '23502', q{1, 'bad'} => '23514', q{1, 'a', now() + interval '1 hour'} => '22008', q{1, 'a', 'infinity'} => '22008',
        q{1, 'a', NULL} => '23502', q{1, repeat('x', 2000000)} => '54000');
    is(code("INSERT INTO rows VALUES ($_)"), $wrong{$_}, "refused: $_") foreach sort keys %wrong;
    is(records('rows'), $before, 'nothing of these is written');
    $kafka->create_topic('small', 1, 'max.message.bytes=10000');
    sql(q{CREATE FOREIGN TABLE small (v text, ts timestamptz DEFAULT now()) SERVER kafka OPTIONS (topic 'small', event_time 'ts')});
    is(code(q{INSERT INTO small VALUES (repeat('x', 20000))}), '54000', 'nor what the broker finds too long');
    sql(q{ALTER FOREIGN TABLE small OPTIONS (ADD max_message_bytes '9kB'); INSERT INTO small SELECT repeat('x', 5000) FROM generate_series(1, 100)});
    is(records('small'), 100, 'many that are short enough are not too long together');
    is(code(q{CREATE FOREIGN TABLE absent (v text, ts timestamptz DEFAULT now()) SERVER kafka OPTIONS (topic 'absent', event_time 'ts'); INSERT INTO absent VALUES ('x')}),
        '42704', 'nor into a topic that is not there');
};

# The broker stands still while rows are queued, more than may be under way to it, and then one fails. What
# is still queued must not be sent when the broker goes on, though the transaction is open.
foreach my $caught ('', 'EXCEPTION WHEN not_null_violation THEN')
{
    subtest 'a statement that fails sends nothing more ' . lc $caught => sub {
        my $before = records('rows');
        my $lock = $node->background_psql('postgres');
        $lock->query_safe('SELECT pg_advisory_lock(1)');
        my $session = $node->background_psql('postgres', on_error_stop => 0);
        $session->query_until(qr/begun/, <<"END");
\\echo begun
BEGIN;
DO \$\$
BEGIN
  INSERT INTO rows SELECT CASE WHEN g < 500 THEN g END, repeat('x', 80000)
  FROM (SELECT g, CASE WHEN g = 200 THEN pg_advisory_lock(1) END FROM generate_series(1, 500) g OFFSET 0) s;
$caught
END \$\$;
\\echo failed
END
        wait_until('the first 100 rows', sub { records('rows') >= $before + 100 });
        kill 'STOP', $kafka->pid;
        $lock->query_safe('SELECT pg_advisory_unlock(1)');
        $session->query_until(qr/failed/, "\n");
        kill 'CONT', $kafka->pid;
        sql('INSERT INTO rows VALUES (1)') foreach 1 .. 20;
        my $sent = records('rows') - $before - 20;
        cmp_ok($sent, '>=', 100, 'what was confirmed stays');
        cmp_ok($sent, '<', 400, "what was queued is dropped: $sent of 499 rows were sent");
        $session->quit;
        $lock->quit;
    };
}

subtest 'protected columns hold no clear values' => sub {
    $kafka->create_topic('hidden', 1);
    sql(<<'END');
SELECT streamagg.create_key('pii');
CREATE FOREIGN TABLE hidden (id int, ip text OPTIONS (path 'net.ip', protect 'hmac', protect_key 'pii'), tail text OPTIONS (protect 'mask'), key text OPTIONS (meta 'key', protect 'drop'),
  rest jsonb OPTIONS (meta 'rest'), ts timestamptz DEFAULT now()) SERVER kafka OPTIONS (topic 'hidden', event_time 'ts');
INSERT INTO hidden (id) VALUES (1);
END
    is(code(qq{INSERT INTO hidden (id, $_) VALUES (1, '1.2.3.4')}), '0A000', "$_ is refused") foreach 'ip', 'tail', 'key';
    is(code(q{INSERT INTO hidden (id, rest) VALUES (1, '{"net": {"ip": "1.2.3.4"}}')}), '22023', 'nor the back way');
    sql('ALTER FOREIGN TABLE hidden ALTER tail SET NOT NULL');
    is(code(q{INSERT INTO hidden (id) VALUES (1)}), '23502', 'one that must have a value cannot be written');
    is(records('hidden'), 1, 'one record with NULL in their places');
};

subtest 'who runs the statement connects with his own credentials' => sub {
    my $bootstrap = $kafka->bootstrap('SASL_SSL');
    my $ca = slurp_file($kafka->file('ca.pem'));
    sql(<<"END");
CREATE ROLE owner LOGIN; CREATE ROLE writer LOGIN; CREATE ROLE reader LOGIN;
GRANT ALL ON SCHEMA public TO owner;
CREATE SERVER secure FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers '$bootstrap', security_protocol 'sasl_ssl', sasl_mechanism 'PLAIN', ssl_ca_pem '$ca');
GRANT USAGE ON FOREIGN SERVER secure TO owner;
CREATE USER MAPPING FOR owner SERVER secure OPTIONS (username 'alice', password 'wrong');
CREATE USER MAPPING FOR writer SERVER secure OPTIONS (username 'alice', password 'secret');
SET ROLE owner;
CREATE FOREIGN TABLE secured (id int, ts timestamptz DEFAULT now()) SERVER secure OPTIONS (topic 'rows', event_time 'ts');
CREATE VIEW owners AS SELECT * FROM secured;
GRANT INSERT ON secured, owners TO writer;
END
    my $before = records('rows');
    is(code('SET ROLE writer; INSERT INTO secured VALUES (1)'), '', 'with the right mapping');
    is(records('rows'), $before + 1, 'written');
    is(code('SET ROLE owner; INSERT INTO secured VALUES (1)'), '28000', 'with a wrong password');
    is(code('SET ROLE writer; INSERT INTO owners VALUES (1)'), '28000', 'through a view as its owner');
    is(code('INSERT INTO secured VALUES (1)'), '28000', 'without a mapping');
    is(code('SET ROLE reader; INSERT INTO secured VALUES (1)'), '42501', 'without the right');
    is(records('rows'), $before + 1, 'nothing more');
};

subtest 'the broker is gone' => sub {
    my $before = records('rows');
    my $insert = q{INSERT INTO rows SELECT g FROM generate_series(1, 10) g};
    my $session = $node->background_psql('postgres', on_error_stop => 0);
    $session->query_until(qr/begun/, "\\echo begun\nINSERT INTO rows SELECT g FROM (SELECT g, pg_sleep(0.1) FROM generate_series(1, 1000000) g) s;\n");
    wait_until('the first records', sub { records('rows') > $before });
    $kafka->kill9;
    my $began = time;
    is(code("SET statement_timeout = '1s'; $insert"), '57014', 'the wait can be cancelled');
    diag('cancelled ' . (time - $began - 1) . ' s after the time-out') if time - $began > 3;
    is(code($insert), '08006', 'or ends by itself');
    sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.1)%' AND pid <> pg_backend_pid()});
    wait_until('the end of the statement at work', sub {
        sql(q{SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(0.1)%' AND pid <> pg_backend_pid()}) eq '0' });
    $session->quit;
    $kafka->start;
    $before = records('rows');
    is(code($insert), '', 'the broker is back');
    is(records('rows'), $before + 10, 'and so are the records');
};

verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
