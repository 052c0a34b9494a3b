#!/usr/bin/env python3
"""Runs the SQL of the documentation, so that it cannot lie.

    run_docs.py [--update] [FILE ...]        default: README.md and docs/*.md

Each ```sql block of a file runs in order, in one psql session on a fresh database of the server that
PGHOST, PGPORT and PGUSER name. A ```text block behind it is the output that it must have; runs of
blanks, runs of dashes and empty lines do not count. A block whose expected output has a line that
begins with ERROR: may fail; any other must not. `<!-- not run: reason -->` on the line before a
block leaves it out. --update writes what psql printed into the ```text blocks that differ.

Prints TAP, last `N passed, N failed`; exit status 0 only when all passed.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PSQL = ["psql", "-X", "-q", "-P", "pager=off"]
SKIP = re.compile(r"<!-- not run: (.+) -->$")
MARK = "--- end of block"
ENVIRONMENT = {**os.environ, "PGCLIENTENCODING": "UTF8", "PGDATESTYLE": "ISO, MDY"}


class Block:
    """A block of SQL: where it begins, its text, why it is not run, what it must print."""

    def __init__(self, line, sql, skip):
        self.line = line
        self.sql = sql
        self.skip = skip
        self.expected = None
        self.expected_at = None  # first and last line of the expected output, as indexes
        self.found = None

    def may_fail(self):
        return self.expected is not None and re.search(r"^ERROR:", self.expected, re.M)


def fenced(lines):
    """The fenced blocks: language, index of the opening line, index of the closing line."""
    at = 0
    while at < len(lines):
        opening = re.match(r"```(\w+)$", lines[at])
        start = at
        at += 1
        if not opening:
            continue
        while lines[at] != "```":
            at += 1
        yield opening.group(1), start, at
        at += 1


def read_blocks(lines):
    blocks = []
    previous = None  # the SQL block that a text block right behind it belongs to
    previous_end = 0
    for language, start, end in fenced(lines):
        content = "\n".join(lines[start + 1 : end])
        follows = all(not line.strip() for line in lines[previous_end + 1 : start])
        if language == "sql":
            skip = SKIP.match(lines[start - 1]) if start > 0 else None
            previous = Block(start + 1, content, skip.group(1) if skip else None)
            blocks.append(previous)
        elif language == "text" and previous and follows and not previous.skip:
            previous.expected = content
            previous.expected_at = (start + 1, end)
            previous = None
        else:
            previous = None
        previous_end = end
    return blocks


def psql_script(blocks):
    parts = []
    for block in blocks:
        parts.append(f"\\set ON_ERROR_STOP {0 if block.may_fail() else 1}")
        parts.append(block.sql)
        parts.append(f"\\echo {MARK}")
    return "\n".join(parts) + "\n"


def one_value(sql):
    command = PSQL + ["-At", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT
    )
    return done.stdout.strip()


def roles():
    return set(one_value("SELECT quote_ident(rolname) FROM pg_roles").split("\n"))


def run_blocks(blocks, name):
    """Fills in what each block printed; the blocks behind one that failed stay without."""
    database = f"docs_{os.getpid()}_{re.sub('[^a-z]', '', name.lower())}"
    before = roles()
    one_value(f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8'")
    try:
        result = subprocess.run(
            PSQL + ["-d", database],
            input=psql_script(blocks),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env=ENVIRONMENT,
        )
    finally:
        one_value(f"DROP DATABASE {database}")
        for role in roles() - before:
            if not role.startswith("streamagg_"):
                one_value(f"DROP ROLE {role}")
    outputs = result.stdout.split(MARK + "\n")
    for block, output in zip(blocks, outputs[:-1]):
        block.found = output
    if len(outputs) <= len(blocks):
        return outputs[-1]
    return ""


def normalised(text):
    lines = (re.sub(r"-{3,}", "---", re.sub(r"\s+", " ", line)).strip() for line in text.split("\n"))
    return [line for line in lines if line]


def differences(block):
    if block.expected is None:
        return []
    expected, found = normalised(block.expected), normalised(block.found)
    if expected == found:
        return []
    return ["expected:"] + expected + ["found:"] + found


def update(lines, blocks):
    for block in reversed(blocks):
        if block.found is not None and differences(block):
            printed = [line.rstrip() for line in block.found.rstrip("\n").split("\n")]
            lines[slice(*block.expected_at)] = printed
    return "\n".join(lines) + "\n"


class Report:
    """Prints TAP and counts; what was left out counts as neither."""

    def __init__(self):
        self.number = self.passed = self.failed = 0

    def verdict(self, ok, what, details=()):
        self.number += 1
        self.passed += bool(ok)
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.number} - {what}")
        for line in details:
            print(f"# {line}")

    def skipped(self, what, reason):
        self.number += 1
        print(f"ok {self.number} - {what} # SKIP {reason}")


def run_file(path, report, write):
    lines = path.read_text(encoding="utf-8").split("\n")
    if lines[-1] == "":
        lines.pop()
    blocks = read_blocks(lines)
    to_run = [block for block in blocks if not block.skip]
    error = run_blocks(to_run, path.stem) if to_run else ""
    for block in blocks:
        what = f"{path.relative_to(ROOT)}:{block.line}"
        if block.skip:
            report.skipped(what, block.skip)
        elif block.found is None:
            report.verdict(False, what, error.strip().split("\n"))
            error = "not reached"
        else:
            details = differences(block)
            report.verdict(write or not details, what, [] if write else details)
    if write:
        path.write_text(update(lines, blocks), encoding="utf-8")


def main(arguments):
    sys.stdout.reconfigure(encoding="utf-8")
    write = "--update" in arguments
    named = [Path(name).resolve() for name in arguments if name != "--update"]
    report = Report()
    for path in named or [ROOT / "README.md"] + sorted((ROOT / "docs").glob("*.md")):
        run_file(path, report, write)
    print(f"1..{report.number}")
    print(f"{report.passed} passed, {report.failed} failed")
    return 0 if report.failed == 0 and report.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
