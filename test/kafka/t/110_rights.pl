# S19-S24, E17: workers write as the stream's owner, and only into what was made for them. A state
# table that became something else halts the stream before anything is written; once it is repaired
# it goes on by itself, without a loss. What hostile triggers try, they try as the owner.
use strict;
use warnings;

use PostgreSQL::Test::Utils;
use StreamaggKafka;
use StreamaggTest;
use Test::More;

my $kafka = StreamaggKafka->new;
$kafka->start;
my $node = new_node('main');
add_database($node, 'postgres', $kafka);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub as_app { return sql("SET ROLE app; $_[0]"); }

sql(<<'END');
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
GRANT app TO other;
GRANT USAGE ON FOREIGN SERVER kafka TO app, other;
GRANT ALL ON SCHEMA public TO app, other;
CREATE TABLE noticed (who text, session text, super text);
GRANT INSERT ON noticed TO PUBLIC;
CREATE TABLE names (k int, name text);
INSERT INTO names VALUES (1, 'one');
GRANT SELECT ON names TO app;
CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.noticed VALUES (current_user, session_user, current_setting('is_superuser'));
  RETURN NEW;
END $$;
CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE TG_ARGV[0];
  RETURN NEW;
END $$;
END

# A stream and its archive belong to one role.
sub give_taken
{
    my ($role) = @_;
    return <<"END";
RESET ROLE;
BEGIN;
SELECT format('ALTER TABLE %s OWNER TO $role', relid) FROM pg_partition_tree('taken_archive') \\gexec
ALTER FOREIGN TABLE taken OWNER TO $role;
COMMIT;
END
}

# Each case: what is done to NAME, NAME_agg, NAME_agg_state; the state that follows; its repair.
my @halting = (
    { name => 'forced', state => '42501', act => 'ALTER TABLE forced_agg_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
        repair => 'ALTER TABLE forced_agg_state NO FORCE ROW LEVEL SECURITY', reason => qr/row-level security.*hint: / },
    { name => 'given', state => '42501', act => 'RESET ROLE; ALTER TABLE given_agg_state OWNER TO other',
        repair => 'RESET ROLE; ALTER TABLE given_agg_state OWNER TO app',
        reason => qr/"given_agg_state" of aggregate "public.given_agg" belongs to role "other"; hint: / },
    { name => 'ruled', state => '55000', act => 'CREATE RULE r AS ON INSERT TO ruled_agg_state DO INSTEAD NOTHING',
        repair => 'DROP RULE r ON ruled_agg_state', reason => qr/is not a plain table any more; hint: Drop its rules/ },
    { name => 'updated', state => '55000',
        act => 'CREATE RULE r AS ON UPDATE TO updated_agg_state DO ALSO INSERT INTO public.noticed VALUES (NEW.n)',
        repair => 'DROP RULE r ON updated_agg_state', reason => qr/is not a plain table any more; hint: Drop its rules/ },
    { name => 'taken', state => '42501', act => give_taken('other'), repair => give_taken('app'), reason => qr/taken/ },
    { name => 'revoked', state => '42501', act => 'REVOKE INSERT, UPDATE ON revoked_agg_state FROM app',
        repair => 'GRANT INSERT, UPDATE ON revoked_agg_state TO app', reason => qr/permission denied for table revoked_agg_state/ },
    { name => 'joined', state => '42501', act => 'RESET ROLE; REVOKE SELECT ON names FROM app',
        repair => 'RESET ROLE; GRANT SELECT ON names TO app', reason => qr/permission denied for table names/,
        query => 'SELECT j.k, count(*) AS n FROM joined j JOIN public.names USING (k) GROUP BY j.k' },
    { name => 'climbing', state => '42501',
        act => q{CREATE TRIGGER t BEFORE INSERT ON climbing_agg_state FOR EACH ROW
          EXECUTE FUNCTION climb('ALTER ROLE app SUPERUSER')},
        repair => 'DROP TRIGGER t ON climbing_agg_state', reason => qr/./ },
    { name => 'switching', state => '42501',
        act => q{CREATE TRIGGER t BEFORE INSERT ON switching_agg_state FOR EACH ROW
          EXECUTE FUNCTION climb('SET ROLE postgres')},
        repair => 'DROP TRIGGER t ON switching_agg_state', reason => qr/./ },
    { name => 'stealing', state => '42501',
        act => q{CREATE TRIGGER t BEFORE INSERT ON stealing_agg_state FOR EACH ROW
          EXECUTE FUNCTION climb('SELECT secret FROM streamagg.key_store')},
        repair => 'DROP TRIGGER t ON stealing_agg_state', reason => qr/permission denied for / },
);
# What goes on: the owner's own row security, which does not bind him, and triggers.
my @running = (
    { name => 'enabled', act => 'ALTER TABLE enabled_agg_state ENABLE ROW LEVEL SECURITY' },
    { name => 'watched',
        act => 'CREATE TRIGGER t BEFORE INSERT ON watched_agg_state FOR EACH ROW EXECUTE FUNCTION notice()' });

sub state_of
{
    return sql("SELECT state, sqlstate FROM streamagg.streams WHERE stream = '$_[0]'::regclass");
}

sub counted { return sql("SELECT coalesce(sum(n), 0) FROM $_[0]_agg"); }

sub produce
{
    $kafka->produce('records', map { "0\t\\N\t{\"ts\":1700000000,\"k\":$_}" } 1, 1);
    return;
}

$kafka->create_topic('records', 1);
produce();
foreach my $case (@halting, @running)
{
    my $name = $case->{name};
    my $query = $case->{query} // "SELECT k, count(*) AS n FROM $name GROUP BY k";
    as_app(<<"END");
CREATE FOREIGN TABLE $name (ts timestamptz OPTIONS (encoding 'epoch_s') NOT NULL, k int)
SERVER kafka OPTIONS (topic 'records', event_time 'ts', archive 'on');
SELECT streamagg.create_aggregate('${name}_agg', '$query');
SELECT streamagg.start('$name');
END
}
foreach my $case (@halting, @running)
{
    sql("SELECT streamagg.wait_for('$case->{name}')");
    as_app($case->{act});
}
produce();

foreach my $case (@halting)
{
    subtest "$case->{name}: " . $case->{act} =~ s{\s+}{ }gr => sub {
        my $name = $case->{name};
        wait_until("the halt of $name", sub { state_of($name) eq "halted|$case->{state}" });
        like(sql("SELECT reason FROM streamagg.streams WHERE stream = '$name'::regclass"), $case->{reason}, 'the reason');
        is(sql("SET row_security = off; SELECT sum(n) FROM ${name}_agg_state"), 2, 'nothing was written');
        is(sql("SELECT sum(read), sum(quarantined) FROM streamagg.partitions WHERE stream = '$name'::regclass"),
            '2|0', 'nor counted');
        as_app($case->{repair});
        wait_until("$name is repaired", sub { state_of($name) eq 'running|' });
        is(sql("SELECT streamagg.wait_for('$name')"), 't', 'it goes on');
        is(counted($name), 4, 'without a loss');
    };
}
foreach my $case (@running)
{
    is(sql("SELECT streamagg.wait_for('$case->{name}')"), 't', "$case->{name}: goes on");
    is(counted($case->{name}), 4, "$case->{name}: counted");
}
is(sql('SELECT DISTINCT who, session, super FROM noticed'), 'app|app|off', 'a trigger runs as the owner, no more');
is(sql(q{SELECT rolsuper FROM pg_roles WHERE rolname = 'app'}), 'f', 'and cannot climb');

subtest 'S21: a view with INSTEAD OF in the place of the state table' => sub {
    as_app(<<'END');
DROP VIEW watched_agg;
CREATE VIEW watched_agg_state AS SELECT k, n, updated_at FROM enabled_agg_state;
CREATE TRIGGER t INSTEAD OF INSERT ON watched_agg_state FOR EACH ROW EXECUTE FUNCTION notice();
END
    my $before = sql('SELECT count(*) FROM noticed');
    produce();
    is(sql("SELECT streamagg.wait_for('enabled')"), 't', 'another stream goes on');
    is(counted('enabled'), 6, 'and counts');
    isnt(state_of('watched'), '', 'this one: ' . state_of('watched'));
    is(sql('SELECT count(*) FROM noticed'), $before, 'nothing is written through the view');
};

subtest 'all of a stream is given to another role' => sub {
    give_archive($node, 'postgres', 'given_archive', 'other');
    sql(<<"END");
ALTER FOREIGN TABLE given OWNER TO other; ALTER TABLE given_agg_state OWNER TO other;
ALTER VIEW given_agg OWNER TO other; ALTER VIEW given_agg_query OWNER TO other;
SET ROLE other;
CREATE TRIGGER t BEFORE INSERT ON given_agg_state FOR EACH ROW EXECUTE FUNCTION notice();
END
    my $before = sql('SELECT coalesce(max(n), 0) FROM given_agg');
    produce();
    wait_until('a worker of the new owner', sub { sql('SELECT max(n) FROM given_agg') > $before });
    is(sql(q{SELECT streamagg.wait_for('given')}), 't', 'it goes on');
    is(counted('given'), $before + 2, 'without a loss');
    is(sql('SELECT DISTINCT who, session, super FROM noticed ORDER BY 1'), "app|app|off\nother|other|off",
        'as the new owner, never as the old');
    is(sql(q{SELECT usename FROM pg_stat_activity WHERE application_name = 'given'}), 'other', 'so the worker is his');
};

subtest 'E17: the owner loses the right to log in' => sub {
    my $pid = worker_pid($node, 'postgres', 'enabled');
    sql('ALTER ROLE app NOLOGIN');
    sql("SELECT pg_terminate_backend($pid)");
    wait_until('the halt', sub { state_of('enabled') eq 'halted|42501' });
    sql('ALTER ROLE app LOGIN');
    produce();
    wait_until('the worker', sub { worker_pid($node, 'postgres', 'enabled') });
    is(sql(q{SELECT streamagg.wait_for('enabled')}), 't', 'it goes on');
    is(counted('enabled'), 10, 'without a loss');
};

accounting_is_right($node, 'postgres');
verify_is_empty($node, 'postgres');
server_is_unharmed($node);
$node->stop;
$kafka->stop;
done_testing();
