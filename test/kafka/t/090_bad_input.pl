# Input that only Kafka can bring: keys and headers of any bytes, odd timestamps, huge and compressed
# messages, topics in which everything is bad.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new(config => { 'message.max.bytes' => 60_000_000 });
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', "SET TimeZone = 'UTC';" . $_[0]); }

sub add_stream
{
    my ($name, $columns, $options, $query) = @_;
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, $columns)
SERVER kafka OPTIONS ($options, event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_agg', \$\$$query\$\$);
SELECT streamagg.start('$name');
END
    return;
}

sub caught_up { is(sql("SELECT streamagg.wait_for('$_[0]')"), 't', "$_[0]: caught up"); return; }

sub quarantined
{
    return sql("SELECT string_agg(concat_ws(' ', record_offset, stage, code, column_name), ', ' ORDER BY record_offset)
      FROM streamagg.quarantine WHERE stream = '$_[0]'::regclass");
}

sub counters
{
    return sql("SELECT sum(read), sum(accepted), sum(quarantined), sum(tombstones)
      FROM streamagg.partitions WHERE stream = '$_[0]'::regclass");
}

my $good = '{"ts":1700000000}';

subtest 'I15: values and keys that are null or empty, keys that are no text' => sub {
    $kafka->create_topic('keys', 1);
    $kafka->produce_records('keys', [], { value => $good }, { value => $good, key => '' },
        { value => $good, key => "\x00\xff\xfe" }, { value => $good, key => 'text' }, { key => 'tombstone' },
        { value => '', key => 'empty' }, { value => 'null', key => 'null' }, { value => $good, key => "\xc3\xa4" },
        { value => $good, key => "nul\0" });
    add_stream('key_bytes', "k bytea OPTIONS (meta 'key')", "topic 'keys'",
        'SELECT k, count(*) AS n FROM key_bytes GROUP BY k');
    add_stream('key_text', "k text OPTIONS (meta 'key')", "topic 'keys'",
        'SELECT k, count(*) AS n FROM key_text GROUP BY k');
    caught_up($_) foreach 'key_bytes', 'key_text';
    is(sql(q{SELECT string_agg(concat(coalesce(encode(k, 'hex'), 'NULL'), ':', n), ' ' ORDER BY k) FROM key_bytes_agg}),
        ':1 00fffe:1 6e756c00:1 74657874:1 c3a4:1 NULL:1', 'bytea: null and empty differ, every byte is kept');
    is(quarantined('key_bytes'), '5 decode 22P02, 6 decode 22023', 'an empty value is no tombstone, nor is null');
    is(sql(q{SELECT string_agg(concat(coalesce(k, 'NULL'), ':', n), ' ' ORDER BY k COLLATE "C") FROM key_text_agg}),
        ":1 text:1 \xc3\xa4:1 NULL:1", 'text: what is UTF-8 is taken');
    is(quarantined('key_text'), '2 convert 22021 k, 5 decode 22P02, 6 decode 22023, 8 convert 22021 k',
        'what is not is not');
    is(counters($_), { key_bytes => '9|6|2|1', key_text => '9|4|4|1' }->{$_}, "$_: counted") foreach 'key_bytes', 'key_text';
};

subtest 'I16: headers' => sub {
    $kafka->create_topic('headers', 1);
    my @many = map { [ "n$_" => "value $_" ] } 0 .. 9999;
    $kafka->produce_records('headers', [], { value => $good },
        { value => $good, headers => [ [ h => 'first' ], [ other => 'x' ], [ h => 'last' ] ] },
        { value => $good, headers => [ [ h => undef ] ] }, { value => $good, headers => [ [ h => '' ] ] },
        { value => $good, headers => [ [ h => 'text' ], [ h => undef ] ] },
        { value => $good, headers => [ [ h => "\xff" ] ] },
        { value => $good, headers => [ [ H => 'other case' ], [ other => "\xc3" ] ] },
        { value => $good, headers => [ @many, [ h => 'of many' ] ] },
        { value => $good, headers => [ [ h => 'x' x 310_000 ] ] },
        { value => $good, headers => [ [ other => 'x' x 310_000 ] ] },
        { value => $good, headers => [ map { [ "$_->[0] long name" => $_->[1] x 2 ] } @many ] });
    my $options = "topic 'headers', max_message_bytes '300kB'";
    add_stream('one', "h text OPTIONS (meta 'header:h')", $options,
        'SELECT h, count(*) AS n FROM one GROUP BY h');
    add_stream('one_bytes', "h bytea OPTIONS (meta 'header:h')", $options,
        'SELECT length(h) AS h, count(*) AS n FROM one_bytes GROUP BY 1');
    add_stream('every', "h jsonb OPTIONS (meta 'headers')", $options,
        q{SELECT h->'h' AS h, h->>'n9999' AS n9999, count(*) AS n FROM every GROUP BY 1, 2});
    add_stream('none', 'x text', $options, 'SELECT count(*) AS n FROM none');
    caught_up($_) foreach 'one', 'one_bytes', 'every', 'none';
    is(sql(q{SELECT string_agg(concat(coalesce(h, 'NULL'), ':', n), ', ' ORDER BY h COLLATE "C") FROM one_agg}),
        ':1, last:1, of many:1, NULL:4', 'header:NAME: the last of its name, exact case, null and empty differ');
    is(quarantined('one'), '5 convert 22021 h, 8 convert 54000 h, 9 convert 54000 h, 10 convert 54000 h',
        'header:NAME: no text, too large');
    is(sql(q{SELECT string_agg(concat(coalesce(h::text, 'NULL'), ':', n), ', ' ORDER BY h) FROM one_bytes_agg}),
        '0:1, 1:1, 4:1, 7:1, NULL:4', 'header:NAME: as bytea every byte is taken');
    is(sql(q{SELECT string_agg(concat(coalesce(h::text, 'NULL'), ' ', n9999, ':', n), ', ' ORDER BY h, n9999) FROM every_agg}),
        'null :2, "" :1, "last" :1, "of many" value 9999:1, NULL :1',
        'headers: an object of all, 10,000 of them, too; none are NULL');
    is(quarantined('every'),
        '5 convert 22021 h, 6 convert 22021 h, 8 convert 54000 h, 9 convert 54000 h, 10 convert 54000 h',
        'headers: no text anywhere, too large together');
    is(counters('none'), '11|11|0|0', 'where no column is made of them nobody looks at headers');
    is(sql(q{SELECT max(length(record::text)) < 100 FROM streamagg.quarantine
          WHERE stream IN ('one'::regclass, 'every'::regclass)}), 't', 'quarantine does not hold them');
};

subtest 'I17: timestamps of records' => sub {
    my @topic = ('message.timestamp.before.max.ms=9223372036854775807', 'message.timestamp.after.max.ms=9223372036854775807');
    $kafka->create_topic('times', 1, @topic);
    $kafka->produce_records('times', [], map { { value => '{"ts":-99999}', timestamp => $_ } }
          1, -1000, -1, 1700000000000, 1700000000000000, 1700000000000000000, 9223372036854775807, -9223372036854775807);
    $kafka->create_topic('appended', 1, 'message.timestamp.type=LogAppendTime');
    $kafka->produce_records('appended', [], { value => $good, timestamp => 1 },
        { value => '{"ts":' . (time + 86400) . '}' });
    add_stream('shown', "at timestamptz OPTIONS (meta 'timestamp')", "topic 'times'",
        'SELECT at, count(*) AS n FROM shown GROUP BY at');
    add_stream('unseen', 'x text', "topic 'times'", 'SELECT count(*) AS n FROM unseen');
    add_stream('appended', "at timestamptz OPTIONS (meta 'timestamp')", "topic 'appended'",
        q{SELECT at > '2024-01-01' AS recent, count(*) AS n FROM appended GROUP BY 1});
    caught_up($_) foreach 'shown', 'unseen', 'appended';
    is(sql(q{SELECT string_agg(concat(coalesce(at::text, 'NULL'), ':', n), ', ' ORDER BY at) FROM shown_agg}),
        '1969-12-31 23:59:59+00:1, 1970-01-01 00:00:00.001+00:1, 2023-11-14 22:13:20+00:1,'
          . ' 55840-11-08 22:13:20+00:1, NULL:1', 'before 1970, none at all, far ahead');
    is(quarantined('shown'), '5 convert 22008 at, 6 convert 22008 at, 7 convert 22008 at', 'beyond timestamptz');
    is(counters('unseen'), '8|8|0|0', 'where no column is made of it, any time will do');
    is(sql('SELECT recent, n FROM appended_agg'), 't|1', 'LogAppendTime: the time is the broker\'s');
    is(quarantined('appended'), '1 check 22008 ts', 'and max_future counts from it');
};

subtest 'I27, C1: 40 MB in a message' => sub {
    $kafka->create_topic('big', 1, 'max.message.bytes=50000000');
    my $big = "0\t\\N\t{\"ts\":1700000000,\"big\":\"" . 'x' x 40_000_000 . '"}';
    $kafka->produce('big', [ '--set', 'message.max.bytes=50000000', '--set', "compression.type=$_" ], $big)
      foreach 'none', 'lz4';
    $kafka->produce('big', "0\t\\N\t$good");
    add_stream('big', 'big text', "topic 'big'", 'SELECT count(*) AS n FROM big');
    caught_up('big');
    is(quarantined('big'), '0 decode 54000, 1 decode 54000', 'stopped by their size');
    is(sql(q{SELECT string_agg(record::text, ' ') FROM streamagg.quarantine WHERE stream = 'big'::regclass}),
        '{"length": 40000026} {"length": 40000026}', 'metadata only');
    my ($peak) = slurp_file('/proc/' . worker_pid($node, 'postgres', 'big') . '/status') =~ /VmHWM:\s+(\d+)/;
    cmp_ok($peak, '<', 200_000, 'memory: two of them at once, no more (kB)');
    add_stream('larger', 'big text', "topic 'big', max_message_bytes '41MB'", 'SELECT sum(length(big)) AS n FROM larger');
    caught_up('larger');
    is(sql('SELECT n FROM larger_agg'), 80_000_000, 'a stream that wants them gets them');
};

subtest 'compressed topics' => sub {
    my @codecs = ('none', 'gzip', 'snappy', 'lz4', 'zstd');
    $kafka->create_topic('packed', scalar @codecs);
    foreach my $partition (0 .. $#codecs)
    {
        $kafka->produce('packed', [ '--set', "compression.type=$codecs[$partition]" ],
            map { "$partition\tkey $_\t{\"ts\":1700000000,\"v\":" . ($_ % 100 ? $_ : '"bad"') . '}' } 1 .. 2000);
    }
    add_stream('packed', "v int, p int OPTIONS (meta 'partition')", "topic 'packed'",
        'SELECT p, count(*) AS n, sum(v) AS v FROM packed GROUP BY p');
    caught_up('packed');
    is(sql('SELECT p, n, v FROM packed_agg ORDER BY p'), join("\n", map { "$_|1980|1980000" } 0 .. $#codecs),
        'every codec gives the same');
    is(counters('packed'), '10000|9900|100|0', 'bad records, too');
};

subtest 'I32: a topic in which everything is bad' => sub {
    $kafka->create_topic('bad', 1);
    $kafka->produce('bad', map { "0\t\\N\t{\"ts\":1700000000,\"v\":\"no $_\"}" } 1 .. 400);
    add_stream('bad', 'v int', "topic 'bad', max_bad_ratio '0.5'", 'SELECT count(*) AS n FROM bad');
    my $state = q{SELECT state, sqlstate FROM streamagg.streams WHERE stream = 'bad'::regclass};
    wait_until('the halt', sub { sql($state) eq 'halted|22000' });
    like(sql(q{SELECT reason FROM streamagg.streams WHERE stream = 'bad'::regclass}),
        qr/^stream "bad": (\d+) of the last \1 records are bad, more than max_bad_ratio 0.5/, 'the reason');
    my $found = sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'bad'::regclass});
    cmp_ok($found, '>', 50, 'what was bad is there to be looked at');
    is(sql(q{SELECT next_offset, quarantined FROM streamagg.partitions WHERE stream = 'bad'::regclass}),
        "$found|$found", 'committed');
    $kafka->produce('bad', map { "0\t\\N\t{\"ts\":1700000000,\"v\":$_}" } 1 .. 500);
    wait_until('the good ones', sub {
        sql(q{SELECT streamagg.start('bad')}) if sql($state) =~ /^halted/;
        return sql('SELECT n FROM bad_agg') eq '500';
    });
    is(counters('bad'), '900|500|400|0', 'start() goes on');
    is(sql($state), 'running|', 'and it runs');
};

subtest 'quarantine_max_rows' => sub {
    my $count = q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'bad'::regclass};
    $node->append_conf('postgresql.conf', 'streamagg.quarantine_max_rows = 120');
    $node->reload;
    wait_until('the surplus to go', sub { sql($count) <= 120 });
    my $kept = sql($count);
    is(sql(q{SELECT string_agg(detail, ', ') FROM streamagg.events WHERE event = 'trim_quarantine'}),
        400 - $kept . ' records deleted: more than streamagg.quarantine_max_rows', 'an event tells how many');
    cmp_ok($kept, '>', 100, 'so many of the stream stay');
    is(sql("SELECT max(record_offset) FROM streamagg.quarantine WHERE stream = 'bad'::regclass"), 399, 'the newest');
    is(counters('bad'), '900|500|400|0', 'the counters stay');
    is(sql(q{SELECT count(*) FROM streamagg.quarantine WHERE stream = 'packed'::regclass}), 100, 'other streams keep theirs');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
