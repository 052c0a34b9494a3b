# Closing windows: the worker is killed by kill -9 twenty times while windows close, and in the end the
# command of on_close() has had its effect for each window exactly once, though it failed for a while; it
# runs and is tried again without records, too, and listeners are told.
# STREAMAGG_SEED repeats the moments of the kills.
use strict;
use warnings;

use IPC::Run qw(start);
use StreamaggKafka;
use StreamaggTest;
use Test::More;
use Time::HiRes qw(usleep);

my $kills = 20;
my $seed = $ENV{STREAMAGG_SEED} // int(time) % 1_000_000;
srand $seed;
diag "seed $seed: STREAMAGG_SEED=$seed repeats this run";

my $kafka = StreamaggKafka->new;
$kafka->start;
$kafka->create_topic('t', 2);
my $node = new_node('main');
add_database($node, 'postgres', $kafka);
sub sql { return $node->safe_psql('postgres', @_); }

# No unique key: what is done twice shows. It sleeps, so that it is often in the middle when a kill comes.
sql(<<'END');
CREATE FOREIGN TABLE s (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL) SERVER kafka
  OPTIONS (topic 't', event_time 'ts', watermark_delay '2 s', batch_interval '20 ms', idle_timeout '1 hour', close_after '1 s');
SELECT streamagg.create_aggregate('m', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 s'') w GROUP BY 1, 2', late => 'drop');
CREATE TABLE report (a timestamptz, b timestamptz, n bigint, final boolean);
CREATE TABLE mode (fails boolean);
INSERT INTO mode VALUES (false);
CREATE PROCEDURE closes(a timestamptz, b timestamptz) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.report SELECT window_start, window_end, n, is_final FROM public.m WHERE window_start = a AND window_end = b;
  PERFORM pg_sleep(0.02 * random());
  IF (SELECT fails FROM public.mode) THEN RAISE EXCEPTION 'not now'; END IF;
END $$;
SELECT streamagg.on_close('m', 'CALL public.closes($1, $2)');
-- a command whose fault would come out at the commit only
SELECT streamagg.create_aggregate('deferred', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 h'') w GROUP BY 1, 2');
CREATE TABLE one (a timestamptz PRIMARY KEY);
CREATE TABLE many (a timestamptz REFERENCES one DEFERRABLE INITIALLY DEFERRED);
SELECT streamagg.on_close('deferred', 'INSERT INTO public.many VALUES ($1)');
SELECT streamagg.start('s');
END

# ten records a second of event time, five in each partition
my $clock = 1_700_000_000;
my $sent = 0;
my $lines = '';
my $producer = start([ $kafka->script_command('produce.py', '--topic', 't') ], '<', \$lines, '>', \my $out, '2>', \my $err);

sub produce_second
{
    $lines .= join '', map { $_ % 2 . "\t\\N\t{\"ts\":" . ($clock + $_ / 10) . "}\n" } 0 .. 9;
    $clock++;
    $sent += 10;
    $producer->pump_nb;
    return;
}

for my $kill (1 .. $kills)
{
    sql('UPDATE mode SET fails = NOT fails') if $kill == 9 || $kill == 12;
    for (1 .. 4 + rand 12)
    {
        produce_second();
        usleep 10_000 + rand 20_000;
    }
    kill_worker($node, 'postgres', rand 0.05);
}
# the last window stays open; the others close when both partitions are idle
sql(q{ALTER FOREIGN TABLE s OPTIONS (SET idle_timeout '1 s')});
my $windows = $clock - 1_700_000_000;
$lines .= "$_\t\\N\t{\"ts\":$clock}\n" foreach 0, 1;
$producer->finish or die $err;
is(sql(q{SELECT streamagg.wait_for('s', '2 min')}), 't', 'all is read');
wait_until('the command has gone well for every window', sub {
    sql(q{SELECT (SELECT count(*) FROM m WHERE NOT is_final) = 1 AND pending = 0 FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass}) eq 't' });

is(sql('SELECT count(*), sum(n) FROM m WHERE is_final'), "$windows|$sent", 'every record counts once');
is(sql('SELECT count(*), count(DISTINCT a), sum(n), bool_and(final) FROM report'), "$windows|$windows|$sent|t",
    'every window is closed once, with all of its rows, final');
is(sql(q{SELECT closed, failures > 0 FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass}), "$windows|t",
    'the counter says so; it has failed, too');

# ---- without records: what waits is tried again, and the last windows close
my ($in, $heard) = ('', '');
my $listener = start([ 'psql', '-Xqt', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$heard, '2>&1');
$in .= "LISTEN streamagg_window;\n\\echo listening\n";
$listener->pump until $heard =~ /listening/;
sql('UPDATE mode SET fails = true');
$kafka->produce('t', map { "$_\t\\N\t{\"ts\":" . ($clock + 10) . '}' } 0, 1);
wait_until('it fails', sub { sql(q{SELECT pending FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass}) eq '1' });
my $read = sql('SELECT sum(read) FROM streamagg.partitions');
sql('UPDATE mode SET fails = false');
wait_until('an idle worker tries again', sub { sql(q{SELECT pending FROM streamagg.close_hooks WHERE aggregate = 'm'::regclass}) eq '0' });
is(sql('SELECT count(*) FROM report'), $windows + 1, 'done once');
is(sql('SELECT sum(read) FROM streamagg.partitions'), $read, 'no record has come');
$in .= "SELECT 'heard';\n\\q\n";
$listener->finish;
my @told = $heard =~ /"streamagg_window" with payload "(.*?)" received/g;
my ($start, $end) = split /\|/, sql(q{SET TimeZone = 'UTC'; SELECT to_char(max(a), 'YYYY-MM-DD"T"HH24:MI:SS'), to_char(max(b), 'YYYY-MM-DD"T"HH24:MI:SS') FROM report});
is_deeply(\@told, [qq({"aggregate": "public.m", "window_start": "$start+00:00", "window_end": "$end+00:00"})], 'a listener is told of the window, once');

# ---- a fault that is deferred to the commit is the command's, too
$kafka->produce('t', map { "$_\t\\N\t{\"ts\":" . ($clock + 7200) . '}' } 0, 1);
wait_until('an hour closes', sub { sql(q{SELECT failures > 0 FROM streamagg.close_hooks WHERE aggregate = 'deferred'::regclass}) eq 't' });
is(sql(q{SELECT last_sqlstate, closed FROM streamagg.close_hooks WHERE aggregate = 'deferred'::regclass}), '23503|0', 'its fault is recorded');
is(sql('SELECT state FROM streamagg.streams'), 'running', 'and the stream runs on');

# ---- a command that does not end is cut off in a worker, too
sql(q{ALTER SYSTEM SET streamagg.hook_timeout = '100 ms'});
sql('SELECT pg_reload_conf()');
sql(q{SELECT streamagg.on_close('deferred', 'SELECT pg_catalog.pg_sleep(3600)')});
wait_until('it is cut off', sub { sql(q{SELECT last_sqlstate FROM streamagg.close_hooks WHERE aggregate = 'deferred'::regclass}) eq '57014' });
$kafka->produce('t', map { "$_\t\\N\t{\"ts\":" . ($clock + 7300) . '}' } 0, 1);
is(sql(q{SELECT streamagg.wait_for('s')}), 't', 'the stream reads on');

accounting_is_right($node, 'postgres');
server_is_unharmed($node);
done_testing;
