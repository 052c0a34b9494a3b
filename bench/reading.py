"""One reading of a topic by a fresh stream, from start() to wait_for(), measured and checked."""
from dataclasses import dataclass

from measure import peak_mb, process_seconds, server_seconds
from place import TREE, fail

# What generate.c breaks: where a stream must have stopped it, and by which SQLSTATE.
FAULTS = {"not_json": {("decode", "22P02")}, "missing": {("check", "23502")},
          "wrong_type": {("convert", "22P02"), ("convert", "22007")},
          "check": {("check", "23514")}}

READ_TO_END = """
SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn() - '0/0';
SELECT streamagg.start('events');
SELECT streamagg.wait_for('events', '600 s');
SELECT extract(epoch FROM clock_timestamp()), pg_current_wal_insert_lsn() - '0/0';
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'streamagg worker' AND datname = current_database();
"""

UPSERTS = """
SELECT sum(n_tup_ins + n_tup_upd),
       coalesce(sum(n_tup_hot_upd)::float / nullif(sum(n_tup_upd), 0), 1)
FROM streamagg.aggregates JOIN pg_stat_user_tables ON relid = state_table
"""


@dataclass(frozen=True)
class Query:
    """What makes a stream "events" and its aggregates, each with a column "events" that counts."""
    definition: tuple               # files of bench/, one after the other
    counted: str = "good"           # events of generate.c that the counts must add up to
    variables: tuple = ()           # (name, value) for the definition


Q1 = Query(("login.sql", "q1.sql"))


@dataclass
class Raw:
    """What librdkafka alone took."""
    events: int
    wall: float         # seconds
    cpu: float          # CPU seconds of the process

    def per_million(self, seconds):
        return seconds * 1e6 / self.events


@dataclass
class Reading:
    """What one reading took."""
    events: int
    wall: float         # seconds from start() to the end of wait_for()
    worker: float       # CPU seconds of the worker process, its start included
    server: float       # CPU seconds of the postmaster and all of its children
    peak: float         # MB of the worker, the most that it had
    wal: float          # bytes that the server wrote, of all kinds
    upserts: int = 0    # rows inserted into state tables, or updated
    hot: float = 0      # share of the updates that stayed on their page

    def per_million(self, seconds):
        return seconds * 1e6 / self.events


class Readings:
    """Reads topics, each time with a new stream in a database of its own."""

    def __init__(self, postgres, kafka):
        self.postgres = postgres
        self.kafka = kafka
        self.count = 0

    def raw(self, topic):
        """Reads the topic by librdkafka alone."""
        found = self.kafka.consume(topic)
        if found["records"] != topic.events:
            fail(f"librdkafka read {found['records']} of {topic.events} events of {topic.name}")
        return Raw(events=topic.events, wall=found["seconds"], cpu=found["cpu"])

    def read(self, topic, query=Q1):
        """Reads the topic once. Wrong accounts end the run."""
        database = self.define(topic, query)
        reading = self._measure(database, topic)
        reading.upserts, reading.hot = self.finish(database, topic.counted, query)
        return reading

    def define(self, topic, query):
        """A database with the stream and its aggregates; gives back its name."""
        self.count += 1
        database = f"reading_{self.count}"
        self.postgres.sql("postgres", f"CREATE DATABASE {database}; CHECKPOINT;")
        for name in query.definition:
            text = (TREE / "bench" / name).read_text(encoding="utf-8")
            self.postgres.sql(database, text, bootstrap=self.kafka.bootstrap, topic=topic.name,
                              **dict(query.variables))
        return database

    def finish(self, database, counted, query):
        """Checks the accounts and drops the database; gives back upserts and the share of HOT."""
        self._check_accounts(database, counted, query)
        self.postgres.sql(database, "SELECT streamagg.stop_all()")
        # the worker has ended, and has told the statistics all that it did
        [[upserts, hot]] = self.postgres.sql(database, UPSERTS)
        self.postgres.sql("postgres", f"DROP DATABASE {database}")
        return int(upserts), float(hot)

    def _measure(self, database, topic):
        before = server_seconds(self.postgres.pid)
        began, _, [reached], ended, *workers = self.postgres.sql(database, READ_TO_END)
        if reached != "t" or len(workers) != 1:
            fail(f"the stream did not read {topic.name} to its end:\n"
                 + self.postgres.place.log("postgresql.log"))
        pid = int(workers[0][0])
        wall, wal = (float(after) - float(first) for first, after in zip(began, ended))
        return Reading(events=topic.events, wall=wall, worker=process_seconds(pid),
                       server=server_seconds(self.postgres.pid) - before, peak=peak_mb(pid),
                       wal=wal)

    def _check_accounts(self, database, made, query):
        broken = {kind: made.get(kind, 0) for kind in FAULTS}
        [found] = self.postgres.sql(database, """
            SELECT sum(read), sum(accepted), sum(quarantined),
                   sum(read) - sum(accepted + quarantined)
            FROM streamagg.partitions""")
        wrong = compare("read, accepted, quarantined, other",
                        [made["events"], made["good"], sum(broken.values()), 0],
                        list(map(int, found)))
        for [name] in self.postgres.sql(database, "SELECT aggregate FROM streamagg.aggregates"):
            [[total]] = self.postgres.sql(database, f"SELECT coalesce(sum(events), 0) FROM {name}")
            wrong += compare(f"aggregated in {name}", made[query.counted], int(total))
        quarantine = {kind: 0 for kind in FAULTS}
        for stage, code, count in self.postgres.sql(database, """
                SELECT stage, code, count(*) FROM streamagg.quarantine GROUP BY 1, 2"""):
            kind = next((kind for kind, faults in FAULTS.items() if (stage, code) in faults),
                        f"{stage} {code}")
            quarantine[kind] = quarantine.get(kind, 0) + int(count)
        wrong += compare("quarantine", broken, quarantine)
        if wrong:
            fail("the accounts are wrong:\n" + wrong)


def compare(what, expected, found):
    return "" if expected == found else f"{what}: expected {expected}, found {found}\n"
