#!/usr/bin/env python3
"""Random definitions over random disordered streams: a view equals one plain query over the rows.

run.py [--seed N] [--cases N] [--case K] [--jobs N] [--crash]   needs only Python and psql

A case is a definition; a dozen share a stream, which is cut into batches in four ways (script.py).
The seed is printed; with it, --case repeats one case.
--crash: in each group the server is killed by kill -9 in the middle of a push, too (for a server of
the test's own; one job). What the server says that it cannot do is left out, and said.

A failed case prints a script that repeats it, made as short as a minute allows. Makes and drops the
databases streamagg_property_1 … N; PG… variables count. The last line is `N passed, N failed`.
"""
import argparse
import decimal
import os
import queue
import random
import re
import subprocess
import sys
import threading
import json
import time

import cases
import probe
import script

TIMEOUT = 300


def psql(database, sql):
    return subprocess.run(["psql", "-XqAt", "-d", database, "-f", "-"], input=sql, text=True,
                          encoding="utf-8", capture_output=True, check=False, timeout=TIMEOUT)

# ---------------------------------------------------------------- what psql said


def place_of(lines, number):
    """The (definition, way) whose lines of the script these are, or None."""
    for line in reversed(lines[:number]):
        found = re.match(r"\\echo @(create|compare) (\w+) (\d)", line)
        if found:
            return found[2], int(found[3])
        if line.startswith(("\\echo @compared", "\\echo @created")) or line.startswith("CREATE FUNCTION"):
            return None
    return None


def errors(sql, stderr):
    """[(place or None, message)]; a push that a timeout met is none."""
    lines, found = sql.split("\n"), []
    for number, message in re.findall(r"^psql:<stdin>:(\d+): (?:ERROR|FATAL):  (.*)$", stderr, re.M):
        if not message.startswith("57014"):
            found.append((place_of(lines, int(number)), message))
    found += [(None, line) for line in stderr.split("\n")
              if re.match("psql: error|.*(server closed|connection to server was lost)", line)]
    return found


def differences(output):
    """({(definition, way): [lines]}, places that were compared, other marked lines)"""
    found, compared, others, place = {}, [], [], None
    for line in output.split("\n"):
        if line.startswith("@compare "):
            _, name, way = line.split(" ")
            place = (name, int(way))
        elif line == "@compared":
            compared.append(place)
            place = None
        elif line.startswith(("@differs|", "@verify|")):
            found.setdefault(place, []).append(line[1:].replace("|", " expected ", 1))
        elif line.startswith("@"):
            others.append(line)
    return found, compared, others


def counts(others, models):
    """[(place or None, message)]: counters, watermarks and late counts that are not the model's."""
    found, late = [], dict.fromkeys(models, 0)
    for line in others:
        mark, _, said = line.partition("|")
        kind, _, way = mark.partition(" ")
        if kind == "@late":
            way, _, number = way.partition(" ")
            late[int(way)] += int(number)
            continue
        if kind not in ("@partition", "@closing", "@counts"):
            continue
        stream = models[int(way)]
        if kind == "@closing":
            value, place, want = float(decimal.Decimal(said)), None, stream.closing
        else:
            value = json.loads(said)
            place = (value["name"], int(way)) if kind == "@counts" else None
            want = stream.counters[value.pop("partition")] if place is None else \
                {"name": place[0], "rows_in": len(stream.accepted) - stream.began[place[0]], "late": stream.late[place[0]]}
        if value != want:
            found.append((place, f"{kind[1:]} of way {way}: expected {want}, found {value}"))
    found += [(None, f"late of way {n}: push() said {late[n]}, expected {m.late_of_pushes}")
              for n, m in models.items() if late[n] != m.late_of_pushes]
    return found


def judge(group, sql, models, done):
    """{definition or None: [problems]}"""
    differ, compared, others = differences(done.stdout)
    problems = {}
    for place, message in errors(sql, done.stderr) + counts(others, models):
        problems.setdefault(place and place[0], []).append(
            f"way {place[1]}: {message}" if place else message)
    for place, lines in differ.items():
        problems.setdefault(place[0], []).extend(f"way {place[1]}: {line}" for line in lines)
    if "@end" not in others:
        problems.setdefault(None, []).append("the script did not come to its end: " + done.stderr[-500:])
    for definition in group["definitions"]:
        missing = [way for way in models if (definition["name"], way) not in compared]
        if missing and definition["name"] not in problems:
            problems[definition["name"]] = [f"not compared: ways {missing}"]
    return problems


def attempt(group, database, crashes):
    sql, models = script.script(group, crashes)
    return judge(group, sql, models, psql(database, sql))

# ---------------------------------------------------------------- running


def make_database(database):
    done = psql("postgres", f"DROP DATABASE IF EXISTS {database};\n"
                f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8';\n"
                f"ALTER DATABASE {database} SET jit = off;\n")      # it takes seconds a batch
    if done.returncode == 0 and "ERROR" not in done.stderr:
        done = psql(database, "\\set ON_ERROR_STOP on\nSET client_min_messages = warning;\n" + script.PREPARE)
    if done.returncode != 0:
        sys.exit(f"run.py: {database}: {done.stderr}")


def case_number(group, definition):
    return group["number"] * cases.PER_GROUP + int(definition["name"][1:])


def without(group, name, records):
    """The group with this definition only (and the one that refuses rows), and these records."""
    found = {d["name"]: d for d in group["definitions"]}
    names = {"a0"} if group["poison"] else set()
    while name is not None and name in found:       # and what it is a rollup of
        names.add(name)
        name = found[name]["of"]
    keep = [d for d in group["definitions"] if d["name"] in names]
    return {**group, "definitions": keep or group["definitions"], "records": records}


def shorter(group, name, database, crashes):
    """The failing case with as few records as are found in a minute."""
    deadline = time.monotonic() + 60
    best = without(group, name, group["records"])
    if not attempt(best, database, crashes):
        return group                        # it takes the others, too
    size = len(best["records"]) // 2
    while size >= 1:
        at = 0
        while at < len(best["records"]) and time.monotonic() < deadline:
            fewer = best["records"][:at] + best["records"][at + size:]
            trial = without(best, name, fewer)
            if fewer and attempt(trial, database, crashes):
                best = trial
            else:
                at += size
        size //= 2
    return best


def describe(args, group, problems):
    lines = []
    for name, found in list(problems.items())[:4]:
        number = case_number(group, {"name": name or "a0"})
        lines.append(f"case {number} ({name or 'the stream'} of group {group['number']}): "
                     f"--seed {args.seed} --case {number}")
        lines += [f"  {line[:800]}" for line in found[:3]]
    more = len(problems) - 4
    return "\n".join(lines + ([f"and {more} more cases of this group"] if more > 0 else []))


def complain(args, group, problems, database):
    """A group with cases that failed, the first as a script that repeats it."""
    print(describe(args, group, problems), flush=True)
    with args.lock:
        args.scripts += 1
        wanted = args.scripts == 1
    if wanted:
        name = next((n for n in problems if n), "a0")
        short = shorter(group, name, database, args.crash)
        sql, models = script.script(short, args.crash)
        found = judge(short, sql, models, psql(database, sql))
        print(f"---------- shorter: {describe(args, short, found)}\n{script.PREPARE}{sql}"
              f"---------- end of the script", flush=True)


def worker(args, database, abilities, todo, results):
    while True:
        try:
            number, only = todo.get_nowait()
        except queue.Empty:
            return
        group = cases.group(args.seed, number, abilities)
        if only is not None:
            group = without(group, only, group["records"])
        try:
            problems = attempt(group, database, args.crash)
            if problems:
                complain(args, group, problems, database)
        except Exception as error:          # a broken answer fails its group, not the run
            problems = {None: [f"run.py: {type(error).__name__}: {error}"]}
            print(describe(args, group, problems), flush=True)
        results[number] = (len(group["definitions"]), len(problems))


def run_all(args, databases, abilities):
    todo, results = queue.Queue(), {}
    if args.case is not None:
        todo.put((args.case // cases.PER_GROUP, f"a{args.case % cases.PER_GROUP}"))
    else:
        for number in range(-(-args.cases // cases.PER_GROUP)):
            todo.put((number, None))
    threads = [threading.Thread(target=worker, args=(args, d, abilities, todo, results))
               for d in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def report(results):
    failed = sum(bad for _, bad in results.values())
    passed = sum(max(0, many - bad) for many, bad in results.values())
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--case", type=int)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--crash", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    args.lock, args.scripts = threading.Lock(), 0
    print(f"seed {args.seed}: --seed {args.seed} repeats this run", flush=True)
    jobs = 1 if args.crash or args.case is not None else args.jobs
    databases = [f"streamagg_property_{n + 1}" for n in range(jobs)]
    for database in databases:
        make_database(database)
    abilities, missing = probe.probe(psql, databases[0])
    for what in missing:
        print(f"left out: {what}")
    results = run_all(args, databases, abilities)
    status = report(results)
    for database in databases:
        psql("postgres", f"DROP DATABASE {database};")
    return status


if __name__ == "__main__":
    sys.exit(main())
