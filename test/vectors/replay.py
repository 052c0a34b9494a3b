#!/usr/bin/env python3
"""Replays the golden vectors through push() against a server that has the extension.

replay.py [--only PATTERN] [--jobs N] [FILE …]         needs only Python and psql; PG… variables count

Each vector runs three ways, in a schema made anew: every push whole, in two parts, and message by
message; nothing but the number of batches may change (what a failing push keeps depends on the cut,
so a vector that expects an error runs whole only). The last way of each keeps an archive, which must
have the accepted rows, and in which verify() must find nothing. A vector passes when all its ways do.

uncovered.txt lists the vectors that need what is not built yet. They must be refused when they are
defined: one that is accepted fails, whether its results are right (take it off the list) or wrong.

Makes and drops databases streamagg_vectors_1 … N (N --jobs run at once) and key files that the
server must be able to read: run it as the server's user, as a superuser of the database.

A vector: setup (SQL before), keys (name: hex), stream (DDL on the server `local`), aggregates,
steps (each a push with the counters it returns, or {"error": SQLSTATE}), expect: views (rows as
text), quarantine [partition, offset, stage, code, column], streams, partitions, late per aggregate.
"""
import argparse
import collections
import glob
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = ("whole", "halves", "one by one")
COUNTERS = ("read", "accepted", "quarantined", "dropped", "duplicate", "tombstones", "late")
PARTITION = ("partition", "start_offset", "next_offset", "watermark") + COUNTERS[:-1]
HEAD = """SET client_min_messages = warning;
SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';
SET bytea_output = 'hex'; SET extra_float_digits = 1;
DROP SCHEMA IF EXISTS streamagg_model CASCADE; CREATE SCHEMA streamagg_model;
SET search_path = streamagg_model, public;
"""

# ---------------------------------------------------------------- a vector as a script for psql


def literal(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def array(values, type_name):
    return f"ARRAY[{', '.join(map(literal, values))}]::{type_name}[]"


def pieces(push, way):
    """One push as one, two or n; all lists are cut alike."""
    n = len(push["messages"])
    size = {"whole": n, "halves": (n + 1) // 2, "one by one": 1}[way]
    for at in range(0, n, size):
        yield {k: v[at:at + size] if isinstance(v, list) else v for k, v in push.items()}


def push_sql(stream, push):
    counts = ", ".join(f"'{c}', {c}" for c in COUNTERS)
    extra = "".join(f", {name} => {array(push[name], type_name)}" for name, type_name in
                    (("keys", "text"), ("timestamps", "timestamptz")) if push.get(name))
    return (f"SELECT json_build_object({counts}) FROM streamagg.push({literal(stream)}::regclass, "
            f"messages => {array(push['messages'], 'text')}, "
            f"partition => {push['partition']}{extra});\n")


def key_sql(name, digits, key_dir):
    path = os.path.join(key_dir, name + ".key")
    if not os.path.exists(path):        # several databases read it at the same time
        with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=key_dir, delete=False) as f:
            f.write(digits)
        os.chmod(f.name, 0o644)
        os.replace(f.name, path)
    return (f"DO $$ BEGIN PERFORM streamagg.create_key({literal(name)}, {literal('file:' + path)});"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;\n")


def ways(vector):
    return WAYS[:1] if any("error" in s["expect"] for s in vector["steps"]) else WAYS


def keeps_archive(vector, way):
    return way == ways(vector)[-1]


def definition_sql(vector, key_dir, way):
    sql = HEAD + "".join(s + ";\n" for s in vector["setup"])
    sql += "".join(key_sql(n, k, key_dir) for n, k in vector["keys"].items())
    sql += vector["stream"] + ";\n"
    if keeps_archive(vector, way):
        sql += f'ALTER FOREIGN TABLE {vector["stream_name"]} OPTIONS (ADD archive \'on\');\n'
    for a in vector["aggregates"]:
        sql += (f"SELECT NULL FROM streamagg.create_aggregate({literal(a['name'])}, "
                f"{literal(a['query'])}, late => {literal(a['late'])}, "
                f"allowed_lateness => {literal(a['allowed_lateness'])}, "
                f"emit => {literal(a['emit'])});\n")
    return sql


def archive_sql(stream):
    """Of each partition the accepted rows, those in the archive, and the offsets of those."""
    return ("\\echo @archive\nSELECT json_build_array(accepted, count(a.*), count(DISTINCT a._offset)) "
            f"FROM streamagg.partitions p LEFT JOIN {stream}_archive a ON a._partition = p.partition "
            f"WHERE p.stream = {literal(stream)}::regclass GROUP BY p.partition, accepted;\n")


def results_sql(vector, way):
    """One JSON value a line, under its mark."""
    stream = literal(vector["stream_name"]) + "::regclass"
    sql = ""
    for a in vector["aggregates"]:
        view = literal(a["name"]) + "::regclass"
        columns = (f"FROM pg_attribute WHERE attrelid = {view} AND attnum > 0 "
                   "AND NOT attisdropped AND attname <> 'updated_at'")
        sql += (f"\\echo @view:{a['name']}\nSELECT json_agg(attname ORDER BY attnum) {columns};\n"
                "SELECT format('SELECT json_build_array(%s) FROM %s', string_agg("
                f"format('%I::text', attname), ', ' ORDER BY attnum), {view}) {columns} \\gexec\n"
                f"\\echo @late:{a['name']}\nSELECT json_build_array(late_rows, late_pairs) "
                f"FROM streamagg.aggregates WHERE aggregate = {view};\n")
        if keeps_archive(vector, way):
            sql += (f"\\echo @verify\nSELECT json_build_array({literal(a['name'])}, "
                    f"(SELECT json_agg(v) FROM streamagg.verify({view}) v));\n")
    columns = ", ".join(f"'{c}', {c}" + ("::text" if c == "watermark" else "") for c in PARTITION)
    return sql + (
        "\\echo @quarantine\nSELECT json_build_array(partition, record_offset, stage, code, "
        f"column_name) FROM streamagg.quarantine WHERE stream = {stream};\n"
        "\\echo @watermark\nSELECT coalesce(to_json(watermark::text), 'null') "
        f"FROM streamagg.streams WHERE stream = {stream};\n"
        f"\\echo @partitions\nSELECT json_build_object({columns}) "
        f"FROM streamagg.partitions WHERE stream = {stream} ORDER BY partition;\n")


def script(vector, key_dir):
    sql = ""
    for way in ways(vector):
        sql += ("\\set ON_ERROR_STOP on\n" + definition_sql(vector, key_dir, way)
                + f"\\echo @way:{way}\n\\set ON_ERROR_STOP off\n")
        for i, step in enumerate(vector["steps"]):
            for piece in pieces(step["push"], way):
                sql += f"\\echo @step:{i}\n" + push_sql(vector["stream_name"], piece)
                sql += "\\if :ERROR\n\\echo :SQLSTATE\n\\endif\n"
        sql += results_sql(vector, way)
        sql += archive_sql(vector["stream_name"]) if keeps_archive(vector, way) else ""
        sql += "\\echo @end\n"
    return sql

# ---------------------------------------------------------------- psql's output as expectations


def marked(output):
    """{way: [(mark, [lines])]} in the order of the output."""
    found = {}
    for line in output.split("\n"):
        if line.startswith("@way:"):
            blocks = found.setdefault(line[5:], [])
        elif line.startswith("@") and found:
            blocks.append((line[1:], []))
        elif line and found:
            blocks[-1][1].append(line)
    return found


def parse(line):
    """A result is JSON; the SQLSTATE of a failed push is not always."""
    return {"error": line} if re.fullmatch("[0-9A-Z]{5}", line) else json.loads(line)


def sort_rows(rows):
    return sorted(rows, key=lambda row: [(v is None, v or "") for v in row])


def minus_infinity(text):
    """Before the first accepted row: NULL and -infinity are taken for the same."""
    return None if text == "-infinity" else text


def add(counts):
    """The pieces of one push; an error says it all."""
    errors = [c for c in counts if "error" in c]
    return errors[0] if errors else {name: sum(c[name] for c in counts) for name in COUNTERS}


def found_of(vector, blocks):
    """The marked blocks in the shape of a vector's expectations."""
    steps = [[] for _ in vector["steps"]]
    found = {"views": {}, "late": {}, "quarantine": [], "watermark": "no row", "partitions": [],
             "archive": [], "verify": []}
    for mark, lines in blocks:
        kind, _, name = mark.partition(":")
        values = [parse(line) for line in lines]
        if kind == "step":
            steps[int(name)] += values
        elif kind == "view":
            found["views"][name] = {"columns": values[0] if values else None,
                                    "rows": sort_rows(values[1:])}
        elif kind == "verify":
            found["verify"] += values
        elif kind == "late":
            found["late"][name] = values[0] if values else None
        elif kind == "quarantine":
            found["quarantine"] = sorted(values, key=lambda q: q[:2])
        elif kind == "watermark" and values:
            found["watermark"] = minus_infinity(values[0])
        elif kind == "archive":
            found["archive"] = values
        elif kind == "partitions":
            found["partitions"] = [{**v, "watermark": minus_infinity(v["watermark"])}
                                   for v in values]
    return [add(s) if s else None for s in steps], found


def differences(vector, blocks, way):
    """One line a difference: what, expected, found."""
    steps, found = found_of(vector, blocks)
    want = vector["expect"]
    pairs = [(f"step {i}", step["expect"], steps[i]) for i, step in enumerate(vector["steps"])]
    for name, view in want["views"].items():
        have = found["views"].get(name, {"columns": None, "rows": None})
        pairs.append((f"{name} columns", view["columns"], have["columns"]))
        pairs.append((f"{name} rows", sort_rows(view["rows"]), have["rows"]))
    pairs += [(f"{name} late", late, found["late"].get(name))
              for name, late in want["late"].items()]
    pairs.append(("quarantine", want["quarantine"], found["quarantine"]))
    if keeps_archive(vector, way):
        pairs.append(("verify", [[a["name"], None] for a in vector["aggregates"]], found["verify"]))
    pairs.append(("watermark", want["streams"]["watermark"], found["watermark"]))
    pairs.append(("partitions", want["partitions"], found["partitions"]))
    pairs.append(("archive", [[a] * 3 for a, _, _ in found["archive"]], found["archive"]))
    return [f"{what}: expected {json.dumps(a, ensure_ascii=False)}, "
            f"found {json.dumps(b, ensure_ascii=False)}" for what, a, b in pairs if a != b]

# ---------------------------------------------------------------- running


def psql(database, sql):
    return subprocess.run(["psql", "-XqAt", "-d", database, "-f", "-"], input=sql, text=True,
                          encoding="utf-8", capture_output=True, check=False, timeout=300)


def first_error(stderr):
    """psql's first message, with its DETAIL and HINT."""
    lines = [line for line in stderr.strip().split("\n")
             if re.match(r"psql:|DETAIL:|HINT:|server closed|connection", line)]
    first = lines[:1] + [line for line in lines[1:3] if not line.startswith("psql:")]
    return re.sub(r"^psql:<stdin>:\d+: ", "", " ".join(first)) or stderr[:200] or "no message"


def wait_for_server(database):
    """After a crash: until the server lets us in again."""
    deadline = time.monotonic() + 60
    while psql(database, "SELECT 1").returncode != 0 and time.monotonic() < deadline:
        time.sleep(0.1)


def run_vector(vector, database, key_dir):
    """(refusal or None, problems): a refusal is the error that its definition met."""
    done = psql(database, script(vector, key_dir))
    found = marked(done.stdout)
    if done.returncode == 2:                        # the connection is gone
        wait_for_server(database)
        return None, ["server: " + first_error(done.stderr)]
    if not found:
        return first_error(done.stderr), []
    problems = []
    for way in ways(vector):
        blocks = found.get(way, [])
        if not blocks or blocks[-1][0] != "end":
            problems.append(f"{way}: no end: {first_error(done.stderr)}")
        else:
            problems += [f"{way}: {line}" for line in differences(vector, blocks, way)]
    expects_error = any("error" in s["expect"] for s in vector["steps"])
    if problems and done.stderr and not expects_error:
        problems.append("server: " + first_error(done.stderr))
    return None, problems


def verdict(reason, refusal, problems):
    """The lines to print about a vector; none when it did as it should."""
    if reason is None:
        return ["definition: " + refusal] if refusal else problems
    if refusal:
        return []
    return [f"in uncovered.txt ({reason}), but accepted: " +
            ("and right, take it off the list" if not problems else "it must be refused")] + problems


def vectors(files):
    for path in files or sorted(set(glob.glob(os.path.join(HERE, "*.json")))
                                - {os.path.join(HERE, "bytes.json")}):
        with open(path, encoding="utf-8") as f:
            for vector in json.load(f):
                yield os.path.basename(path)[:-5] + ": " + vector["name"], vector


def read_uncovered():
    """[(pattern, reason)]"""
    with open(os.path.join(HERE, "uncovered.txt"), encoding="utf-8") as f:
        lines = [line.rstrip("\n") for line in f]
    return [tuple(line.split("  # ", 1)) for line in lines if line and not line.startswith("#")]


def reason_of(name, uncovered):
    return next((reason for pattern, reason in uncovered if re.fullmatch(pattern, name)), None)


def worker(database, todo, results, key_dir, uncovered):
    while True:
        try:
            name, vector = todo.get_nowait()
        except queue.Empty:
            return
        reason = reason_of(name, uncovered)
        try:
            lines = verdict(reason, *run_vector(vector, database, key_dir))
        except Exception as error:                  # a broken answer fails its vector, not the run
            lines = [f"replay: {type(error).__name__}: {error}"]
        results[name] = (reason, lines)


def make_database(database):
    done = psql("postgres", f"DROP DATABASE IF EXISTS {database};\n"
                f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8';\n")
    if done.returncode == 0 and "ERROR" not in done.stderr:
        done = psql(database, "\\set ON_ERROR_STOP on\nCREATE EXTENSION streamagg;\n"
                    "CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;\n")
    if done.returncode != 0:
        sys.exit(f"replay.py: {database}: {first_error(done.stderr)}")


def run_all(chosen, jobs, uncovered):
    """{name: (reason, lines)}"""
    todo, results = queue.Queue(), {}
    for item in chosen:
        todo.put(item)
    databases = [f"streamagg_vectors_{n + 1}" for n in range(jobs)]
    for database in databases:
        make_database(database)
    with tempfile.TemporaryDirectory() as key_dir:
        threads = [threading.Thread(target=worker, args=(d, todo, results, key_dir, uncovered))
                   for d in databases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for database in databases:
        psql("postgres", f"DROP DATABASE {database};")
    return results


def report(results, stale):
    """Prints the differences, a line a group, the uncovered by reason; gives the exit status."""
    groups, reasons = {}, collections.Counter()
    for name, (reason, lines) in results.items():
        group = groups.setdefault(name.split(": ")[0], collections.Counter())
        group["failed" if lines else "uncovered" if reason else "passed"] += 1
        if reason and not lines:
            reasons[reason] += 1
        for line in lines:
            print(f"{name}: {line}")
    for pattern in stale:
        print(f"uncovered.txt: no vector is named {pattern}")
    for group, counts in sorted(groups.items()):
        print(f"{group}: " + ", ".join(f"{n} {what}" for what, n in sorted(counts.items())))
    for reason, n in sorted(reasons.items()):
        print(f"not covered, refused: {n} need {reason}")
    passed = sum(counts["passed"] for counts in groups.values())
    failed = sum(counts["failed"] for counts in groups.values()) + len(stale)
    print(f"{passed} passed, {failed} failed, {sum(reasons.values())} uncovered")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="regular expression over 'group: name'")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    uncovered = read_uncovered()
    known = list(vectors(args.files))
    chosen = [(name, vector) for name, vector in known if re.search(args.only, name)]
    results = run_all(chosen, args.jobs, uncovered)
    stale = [] if args.only or args.files else [
        pattern for pattern, _ in uncovered
        if not any(re.fullmatch(pattern, name) for name, _ in known)]
    return report({name: results[name] for name, _ in chosen}, stale)


if __name__ == "__main__":
    sys.exit(main())
