#!/usr/bin/env python3
"""Generated cases over topics, for test/kafka/t/181_property.pl, which makes the topics, sends the records
and does what may happen meanwhile.

topic.py --seed N make DIRECTORY  streams and aggregates in the database $PGDATABASE; in the directory the
                                  records of each topic, a line each for produce.py --json
topic.py --seed N begin K         rollups and added columns, K of STEPS in turn, while the streams run
topic.py --seed N check           views, counters and verify(); the last line is `N passed, N failed`

Batches are what workers make of it, so nothing here may depend on how they are cut: no partition is idle,
and so a row's own partition alone says whether it is late.
"""
import argparse
import json
import os
import sys

import cases
import expected
import probe
import run
import script

STREAMS = 2
STEPS = 4
PARTITIONS = 3
OPTIONS = {"batch_interval": "20 ms", "idle_timeout": "1 day", "close_after": "1 day", "max_bad_ratio": "1"}


def groups(seed):
    abilities, _ = probe.probe(run.psql, os.environ["PGDATABASE"])
    return [cases.group(seed, number, abilities, server="kafka", partitions=PARTITIONS, poison=False,
                        archive=[True], ways=[0], size=400,
                        options={**OPTIONS, "topic": f"property_{number}"}) for number in range(STREAMS)]


def line(record):
    value = record["message"]
    return json.dumps({"partition": record["p"], "key": b"key".hex(),
                       "value": None if value is None else value.encode().hex()})


def execute(sql):
    """What went wrong."""
    return [message for _, message in run.errors(sql, run.psql(os.environ["PGDATABASE"], sql).stderr)]


def make(seed, directory):
    problems = execute("\\set ON_ERROR_STOP on\n" + script.PREPARE)
    for group in [] if problems else groups(seed):
        problems += execute(script.make(group))
        with open(f"{directory}/property_{group['number']}", "w", encoding="utf-8") as file:
            file.writelines(line(r) + "\n" for r in group["records"])
    return problems


def begin(seed, step):
    return [problem for group in groups(seed)
            for problem in execute(script.happening(group, 0, step, STEPS - 1))]


def take_beginnings(group, stream):
    """Of what began while the stream ran: with which row is only in its own counters, and a column
    that was added may be unknown in each group."""
    stream.unknown = dict.fromkeys(stream.unknown, len(stream.accepted))
    done = run.psql(os.environ["PGDATABASE"], "SELECT split_part(split_part(aggregate::text, '.', 2), '_', 1), "
                    "rows_in, late_rows, late_pairs FROM streamagg.aggregates WHERE aggregate::text "
                    f"LIKE 'property_{group['number']}.%'")
    began = {d["name"] for d in group["definitions"] if d["at"] is not None}
    for name, *counts in (row.split("|") for row in done.stdout.splitlines()):
        if name in began:
            rows_in, *late = map(int, counts)
            stream.began[name], stream.late[name] = len(stream.accepted) - rows_in, late


def model(group):
    """All partitions are there from the beginning, and none is left out of the closing watermark."""
    stream = expected.Stream(group)
    stream.tops = dict.fromkeys(range(PARTITIONS), expected.NEVER)
    for partition in stream.tops:
        stream.push(partition, [r for r in group["records"] if r["p"] == partition])
    stream.late_of_pushes = 0               # nothing is pushed
    take_beginnings(group, stream)
    return stream


def check(group):
    models = {0: model(group)}
    sql = script.settings(group) + script.look(group, 0, models[0]) + "\\echo @end\n"
    return run.judge(group, sql, models, run.psql(os.environ["PGDATABASE"], sql))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("action", choices=("make", "begin", "check"))
    parser.add_argument("argument", nargs="?")
    args = parser.parse_args()
    if args.action == "make":
        sys.exit("\n".join(make(args.seed, args.argument)) or 0)
    if args.action == "begin":
        sys.exit("\n".join(begin(args.seed, int(args.argument))) or 0)
    results = {}
    for group in groups(args.seed):
        problems = check(group)
        for name, found in problems.items():
            print("\n  ".join([f"{name or 'the stream'} of group {group['number']}:", *found[:3]]))
        results[group["number"]] = (len(group["definitions"]), len(problems))
    return run.report(results)


if __name__ == "__main__":
    sys.exit(main())
