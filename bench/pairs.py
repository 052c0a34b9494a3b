"""Workloads q1, q2c, qu, ysb: a query over a topic, beside the raw read of the topic."""
from dataclasses import dataclass, field

from measure import in_turn, show_spread
from reading import Q1, Query

# What the topics hold: options of generate.c.
LOGIN = {"kind": "login", "missing": 0.02, "not_json": 0.001, "nested": 0.01}
YSB = {"kind": "ysb"}


@dataclass(frozen=True)
class Workload:
    """A query, the topic that it reads, and what it ought to cost at the most."""
    query: Query
    topic: str
    events: dict = field(hash=False)
    goals: dict = field(hash=False)     # figure: bound, see FIGURES


WORKLOADS = {
    "q1": Workload(Q1, "login", LOGIN, {"multiple": 1.5, "rate": 2.0e6}),
    "q2c": Workload(Query(("login.sql", "q2c.sql")), "login", LOGIN, {"multiple": 1.8}),
    "qu": Workload(Query(("login.sql", "qu.sql")), "login", LOGIN,
                   {"rate": 450_000, "wal_bytes": 145}),
    "ysb": Workload(Query(("ysb.sql",), counted="view"), "ysb", YSB, {"multiple": 1.6}),
}
HEAD = ("      cpu-s/M and multiple of raw              M events/s      MB\n"
        "pair      raw  worker    ×    server    ×       raw stream  worker")


def read_pair(readings, query, topic, number):
    """What librdkafka takes alone, and what the stream takes."""
    return in_turn(number, lambda: readings.raw(topic), lambda: readings.read(topic, query))


def show_pair(number, raw, reading):
    print(f"{number:4}  {reading.per_million(raw.cpu):7.3f}"
          f" {reading.per_million(reading.worker):7.3f}"
          f" {reading.worker / raw.cpu:6.2f} {reading.per_million(reading.server):7.3f}"
          f" {reading.server / raw.cpu:6.2f}  {raw.events / raw.wall / 1e6:6.2f}"
          f" {reading.events / reading.wall / 1e6:6.2f}  {reading.peak:6.0f}", flush=True)


def compare(readings, query, topic, pairs, warm=True):
    """Reads a topic in pairs, and once unmeasured before, so that files and caches are warm."""
    if warm:
        readings.read(topic, query)
    found = []
    for number in range(pairs):
        found.append(read_pair(readings, query, topic, number))
        show_pair(number + 1, *found[-1])
    return found


def writes(readings):
    """What readings wrote. Notes in quarantine are WAL, too: see run()."""
    return {"upserts": [reading.upserts for reading in readings],
            "wal_bytes": [reading.wal / reading.upserts for reading in readings],
            "hot": [reading.hot for reading in readings]}


def figures(pairs):
    """The figures of pairs, each as a list in the order of the pairs."""
    found = {"raw_rate": [raw.events / raw.wall for raw, _ in pairs],
             "raw_cpu": [raw.per_million(raw.cpu) for raw, _ in pairs],
             "rate": [reading.events / reading.wall for _, reading in pairs],
             "peak_mb": [reading.peak for _, reading in pairs],
             **writes([reading for _, reading in pairs])}
    for what in ("worker", "server"):
        found[f"{what}_cpu"] = [reading.per_million(getattr(reading, what)) for _, reading in pairs]
        found[f"{what}_multiple"] = [getattr(reading, what) / raw.cpu for raw, reading in pairs]
    return found


def show_figures(found, goals):
    for what in ("worker", "server"):
        print(f"multiple of raw, {what}: {show_spread(found[f'{what}_multiple'])}")
    print(f"events/s: {show_spread(found['rate'], '.0f')}")
    if "wal_bytes" not in goals:
        return
    [upserts], [wal_bytes], [hot] = (found[name] for name in ("upserts", "wal_bytes", "hot"))
    print(f"without broken records: {upserts:,} upserts, {wal_bytes:.1f} bytes of WAL each, "
          f"{hot:.2%} of the updates within their page (HOT)")


def show_goals(goals):
    words = {"multiple": "{:g} × raw at the most", "rate": "{:,.0f} events/s at least",
             "wal_bytes": "{:g} bytes of WAL an upsert at the most"}
    print("goal: " + ", ".join(words[what].format(bound) for what, bound in goals.items()))


def run(name, readings, args):
    workload = WORKLOADS[name]
    topic = readings.kafka.fill(workload.topic, args.partitions, events=args.events,
                                seed=args.seed, **workload.events)
    print(topic.describe())
    print(HEAD, flush=True)
    found = figures(compare(readings, workload.query, topic, args.pairs, not args.quick))
    if "wal_bytes" in workload.goals:       # of upserts alone: of a topic that has nothing broken
        sound = readings.kafka.fill(workload.topic, args.partitions, events=args.events,
                                    seed=args.seed)
        found.update(writes([readings.read(sound, workload.query)]))
    show_figures(found, workload.goals)
    show_goals(workload.goals)
    return {"events": topic.events, "event_bytes": topic.counted["bytes"] / topic.events,
            "partitions": topic.partitions, "goals": workload.goals, "figures": found}
