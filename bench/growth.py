"""Workloads growth-…: what more aggregates, groups or partitions cost, each beside the raw read."""
import statistics
from dataclasses import dataclass
from typing import Callable

import pairs
from reading import Q1, Query

MOST_PAIRS, MOST_EVENTS = 3, 1_000_000      # of a size: the differences are large


@dataclass(frozen=True)
class Growth:
    """What grows, and what a size of it means for the topic and for the query."""
    sizes: tuple
    quick: tuple
    topic: Callable             # (size, partitions) → label, partitions, further options of fill
    query: Callable             # size → Query


WORKLOADS = {
    "growth-aggregates": Growth(
        (1, 10, 50), (1, 3), lambda size, partitions: ("login", partitions, {}),
        lambda size: Query(("login.sql", "aggregates.sql"), variables=(("aggregates", size),))),
    "growth-groups": Growth(
        (10, 1000, 100_000), (10, 1000),
        lambda size, partitions: ("login", partitions, {"users": size}),
        lambda size: Query(("login.sql", "qu.sql"))),
    "growth-partitions": Growth(
        (1, 10, 100), (1, 10), lambda size, partitions: ("login", size, {}), lambda size: Q1),
}


def show_table(what, rows):
    print(f"\n{what:>12} {'raw cpu-s/M':>12} {'server cpu-s/M':>15} {'× raw':>7} {'events/s':>10} "
          f"{'MB':>5}")
    for row in rows:
        found = {name: statistics.median(values) for name, values in row["figures"].items()}
        print(f"{row['size']:12,} {found['raw_cpu']:12.3f} {found['server_cpu']:15.3f} "
              f"{found['server_multiple']:7.2f} {found['rate']:10,.0f} {found['peak_mb']:5.0f}")


def run(name, readings, args):
    growth = WORKLOADS[name]
    what = name.removeprefix("growth-")
    count, events = min(args.pairs, MOST_PAIRS), min(args.events, MOST_EVENTS)
    rows = []
    for size in growth.quick if args.quick else growth.sizes:
        label, partitions, options = growth.topic(size, args.partitions)
        topic = readings.kafka.fill(label, partitions, events=events, seed=args.seed,
                                    **pairs.LOGIN, **options)
        print(f"{what}: {size:,}\n{pairs.HEAD}", flush=True)
        found = pairs.compare(readings, growth.query(size), topic, count, not args.quick)
        rows.append({"size": size, "figures": pairs.figures(found)})
    show_table(what, rows)
    return {"events": events, "what": what, "rows": rows}
