# S33, S34, S37, O4, E10: with a server that logs all it can, records are full of canaries: in
# protected columns, keys and headers, in values that fail, in what is not declared. None of them may
# be found afterwards, in whatever form: not in the log, nor in any file of the cluster, nor in dumps
# or views. What open columns hold may be stored, but never logged.
use strict;
use warnings;

use File::Path qw(make_path);
use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

# In all that must never be seen. A number and an address have forms of their own.
my $secret = 'kNry7Qzw';
my $digits = '731690584273169058427316';
my $address = '2001:db8:c0de:fade:cafe:babe:dead:10cc';
my $hmac_key = '5ca1ab1e0ddba11fee1900ddf00dbabe5eedbeefc0ffee1234feedfacecafe77';
my @secrets = ($secret, "number:$digits", "address:$address", $hmac_key);
# In values of open columns.
my $open = 'oPn4VzKe';

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main', <<'END');
shared_preload_libraries = 'streamagg, auto_explain'
log_statement = all
log_min_messages = debug1
log_min_error_statement = debug5
log_error_verbosity = verbose
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_lock_waits = on
log_temp_files = 0
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_analyze = on
auto_explain.log_verbose = on
auto_explain.log_triggers = on
wal_keep_size = '2GB'
END
add_database($node, 'postgres', $kafka);
my $scratch = "$PostgreSQL::Test::Utils::tmp_check/found";
make_path($scratch);

sub sql { return $node->safe_psql('postgres', @_); }
sub activity { return sql('SELECT a::text FROM pg_stat_activity a'); }

# What pg_stat_activity showed while the tests waited.
my $seen_at_work = '';

sub wait_and_watch
{
    my ($what, $sql, $expected) = @_;
    wait_until($what, sub { $seen_at_work .= activity(); return sql($sql) eq $expected });
    return;
}

sub canary { return "$secret-$_[0]-$secret"; }
sub quoted { return '"' . canary(@_) . '"'; }

# A document of members, each value JSON as it is.
sub document
{
    my (%members) = (ts => 1700000000, @_);
    return '{' . join(',', map { "\"$_\":$members{$_}" } sort keys %members) . '}';
}

# A stream over the topic of its name, with aggregates NAME_… by their queries. Without an archive, which
# keeps members that are not declared, and those are secrets here; 130_archive looks for a canary in one.
sub add_stream
{
    my ($name, $columns, $options, %queries) = @_;
    $options = "topic '$name' $options" if $options !~ /^topic/;
    sql(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, $columns)
SERVER kafka OPTIONS ($options, event_time 'ts');
END
    sql("SELECT streamagg.create_aggregate('${name}_$_', \$\$$queries{$_}\$\$)")
      foreach sort keys %queries;
    return;
}

sub add_topic
{
    my ($name, @records) = @_;
    $kafka->create_topic($name, 1);
    $kafka->produce_records($name, [], @records);
    return;
}

# Starts a stream whose records lie there, and waits until all are read.
sub read_all
{
    my ($name, @records) = @_;
    add_topic($name, @records);
    sql("SELECT streamagg.start('$name')");
    is(sql("SELECT streamagg.wait_for('$name')"), 't', "$name: read");
    return;
}

sub quarantined
{
    return sql("SELECT string_agg(stage || ' ' || code, ', ' ORDER BY record_offset)
      FROM streamagg.quarantine WHERE stream = '$_[0]'::regclass");
}

sub finds
{
    my ($needles, @paths) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run([ '/usr/bin/python3', '-B', "$StreamaggKafka::scripts/search.py",
            (map { ('--needle', $_) } @$needles), @paths ], '>', \$out, '2>', \$err)
      or die "search.py: $err";
    return split /\n/, $out;
}

sub not_found
{
    my ($name, $needles, @paths) = @_;
    my @finds = finds($needles, @paths);
    ok(!@finds, $name) or diag join "\n", splice @finds, 0, 20;
    return;
}

sub is_found
{
    my ($name, $needles, @paths) = @_;
    ok(scalar(finds($needles, @paths)), $name);
    return;
}

# Writes a text for the search; gives its path.
sub save
{
    my ($name, $text) = @_;
    open my $file, '>:raw', "$scratch/$name" or die "$name: $!";
    print $file $text;
    close $file or die "$name: $!";
    return "$scratch/$name";
}

my $key_file = "$PostgreSQL::Test::Utils::tmp_check/hmac.key";
append_to_file($key_file, "$hmac_key\n");
sql("SELECT streamagg.create_key('k', 'file:$key_file')");

# ---------------------------------------------------------------- protected values

add_stream('people', <<'END', ", max_message_bytes '4kB'",
  hashed text OPTIONS (protect 'hmac', protect_key 'k'),
  digest bytea OPTIONS (path 'a.digest', protect 'sha256'),
  masked text OPTIONS (protect 'mask'),
  network inet OPTIONS (protect 'truncate'),
  host text OPTIONS (protect 'hmac', protect_key 'k', canonical 'inet'),
  mail uuid OPTIONS (protect 'hmac', protect_key 'k', canonical 'lower'),
  dropped text OPTIONS (protect 'drop'),
  who text OPTIONS (meta 'key', protect 'hmac', protect_key 'k'),
  trace text OPTIONS (meta 'header:trace', protect 'mask'),
  opened text OPTIONS (path 'a.opened'),
  n int
END
    seen => <<'END');
SELECT hashed, digest, masked, network, host, mail, dropped, who, trace, opened, count(*) AS rows
FROM people GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
END

# A record with canaries wherever they can be; more members instead of its own.
sub person
{
    my ($name, %members) = @_;
    return {
        key => canary("key-$name"),
        headers => [ [ trace => canary("header-$name") ], [ other => canary("undeclared-header-$name") ] ],
        value => document(
            hashed => quoted("hashed-$name"), masked => quoted("masked-$name"), mail => quoted("mail-$name"),
            dropped => quoted("dropped-$name"), network => "\"$address\"", host => "\"$address\"",
            a => '{"digest":' . quoted("digest-$name") . ',"opened":"' . $open . '-person","extra":'
              . quoted("undeclared-$name") . '}',
            undeclared => quoted("undeclared-$name"), nested => '{"deeper":[' . quoted("nested-$name") . ']}',
            canary("a key") . '@example.org' => 1, number => $digits, %members),
    };
}

my $document = person('bytes')->{value};
read_all('people', person('good'), person('number', hashed => $digits, masked => $digits),
    # failing values
    person('n', n => quoted('n')), person('ts', ts => quoted('ts')), person('digits', n => $digits),
    person('network', network => quoted('network')), person('host', host => quoted('host')),
    person('object', hashed => '{"x":' . quoted('object') . '}'),
    person('array', masked => '[' . quoted('array') . ']'),
    person('null', ts => 'null'),
    { %{ person('key') }, key => canary('key') . "\xff" },
    { %{ person('header') }, headers => [ [ trace => canary('header') . "\xff" ] ] },
    # the same name twice, and in another spelling
    { value => '{"hashed":' . quoted('first') . ',"hashed":' . quoted('second') . ',"ts":1700000000}' },
    { value => '{"n":' . quoted('first n') . ',"n":1,"ts":1700000000}' },
    { value => '{"h\u0061shed":' . quoted('spelled') . ',"n":"x","ts":1700000000}' },
    # bytes
    (map { { key => canary('bytes'), value => $_ } }
        substr($document, 0, -1), $document . '}', '[' . $document . ']', quoted('scalar'), canary('bare'),
        $document =~ s/"/'/gr, $document =~ s/bytes/\xff/r, $document =~ s/bytes/\x00/r,
        $document =~ s/bytes/\\ud800/r, $document =~ s/bytes/\\u0000/r,
        join("\0", split //, $document) . "\0", "\xff\xfe" . join("\0", split //, $document) . "\0",
        '{"a":' x 600 . quoted('deep') . '}' x 600, $document . ' ' x 5000, ''),
    { key => canary('tombstone') });
is(sql('SELECT sum(rows) FROM people_seen'), 4, 'people: what can be accepted is');
is(quarantined('people'),
    'convert 22P02, convert 22P02, convert 22003, protect 22P02, protect 22P02, convert 22P02, convert 22P02,'
      . ' check 23502, convert 22021, convert 22021, convert 22P02, decode 22P02, decode 22P02, decode 22023,'
      . ' decode 22023, decode 22P02, decode 22P02, decode 22021, decode 22021, decode 22P02, decode 22P05,'
      . ' decode 22021, decode 22021, decode 54001, decode 54000, decode 22P02',
    'people: what is refused, and why');

# Beside protected columns, rest and headers: what they hide must not come through these.
add_stream('leftover', <<'END', '',
  hashed text OPTIONS (path 'a.hashed', protect 'hmac', protect_key 'k'),
  trace text OPTIONS (meta 'header:trace', protect 'hmac', protect_key 'k'),
  headers jsonb OPTIONS (meta 'headers'), rest jsonb OPTIONS (meta 'rest')
END
    seen => 'SELECT headers, rest, trace, hashed, count(*) AS rows FROM leftover GROUP BY 1, 2, 3, 4');
read_all('leftover', map {
        { value => $_, headers => [ [ trace => canary('first header') ], [ trace => canary('header') ], [ other => $open ] ] }
    } document(a => '{"hashed":' . quoted('rest') . ",\"other\":\"$open-rest\"}"),
    document(a => '{"h\u0061shed":' . quoted('rest') . ',"hashed":' . quoted('twice') . '}'));
like(sql('SELECT string_agg(s::text, E\'\n\') FROM leftover_seen s'), qr/$open-rest/, 'leftover: the rest is there');

# ---------------------------------------------------------------- values that fail

my @types = ('smallint', 'integer', 'bigint', 'numeric(5,2)', 'real', 'float8', 'boolean', 'varchar(5)', 'char(5)',
    'uuid', 'inet', 'cidr', 'macaddr', 'timestamptz', 'timestamp', 'date', 'time', 'interval', 'money', 'bit(3)',
    'bytea', 'jsonpath', 'tsquery', 'tsvector', 'pg_lsn', 'point', 'oid', 'tid', 'mood', 'percent', 'word',
    'checked', 'int[]', 'inet[]', 'percent[]', 'pair', 'pair[]', 'int4range', 'tstzrange', 'int8multirange');
sql(<<'END');
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN percent AS int CHECK (value BETWEEN 0 AND 100);
CREATE DOMAIN word AS text CHECK (value ~ '^[a-z]+$');
CREATE FUNCTION refuse(value text, code text) RETURNS boolean STRICT LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'refused %', value
    USING ERRCODE = code, DETAIL = value, HINT = value, COLUMN = value, CONSTRAINT = value, TABLE = value;
END $$;
CREATE TYPE pair AS (a int, b word);
CREATE DOMAIN checked AS text CHECK (refuse(value, 'AB123'));
END
add_stream('faults', join(', ', map { "c$_ $types[$_]" } 0 .. $#types), '', n => 'SELECT count(*) AS n FROM faults');
read_all('faults', { value => document() },
    (map { { value => document("c$_" => '"\'' . canary($types[$_]) . ' & ( \\\\x"') } } 0 .. $#types),
    (map { { value => document("c$_" => $digits . '.5e1') } } 0 .. $#types),
    (map { { value => document("c$_" => '{"a":1,"b":' . quoted("object for $types[$_]") . '}') } } 0 .. $#types),
    (map { { value => document("c$_" => '[' . quoted("array for $types[$_]") . ']') } } 0 .. $#types));
my $accepted = sql('SELECT n FROM faults_n');
is(sql("SELECT count(*) + $accepted FROM streamagg.quarantine WHERE stream = 'faults'::regclass"), 1 + 4 * @types,
    'faults: every record is accounted for');
is(sql(q{SELECT count(DISTINCT column_name) FROM streamagg.quarantine WHERE stream = 'faults'::regclass}),
    scalar(@types), 'faults: every type refused something');

add_stream('rules', <<'END', '',
  must text NOT NULL, v text CHECK (v !~ 'RULE'), i text CHECK (i::int > 0), z int CHECK (100 / z > 0),
  p text CHECK (refuse(p, 'P0001')), d text CHECK (refuse(d, '22ABC')),
  CONSTRAINT differ CHECK (must <> v)
END
    n => 'SELECT count(*) AS n FROM rules');
read_all('rules',
    map { { value => "{\"ts\":1700000000,\"extra\":" . quoted('undeclared') . ",$_}" } }
      '"must":"x"', "\"v\":\"$open\"", '"must":"x","v":' . quoted('check RULE'),
    '"must":"x","i":' . quoted('check that raises'), '"must":"x","z":0', '"must":"x","p":' . quoted('P0001'),
    '"must":"x","d":' . quoted('22ABC'),
    '"must":' . quoted('both') . ',"v":' . quoted('both'));
is(quarantined('rules'),
    'check 23502, check 23514, check 22P02, check 22012, check P0001, check 22ABC, check 23514',
    'rules: what is refused, and why');

# ---------------------------------------------------------------- poison rows

# Their columns are open: what is in them may be stored, not logged. The rest of them is secret.
add_stream('poison', 'a text, b text, c text, d text, e text', '',
    number => 'SELECT sum(a::int) AS n FROM poison',
    trigger => 'SELECT b, count(*) AS n FROM poison GROUP BY b',
    check => 'SELECT c, count(*) AS n FROM poison GROUP BY c',
    unique => 'SELECT d, length(d) AS l, count(*) AS n FROM poison GROUP BY d, length(d)',
    long => 'SELECT repeat(e, 9999) AS e, count(*) AS n FROM poison GROUP BY 1');
sql(<<'END');
CREATE FUNCTION quote_new() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.b ~ 'BAD' THEN
    RAISE EXCEPTION 'the row is %', NEW USING DETAIL = NEW.b, HINT = NEW.b;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER quotes BEFORE INSERT OR UPDATE ON poison_trigger_state FOR EACH ROW EXECUTE FUNCTION quote_new();
ALTER TABLE poison_check_state ADD CHECK (c !~ 'BAD');
CREATE UNIQUE INDEX ON poison_unique_state (l);
INSERT INTO poison_unique_state (d, l, n, updated_at) VALUES ('ten bytes', 10, 0, now());
END
my @good = map { { value => document(extra => quoted('undeclared')) } } 1 .. 40;
read_all('poison', @good[ 0 .. 19 ],
    (map { { value => document(%$_, extra => quoted('undeclared')) } }
        { a => "\"$open-a\"" }, { b => "\"$open-b-BAD\"" }, { c => "\"$open-c-BAD\"" },
        { d => "\"$open-d\"" },
        { e => '"' . join('', map { $open . chr(97 + $_ % 26) . $_ * 7919 % 1000 } 1 .. 80) . '"' }),
    @good[ 20 .. 39 ]);
like(quarantined('poison'), qr/^aggregate 22P02, aggregate P0001, aggregate 23514, aggregate 23505, aggregate 54000$/,
    'poison: what is refused, and why');

# ---------------------------------------------------------------- what halts or is tried again

# All of them on one topic.
add_topic('stops', map { { value => document(v => quoted("v$_"), n => quoted("n$_"), q => quoted("two words$_")) } } 1 .. 50);
add_stream('strict', 'n int', "topic 'stops', on_violation 'stop'", n => 'SELECT count(*) AS n FROM strict');
add_stream('hopeless', 'v text', "topic 'stops'", n => 'SELECT sum(v::int) AS n FROM hopeless');
add_stream('names', 'v text', "topic 'stops'", n => 'SELECT max(v::regclass::oid::bigint) AS n FROM names');
add_stream('words', 'q text', "topic 'stops'", n => 'SELECT min((q::tsquery)::text) AS n FROM words');
# Errors of the owner's own code with other SQLSTATEs than those of data.
my %codes = (ab123 => 'halted', '0a000' => 'halted', '42p01' => 'halted', hv000 => 'halted',
    xx001 => 'halted', 40001 => 'backoff', 57014 => 'backoff', 53200 => 'backoff');
foreach my $code (sort keys %codes)
{
    add_stream("check_$code", "v text CHECK (refuse(v, upper('$code')))", "topic 'stops'",
        n => "SELECT count(*) AS n FROM check_$code");
}
my @stopping = ('strict', 'hopeless', 'names', 'words', map { "check_$_" } sort keys %codes);
sql("SELECT streamagg.start('$_')") foreach @stopping;
foreach my $stream (@stopping)
{
    my $expected = $stream =~ /^check_(.*)/ ? $codes{$1} : 'halted';
    wait_and_watch("$stream: $expected", "SELECT state FROM streamagg.streams WHERE stream = '$stream'::regclass", $expected);
}
is(sql(q{SELECT string_agg(reason, '') FROM streamagg.streams WHERE reason IS NULL AND state = 'halted'}), '', 'each has a reason');

# ---------------------------------------------------------------- the search

sql(<<'END');
CREATE ROLE looker LOGIN IN ROLE streamagg_reader;
END
my @views = split /\n/, sql(<<'END');
SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = 'streamagg' AND relkind = 'v' AND has_table_privilege('looker', c.oid, 'SELECT') ORDER BY 1
END
cmp_ok(scalar(@views), '>=', 6, 'views for the reader');
my %shown = map { $_ => sql("SET ROLE looker; SELECT v::text FROM $_ v") } @views;
sql('ANALYZE');
sql('SELECT pg_switch_wal()');
sql('CHECKPOINT');
$node->command_ok([ 'pg_dump', '-Fp', '-f', "$scratch/plain", $node->connstr('postgres') ], 'a plain dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$scratch/custom", $node->connstr('postgres') ], 'a custom dump');
$node->command_ok([ 'pg_restore', '-f', "$scratch/restored", "$scratch/custom" ], 'what a custom dump holds');
my $plain = save('views', join "\n", map { "-- $_\n$shown{$_}" } @views);
my $statistics = save('statistics', sql('SELECT s::text FROM pg_stats s'));
my $work = save('activity', $seen_at_work . activity());

# The search finds what may be there, where it may be.
is_found('the search finds a value of an open column in the files', [$open], $node->data_dir . '/base');
is_found('in the WAL', [$open], $node->data_dir . '/pg_wal');
is_found('in a plain dump', [$open], "$scratch/plain");
is_found('in a custom dump', [$open], "$scratch/restored");
is_found('in the views', [$open], $plain);
is_found('a worker\'s statement in the log', ['INSERT INTO public.people_seen_state'], $node->logfile);
is_found('a failing stream in the log', ['stream "strict" halts'], $node->logfile);
is_found('a stream in pg_stat_activity', ['streamagg worker'], $work);
sql(q{CREATE TABLE control AS SELECT unnest(ARRAY['CONTROL7', encode('CONTROL8', 'hex'),
  encode('CONTROL9', 'base64'), encode('xCONTROL1', 'base64'), encode('xxCONTROL2', 'base64')])});
sql('CREATE TABLE control_binary (n numeric, a inet, b bytea)');
sql(q{INSERT INTO control_binary VALUES (123456789012345678901234, '2001:db8:1:2345:6789:abcd:ef01:2345',
  decode('43004f004e00540052004f004c003600', 'hex'))});
sql('CHECKPOINT');
my $base = $node->data_dir . '/base';
foreach my $needle ('control7', 'CONTROL8', 'CONTROL9', 'CONTROL1', 'CONTROL2', 'CONTROL6', 'number:123456789012345678901234',
    'number:345678901234567890', 'address:2001:db8:1:2345:6789:abcd:ef01:2345')
{
    is_found("a control in the files: $needle", [$needle], $base);
}

not_found('nothing secret in the log', \@secrets, $node->logfile);
not_found('nor a value of an open column', [$open], $node->logfile);
not_found('nothing secret in the files of the running server', \@secrets, $node->data_dir);
not_found('nor in dumps', \@secrets, map { "$scratch/$_" } 'plain', 'custom', 'restored');
not_found('nor in statistics', \@secrets, $statistics);
not_found('nor in pg_stat_activity', [ @secrets, $open ], $work);
not_found('nor in the views', \@secrets, $plain);
delete $shown{'streamagg.quarantine'};
not_found('values of open columns are in quarantine only', [$open], save('other_views', join "\n", values %shown));

accounting_is_right($node, 'postgres');
$node->stop;
not_found('nothing secret in the files of the stopped server', \@secrets, $node->data_dir);
not_found('nor in its log', [ @secrets, $open ], $node->logfile);
$kafka->stop;
done_testing();
