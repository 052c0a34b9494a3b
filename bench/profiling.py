"""Workload profile: where the worker's CPU goes, step by step, and where a broken record's goes.

perf samples the postmaster's children from their birth; a sample belongs to the innermost function
of ours on its stack. perf slows the worker down, so it gives shares only: the times are those of
a reading without it.
"""
import re
import signal
import subprocess
import time
from collections import Counter

import broken
import pairs
from place import fail

FREQUENCY = 999
OURS = "streamagg.so"
FRAME = re.compile(r"^\s+[0-9a-f]+ (.+?)(?:\+0x[0-9a-f]+)? \((.*)\)$")

# Functions of ours: the first that matches, from the innermost frame outwards, names the step.
STEPS = (
    ("json: verdict on a bad text", r"json_verdict"),
    ("json", r"json_"),
    ("quarantine: redact", r"redact|record_fault_reason|document_parse|parse$"),
    ("check", r"evaluate$|memo_"),
    ("protect", r"protect|address_|pseudonym"),
    ("convert: uuid", r"convert_uuid"),
    ("convert: event time", r"convert_epoch|convert_timestamptz"),
    ("convert: text", r"convert_text"),
    ("convert", r"convert_|ways_|number_$|time_$"),
    ("check", r"check_"),
    ("batch: keep a row", r"batch_"),
    ("quarantine: collect", r"quarantine_add|quarantine_redact|record_fault_reason|redact"),
    ("quarantine: store", r"quarantine_"),
    ("consume: take", r"reader_take|kafka_consumer_(take|message|count|is_full)|kafka_client_serve"),
    ("consume: release", r"reader_release|kafka_consumer_release"),
    ("executor: feed rows", r"iterate_scan"),
    ("groups", r"receive_row|key_of|append_key|advance|fill_group|groups_|grouping_|integer_of"),
    ("executor: window function", r"streamagg_window|window_"),
    ("executor", r"run_batch"),
    ("commit: offsets, counters", r"progress_(store|lock|closing)"),
    ("record: judge and count", r"record_|ingest_|progress_|event_"),
    ("start and the loop", r"streamagg_worker_main|consume|reader_|kafka_"),
)
# Functions of PostgreSQL within a step, innermost first.
PARTS = {
    "quarantine: store": (
        ("quarantine: index", r"_bt_|bt[a-z]+$|index_|ExecInsertIndex"),
        ("quarantine: heap and WAL", r"heap_|heapam_|table_|toast|XLog|RelationGetBuffer"),
        ("quarantine: jsonb", r"jsonb?_|JsonB?"),
    ),
    "executor": (
        ("executor: upsert", r"heap_|table_|index_|_bt_|bt[a-z]+$|ExecInsertIndex|Speculative|XLog|"
                             r"ExecCheckIndex|simple_heap|heapam_|ReadBuffer|LockBuffer"),
        ("executor: sort", r"tuplesort_"),
        ("executor: hash aggregate", r"\w*TupleHash|hash_|hash[a-z]+$|int8inc|"
                                     r"timestamp_(smaller|larger)"),
    ),
}


def compiled(table):
    return [(step, re.compile(pattern)) for step, pattern in table]


STEP_RULES = compiled(STEPS)
PART_RULES = {step: compiled(table) for step, table in PARTS.items()}


def first_match(frames, rules):
    for symbol in frames:
        for step, pattern in rules:
            if pattern.match(symbol):
                return step
    return None


def library_step(frames):
    """Of a sample in one of the library's own threads."""
    libraries = [library for _, library in frames]
    if any("lz4" in library for library in libraries):
        return "librdkafka's threads: lz4"
    if "kernel" in libraries[0]:
        return "librdkafka's threads: kernel"
    return "librdkafka's threads: the rest"


def step_of(thread, frames):
    if thread.startswith("rdk:"):
        return library_step(frames)
    symbols = [symbol for symbol, _ in frames]
    if any(symbol == "CommitTransactionCommand" for symbol in symbols) and \
            not any(symbol == "run_batch" for symbol in symbols):
        return "commit: transaction"
    step = first_match([symbol for symbol, library in frames if library.endswith(OURS)],
                       STEP_RULES) or "start and the loop"
    inner = symbols[:symbols.index("run_batch")] if "run_batch" in symbols else symbols
    return first_match(inner, PART_RULES.get(step, ())) or step


def samples(text):
    """(thread's name, process id, frames) of each sample of perf script."""
    for block in text.split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        found = re.match(r"\s*(\S.*?)\s+(\d+)/\d+", head)
        frames = [match.groups() for match in map(FRAME.match, lines) if match]
        if found and frames:
            yield found.group(1), int(found.group(2)), frames


def count_steps(text):
    """Steps and innermost functions of the worker, by number of samples."""
    found = list(samples(text))
    workers = {process for _, process, frames in found
               if any(symbol == "streamagg_worker_main" for symbol, _ in frames)}
    steps, functions = Counter(), Counter()
    for thread, process, frames in found:
        if process in workers:
            steps[step_of(thread, frames)] += 1
            symbol, library = frames[0]
            functions[f"{symbol} ({library.rsplit('/', 1)[-1].strip('[]')})"] += 1
    if not steps:
        fail("perf has seen no worker")
    return steps, functions


def sample(readings, topic, query):
    """Reads the topic under perf; gives back the counts of steps and of functions."""
    place = readings.postgres.place
    data = place.dir / f"perf.{topic.name}"
    perf = subprocess.Popen(["perf", "record", "-q", "-o", data, "-e", "cpu-clock", "-F",
                             str(FREQUENCY), "--call-graph", "dwarf,8192", "-p",
                             str(readings.postgres.pid)])
    time.sleep(0.5)                 # perf says nothing when it has attached
    readings.read(topic, query)
    perf.send_signal(signal.SIGINT)
    perf.wait()
    script = subprocess.run(["perf", "script", "-i", data, "--no-inline", "-F",
                             "comm,pid,tid,ip,sym,dso"], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, errors="replace", check=True)
    data.unlink()
    return count_steps(script.stdout)


def costs(readings, topic, query, times):
    """(µs of an event by step, shares of the innermost functions)"""
    steps, functions, seconds = Counter(), Counter(), 0.0
    for _ in range(times):
        seconds += readings.read(topic, query).worker
        for total, found in zip((steps, functions), sample(readings, topic, query)):
            total.update(found)
    scale = seconds / times / topic.events * 1e6 / sum(steps.values())
    everything = sum(functions.values())
    return ({step: count * scale for step, count in steps.items()},
            {name: count / everything for name, count in functions.items()})


def show_steps(good, mixed, share):
    print(f"\n{'step':32} {'good record':>18} {'of ' + format(100 * share, 'g') + ' % broken':>18} "
          f"{'a broken record':>16}")
    print(f"{'':32} {'µs':>10} {'%':>7} {'µs':>10} {'%':>7} {'µs':>16}")
    totals = sum(good.values()), sum(mixed.values())
    for step in sorted(good.keys() | mixed.keys(),
                       key=lambda step: -good.get(step, 0) - mixed.get(step, 0)):
        one, other = good.get(step, 0), mixed.get(step, 0)
        print(f"{step:32} {one:10.3f} {100 * one / totals[0]:7.1f} {other:10.3f} "
              f"{100 * other / totals[1]:7.1f} {(other - (1 - share) * one) / share:16.2f}")
    print(f"{'together':32} {totals[0]:10.3f} {100:7.1f} {totals[1]:10.3f} {100:7.1f} "
          f"{(totals[1] - (1 - share) * totals[0]) / share:16.2f}")


def show_functions(title, functions):
    print(f"\n{title}")
    for name, part in sorted(functions.items(), key=lambda item: -item[1])[:25]:
        print(f"  {100 * part:5.1f} %  {name}")


def run(readings, args):
    topics = broken.fill_topics(readings.kafka, args)
    found = {}
    query = pairs.WORKLOADS[args.query].query
    for name, topic in topics.items():
        readings.read(topic, query)
        found[name] = costs(readings, topic, query, args.pairs)
    show_steps(found["good"][0], found["broken"][0], args.share)
    show_functions("innermost functions, good topic", found["good"][1])
    show_functions("innermost functions, topic with broken records", found["broken"][1])
