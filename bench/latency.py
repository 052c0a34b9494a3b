"""Workload latency: how long an event takes from its producer to the eyes of a SQL reader.

The producer notes when it hands over which events of each partition (generate.c, the journal); a
reader notes when it first sees which offsets (poll.sql). Both clocks are this machine's. An event
counts as seen when the reader has its answer: up to one look later than it could have been.
"""
import json
import time
from pathlib import Path

from measure import process_seconds, resident_mb, server_seconds
from place import TREE, fail
from reading import Q1

WARM_SECONDS = 10       # the broker's Java is slow at first
EVENTS = {"kind": "login", "nested": 0.01}      # none broken: offsets and counts are the same
GOALS = {"p50": 25, "p99": 60, "cores": 0.15, "resident_mb": 60}


def backend(postgres, condition):
    """The process of the one backend that meets a condition, once there is one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = postgres.sql("postgres", f"SELECT pid FROM pg_stat_activity WHERE {condition}")
        if len(found) == 1:
            return int(found[0][0])
        time.sleep(0.05)
    return fail(f"no backend: {condition}")


def start_reader(postgres, database, records, seconds):
    """A psql that looks for the records; its output is in the file poll.log."""
    place = postgres.place
    return place.start(place.bin / "psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-v",
                       f"records={records}", "-v", f"seconds={seconds}", "-f",
                       place.dir / "tree/bench/poll.sql",
                       f"dbname={database} application_name=poll", log="poll.log")


def read_journal(path):
    """[(time, events of each partition by then)]"""
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        moment, *ends = line.split()
        yield float(moment), list(map(int, ends))


def read_looks(path):
    """([(time, offsets of each partition then)], pause between two looks in ms: mean, longest)"""
    _, *lines, last = Path(path).read_text(encoding="utf-8").splitlines()
    seen = [line.split("\t") for line in lines]
    pauses = [1000 * float(seconds) for seconds in last.split("\t")]
    return [(float(at), json.loads(ends)) for at, ends in seen], pauses


def delays(journal, seen):
    """(when they were produced, milliseconds until they were seen, how many) of events."""
    for partition in range(len(journal[0][1])):
        position, produced = 0, 0
        for moment, ends in journal:
            while produced < ends[partition]:
                while seen[position][1].get(str(partition), 0) <= produced:
                    position += 1
                covered = min(ends[partition], seen[position][1][str(partition)])
                yield moment, (seen[position][0] - moment) * 1000, covered - produced
                produced = covered


def percentile(weighted, share):
    """The least value that at least this share of all the events does not exceed."""
    weighted = sorted(weighted)
    left = share * sum(weight for _, weight in weighted)
    for value, weight in weighted:
        left -= weight
        if left <= 0:
            break
    return value


def measure(readings, database, topic, args):
    """Produces at the rate; gives back cores used after the warm-up, and the worker's memory."""
    postgres = readings.postgres
    place = postgres.place
    events = args.rate * args.seconds
    reader = start_reader(postgres, database, events, args.seconds + 60)
    pids = [backend(postgres, "application_name = 'poll'"),
            backend(postgres, "backend_type = 'streamagg worker'")]
    producer = place.start(*readings.kafka.generator(
        topic, events=events, seed=args.seed, rate=args.rate, journal=place.dir / "journal",
        **EVENTS), log="produce.log")

    def spent():
        if reader.poll() is not None:
            fail("the reader has ended:\n" + place.log("poll.log"))
        polled, worked = map(process_seconds, pids)
        return time.monotonic(), server_seconds(postgres.pid) - polled, worked

    time.sleep(warm_seconds(args))
    before = spent()
    # not to the end: the reader's process ends with the last event
    time.sleep(0.9 * (args.seconds - warm_seconds(args)))
    took, server, worker = (after - first for first, after in zip(before, spent()))
    memory = resident_mb(pids[1])
    for process, log in ((producer, "produce.log"), (reader, "poll.log")):
        if process.wait():
            fail(f"{log} says:\n" + place.log(log))
    # librdkafka may have logged something before the last line
    topic.counted = json.loads(place.log("produce.log").splitlines()[-1])
    return {"cores": server / took, "worker_cores": worker / took, **memory}


def warm_seconds(args):
    return min(WARM_SECONDS, args.seconds // 2)


def run(readings, args):
    topic = readings.kafka.create("latency", args.partitions)
    database = readings.define(topic, Q1)
    readings.postgres.sql(database, "SELECT streamagg.start('events')")
    readings.postgres.sql(database, "SELECT streamagg.wait_for('events')")
    found = measure(readings, database, topic, args)
    journal = list(read_journal(readings.postgres.place.dir / "journal"))
    seen, (pause, longest) = read_looks(readings.postgres.place.dir / "poll.log")
    every = list(delays(journal, seen))
    if sum(weight for _, _, weight in every) != topic.events:
        fail("the journal does not hold the events that were produced")
    first = journal[0][0] + warm_seconds(args)
    weighted = [(delay, weight) for moment, delay, weight in every if moment >= first]
    found.update({name: percentile(weighted, share) for name, share in
                  (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("most", 1))})
    found.update(look_ms=pause, longest_look_ms=longest,
                 commit_ms=1000 * (seen[-1][0] - seen[0][0]) / len(seen))
    readings.finish(database, topic.counted, Q1)
    show(found, args)
    return {"rate": args.rate, "seconds": args.seconds, "partitions": args.partitions,
            "goals": GOALS, "figures": found}


def show(found, args):
    print(f"{args.rate:,} events/s for {args.seconds} s, the first {warm_seconds(args)} s not "
          "counted\nproduced → visible: " + ", ".join(
              f"{name} {found[name]:.1f} ms" for name in ("p50", "p95", "p99", "most")))
    print(f"seen by a look every {found['look_ms']:.1f} ms (longest pause "
          f"{found['longest_look_ms']:.1f} ms); something new every {found['commit_ms']:.1f} ms")
    print(f"cores: server {found['cores']:.3f}, of it the worker {found['worker_cores']:.3f}")
    print(f"worker: {found['resident_mb']:.0f} MB, of it {found['shared_mb']:.0f} MB shared "
          "with the server")
    print(f"goal: p50 {GOALS['p50']} ms, p99 {GOALS['p99']} ms, {GOALS['cores']} cores, "
          f"{GOALS['resident_mb']} MB at the most")
