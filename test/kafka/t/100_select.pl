# SELECT from a stream: the rows that its aggregates got, protected, up to the end at the call; nothing
# is recorded, conditions on meta columns narrow what is read, and nothing is left behind: no thread, no
# file descriptor, no hanging session when the broker is gone.
use strict;
use warnings;

use JSON::PP qw(decode_json);
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $seed = $ENV{STREAMAGG_SEED} // 100;
my $kafka = StreamaggKafka->new;
$kafka->start;
# RSS counts the shared buffers that a process has touched: few of them
my $node = new_node('main', "shared_buffers = '2MB'\n");
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', "SET TimeZone = 'UTC';\n$_[0]"); }

# The plan node that scans the topic, after it has run.
sub scan_of
{
    my ($query) = @_;
    my $node = decode_json(sql("EXPLAIN (ANALYZE, FORMAT JSON) $query"))->[0]{Plan};
    $node = $node->{Plans}[-1] while $node->{'Node Type'} ne 'Foreign Scan';
    return $node;
}

# What a worker writes, in one text.
sub records { return sql(<<'END'); }
SELECT (SELECT string_agg(p::text, ' ' ORDER BY p::text) FROM streamagg.partition_progress p),
  (SELECT count(*) || ' ' || max(q.received_at) FROM streamagg.quarantine q), (SELECT count(*) FROM streamagg.events),
  (SELECT string_agg(b::text, ' ' ORDER BY b::text) FROM streamagg.batches b), (SELECT count(*) FROM streamagg.stream_catalog)
END

# ---- what is shown, against what the aggregates got
$kafka->create_topic('user-login', 3);
$kafka->script('events.py', '--seed', $seed, '--count', 20_000, '--partitions', 3, '--topic', 'user-login');
sql(user_login_sql());
sql(<<'END');
SELECT streamagg.create_key('pii');
CREATE FOREIGN TABLE protected (
  device_type text NOT NULL CHECK (device_type IN ('android','ios','web')),
  ip text OPTIONS (protect 'hmac', protect_key 'pii', canonical 'inet'),
  device_id text OPTIONS (protect 'mask'), key text OPTIONS (meta 'key', protect 'sha256'),
  ts timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL
) SERVER kafka OPTIONS (topic 'user-login', event_time 'ts');
SELECT streamagg.create_aggregate('protected_n', $$
  SELECT ip, device_id, key, device_type, count(*) AS n FROM protected GROUP BY 1, 2, 3, 4$$);
CREATE FOREIGN TABLE whole (
  user_id uuid NOT NULL, device_type text NOT NULL, body jsonb OPTIONS (meta 'rest'),
  ts timestamptz OPTIONS (path 'timestamp', encoding 'epoch_s') NOT NULL,
  part int OPTIONS (meta 'partition'), off bigint OPTIONS (meta 'offset'),
  at timestamptz OPTIONS (meta 'timestamp')
) SERVER kafka OPTIONS (topic 'user-login', event_time 'ts');
END

my $recorded = records();
my $shown = sql('SELECT count(*) FROM user_login');
cmp_ok($shown, '>', 19_000, 'a stream that was never started shows its topic');
is(records(), $recorded, 'and records nothing');

sql(q{SELECT streamagg.start('user_login'), streamagg.start('protected')});
is(sql(qq{SELECT streamagg.wait_for('$_')}), 't', "$_ is read") foreach 'user_login', 'protected';
sql('SELECT streamagg.stop_all()');
$recorded = records();
is(sql('SELECT sum(accepted) FROM streamagg.partitions WHERE stream = \'user_login\'::regclass'), $shown,
    'as many rows as a worker accepts');
is(sql(<<'END'), '0', 'and the same: the query over the topic gives the aggregate');
WITH topic AS (
  SELECT w.window_start, w.window_end, l.device_type, l.locale, count(*) AS logins, min(l.ts), max(l.ts)
  FROM user_login l, streamagg.tumble(l.ts, '1 minute') w GROUP BY 1, 2, 3, 4),
aggregate AS (
  SELECT window_start, window_end, device_type, locale, logins, first_login, last_login FROM logins_1m)
SELECT (SELECT count(*) FROM (TABLE topic EXCEPT ALL TABLE aggregate) a)
  + (SELECT count(*) FROM (TABLE aggregate EXCEPT ALL TABLE topic) b)
END
is(sql(q{SELECT count(*) FROM (SELECT * FROM protected_n_query EXCEPT SELECT ip, device_id, key, device_type, n FROM protected_n) d}),
    '0', 'S32: protected values, as the aggregates have them');
is(sql(q{SELECT count(*) > 19000 AND bool_and(ip ~ '^[0-9a-f]{64}$' AND device_id ~ '^\*+.{4}$' AND coalesce(key ~ '^[0-9a-f]{64}$', true))
    FROM protected}), 't', 'S32: none is clear');
is(records(), $recorded, 'nothing is recorded by any of these');
my $scan = scan_of('SELECT count(*) FROM user_login');
is($scan->{'Records Read'}, 20_000, 'EXPLAIN ANALYZE: records read');
is($scan->{'Records Accepted'}, $shown, 'rows');
my %refused = $scan->{'Not Accepted'} =~ /(\w+) (\d+)/g;
is($refused{decode} + $refused{convert} + $refused{check} + $scan->{Tombstones}, 20_000 - $shown, 'and why the others are none');

# ---- conditions: what is read, and that they give what the executor alone would give
sql('CREATE TABLE copy AS SELECT * FROM whole');
my $middle = sql(q{SELECT at FROM copy WHERE part = 1 ORDER BY off OFFSET 3000 LIMIT 1});
foreach my $case (
    [ 'part = 1', 10_000 ], [ 'part IN (0, 2) AND off < 50', 100 ], [ 'part = ANY (ARRAY[1, NULL, 9])', 10_000 ],
    [ 'part > 1', 10_000 ], [ 'part = 7', 0 ], [ 'off = 7', 3 ], [ 'off <= 7', 24 ], [ 'off BETWEEN 100 AND 199', 300 ],
    [ 'off >= 6000 AND part = 0', 5000 ], [ 'off > 1000000', 0 ], [ 'off < (SELECT 10)', 30 ], [ 'part = 1 OR off < 10', 20_000 ],
    [ "at >= '$middle'", 15_000 ], [ "at > '$middle' AND part = 1", 5000 ], [ "at < '$middle'", 20_000 ], [ "at > now() + '1 day'", 0 ],
    [ "at > now() - interval '1 day' AND off < 4", 12 ], [ 'part % 2 = 1 AND off < 10', 30 ], [ 'off < 10.5', 20_000 ])
{
    my ($condition, $most) = @$case;
    is(sql("SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY part, off)) FROM whole t WHERE $condition"),
        sql("SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY part, off)) FROM copy t WHERE $condition"), "WHERE $condition");
    cmp_ok(scan_of("SELECT count(*) FROM whole WHERE $condition")->{'Records Read'}, '<=', $most, "reads no more than $most");
}
cmp_ok(scan_of('SELECT * FROM whole LIMIT 10')->{'Records Read'}, '<=', 256, 'LIMIT reads no more than a chunk');

# Producers set the times: one that is late must not hide, one that is early must not end it.
$kafka->create_topic('times', 1, 'retention.ms=-1');
$kafka->produce('times', map { "0\t\\N\t{\"n\": $_, \"ts\": \"2024-05-01T00:00:00Z\"}\t" . (1714600000000 + (7919 * $_) % 1000) } 0 .. 999);
sql(<<'END');
CREATE FOREIGN TABLE times (n int, ts timestamptz NOT NULL, at timestamptz OPTIONS (meta 'timestamp'), gone text)
  SERVER kafka OPTIONS (topic 'times', event_time 'ts');
ALTER FOREIGN TABLE times DROP COLUMN gone;
CREATE TABLE times_copy AS SELECT * FROM times;
END
is(sql('SELECT count(*) FROM times_copy'), 1000, 'records with times of their producers');
foreach my $condition (map { my $time = $_; map { "at $_ to_timestamp($time)" } '<', '<=', '=', '>=', '>' }
    1714600000, 1714600000.5, 1714600000.9985, 1714600000.999, 1714600001)
{
    is(sql("SELECT count(*), sum(n) FROM times WHERE $condition"), sql("SELECT count(*), sum(n) FROM times_copy WHERE $condition"),
        "out of order: $condition");
}

# ---- transactions: what was aborted is not shown, and a range may end where no record is
$kafka->create_topic('tx', 1);
sub tx { my ($n) = @_; return "0\t\\N\t{\"n\": $n, \"ts\": \"2024-05-01T00:00:00Z\"}"; }
$kafka->produce('tx', [ '--transactional', 'a' ], (map { tx($_) } 0 .. 9), '!commit', (map { tx($_) } 100 .. 149), '!abort',
    (map { tx($_) } 10 .. 19), '!commit', (map { tx($_) } 200 .. 249), '!abort');
sql(<<'END');
CREATE FOREIGN TABLE tx (n int NOT NULL, ts timestamptz NOT NULL, off bigint OPTIONS (meta 'offset')) SERVER kafka OPTIONS (topic 'tx', event_time 'ts');
END
is(sql('SELECT count(*), sum(n) FROM tx'), '20|190', 'B3: aborted records are not shown, the end in a gap is reached');
is(sql('SELECT count(*) FROM tx WHERE off < 30'), 10, 'B3: so is one before which only aborted records are');
is(sql('SELECT count(*) FROM tx WHERE off BETWEEN 15 AND 40'), 0, 'B3: a range that is all gap is empty');
my $open = $kafka->producer('tx', '--transactional', 'b');
$kafka->send($open, map { tx($_) } 300 .. 309);
is(sql('SELECT count(*), sum(n) FROM tx'), '20|190', 'B3: an open transaction is not waited for');
$kafka->send($open, '!commit');
is(sql('SELECT count(*), sum(n) FROM tx'), '30|' . (190 + 3045), 'once it is committed it is shown');
$kafka->end_producer($open);
$kafka->create_topic('empty', 2);
sql(<<'END');
CREATE FOREIGN TABLE empty (ts timestamptz) SERVER kafka OPTIONS (topic 'empty', event_time 'ts');
CREATE FOREIGN TABLE latest (n int, ts timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'empty', event_time 'ts', start_from 'latest');
SELECT streamagg.create_aggregate('latest_n', 'SELECT count(*) AS n FROM latest');
END
is(sql('SELECT count(*) FROM empty'), 0, 'an empty topic');

# ---- start_from latest: from where the stream began
my @three = map { "$_\t\\N\t{\"n\": $_, \"ts\": \"2024-05-01T00:00:00Z\"}" } 0, 1, 1;
$kafka->produce('empty', @three);
is(sql('SELECT count(*) FROM latest'), 0, 'latest, never started: nothing');
sql(q{SELECT streamagg.start('latest')});
wait_until('its beginning', sub { sql(q{SELECT count(*) FROM streamagg.partitions WHERE stream = 'latest'::regclass}) eq '2' });
$kafka->produce('empty', @three, @three);
is(sql(q{SELECT streamagg.wait_for('latest')}), 't', 'read on');
is(sql('SELECT count(*) FROM latest'), 6, 'what came since it was started');
is(sql('SELECT n FROM latest_n'), 6, 'which is what the aggregate has');
is(sql('SELECT count(*) FROM empty'), 9, 'earliest: all');
sql(q{SELECT streamagg.stop('latest')});

# ---- within statements
my $session = $node->background_psql('postgres', on_error_stop => 0);
sub ask { my ($query) = @_; my $answer = $session->query($query); $session->{stderr} = ''; return $answer; }
my $pid = ask('SELECT pg_backend_pid()');
ask('BEGIN; DECLARE c CURSOR FOR SELECT off FROM tx; FETCH 2 FROM c');
$kafka->produce('tx', [ '--transactional', 'c' ], map { tx($_) } 400 .. 449);
is(ask('SAVEPOINT s; FETCH 3 FROM c'), "2\n3\n4", 'a cursor goes on in the next statement');
ask('SELECT 1 / 0; ROLLBACK TO s');
is(ask('MOVE ALL FROM c'), '', 'and behind an error');
is(ask('FETCH 1 FROM c'), '', 'to the end');
ask('COMMIT');
ask('BEGIN; DECLARE c CURSOR FOR SELECT off FROM tx; FETCH 2 FROM c');
$kafka->produce('tx', [ '--transactional', 'c' ], map { tx($_) } 500 .. 549);
is(scalar(split /\n/, ask('FETCH ALL FROM c')), 78, 'what came since the first row is not shown');
ask('COMMIT');
is(ask('SELECT count(*) FROM tx'), 130, 'but by the next statement');
is(sql(<<'END'), sql(<<'AGAIN'), 'a scan that is repeated with other bounds');
SELECT string_agg(n || ':' || c || ':' || s, ' ' ORDER BY n) FROM generate_series(0, 20) n,
  LATERAL (SELECT count(*) AS c, sum(off) AS s FROM whole WHERE part = n % 3 AND off BETWEEN n * 10 AND n * 50) x
END
SELECT string_agg(n || ':' || c || ':' || s, ' ' ORDER BY n) FROM generate_series(0, 20) n,
  LATERAL (SELECT count(*) AS c, sum(off) AS s FROM copy WHERE part = n % 3 AND off BETWEEN n * 10 AND n * 50) x
AGAIN
is(sql('SELECT count(v), sum(v) FROM (VALUES (1), (2)) a (x) LEFT JOIN LATERAL (SELECT a.x * tx.n AS v FROM tx) q ON true'),
    sql('SELECT 2 * count(*), 3 * sum(n) FROM tx'), 'a lateral reference in what is selected');
is(sql('SET enable_hashjoin = off; SET enable_mergejoin = off; SELECT count(*) FROM whole a JOIN whole b USING (part, off) WHERE off < 300'),
    sql('SELECT count(*) FROM copy WHERE off < 300'), 'two scans of one topic in a statement');
is(sql('SELECT count(*) FROM whole a JOIN times b ON a.off = b.n'), sql('SELECT count(*) FROM copy a JOIN times_copy b ON a.off = b.n'),
    'a join of two streams');
is(sql(<<'END'), sql('SELECT count(*) FROM copy WHERE off < 5000'), 'a parallel plan: the scan runs without its workers');
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM whole JOIN (SELECT DISTINCT part, off FROM copy WHERE off < 5000) c USING (part, off)
END
is(sql(<<'END'), "7\n7", 'in a function, whose handler catches errors meanwhile');
CREATE FUNCTION counted(most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE one record; n int := 0;
BEGIN
  FOR one IN SELECT * FROM tx LOOP
    BEGIN
      n := n + 1;
      PERFORM 1 / (n - 3);
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    EXIT WHEN n = most;
  END LOOP;
  RETURN n;
END $$;
SELECT counted(7);
SELECT counted(7);
END
is(sql('SELECT tableoid::regclass FROM tx LIMIT 1'), 'tx', 'tableoid');
is(sql('COPY (SELECT n FROM tx WHERE off < 2) TO STDOUT'), "0\n1", 'COPY (SELECT …) TO');
is(sql('SELECT n FROM tx WHERE off = 3 FOR UPDATE'), '3', 'FOR UPDATE locks nothing and shows the row');
is(sqlstate_of($node, 'postgres', 'SELECT 1 / (n - 5) FROM tx'), '22012', 'an error in the middle');
is(sqlstate_of($node, 'postgres', q{CREATE FOREIGN TABLE absent (ts timestamptz) SERVER kafka OPTIONS (topic 'absent', event_time 'ts');
    SELECT * FROM absent}), '42704', 'no such topic');

# ---- as whom
sql(<<'END');
CREATE ROLE maker;
CREATE ROLE looker;
GRANT USAGE ON FOREIGN SERVER kafka TO maker;
GRANT ALL ON SCHEMA public TO maker;
CREATE FUNCTION is_maker() RETURNS boolean LANGUAGE sql STABLE AS $$SELECT current_user = 'maker'$$;
SET ROLE maker;
CREATE FOREIGN TABLE made (n int CHECK (is_maker()), ts timestamptz NOT NULL) SERVER kafka OPTIONS (topic 'tx', event_time 'ts');
GRANT SELECT ON made TO looker;
END
is(sql('SET ROLE looker; SELECT count(*), min(current_user) FROM made'), '130|looker', "CHECKs run as the stream's owner, all else as who reads");

# ---- memory, descriptors and threads
sub peak { my ($kb) = slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m; return $kb; }
$kafka->create_topic('many', 2);
$kafka->script('events.py', '--seed', $seed, '--count', 300_000, '--partitions', 2, '--topic', 'many');
my $many = user_login_sql('many') =~ s/SELECT streamagg.*//sr =~ s/user_login/many/r;
sql($many);
my $base = resources_of($pid);
ask('SELECT count(*) FROM tx');
my $before = peak();
cmp_ok(ask('SELECT count(*) FROM many'), '>', 290_000, '300,000 records');
cmp_ok(peak() - $before, '<', 100 * 1024, 'in bounded memory');
diag 'peak memory: ' . $before . ' kB, then ' . peak() . ' kB';
ask($_) foreach ('SELECT n FROM tx LIMIT 1', 'SELECT 1 / (n - 5) FROM tx', 'SELECT count(*) FROM whole a JOIN whole b USING (part, off)',
    'SELECT * FROM absent') x 5;
my $after = resources_of($pid);
is($after->{Threads}, 1, 'no thread is left of 20 statements');
is($after->{fds}, $base->{fds}, 'and no file descriptor');

# ---- the broker is gone
ask('BEGIN; DECLARE c CURSOR FOR SELECT * FROM many; FETCH 1 FROM c');
kill 'STOP', $kafka->pid;
is(sqlstate_of($node, 'postgres', q{SET statement_timeout = '1 s'; SELECT count(*) FROM tx}), '57014', 'A12: a timeout ends it');
my $late = $node->background_psql('postgres', on_error_stop => 0);
my $waiting = $late->query('SELECT pg_backend_pid()');
$late->query_until(qr/asked/, "\\echo asked\nSELECT count(*) FROM tx;\n");
wait_until('the statement', sub { sql("SELECT state = 'active' FROM pg_stat_activity WHERE pid = $waiting") eq 't' });
sql("SELECT pg_cancel_backend($waiting)");
wait_until('A12: a cancelled statement ends', sub { sql("SELECT state FROM pg_stat_activity WHERE pid = $waiting") eq 'idle' }, 5);
$late->query('SELECT 1');
like($late->{stderr}, qr/canceling statement due to user request/, 'A12: a cancelled statement ends');
is(resources_of($waiting)->{Threads}, 1, 'no thread is left of it');
$late->{stderr} = '';
$late->quit;
my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSELECT count(*) FROM tx");
like($err, qr/ERROR:\s+08006: could not read topic "tx".*HINT:\s+Check bootstrap_servers/s, 'A1: no broker answers: 08006 and a hint');
$session->query('FETCH ALL FROM c');
like($session->{stderr}, qr/could not read topic "many"/, 'A1: nor in the middle');
$session->{stderr} = '';
ask('ROLLBACK');
kill 'CONT', $kafka->pid;
is(resources_of($pid)->{Threads}, 1, 'no thread is left of that either');
is(ask('SELECT count(*) FROM tx'), 130, 'it is back');
$session->quit;

is(records(), records(), 'all is quiet');
accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
