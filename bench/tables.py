"""Tables of docs/performance.md, made from the file of figures."""
import statistics

from figures import describe

NAMES = {"q1": "Q1", "q2c": "Q2c", "qu": "QU", "ysb": "YSB"}


def spread(values, form):
    """The median, and the range where there is one."""
    if len(values) == 1:
        return format(values[0], form)
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def thousands(values):
    return spread([value / 1000 for value in values], ",.0f")


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def goal_workloads(found):
    return {title: found[name] for name, title in NAMES.items() if name in found}


def multiples(found):
    """The goal workloads beside the raw read."""
    rows = []
    for title, each in goal_workloads(found).items():
        figures, goal = each["figures"], each["goals"].get("multiple")
        rows.append([title, spread(figures["raw_cpu"], ".2f"), spread(figures["worker_cpu"], ".2f"),
                     spread(figures["server_cpu"], ".2f"),
                     spread(figures["worker_multiple"], ".2f"),
                     spread(figures["server_multiple"], ".2f"), f"≤ {goal:g}" if goal else ""])
    return table(["", "raw, CPU s/M", "worker, CPU s/M", "server, CPU s/M", "worker, × raw",
                  "server, × raw", "goal"], rows)


def throughput(found):
    rows = []
    for title, each in goal_workloads(found).items():
        figures, goal = each["figures"], each["goals"].get("rate")
        rows.append([title, thousands(figures["raw_rate"]), thousands(figures["rate"]),
                     f"≥ {goal / 1000:,.0f}" if goal else "", spread(figures["peak_mb"], ".0f")])
    return table(["", "raw, 1000 events/s", "stream, 1000 events/s", "goal",
                  "worker, MB at the most"], rows)


def upserts(found):
    figures, goal = found["qu"]["figures"], found["qu"]["goals"]["wal_bytes"]
    return table(["", "rows upserted", "WAL bytes an upsert", "goal", "updates within their page"],
                 [["QU", spread(figures["upserts"], ",.0f"), spread(figures["wal_bytes"], ".0f"),
                   f"≤ {goal:g}", spread(figures["hot"], ".2%")]])


def growth(found, what):
    each = found[f"growth-{what}"]
    rows = [[f"{row['size']:,}", spread(row["figures"]["raw_cpu"], ".2f"),
             spread(row["figures"]["server_cpu"], ".2f"),
             spread(row["figures"]["server_multiple"], ".2f"),
             thousands(row["figures"]["rate"]), spread(row["figures"]["peak_mb"], ".0f")]
            for row in each["rows"]]
    return table([what, "raw, CPU s/M", "server, CPU s/M", "server, × raw", "1000 events/s",
                  "worker, MB"], rows)


def idle(found):
    each = found["idle"]
    without = each["rows"][0]["server_ms"]
    rows = [[row["size"], f"{row['server_ms']:.0f}",
             f"{(row['server_ms'] - without) / row['size']:.0f}" if row["size"] else "",
             f"{row['workers_ms'] / row['size']:.0f}" if row["size"] else ""]
            for row in each["rows"]]
    rows.append(["librdkafka alone", "", "", f"{each['library_ms']:.0f}"])
    return table(["streams", "server, ms of CPU a minute", "more than without, a stream",
                  "of it the worker"], rows)


def latency(found):
    each, figures = found["latency"], found["latency"]["figures"]
    goals = each["goals"]
    return table(["", "p50", "p95", "p99", "longest", "cores of the server", "worker, MB"],
                 [[f"{each['rate']:,} events/s",
                   *(f"{figures[name]:.0f} ms" for name in ("p50", "p95", "p99", "most")),
                   f"{figures['cores']:.2f}", f"{figures['resident_mb']:.0f}"],
                  ["goal", f"≤ {goals['p50']} ms", "", f"≤ {goals['p99']} ms", "",
                   f"≤ {goals['cores']}", f"≤ {goals['resident_mb']}"]])


def broken(found):
    rows = []
    for name, each in sorted(found.items(), key=lambda item: item[1].get("share", 0)):
        if name.startswith("broken-"):
            ratios, share = each["ratios"], each["share"]
            alone = [1 + (ratio - 1) / share for ratio in ratios["worker"]]
            rows.append([f"{100 * share:g} %", *(spread(ratios[what], ".2f")
                                                 for what in ("worker", "server", "wall")),
                         spread(alone, ".0f")])
    return table(["share of broken records", "worker CPU, × none", "server CPU, × none",
                  "time, × none", "worker CPU of a broken record, × of a good one"], rows)


def windows(found):
    """Windows of which an event is in several, against tumble."""
    rows = [[name, *(spread(found[name]["ratios"][what], ".2f")
                     for what in ("worker", "server", "wall")), f"≤ {found[name]['goal']:g}"]
            for name in ("hop", "cumulate")]
    return table(["", "worker CPU, × tumble", "server CPU, × tumble", "time, × tumble", "goal"], rows)


def size(found):
    """What the figures were measured with, of each workload: that may differ."""
    rows = []
    for name, each in sorted(found.items()):
        figures = each.get("figures") or each.get("ratios") or each["rows"][0].get("figures", {})
        pairs = max((len(values) for values in figures.values() if isinstance(values, list)),
                    default="")
        rows.append([name, f"{each['events']:,}" if "events" in each else "", pairs,
                     each.get("seconds", "")])
    return table(["workload", "events", "pairs", "seconds"], rows)


def machines(found):
    """Mostly one; a file may have been added to on another."""
    workloads = {}
    for name, each in sorted(found.items()):
        workloads.setdefault(describe(each["machine"]), []).append(name)
    if len(workloads) == 1:
        return f"Machine: {''.join(workloads)}.\n"
    return table(["machine", "workloads"], [[machine, ", ".join(names)]
                                            for machine, names in workloads.items()])


TABLES = {                      # by the name of the place in docs/performance.md
    "multiples": multiples, "throughput": throughput, "upserts": upserts,
    "aggregates": lambda found: growth(found, "aggregates"),
    "groups": lambda found: growth(found, "groups"),
    "partitions": lambda found: growth(found, "partitions"),
    "idle": idle, "latency": latency, "broken": broken, "windows": windows, "size": size,
    "machines": machines,
}
