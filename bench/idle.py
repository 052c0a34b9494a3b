"""Workload idle: what streams cost that have read their topics and wait for more."""
import time

from measure import process_seconds, server_seconds
from place import TREE, fail

SIZES, QUICK = (1, 10, 50), (1, 3)
RECORDS = 1000
SETTLE = 35         # seconds: more than idle_timeout, after which a worker has nothing left to do


def add_streams(postgres, database, topic, first, last):
    text = (TREE / "bench/idle.sql").read_text(encoding="utf-8")
    postgres.sql(database, text, topic=topic.name, first=first, last=last)
    [[read]] = postgres.sql(database, "SELECT sum(read) FROM streamagg.partitions")
    if int(read) != last * topic.events:
        fail(f"{last} streams read {read} of {last * topic.events} records")


def workers(postgres):
    return [int(pid) for [pid] in postgres.sql("postgres", """
        SELECT pid FROM pg_stat_activity WHERE backend_type = 'streamagg worker'""")]


def measure(postgres, seconds):
    """CPU milliseconds a minute: (of the server, of the workers)"""
    def now():
        return server_seconds(postgres.pid), sum(map(process_seconds, pids))

    pids = workers(postgres)
    time.sleep(0.5)         # until the backend that told has ended
    before, began = now(), time.monotonic()
    time.sleep(seconds)
    after, took = now(), time.monotonic() - began
    return [(last - first) * 60_000 / took for first, last in zip(before, after)]


def run(readings, args):
    postgres, database = readings.postgres, "idle"
    topic = readings.kafka.fill("idle", args.partitions, events=RECORDS, seed=args.seed)
    postgres.sql("postgres", f"CREATE DATABASE {database}")
    postgres.sql(database, """CREATE EXTENSION streamagg;
        CREATE SERVER kafka FOREIGN DATA WRAPPER streamagg_kafka OPTIONS (bootstrap_servers :'at')
        """, at=readings.kafka.bootstrap)
    print(f"over {args.seconds} s, {args.partitions} partitions a stream", flush=True)
    library = readings.kafka.consume(topic, args.seconds)["idle_cpu"] * 60_000 / args.seconds
    print(f"librdkafka alone: {library:.1f} ms of CPU a minute\n"
          "streams  server CPU ms/min   more than without, a stream   of the worker", flush=True)
    rows, running = [], 0
    for count in (0, *(QUICK if args.quick else SIZES)):
        if count:
            add_streams(postgres, database, topic, running + 1, count)
        running = count
        time.sleep(1 if args.quick else SETTLE)
        server, worker = measure(postgres, args.seconds)
        rows.append({"size": count, "server_ms": server, "workers_ms": worker})
        a_stream = "" if not count else \
            f"{(server - rows[0]['server_ms']) / count:29.1f} {worker / count:15.1f}"
        print(f"{count:7} {server:18.1f} {a_stream}", flush=True)
    postgres.sql(database, "SELECT streamagg.stop_all()")
    postgres.sql("postgres", f"DROP DATABASE {database}")
    return {"seconds": args.seconds, "partitions": args.partitions, "library_ms": library,
            "rows": rows}
