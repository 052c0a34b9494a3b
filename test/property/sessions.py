#!/usr/bin/env python3
"""Random rows through push() into session windows, against what sessions mean.

sessions.py [--rounds N] [--seed N] [--database NAME]    needs only Python and psql; PG… variables count

Each round draws a stream (watermark_delay, partitions), rows (keys with NULL among them, times out of
order by more than the delay) and cuts them into batches of 1, of 7, and none at all. Compared are

- late 'merge': with gaps and islands, in SQL over all rows; the same however the rows are cut;
- late 'drop', with and without allowed_lateness, and all late counts: with the model below, which is told
  the batches, since the closing watermark moves at their ends;
- verify(), which must find nothing, or say that it cannot repeat sessions of several partitions.

The last line is `N passed, N failed`; one check is a round, a way to cut it and an aggregate.
"""
import argparse
import json
import random
import subprocess
import sys

GAP = 10_000_000            # microseconds, as all times
KEYS = (None, "a", "b", "B")
BASE = 1_700_000_000_000_000
MINUS_INFINITY = -2**62
AGGREGATES = {              # name: (late, allowed_lateness in microseconds)
    "merged": ("merge", 0), "merged_later": ("merge", 15_000_000),
    "dropped": ("drop", 0), "dropped_later": ("drop", 15_000_000)}

# ---------------------------------------------------------------- what sessions mean


class Sessions:
    """Lists of rows, by key; a row is (time, value)."""

    def __init__(self, late, lateness):
        self.drops, self.lateness, self.of_key, self.late = late == "drop", lateness, {}, 0

    def add(self, key, time, value, watermark):
        def is_closed(end):
            return end + self.lateness <= watermark

        def end_of(session):
            return max(t for t, _ in session) + GAP

        sessions = self.of_key.setdefault(key, [])
        touched = [s for s in sessions
                   if min(t for t, _ in s) - GAP <= time <= end_of(s)]
        still_open = [s for s in touched if not is_closed(end_of(s))]
        is_late = is_closed(max([time + GAP] + [end_of(s) for s in still_open]))
        self.late += is_late
        if is_late and self.drops:
            return
        joined = still_open if self.drops else touched
        sessions[:] = [s for s in sessions if not any(s is j for j in joined)]
        sessions.append([(time, value)] + [row for s in joined for row in s])

    def rows(self):
        return sorted(([min(t for t, _ in s), max(t for t, _ in s) + GAP, key, len(s),
                        sum(v for _, v in s), min(v for _, v in s), max(v for _, v in s)]
                       for key, sessions in self.of_key.items() for s in sessions), key=str)


def expected(stream, batches):
    """{aggregate: Sessions} after the batches, each (partition, rows)."""
    found = {name: Sessions(*policy) for name, policy in AGGREGATES.items()}
    highest, closing = {}, MINUS_INFINITY
    for partition, rows in batches:
        highest.setdefault(partition, MINUS_INFINITY)
        for key, time, value in rows:
            watermark = max(highest[partition] - stream["delay"], closing)
            for sessions in found.values():
                sessions.add(key, time, value, watermark)
            highest[partition] = max(highest[partition], time)
        closing = max(closing, min(highest.values()) - stream["delay"])
    return found

# ---------------------------------------------------------------- a round


def draw(chance):
    partitions = chance.choice((1, 1, 2, 3))
    # a key of one partition, or of any
    by_key = chance.random() < 0.5
    stream = {"delay": chance.choice((0, 5, 20, 60)) * 1_000_000, "partitions": partitions,
              "by_key": by_key or partitions == 1}
    spread = chance.choice((0, 15, 90)) * 1_000_000
    rows, now = [], BASE
    for _ in range(chance.randint(1, 120)):
        now += chance.choice((0, 1, 3, 5, 8, 10, 12, 40)) * 1_000_000
        time = now - chance.randrange(spread + 1) // 500_000 * 500_000
        key = chance.choice(KEYS)
        partition = KEYS.index(key) % partitions if by_key else chance.randrange(partitions)
        rows.append((partition, key, time, chance.randrange(10**9)))
    return stream, rows


def cut(rows, size):
    """Batches of one partition each."""
    batches = []
    for at in range(0, len(rows), size):
        piece = rows[at:at + size]
        for partition in sorted({row[0] for row in piece}):
            batches.append((partition, [row[1:] for row in piece if row[0] == partition]))
    return batches


def literal(value):
    return "'" + value.replace("'", "''") + "'"


def script(stream, rows, batches):
    sql = f"""SET client_min_messages = warning; SET TimeZone = 'UTC'; SET synchronous_commit = off;
DROP SCHEMA IF EXISTS property CASCADE; CREATE SCHEMA property; SET search_path = property;
CREATE FOREIGN TABLE s (k text, v bigint, ts timestamptz OPTIONS (encoding 'epoch_us') NOT NULL)
  SERVER property OPTIONS (event_time 'ts', archive 'on', watermark_delay '{stream["delay"]} us');
"""
    query = ("SELECT w.window_start b, w.window_end e, k, count(*) n, sum(v) s, min(v) lo, max(v) hi"
             " FROM s, streamagg.session(ts, '10 s') w GROUP BY 1, 2, 3")
    for name, (late, lateness) in AGGREGATES.items():
        sql += (f"SELECT streamagg.create_aggregate('{name}', {literal(query)}, late => '{late}',"
                f" allowed_lateness => '{lateness} us') \\g /dev/null\n")
    for partition, batch in batches:
        messages = ", ".join(literal(json.dumps({"k": k, "v": v, "ts": t})) for k, t, v in batch)
        sql += f"SELECT streamagg.push('s', ARRAY[{messages}], {partition}) \\g /dev/null\n"
    micros = "(extract(epoch FROM {})*1000000)::bigint"
    shown = f"{micros.format('b')}, {micros.format('e')}, k, n, s, lo, hi"
    for name in AGGREGATES:
        sql += (f"SELECT json_build_array('{name}', (SELECT json_agg(json_build_array({shown}))"
                f" FROM {name}), (SELECT json_build_array(late_rows, late_pairs) FROM"
                f" streamagg.aggregates WHERE aggregate = '{name}'::regclass));\n"
                f"SELECT json_build_array('verify {name}', (SELECT count(*) FROM"
                f" streamagg.verify('{name}')));\n")
    data = json.dumps([[k, t, v] for _, k, t, v in rows])
    return sql + f"""WITH r AS (SELECT r ->> 0 AS k, (r ->> 1)::bigint AS t, (r ->> 2)::bigint AS v
             FROM jsonb_array_elements({literal(data)}) r),
  marked AS (SELECT *, t > lag(t) OVER (PARTITION BY k ORDER BY t) + {GAP} AS begins FROM r),
  numbered AS (SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY k ORDER BY t) AS island
               FROM marked)
SELECT json_build_array('islands', (SELECT json_agg(x) FROM (SELECT json_build_array(min(t),
  max(t) + {GAP}, k, count(*), sum(v), min(v), max(v)) x FROM numbered GROUP BY k, island) y));
"""


def run(database, sql):
    done = subprocess.run(["psql", "-XqAt", "-d", database, "-f", "-"], input=sql, text=True,
                          encoding="utf-8", capture_output=True, check=False, timeout=300)
    found = {}
    for line in done.stdout.splitlines():
        name, *values = json.loads(line)
        found[name] = values
    return found, done.stderr


def problems_of(stream, name, found, errors, want):
    rows, late = found.get(name, [None, None])
    rows = sorted(rows or [], key=str)
    problems = []
    if rows != want.rows():
        problems.append(f"expected {want.rows()}, found {rows}")
    if late != [want.late, want.late]:
        problems.append(f"expected {want.late} late rows, found {late}")
    if AGGREGATES[name][0] == "merge" and rows != sorted(found["islands"][0] or [], key=str):
        problems.append(f"islands are {found['islands'][0]}, found {rows}")
    verified = found.get("verify " + name)
    if verified is None and (stream["by_key"] or "cannot be repeated" not in errors):
        problems.append("verify failed: " + errors.strip()[:300])
    if verified not in (None, [0]):
        problems.append(f"verify finds {verified[0]} differences")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", default="streamagg_property")
    arguments = parser.parse_args()
    database = arguments.database
    run("postgres", f"DROP DATABASE IF EXISTS {database};\n"
                    f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8';\n")
    run(database, "CREATE EXTENSION streamagg;\n"
                  "CREATE SERVER property FOREIGN DATA WRAPPER streamagg_kafka;\n")
    passed = failed = 0
    for number in range(arguments.seed, arguments.seed + arguments.rounds):
        stream, rows = draw(random.Random(number))
        for size in (1, 7, len(rows)):
            batches = cut(rows, size)
            found, errors = run(database, script(stream, rows, batches))
            for name, want in expected(stream, batches).items():
                problems = problems_of(stream, name, found, errors, want)
                passed += not problems
                failed += bool(problems)
                for problem in problems[:2]:
                    print(f"--seed {number} --rounds 1: batches of {size}, {name}: {problem[:800]}")
    run("postgres", f"DROP DATABASE IF EXISTS {database};\n")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
