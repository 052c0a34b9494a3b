"""Workload archive: what an archive costs, against the same query over the same topic without one."""
import pairs
from measure import in_turn, show_spread
from reading import Query


def with_archive(query):
    """The stream's definition, that it keeps its rows, then its aggregates."""
    first, *rest = query.definition
    return Query((first, "archive.sql", *rest), query.counted, query.variables)


def show_pair(number, off, on):
    print(f"{number:4}  {off.per_million(off.worker):7.3f} {on.per_million(on.worker):7.3f}"
          f" {on.worker / off.worker:6.3f}"
          f"  {off.per_million(off.server):7.3f} {on.per_million(on.server):7.3f}"
          f" {on.server / off.server:6.3f}  {off.wall:6.2f} {on.wall:6.2f} {on.wall / off.wall:6.3f}"
          f"  {on.wal / on.events:6.0f}", flush=True)


def run(readings, args):
    return compare(readings, args, "archive", with_archive(pairs.WORKLOADS[args.query].query))


def compare(readings, args, what_is_on, on):
    """The query of --query, and the one that has something on beside it, by turns."""
    topic = readings.kafka.fill("login", args.partitions, events=args.events, seed=args.seed,
                                **pairs.LOGIN)
    print(topic.describe())
    off = pairs.WORKLOADS[args.query].query
    for query in (off, on):
        readings.read(topic, query)     # once unmeasured: files and caches are warm
    print("      worker cpu-s/M         server cpu-s/M         wall s                WAL\n"
          "pair      off      on  ratio      off      on  ratio     off     on  ratio  B/event",
          flush=True)
    found = []
    for number in range(args.pairs):
        found.append(in_turn(number, lambda: readings.read(topic, off),
                             lambda: readings.read(topic, on)))
        show_pair(number + 1, *found[-1])
    ratios = {what: [getattr(b, what) / getattr(a, what) for a, b in found]
              for what in ("worker", "server", "wall")}
    for what, values in ratios.items():
        print(f"{what_is_on} on against off, {what}: {show_spread(values)}")
    return {"events": args.events, "query": args.query, "ratios": ratios,
            "wal_bytes": [on.wal / on.events for _, on in found]}
