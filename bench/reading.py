"""One reading of a topic by a fresh stream, from start() to wait_for(), measured and checked."""
from dataclasses import dataclass

from measure import peak_mb, process_seconds, server_seconds
from place import TREE, fail

# What generate.c breaks: where a stream must have stopped it, and by which SQLSTATE.
FAULTS = {"not_json": {("decode", "22P02")}, "missing": {("check", "23502")},
          "wrong_type": {("convert", "22P02"), ("convert", "22007")},
          "check": {("check", "23514")}}

READ_TO_END = """
SELECT extract(epoch FROM clock_timestamp());
SELECT streamagg.start('login');
SELECT streamagg.wait_for('login', '600 s');
SELECT extract(epoch FROM clock_timestamp());
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'streamagg worker' AND datname = current_database();
"""


@dataclass
class Reading:
    """What one reading took."""
    events: int
    wall: float         # seconds from start() to the end of wait_for()
    worker: float       # CPU seconds of the worker process, its start included
    server: float       # CPU seconds of the postmaster and all of its children
    peak: float         # MB of the worker, the most that it had

    def per_million(self, seconds):
        return seconds * 1e6 / self.events


class Readings:
    """Reads topics, each time with a new stream in a database of its own."""

    def __init__(self, postgres, kafka):
        self.postgres = postgres
        self.kafka = kafka
        self.count = 0

    def read(self, topic, made, definition="login.sql"):
        """Reads the topic once; made is what generate.c counted. Wrong accounts end the run."""
        self.count += 1
        database = f"reading_{self.count}"
        self.postgres.sql("postgres", f"CREATE DATABASE {database}; CHECKPOINT;")
        self.postgres.sql(database, (TREE / "bench" / definition).read_text(encoding="utf-8"),
                          bootstrap=self.kafka.bootstrap, topic=topic)
        before = server_seconds(self.postgres.pid)
        [began], _, [reached], [ended], *workers = self.postgres.sql(database, READ_TO_END)
        if reached != "t" or len(workers) != 1:
            fail(f"the stream did not read {topic} to its end:\n"
                 + self.postgres.place.log("postgresql.log"))
        pid = int(workers[0][0])
        reading = Reading(events=made["events"], wall=float(ended) - float(began),
                          worker=process_seconds(pid),
                          server=server_seconds(self.postgres.pid) - before,
                          peak=peak_mb(pid))
        self._check_accounts(database, made)
        self.postgres.sql(database, "SELECT streamagg.stop_all()")
        self.postgres.sql("postgres", f"DROP DATABASE {database}")
        return reading

    def _check_accounts(self, database, made):
        broken = {kind: made[kind] for kind in FAULTS}
        [found] = self.postgres.sql(database, """
            SELECT sum(read), sum(accepted), sum(quarantined),
                   sum(read) - sum(accepted + quarantined),
                   (SELECT coalesce(sum(events), 0) FROM result)
            FROM streamagg.partitions""")
        good = made["good"]
        wrong = compare("read, accepted, quarantined, other, aggregated",
                        [made["events"], good, sum(broken.values()), 0, good],
                        list(map(int, found)))
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
