"""Workload retention: batches and the state's size, day by day, before and behind the horizon.

It needs no broker: a local stream, one push() for each simulated hour. It ends the run when more
groups stay than two partitions beyond the retention, or fewer than the retention's.
"""
import statistics
import time

from place import TREE, fail

GROUPS, MINUTES = 150, 24 * 60
PATIENCE = 120          # seconds, for the keeper


def measure(postgres, database, day):
    [[batch, size, partitions]] = postgres.sql(database, f"""
        SELECT (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FROM batches WHERE day = {day}),
               (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('by_minute_state')),
               (SELECT count(*) FROM pg_inherits WHERE inhparent = 'by_minute_state'::regclass)""")
    return {"day": day + 1, "batch_ms": float(batch), "mb": int(size) / 1e6,
            "partitions": int(partitions)}


def wait_for_keeper(postgres, database):
    """Until nothing is due any more."""
    deadline = time.monotonic() + PATIENCE
    while postgres.sql(database, "SELECT count(*) FROM due") != [["0"]]:
        if time.monotonic() > deadline:
            fail("old partitions stay")
        time.sleep(0.2)


def check_groups(postgres, database, args):
    [[groups, width]] = postgres.sql(database, """
        SELECT (SELECT count(*) FROM by_minute), extract(epoch FROM partition_width) / 86400
        FROM streamagg.aggregate_catalog""")
    days = int(groups) / MINUTES / GROUPS
    kept = min(args.days, args.retention)
    if not kept <= days <= args.retention + 2 * float(width):
        fail(f"windows of {days:.1f} days stay, with a retention of {args.retention} days")
    print(f"{int(groups):,} groups of {days:.1f} days stay; a partition is {float(width):.2f} days")
    return int(groups)


def run(readings, args):
    postgres, database = readings.postgres, "retention"
    postgres.sql("postgres", f"CREATE DATABASE {database}")
    postgres.sql(database, (TREE / "bench/retention.sql").read_text(encoding="utf-8"),
                 retention=f"{args.retention} days")
    print(f"{args.days} days of {MINUTES} windows and {GROUPS} groups, kept for {args.retention} "
          f"days; a batch is an hour, {60 * GROUPS:,} records\n"
          " day  batch ms  state MB  partitions", flush=True)
    rows = []
    for day in range(args.days):
        postgres.sql(database, f"CALL push_day({day}, {GROUPS})")
        rows.append(measure(postgres, database, day))
        print("{day:4} {batch_ms:9.1f} {mb:9.1f} {partitions:11}".format(**rows[-1]), flush=True)
    wait_for_keeper(postgres, database)
    groups = check_groups(postgres, database, args)
    before = [row for row in rows if args.retention / 2 < row["day"] <= args.retention]
    behind = [row for row in rows if row["day"] > args.retention]
    for what, unit in (("batch_ms", "ms a batch"), ("mb", "MB")):
        shown = [f"{statistics.median(row[what] for row in part):.1f}" for part in (before, behind)
                 if part]
        print(f"{unit}: {', then '.join(shown)} behind the horizon")
    postgres.sql("postgres", f"DROP DATABASE {database}")
    return {"days": args.days, "retention": args.retention, "groups": groups, "rows": rows}
