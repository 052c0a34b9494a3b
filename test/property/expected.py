"""What a stream makes of records: which are accepted, the watermark that each meets, its windows, the
late ones.  By the words of docs/reference.md, in Python alone; GROUP BY and the aggregates themselves
are PostgreSQL's, over the rows and windows that are named here.

Times are microseconds since 1970; a watermark that is not there yet is NEVER.
"""
import datetime
import zoneinfo

from values import SECOND

NEVER = float("-inf")
HOUR = 3600 * SECOND
EPOCH = datetime.datetime(1970, 1, 1)
UNITS = {"second": SECOND, "minute": 60 * SECOND, "hour": HOUR}
COUNTERS = ("read", "accepted", "quarantined", "dropped", "duplicate", "tombstones")

# ---------------------------------------------------------------- windows


def local_time(moment, zone):
    """A moment as microseconds that the zone's clock shows."""
    aware = datetime.datetime.fromtimestamp(moment // SECOND, zoneinfo.ZoneInfo(zone))
    return moment + aware.utcoffset() // datetime.timedelta(microseconds=1)


def offset_at(local, zone, fold):
    naive = (EPOCH + datetime.timedelta(seconds=local // SECOND)).replace(fold=fold)
    offset = naive.replace(tzinfo=zoneinfo.ZoneInfo(zone)).utcoffset()
    return offset // datetime.timedelta(microseconds=1)


def moment_of(local, zone):
    """PostgreSQL's choice: a time that the clock shows twice is the second, one that it skips is
    counted from before the change."""
    moments = [local - offset_at(local, zone, fold) for fold in (1, 0)]
    return next((m for m in moments if local_time(m, zone) == local), moments[1])


def calendar_window(unit, zone, moment):
    local = local_time(moment, zone)
    if unit in UNITS:
        start = moment - local % UNITS[unit]
        return start, start + UNITS[unit]
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=local // (24 * HOUR))
    if unit == "week":
        day -= datetime.timedelta(days=day.weekday())
        after = day + datetime.timedelta(days=7)
    elif unit == "month":
        day = day.replace(day=1)
        after = (day + datetime.timedelta(days=31)).replace(day=1)
    else:
        after = day + datetime.timedelta(days=1)
    return tuple(moment_of((d - datetime.date(1970, 1, 1)).days * 24 * HOUR, zone)
                 for d in (day, after))


def windows(window, moment):
    """[(start, end)] in the order of their ends; none for a definition without a window."""
    if window is None:
        return []
    kind = window["kind"]
    if kind == "date_trunc":
        return [calendar_window(window["unit"], window["zone"], moment)]
    size, origin = window["size"], window["origin"]
    if kind == "hop":
        last = moment - (moment - origin) % window["slide"]
        starts = range(last, moment - size, -window["slide"])
        return sorted((start, start + size) for start in starts)
    start = moment - (moment - origin) % size
    if kind == "cumulate":
        ends = range(start + window["slide"], start + size + 1, window["slide"])
        return [(start, end) for end in ends if end > moment]
    return [(start, start + size)]

def place_in(share, many):
    """Before which of so many batches something happens; None for what is there from the beginning."""
    return None if share is None else int(share * many)

# ---------------------------------------------------------------- a stream


class Stream:
    """One way of cutting the records into batches: push() it batch by batch, then look."""

    def __init__(self, group):
        self.group = group
        self.tops = {}                  # partition: its highest event time
        self.keys = set()               # (partition, dedup key) of accepted rows
        self.counters = {}              # partition: {counter: n}
        self.accepted = []              # ids
        self.closing = NEVER
        self.late = {d["name"]: [0, 0] for d in group["definitions"]}
        self.kept = {d["name"]: [] for d in group["definitions"]}   # (id, start, end)
        self.late_of_pushes = 0
        self.began = dict.fromkeys(self.late, 0)        # rows accepted before a rollup was made,
        self.unknown = dict.fromkeys(self.late, 0)      # or a column added

    def happen(self, number, many):
        """What begins before this one of many batches."""
        for definition in self.group["definitions"]:
            name, added = definition["name"], definition["added"]
            if place_in(definition["at"], many) == number:
                self.began[name], self.late[name] = len(self.accepted), [0, 0]
            if added and place_in(added["at"], many) == number:
                self.unknown[name] = len(self.accepted)

    def push(self, partition, records):
        closing = self.closing
        counters = self.counters.setdefault(partition, dict.fromkeys(COUNTERS, 0))
        self.tops.setdefault(partition, NEVER)
        for record in records:
            verdict = self.verdict(partition, record)
            counters["read"] += 1
            counters[verdict] += 1
            if verdict == "accepted":
                self.accept(partition, record, closing)
        lowest = min(self.tops.values()) - self.group["delay"]
        self.closing = max(self.closing, lowest)

    def verdict(self, partition, record):
        kind = record["broken"]
        if kind == "tombstone":
            return "tombstones"
        if kind is not None:
            return "dropped" if self.group["on_" + kind] == "drop" else "quarantined"
        if self.group["dedup"] and (partition, record["dk"]) in self.keys:
            return "duplicate"
        if self.group["poison"] and record["i4"] == "0":
            return "quarantined"
        return "accepted"

    def accept(self, partition, record, closing):
        watermark = max(self.tops[partition] - self.group["delay"], closing)
        entirely = False
        for definition in self.group["definitions"]:
            judged = windows(definition["judge"] or definition["window"], record["ts"])
            found = windows(definition["window"], record["ts"])
            late = [end + definition["lateness"] <= watermark for _, end in judged]
            entirely |= bool(late) and all(late)
            counts = self.late[definition["name"]]
            counts[0] += bool(late) and all(late)
            counts[1] += sum(late)
            limit = definition["left_out"]
            self.kept[definition["name"]] += [
                (record["id"], *window) for window, (_, end) in zip(found, judged)
                if limit is None or end + limit > watermark]
        self.late_of_pushes += entirely
        self.accepted.append(record["id"])
        if record["dk"] is not None:
            self.keys.add((partition, record["dk"]))
        self.tops[partition] = max(self.tops[partition], record["ts"])

    def shows(self, definition):
        """The starts of windows that a retention has not let go, or could have by now."""
        window = definition["window"]
        whole = window["size"] if window["kind"] == "cumulate" else 0
        return sorted({start for _, start, end in self.kept[definition["name"]]
                       if max(end, start + whole) + definition["retention"] > self.closing})

    def is_final(self, definition, end):
        return self.closing >= end + definition["lateness"]
