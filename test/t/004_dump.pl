# pg_dump and restore into another cluster: definitions, states and counters are there, streams are
# stopped, pushes go on where they were (F1, F2).
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('dump');
$node->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN; CREATE ROLE some_reader');
$node->safe_psql('postgres', 'CREATE DATABASE d');
$node->safe_psql('d', <<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers 'localhost:1');
GRANT USAGE ON FOREIGN SERVER local, kafka TO stream_owner;
CREATE SCHEMA "Odd ""schema""" AUTHORIZATION stream_owner;
CREATE AGGREGATE public."Mean of"(int) (sfunc = int4_avg_accum, stype = int8[], finalfunc = int8_avg, initcond = '{0,0}');
SELECT streamagg.create_merge_rule('"Mean of"(int)', '{sum($1),count($1)}', '{"coalesce($1 + $2, $1, $2)",$1 + $2}', '$1::numeric / nullif($2, 0)');
SET SESSION AUTHORIZATION stream_owner;
SET search_path = "Odd ""schema""";
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'sql_standard';
CREATE FOREIGN TABLE "S'1" (k text CHECK (k <> 'bad'), n int OPTIONS (path 'a."b.c"'), ts timestamptz NOT NULL)
  SERVER local OPTIONS (event_time 'ts', watermark_delay '30 s', topic 'the topic', archive 'on');
CREATE FOREIGN TABLE remote (k text, ts timestamptz) SERVER kafka OPTIONS (event_time 'ts', topic 't');
CREATE TABLE names (k text, name text);
INSERT INTO names VALUES ('a', 'A'), ('b', 'B');
SELECT streamagg.create_aggregate('minutes', $$SELECT w.window_start, w.window_end, k AS "Key ""k""", count(*) AS n, avg(n) AS mean, sum(n) FILTER (WHERE n > 1) * 2 AS twice
  FROM "S'1", streamagg.tumble(ts, '1 min') w WHERE ts >= '2024-01-01 00:00+00' GROUP BY 1, 2, 3 HAVING count(*) > 0$$, late => 'drop', allowed_lateness => '10 s');
SELECT streamagg.create_aggregate('"To tal"', $$SELECT count(*) AS n, max(ts::text) AS last, interval '-1 day -2 hours' AS i FROM "S'1"$$);
SELECT streamagg.create_aggregate('named', $$SELECT name, date_trunc('day', ts, 'Asia/Kolkata') AS day, count(*) AS n FROM "S'1" s JOIN names USING (k) GROUP BY 1, 2$$, emit => 'final');
SELECT streamagg.create_aggregate('ruled', $$SELECT public."Mean of"(n) AS mean, stddev(n) AS deviation, corr(n, n) AS r FROM "S'1"$$);
SELECT streamagg.create_aggregate('remote_n', 'SELECT count(*) AS n FROM remote');
SELECT streamagg.create_aggregate('kinds', $$SELECT count(DISTINCT k) AS n FROM "S'1"$$);
CREATE TABLE closed (start timestamptz, finish timestamptz);
SELECT streamagg.on_close('minutes', 'INSERT INTO "Odd ""schema""".closed VALUES ($1, $2)');
SELECT streamagg.create_aggregate('kept', $$SELECT w.window_end, k, count(DISTINCT n) AS kinds, max(n) AS most FROM "S'1", streamagg.hop(ts, '1 min', '90 s') w GROUP BY w.window_start, w.window_end, k$$, retention => '1 week');
-- one whose stream is gone
CREATE FOREIGN TABLE gone (ts timestamptz) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('frozen', 'SELECT w.window_start, w.window_end, count(*) AS n FROM gone, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
SELECT streamagg.push('gone', ARRAY['{"ts": "2024-01-01T00:00:00Z"}', '{"ts": "2024-01-01T00:01:00Z"}']);
DROP FOREIGN TABLE gone CASCADE;
SELECT streamagg.push('"S''1"', ARRAY['{"k": "a", "a": {"b.c": 1}, "ts": "2024-01-01T00:00:10Z"}', '{"k": "b", "a": {"b.c": 2}, "ts": "2024-01-01T00:01:50Z"}',
  '{"k": "bad", "ts": "2024-01-01T00:00:00Z"}', '{', NULL, '{"k": "a", "ts": "2024-01-01T00:00:20Z"}'], 3, NULL, NULL);
SELECT streamagg.create_rollup('hours', 'minutes', '1 h', '1 week');
SELECT streamagg.add_column('kept', 'least', 'min(n)'), streamagg.add_column('hours', 'rows', 'count(n)');
SELECT streamagg.start('remote');
GRANT SELECT ON minutes TO some_reader;
END
wait_until('the stream runs', sub { worker_pid($node, 'd', 'remote') || (one_value($node, 'd', q{SELECT state FROM streamagg.streams WHERE state IN ('backoff', 'running')})) });

# All that a user can see of it, without the moments of the server.
my %story = (
    'views of results' => q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC';
      SELECT 'minutes', m::text FROM minutes m UNION ALL SELECT 'total', t::text FROM "To tal" t UNION ALL SELECT 'named', n::text FROM named n
      UNION ALL SELECT 'frozen', f::text FROM frozen f UNION ALL SELECT 'kinds', k::text FROM kinds k
      UNION ALL SELECT 'kept', k::text FROM kept k UNION ALL SELECT 'hours', h::text FROM hours h UNION ALL SELECT 'closed', c::text FROM closed c ORDER BY 1, 2},
    'states' => q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC'; SELECT m::text FROM minutes_state m UNION ALL SELECT t::text FROM "To tal_state" t
      UNION ALL SELECT n::text FROM named_state n UNION ALL SELECT k::text FROM kinds_distinct k
      UNION ALL SELECT k::text FROM kept_distinct k UNION ALL SELECT h::text FROM hours_state h ORDER BY 1},
    'partitions of states' => q{SELECT inhparent::regclass, inhrelid::regclass, pg_get_expr(relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
      WHERE inhparent::regclass::text ~ 'kept|hours' AND relkind = 'r' ORDER BY inhrelid::regclass::text},
    'hooks' => q{SET TimeZone = 'UTC'; SELECT * FROM streamagg.close_hooks},
    'archive' => q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC'; SELECT a::text FROM "S'1_archive" a ORDER BY _partition, _offset},
    'aggregates' => q{SET TimeZone = 'UTC'; SELECT * FROM streamagg.aggregates ORDER BY aggregate::text},
    'merge rules' => q{SELECT * FROM streamagg.merge_rules ORDER BY aggregate},
    'partitions' => q{SET TimeZone = 'UTC'; SELECT * FROM streamagg.partitions ORDER BY stream::text, partition},
    'lateness' => q{SELECT l.* FROM streamagg.lateness_profile('"Odd ""schema"""."S''1"') l},
    'batches' => q{SET TimeZone = 'UTC'; SELECT * FROM streamagg.batches ORDER BY stream::text, batch},
    'quarantine' => q{SET TimeZone = 'UTC'; SELECT * FROM streamagg.quarantine ORDER BY partition, record_offset},
    'definitions' => q{SELECT c.oid::regclass, pg_get_viewdef(c.oid), pg_get_userbyid(relowner), relacl FROM pg_class c WHERE relkind = 'v' AND relnamespace = '"Odd ""schema"""'::regnamespace ORDER BY relname},
    'events' => q{SET TimeZone = 'UTC'; SELECT at, CASE WHEN stream IN (SELECT stream FROM streamagg.streams) THEN stream END, actor, event, detail
      FROM streamagg.events WHERE event !~ '_stream$' AND actor = 'stream_owner' ORDER BY at});
my %before = map { $_ => $node->safe_psql('d', $story{$_}) } keys %story;
isnt($before{$_}, '', "there are $_") foreach sort keys %story;

my %dumps = (custom => [ '-Fc' ], plain => [ '-Fp' ], directory => [ '-Fd', '-j', '2' ]);
my $dir = $node->basedir;
for my $format (sort keys %dumps)
{
    $node->command_ok([ 'pg_dump', @{ $dumps{$format} }, '-f', "$dir/$format", '-d', $node->connstr('d') ], "pg_dump $format");
}
$node->safe_psql('d', q{SELECT streamagg.stop('"Odd ""schema""".remote')});

my $fresh = new_node('restored');
$fresh->safe_psql('postgres', 'CREATE ROLE stream_owner LOGIN; CREATE ROLE some_reader');
for my $format (sort keys %dumps)
{
    $fresh->safe_psql('postgres', "CREATE DATABASE $format");
    my $url = $fresh->connstr($format);
    $fresh->command_ok($format eq 'plain' ? [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain", '-d', $url ]
        : [ 'pg_restore', '--exit-on-error', ($format eq 'directory' ? ('-j', '2') : ()), '-d', $url, "$dir/$format" ], "restore of $format");
    is($fresh->safe_psql($format, $story{$_}), $before{$_}, "$format: $_ are the same") foreach sort keys %story;

    # streams are stopped, also after a restart of the server
    is($fresh->safe_psql($format, 'SELECT DISTINCT state FROM streamagg.streams'), 'stopped', "F1: $format: streams are stopped");
    is(sqlstate_of($fresh, $format, q{SELECT streamagg.start('"Odd ""schema""".remote')}), '55000', "F1: $format: start() is refused");
    is($fresh->safe_psql($format, q{SELECT reason FROM streamagg.streams WHERE stream = '"Odd ""schema""".remote'::regclass}),
        'the database was restored or copied: run streamagg.adopt()', 'F1: the view says why');
    # pushes go on behind the last offset, and mean the same as in the original
    my $push = q{SET search_path = "Odd ""schema"""; SET DateStyle = 'ISO, MDY'; SELECT * FROM streamagg.push('"S''1"',
      ARRAY['{"k": "b", "a": {"b.c": 4}, "ts": "2024-01-01T00:01:55Z"}', '{"k": "a", "ts": "2024-01-01T00:00:30Z"}', '{"k": "a", "ts": "2024-01-03T00:00:00Z"}'], 3)};
    is($fresh->safe_psql($format, $push), '3|3|0|0|0|0|1', "$format: a push goes on");
    is($fresh->safe_psql($format, q{SELECT next_offset, read, accepted FROM streamagg.partitions WHERE topic = 'the topic'}), '9|9|6', 'where the last one ended');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC'; SELECT window_start, "Key ""k""", n, mean, twice, is_final FROM minutes ORDER BY 1}),
        "2024-01-01 00:00:00+00|a|1|1.00000000000000000000||t\n2024-01-01 00:01:00+00|b|2|3.0000000000000000|12|t\n2024-01-03 00:00:00+00|a|1|||f",
        'with the right results');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SELECT n, last, i FROM "To tal"}), '6|03/01/2024 05:30:00 IST|-1 days -02:00:00', 'under the definition\'s settings');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SELECT mean, deviation, r FROM ruled}), '2.3333333333333333|1.5275252316519467|1', 'by rules of one\'s own, too');
    is($fresh->safe_psql($format, q{SELECT n FROM "Odd ""schema""".kinds}), '2', 'which knows the values that it has counted');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC'; SELECT start FROM closed ORDER BY 1}), "2024-01-01 00:00:00+00\n2024-01-01 00:01:00+00", 'windows close once, here and there');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SET TimeZone = 'UTC'; SELECT "Key ""k""", n, rows FROM hours ORDER BY window_start, 1}), "a|1|\nb|2|\na|1|0", 'rollups and added columns go on');
    is($fresh->safe_psql($format, q{SET search_path = "Odd ""schema"""; SELECT count(*) FROM pg_inherits WHERE inhparent IN ('kept_state'::regclass, 'kept_distinct'::regclass)}), '8', 'with partitions for new windows');
    # the ties between the parts are there again
    is(sqlstate_of($fresh, $format, q{DROP TABLE "Odd ""schema""".minutes_state}), '2BP01', 'E13: the state cannot be dropped');
    is(sqlstate_of($fresh, $format, q{ALTER FOREIGN TABLE "Odd ""schema""".remote ALTER COLUMN k OPTIONS (ADD path 'x')}), '', 'the stream can be altered');
    is(sqlstate_of($fresh, $format, q{DROP VIEW "Odd ""schema""".minutes; DROP VIEW "Odd ""schema""".frozen; DROP VIEW "Odd ""schema""".kinds; DROP VIEW "Odd ""schema""".kept}), '', 'DROP VIEW works');
    is($fresh->safe_psql($format, q{SELECT count(*) FROM pg_class WHERE relname ~ '^(minutes|frozen|kinds|kept)' AND relkind IN ('r', 'p', 'v')}), '0', 'and takes state and definition along');
    accounting_is_right($fresh, $format);
    verify_is_empty($fresh, $format);
}
$fresh->restart;
# the launcher looks into each database once, by a keeper that ends
wait_until('no keeper stays', sub { $fresh->safe_psql('custom', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg keeper'}) eq '0' });
is($fresh->safe_psql('custom', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'streamagg worker'}), '0', 'F1: nothing starts by itself');

# until somebody says that they are this database's own
my $remote_state = q{SELECT state FROM streamagg.streams WHERE stream = '"Odd ""schema""".remote'::regclass};
is($fresh->safe_psql('custom', 'SELECT streamagg.adopt()'), '2', 'F1: adopt() takes the streams over');
wait_until('F1: what ran in the original runs', sub { $fresh->safe_psql('custom', $remote_state) =~ /backoff|running/ });
is($fresh->safe_psql('plain', $remote_state), 'stopped', 'F1: in that database only');
is($fresh->safe_psql('custom', 'SELECT streamagg.stop_all()'), '1', 'it is stopped again');

# The rows of each table in a plain dump; the events apart, because a restore is one itself.
sub rows_of
{
    my ($file) = @_;
    my (%rows, $table);
    for my $line (split /\n/, PostgreSQL::Test::Utils::slurp_file($file))
    {
        $table = undef if $line eq '\.';
        push @{ $rows{$table} }, $line if defined $table;
        $table = $1 if $line =~ /^COPY (.*) FROM stdin;$/ && $1 !~ /event_log/;
    }
    return join "\n", map { ($_, sort @{ $rows{$_} }) } sort keys %rows;
}

$fresh->safe_psql('postgres', 'CREATE DATABASE again');
$fresh->command_ok([ 'pg_restore', '--exit-on-error', '-d', $fresh->connstr('again'), "$dir/custom" ], 'one more restore');
$fresh->command_ok([ 'pg_dump', '-Fp', '-f', "$dir/again", '-d', $fresh->connstr('again') ], 'and a dump of it');
is(rows_of("$dir/again"), rows_of("$dir/plain"), 'F2: two dumps hold the same');
# --clean restores over what is there; where it must drop a partition's unique constraint, PostgreSQL refuses
$fresh->safe_psql('again', 'SET search_path = "Odd ""schema"""; DROP VIEW kept, hours');
$fresh->command_ok([ 'pg_restore', '--clean', '--if-exists', '--exit-on-error', '-d', $fresh->connstr('again'), "$dir/custom" ], 'F2: --clean');
is($fresh->safe_psql('again', $story{$_}), $before{$_}, "--clean: $_ are the same") foreach sort keys %story;
server_is_unharmed($_) foreach $node, $fresh;
done_testing;
