# NOTIFY of windows that close: once a window, in UTC, with the transaction, never a flood; and what a dump
# keeps of commands and of windows that wait for them.
use strict;
use warnings;

use IPC::Run qw(start);
use PostgreSQL::Test::Utils;
use StreamaggTest;
use Test::More;

my $node = new_node('main');

# The payloads that a session hears which listens and then runs the script.
sub heard
{
    my ($script) = @_;
    my $out = $node->safe_psql('postgres', "LISTEN streamagg_window;\n$script\nSELECT;\n");
    return [ $out =~ /"streamagg_window" with payload "(.*?)" received/g ];
}
sub sql { return $node->safe_psql('postgres', @_); }

# A push of rows of one group a second each, times of day of 2024-01-01.
sub push_sql
{
    my (@times) = @_;
    return "SELECT streamagg.push('s', ARRAY[" . join(', ', map { "'{\"k\": \"k$_\", \"ts\": \"2024-01-01T${_}Z\"}'" } @times) . ']);';
}

sub window
{
    my ($aggregate, $start, $end) = @_;
    return qq({"aggregate": "$aggregate", "window_start": "2024-01-01T$start+00:00", "window_end": "2024-01-01T$end+00:00"});
}

sql(<<'END');
CREATE EXTENSION streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE FOREIGN TABLE s (k text, ts timestamptz NOT NULL) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s', archive 'on');
SELECT streamagg.create_aggregate('minutes', 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2, 3');
END

is_deeply(heard(push_sql('00:00:10', '00:00:20', '00:00:59.999999')), [], 'nothing closes, nobody is told');
is_deeply(heard(push_sql('00:00:30', '00:01:00')), [ window('public.minutes', '00:00:00', '00:01:00') ], 'once a window, not a group');
is_deeply(heard("SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German';\n" . push_sql('00:02:00.5', '00:04:10')),
    [ window('public.minutes', '00:01:00', '00:02:00'), window('public.minutes', '00:02:00', '00:03:00') ],
    'in their order, in UTC, whatever the session has set; a window without rows never was');
is_deeply(heard(push_sql('00:01:10', '00:04:20')), [], 'a late row closes a closed window no more');
is_deeply(heard(push_sql('00:03:10')), [ window('public.minutes', '00:03:00', '00:04:00') ], 'one that it makes, it closes');
is_deeply(heard('BEGIN; ' . push_sql('00:05:10') . ' ROLLBACK;'), [], 'not with ROLLBACK');
is_deeply(heard('BEGIN; ' . push_sql('00:05:10') . push_sql('00:06:10') . ' COMMIT;'),
    [ window('public.minutes', '00:04:00', '00:05:00'), window('public.minutes', '00:05:00', '00:06:00') ], 'at the commit of several pushes');

# names, and aggregates of other kinds
sql(<<'END');
SELECT streamagg.create_aggregate('"odd ""name\"', 'SELECT date_trunc(''hour'', ts, ''UTC'') AS h, count(*) AS n FROM s GROUP BY 1', allowed_lateness => '30 min');
SELECT streamagg.create_aggregate('total', 'SELECT count(*) AS n FROM s');
SELECT streamagg.drop_aggregate('minutes');
END
is_deeply(heard(push_sql('00:20:00', '01:29:59')), [], 'allowed_lateness is part of the rule');
is_deeply(heard(push_sql('01:30:00')), [ window('public.\"odd \"\"name\\\\\"', '00:00:00', '01:00:00') ], 'the name is what regclass reads, in JSON');

# ---- what recomputes closed windows tells nobody
is_deeply(heard(<<'END'), [], 'a new aggregate that is filled, a backfill and a replacement are silent');
SELECT streamagg.create_aggregate('filled', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2', backfill => 'archive');
SELECT streamagg.backfill('filled');
SELECT streamagg.replace_aggregate('filled', 'SELECT w.window_start, w.window_end, count(*) AS n, max(k) FROM s, streamagg.tumble(ts, ''2 min'') w GROUP BY 1, 2');
END
is(sql('SELECT count(*) > 0 FROM filled WHERE is_final'), 't', 'though there are closed windows');
is_deeply(heard(push_sql('01:32:00')), [ window('public.filled', '01:30:00', '01:32:00') ], 'from then on they are told');

# ---- history, read in one batch
sql(<<'END');
SELECT streamagg.drop_aggregate('filled');
CREATE TABLE report (a timestamptz);
SELECT streamagg.create_aggregate('seconds', 'SELECT w.window_start, w.window_end, k, count(*) AS n FROM s, streamagg.tumble(ts, ''1 s'') w GROUP BY 1, 2, 3');
SELECT streamagg.on_close('seconds', 'INSERT INTO public.report VALUES ($1)');
END
my $told = [ grep { /seconds/ } @{ heard(q{SELECT streamagg.push('s', array_agg(format('{"k": "%s", "ts": "2024-01-02T%sZ"}', i % 2, '00:00:00'::time + i / 2 * interval '1 s'))) FROM generate_series(0, 5001) i;}) } ];
is(scalar @$told, 1001, 'a thousand one by one, and one for the rest');
is($told->[1000], '{"aggregate": "public.seconds", "windows": 1500, "from": "2024-01-02T00:16:40+00:00", "to": "2024-01-02T00:41:40+00:00"}', 'which says how many');
is(sql(q{SELECT closed + pending FROM streamagg.close_hooks}), '2500', 'the command is for each of them');
# a batch gives them a second; others do the rest
wait_until('all have had their command', sub { sql(q{SELECT streamagg.push('s', '{}')}); sql('SELECT pending FROM streamagg.close_hooks') eq '0' });
is(sql('SELECT count(*), count(DISTINCT a) FROM report'), '2500|2500', 'each once');

# ---- DROP VIEW waits for a batch whose command will read the view, and not the other way round
sql(<<'END');
CREATE FOREIGN TABLE s2 (ts timestamptz NOT NULL) SERVER local OPTIONS (event_time 'ts', watermark_delay '0 s');
SELECT streamagg.create_aggregate('doomed', 'SELECT w.window_start, w.window_end, count(*) AS n FROM s2, streamagg.tumble(ts, ''1 min'') w GROUP BY 1, 2');
CREATE TABLE last_words (n bigint);
SELECT streamagg.on_close('doomed', 'INSERT INTO public.last_words SELECT n FROM public.doomed WHERE window_start = $1');
END
my ($in, $said) = ('', '');
my $batch = start([ 'psql', '-XAqt', '-d', $node->connstr('postgres') ], '<', \$in, '>', \$said, '2>&1');
$in .= qq{BEGIN; SELECT accepted FROM streamagg.push('s2', ARRAY['{"ts": "2024-01-01T00:00:00Z"}']);\n\\echo pushed\n};
$batch->pump until $said =~ /pushed/;
my $drop = start([ 'psql', '-Xqt', '-d', $node->connstr('postgres'), '-c', 'DROP VIEW doomed' ], '<', '/dev/null', '>', \my $dropped, '2>&1');
wait_until('DROP VIEW waits', sub { sql(q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^DROP VIEW'}) });
$in .= qq{SELECT accepted FROM streamagg.push('s2', ARRAY['{"ts": "2024-01-01T00:01:00Z"}']); COMMIT;\n\\q\n};
ok($batch->finish && $drop->finish, 'both go on') or diag $said . $dropped;
is(sql('SELECT n FROM last_words'), 1, 'the command has read the view');
is(sql(q{SELECT to_regclass('doomed') IS NULL}), 't', 'which is dropped');

# ---- a dump has the commands and what waits for them
sql(<<'END');
SELECT streamagg.on_close('seconds', 'INSERT INTO public.report SELECT $1 WHERE 1 / (SELECT count(*) FROM public.report WHERE a IS NULL) > 0');
SELECT streamagg.push('s', ARRAY['{"ts": "2024-01-03T00:00:00Z"}']);
END
my $hooks = 'SELECT aggregate, command, closed, failures, pending, oldest, next_try, last_sqlstate FROM streamagg.close_hooks';
like(sql($hooks), qr/^seconds\|INSERT.*\|2500\|1\|1\|/, 'a window waits');
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('copy'), '-f', $dump ], 'restore');
is($node->safe_psql('copy', $hooks), sql($hooks), 'in the copy, too');
is($node->safe_psql('copy', <<'END'), '0', 'where it gets its command');
INSERT INTO report VALUES (NULL);
UPDATE streamagg.close_queue SET next_try = '-infinity';
SELECT FROM streamagg.push('s', '{}');
SELECT pending FROM streamagg.close_hooks;
END

# ---- sessions: once a start and end, whatever the keys; late rows make others
sql(q{SELECT streamagg.create_aggregate('visits', 'SELECT k, w.window_start, w.window_end, count(*) AS n FROM s, streamagg.session(ts, ''1 min'') w GROUP BY 1, 2, 3')});

# A push of "key time" rows of 2024-01-04, and what is heard of visits.
sub visits
{
    my (@rows) = @_;
    my $records = join(', ', map { my ($k, $time) = split; qq('{"k": "$k", "ts": "2024-01-04T${time}Z"}') } @rows);
    return [ grep { /visits/ } @{ heard("SELECT streamagg.push('s', ARRAY[$records]);") } ];
}
sub visit { return window('public.visits', @_) =~ s/2024-01-01/2024-01-04/gr; }

is_deeply(visits('a 12:00:00', 'b 12:00:00', 'b 12:00:40', 'c 12:00:00'), [], 'open sessions are not told of');
is_deeply(visits('d 12:01:40'), [ visit('12:00:00', '12:01:00'), visit('12:00:00', '12:01:40') ], 'closed ones are, once for all keys with these times');
is_deeply(visits('c 12:00:00', 'd 12:02:50'), [ visit('12:01:40', '12:02:40') ], 'a late row that changes no times is not heard');
is_deeply(visits('c 12:00:20', 'd 12:01:00'), [ visit('12:00:00', '12:01:20'), visit('12:01:00', '12:02:40') ], 'one that makes a session longer is');
is_deeply(visits('d 12:02:40'), [], 'one that joins it to an open one opens it');
is_deeply(visits('a 12:03:50'), [ visit('12:01:00', '12:03:50') ], 'and it closes in its turn');

server_is_unharmed($node);
done_testing;
