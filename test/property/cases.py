"""Random groups: a stream, its records, and definitions over it.  A case is one definition.

Some of them are rollups of others, some get a column, or keep their windows for a time only.
group(seed, number, ...) is the same for the same arguments.  What the server under test cannot do yet
is left out by `abilities` (probe.py).  expected.py says what a group's records come to, script.py how
it is run.
"""
import datetime
import random
import re

from expected import HOUR
from values import COLUMNS, NULL, SECOND, iso, text, used

PER_GROUP = 12
DAY = 24 * HOUR
# A zone, and a moment at which its clock was changed: the records lie around it.
ZONES = (("America/New_York", "2024-03-10T07:00"), ("America/New_York", "2024-11-03T06:00"),
         ("Australia/Lord_Howe", "2024-04-06T15:00"), ("Australia/Lord_Howe", "2024-10-05T15:30"),
         ("America/Sao_Paulo", "2018-11-04T03:00"), ("America/Sao_Paulo", "2019-02-17T02:00"),
         ("America/Havana", "2024-11-03T05:00"), ("Pacific/Apia", "2011-12-30T10:00"),
         ("Asia/Kathmandu", "1999-12-31T18:15"), ("UTC", "2024-02-29T00:00"))
GRIDS = (SECOND, 15 * SECOND, 60 * SECOND, 600 * SECOND, HOUR, 6 * HOUR, DAY)
UNITS = {SECOND: ("minute",), 15 * SECOND: ("minute", "hour"), 60 * SECOND: ("hour",),
         600 * SECOND: ("hour", "day"), HOUR: ("day", "week"), 6 * HOUR: ("day", "week"),
         DAY: ("week", "month")}
# Units, and what a rollup calls their size.
ROLLED = {"minute": "1 min", "hour": "1 hour", "day": "1 day", "week": "7 days", "month": "1 month"}
ALWAYS = ("b", "i2", "i4", "n", "e8", "t")      # columns that every stream has

KEYS = ("l.p", "l.k", "l.i4 % 3", "lower(l.t)", "coalesce(l.t, '?')", "l.i4 IS NULL", "l.n::text",
        "l.n + 1", "(l.r).x", "l.a[1]", "l.tz::date", "to_char(l.tz, 'YYYY-MM-DD HH24 TZH')",
        "abs(l.f8)", "l.f8::text", "l.j ->> 'k'", "l.ts::date", "extract(hour FROM l.ts)",
        "l.ip << inet '10.0.0.0/8'", "CASE WHEN l.i4 > 1 THEN 'high' ELSE l.t END",
        "ARRAY[l.i2::int, l.i4]", "l.iv::text", "l.d + 1", "l.t COLLATE property_no_case",
        "(l.i4, l.t)::property_pair", "l.tz::text", "l.x || '\\x00'", "d.name", "d.w % 2", "d.k IS NULL")
CONDITIONS = ("l.i4 > 0", "l.t IS NOT NULL", "l.b", "NOT l.b", "l.f8 > 0", "l.n BETWEEN 0 AND 1",
              "l.i4 IN (0, 1, 2)", "l.tc = 'a'", "l.t < 'b'", "l.k <> 'x'", "NULL::boolean",
              "l.j ? 'k'", "l.a @> '{2}'", "l.iv > '1 hour'", "(l.r).x > 1", "l.m > 'sad'",
              "l.p = 0", "l.tz < '2024-03-31 03:00'", "l.lo < l.ts", "l.id % 2 = 0", "l.i2 > l.i4",
              "d.w > 1", "d.name IS NULL", "l.e8 = 0", "l.f8 = 'NaN'")
ARGUMENTS = {
    "smallint": ("l.i2", "(l.i2 % 3::smallint)"), "integer": ("l.i4", "l.i4 % 5", "length(l.t)", "d.w"),
    "bigint": ("l.i8", "l.i4::bigint * l.i2"), "numeric": ("l.n", "l.n * l.i4", "l.i4 / 3.0"),
    "real": ("l.f4",), "double precision": ("l.f8", "l.e8", "l.g8"), "boolean": ("l.b", "l.i4 > 0"),
    "text": ("l.t", "l.v::text", "lower(l.t)", "l.tc", "d.name"), "character": ("l.c",),
    "inet": ("l.ip",), "date": ("l.d", "l.ts::date"), "money": ("l.mo",),
    "time without time zone": ("l.ti",), "time with time zone": ("l.tt",), "interval": ("l.iv",),
    "timestamp without time zone": ("l.lo",), "timestamp with time zone": ("l.tz", "l.ts"),
    "anyenum": ("l.m",), "anyarray": ("l.a", "l.na"), "bytea": ("l.x",), "uuid": ("l.u",),
    "bit": ("l.i4::bit(32)",), "bit varying": ("l.i4::bit(32)::varbit",),
    "anyrange": ("int8range(l.i2, l.i2 + 3)", "numrange(l.i2, NULL)"),
    "anymultirange": ("int8multirange(int8range(l.i2, l.i2 + 3), int8range(NULL, l.i4))",),
    "oid": ("(l.i2::int + 32768)::oid",), "xid8": ("(l.i2::int + 32768)::text::xid8",),
    "tid": ("('(' || (l.i2::int + 32768) || ',1)')::tid",),
    "pg_lsn": ("('0/' || to_hex(l.i2::int + 32768))::pg_lsn",), "record": ("ROW(l.i4, l.t)",),
    '"any"': ("l.t", "l.n", "l.f8", "l.a", "l.r", "l.j", "l.i2 + 1", "d.name"),
}
# Sums of squares and the like take what they can hold exactly; what cancels is not asked of the rest.
STATISTICS = {"double precision": ("l.e8", "l.i2::float8"), "real": ("l.f4",), "bigint": ("l.i4::bigint",),
              "numeric": ("l.n", "l.i4 / 3.0")}
OVER_AGGREGATES = (
    "sum(l.i4) * 2 + count(*)", "max(l.i2)::int - min(l.i2)", "coalesce(sum(l.i2), 0)",
    "CASE WHEN count(*) > 3 THEN 'many' ELSE min(l.t) END", "round(avg(l.n), 3)",
    "sum(l.i4)::numeric / nullif(count(l.i4), 0)", "bool_and(l.b) AND count(*) > 1",
    "count(*) FILTER (WHERE l.i4 > 0) * 100 / nullif(count(*), 0)", "max(l.t) || min(l.t)",
    "max(l.n) IN (0, 1)", "sum(l.i4) BETWEEN -5 AND 5", "array_length(max(l.a), 1)",
    "coalesce(max(l.t) FILTER (WHERE l.b), min(l.t), '-')", "min(l.tz) + interval '1 day'",
    "date_trunc('day', max(l.tz))", "max(l.d)::text", "-min(l.f8)", "avg(l.i4) > avg(l.i2)")
HAVINGS = ("count(*) > 1", "min(l.i4) IS NOT NULL", "max(l.i2) > 0", "bool_or(l.b)",
           "count(l.t) BETWEEN 1 AND 5", "sum(l.i4) > 0 OR count(*) = 1", "max(l.e8) >= 0")
JOINS = ("{s} l JOIN dims d ON d.k = l.i4", "{s} l LEFT JOIN dims d ON d.k = l.i4",
         "{s} l LEFT JOIN dims d ON d.name = l.t AND d.w > 0", "dims d RIGHT JOIN {s} l ON d.k = l.i2",
         "{s} l LEFT JOIN dims d ON d.k = l.i4 LEFT JOIN dims f ON f.name = d.name",
         "{s} l CROSS JOIN dims d", "dims d JOIN {s} l ON d.k = l.i4 AND l.b")
STATISTIC = re.compile("^(var|stddev|corr|covar|regr)")
# Their results follow the order of the rows, which a stream has and SQL has not.
ORDERED = re.compile("^(?!range_).*_agg$|^xmlagg$|^first|^last|^any_value$")


def columns_of(sql):
    return set(re.findall(r"\bl\.(\w+)", sql)) - {"id", "dk", "p", "k", "ts"}


class Definitions:
    """Makes definitions over one stream."""

    def __init__(self, rng, group, abilities):
        self.rng, self.group, self.abilities = rng, group, abilities

    def fits(self, sql, joined):
        return columns_of(sql) <= set(self.group["columns"]) and \
            (joined or not re.search(r"\bd\.", sql))

    def choose(self, pool, joined):
        """One that this stream has the columns for, or None."""
        fitting = [sql for sql in pool if self.fits(sql, joined)]
        return self.rng.choice(fitting) if fitting else None

    def interval(self, size):
        if size % DAY == 0 and self.rng.random() < 0.5:
            return f"{size // DAY} days"
        return f"{size // SECOND} seconds" if size % SECOND == 0 else f"{size} microseconds"

    def window(self):
        rng, grid = self.rng, self.group["grid"]
        kind = rng.choice(self.abilities["windows"] + [None])
        if kind is None:
            return None
        if kind == "date_trunc":
            return {"kind": kind, "unit": rng.choice(UNITS[grid]), "zone": self.group["zone"]}
        window = {"kind": kind, "size": grid * rng.choice((1, 2, 3, 5, 12)), "slide": 0,
                  "origin": rng.choice((946857600 * SECOND, self.group["base"], 0,
                                        self.group["base"] + DAY * 999 + SECOND // 2))}
        if kind in ("hop", "cumulate"):
            window["slide"] = grid * rng.choice((1, 2, 3))
            window["size"] = window["slide"] * rng.choice((1, 2, 3, 5))
        if kind == "hop" and rng.random() < 0.5:        # not always a multiple, and with gaps
            window["size"] = grid * rng.choice((1, 2, 3, 4, 5, 7))
        return window

    def window_sql(self, window):
        """(in FROM or None, start, end or None) as the definition has them."""
        if window is None:
            return None, None, None
        kind = window["kind"]
        if kind == "date_trunc":
            return None, f"date_trunc('{window['unit']}', l.ts, '{window['zone']}')", None
        size, origin = self.interval(window["size"]), iso(window["origin"])
        if kind == "date_bin":
            return None, f"date_bin('{size}', l.ts, '{origin}')", None
        steps = f"'{self.interval(window['slide'])}', " if window["slide"] else ""
        at = "" if window["origin"] == 946857600 * SECOND else f", '{origin}'"
        return (f"streamagg.{kind}(l.ts, {steps}'{size}'{at}) w", "w.window_start", "w.window_end")

    def call(self, joined, names=None):
        """(sql, tolerance): an aggregate with a merge rule, None where the stream has no argument.
        Of names: DISTINCT where it can be."""
        rng = self.rng
        name = rng.choice(names or sorted({r["name"] for r in self.abilities["rules"]}))
        rule = rng.choice([r for r in self.abilities["rules"] if r["name"] == name])
        arguments = []
        for type_name in rule["arguments"]:
            pool = ARGUMENTS.get(type_name, ())
            if STATISTIC.match(name):
                pool = STATISTICS.get(type_name, pool)
            arguments.append(self.choose(pool, joined))
        if None in arguments:
            return None
        distinct = ""
        if name in self.abilities["distinct"] and len(arguments) == 1 and (names or rng.random() < 0.3):
            distinct = "DISTINCT "
        sql = f"{name}({distinct}{', '.join(arguments) or '*'})"
        condition = rng.random() < 0.25 and self.choose(CONDITIONS, joined)
        if condition:
            sql += f" FILTER (WHERE {condition})"
        return sql, tolerance(rule)

    def calls(self, joined):
        found = []
        names = ("count", "sum", "avg") if self.rng.random() < 0.15 else None
        for _ in range(self.rng.choice((0, 1, 2, 2, 3, 5))):
            if names is None and self.rng.random() < 0.25:
                sql = self.choose(OVER_AGGREGATES, joined)
                found.append((sql, None))
            else:
                call = self.call(joined, names)
                found += [call] if call else []
        return list(dict.fromkeys(found))

    def keys(self, joined):
        names = [f"l.{c}" for c in self.group["columns"]]
        found = []
        for _ in range(self.rng.choice((0, 0, 1, 1, 1, 2, 3))):
            sql = self.choose(names if self.rng.random() < 0.5 else KEYS, joined)
            found += [sql] if sql else []
        return list(dict.fromkeys(found))

    def poison(self, number):
        """It fails on every row whose i4 is 0: such rows go to quarantine, for all aggregates."""
        return {"name": f"a{number}", "window": None, "lateness": 0, "late": "merge", "emit": "live",
                "left_out": None, "source": "{s} l", "in_from": None, "start": None,
                "outputs": [("sum(100 / l.i4)", "v0", None)], "where": None, "group": [],
                "having": None, "retention": None, "at": None, "of": None, "judge": None, "added": None}

    def make(self, number):
        rng = self.rng
        joined = rng.random() < 0.25
        source = rng.choice(JOINS) if joined else "{s} l"
        if not self.fits(source.replace("{s}", ""), joined):
            source, joined = "{s} l", False
        window = self.window()
        in_from, start, end = self.window_sql(window)
        keys, calls = self.keys(joined), self.calls(joined)
        if not calls and not keys and not start:
            calls = [("count(*)", None)]
        late = rng.choice(("merge", "merge", "drop"))
        emit = rng.choice(("live", "live", "live", "final"))
        lateness = rng.choice((0, 0, 1, self.group["grid"], 3 * self.group["grid"]))
        retention = lateness + self.group["grid"] * rng.choice((1, 4, 30)) \
            if window and rng.random() < 0.15 else None
        definition = {
            "name": f"a{number}", "window": window, "source": source, "in_from": in_from,
            "start": start, "late": late, "emit": emit, "lateness": lateness, "retention": retention,
            "left_out": lateness if late == "drop" or emit == "final" else retention,
            "where": rng.random() < 0.3 and self.choose(CONDITIONS, joined) or None,
            "having": rng.random() < 0.2 and self.choose(HAVINGS, joined) or None,
            "at": None, "of": None, "judge": None, "added": None}
        adds = rng.random() < 0.15
        ends = end and (window["slide"] or rng.random() < 0.7)  # of a hop or cumulate both are keys
        definition["outputs"], definition["group"] = self.targets(
            ([start] if start else []) + ([end] if ends else []), keys, calls, retention or adds)
        if definition["group"] and adds:
            definition["added"] = self.added(joined)
        return definition

    def added(self, joined):
        """A column that add_column() adds in the middle of the records."""
        call = self.call(joined) if self.rng.random() < 0.5 else None
        sql, limits = call if call and "DISTINCT" not in call[0] else \
            (self.choose(OVER_AGGREGATES, joined), None)
        return {"at": self.rng.random(), "output": (sql, "x", limits)}

    def rollup(self, number, bases):
        """Greater windows of one of these, made before any record, in the middle, or behind the last;
        None where there is nothing to make it of."""
        base = self.rng.choice(bases)
        window = self.coarser(base["window"])
        if window is None:
            return None
        in_from, start, _ = self.window_sql(window)
        places = {base["start"]: start}
        return {**base, "name": f"a{number}", "window": window, "in_from": in_from, "start": start,
                "of": base["name"], "judge": base["judge"] or base["window"],
                "at": max(base["at"] or 0, self.rng.choice((0, 0.3, 0.6, 1))) or None,
                "size": ROLLED.get(window.get("unit")) or self.interval(window["size"]),
                "outputs": [(places.get(sql, sql), alias, limits) for sql, alias, limits in base["outputs"]],
                "group": [places.get(sql, sql) for sql in base["group"]]}

    def coarser(self, window):
        if window["kind"] != "date_trunc":
            return {**window, "size": window["size"] * self.rng.choice((2, 3, 7))}
        units = list(ROLLED)
        greater = units[units.index(window["unit"]) + 1:] if window["unit"] != "week" else []
        return {**window, "unit": self.rng.choice(greater)} if greater else None

    def targets(self, of_window, keys, calls, all_keys):
        """([(sql, alias, tolerance)], what GROUP BY says).  Keys may be left out of the SELECT list
        only where nothing is compared within a tolerance: rows are paired by what is exact."""
        rng = self.rng
        inexact = any(t for _, t in calls)
        outputs, hidden = [(sql, f"v{n}", t) for n, (sql, t) in enumerate(calls)], []
        for n, sql in enumerate(of_window + keys):
            if calls and not inexact and not all_keys and rng.random() < 0.15:
                hidden.append(sql)
            else:
                outputs.append((sql, f"k{n}", None))
        if keys and rng.random() < 0.1:
            outputs.append((f"({keys[0]}) IS NULL", "n", None))
        rng.shuffle(outputs)
        group = hidden + [str(place) if rng.random() < 0.6 else sql
                          for place, (sql, alias, _) in enumerate(outputs, 1) if alias[0] == "k"]
        return outputs, group


def tolerance(rule):
    """None: exactly.  (relative, and the size below which it is absolute)."""
    if rule["returns"] not in ("real", "double precision") or rule["name"] in ("min", "max"):
        return None
    floor = 1 if STATISTIC.match(rule["name"]) else 0
    return (1e-5 if "real" in [rule["returns"], *rule["arguments"]] else 1e-9, floor)

# ---------------------------------------------------------------- records


def records_of(rng, group, size):
    """Disordered times on a grid, so that they meet the ends of windows and watermarks exactly."""
    disorder = rng.choice((0, 1, 3, 10))
    speed = rng.choice((0.2, 0.5, 1, 2)) * min(1, 120 / size)
    start = group["base"] - group["grid"] * int(size * speed / 2)
    pools = {c: random_pool(rng, COLUMNS[c][1]) for c in group["columns"]}
    faults = used(group["columns"])
    rate = rng.choice((0, 0.02, 0.1))
    records = []
    for n in range(size):
        steps = int(n * speed + rng.gauss(0, disorder) * speed)
        moment = start + group["grid"] * steps
        if rng.random() < 0.1:
            moment += rng.choice((-1, 1, group["grid"] // 2))
        if rng.random() < 0.01:
            moment += group["grid"] * rng.choice((-200, -50, 20))
        broken = rng.choice(faults) if rng.random() < rate else (None, None, None)
        records.append(record_of(rng, group, pools, n, moment, broken))
    return records


def random_pool(rng, values):
    """Few values, so that groups have several rows; NULL in most columns."""
    pool = rng.sample(values, min(len(values), rng.choice((1, 3, 5, 9))))
    return pool + [NULL] * rng.choice((0, 1, 1))


def record_of(rng, group, pools, number, moment, broken):
    row = {"id": (str(number), str(number)), "k": text(rng.choice(("x", "y"))),
           "ts": text(iso(moment))}
    dedup_key = rng.choice((None, *range(40)))
    if dedup_key is not None:
        row["dk"] = (str(dedup_key), str(dedup_key))
    row |= {name: rng.choice(pool) for name, pool in pools.items()}
    if group["poison"] and number % 5 != 2 and row["i4"][1] == "0":
        row["i4"] = ("1", "1")              # a batch that fails on every row is refused as a whole
    kind, column, said = broken
    if kind == "violation":
        row[column] = (said, None)
    parts = [f'"{name}": {value[0]}' for name, value in row.items()
             if value != NULL or rng.random() < 0.5]
    message = "{" + ", ".join(parts) + "}"
    if kind is not None and column is None:
        message = said
    return {"id": number, "p": rng.randrange(group["partitions"]), "ts": moment, "dk": dedup_key,
            "i4": row["i4"][1], "broken": kind, "message": message, "row": row}

# ---------------------------------------------------------------- a group


def can_be_rolled_up(definition):
    window = definition["window"]
    return window is not None and window["kind"] in ("tumble", "date_bin", "date_trunc") \
        and definition["retention"] is None and definition["added"] is None


def group(seed, number, abilities, **fixed):
    """fixed: what is not left to chance."""
    rng = random.Random(f"{seed}/{number}")
    zone, change = rng.choice(ZONES)
    grid = rng.choice(GRIDS)
    moment = int(datetime.datetime.fromisoformat(change + "+00:00").timestamp())
    made = {
        "seed": seed, "number": number, "zone": zone, "grid": grid, "base": moment * SECOND,
        "columns": [c for c in COLUMNS if c in ALWAYS or rng.random() < 0.4],
        "partitions": rng.choice((1, 1, 2, 3)), "delay": grid * rng.choice((0, 0, 1, 2, 7)),
        "dedup": rng.random() < 0.15, "poison": rng.random() < 0.15,
        "on_decode": rng.choice(("quarantine", "drop")),
        "on_violation": rng.choice(("quarantine", "drop")),
        "archive": [rng.random() < 0.25 for _ in range(4)],
        "timezone": rng.choice((zone, "UTC", "Asia/Kathmandu")),
        "datestyle": rng.choice(("ISO, MDY", "SQL, DMY", "German, DMY")),
        "dims": [(rng.choice((0, 1, 2, 3, None)), rng.choice(("a", "b", None)), rng.randrange(4))
                 for _ in range(rng.choice((0, 3, 8)))], "server": "local", "options": {}, **fixed}
    if made["poison"]:
        made |= {"dedup": False, "on_violation": "quarantine", "partitions": 1}
    large = number % 20 == 5 and not fixed
    count = 3 if large else PER_GROUP
    makers = Definitions(rng, made, abilities)
    made["definitions"] = []
    for n in range(count):
        bases = [d for d in made["definitions"] if can_be_rolled_up(d)]
        made["definitions"].append(
            (makers.poison(0) if made["poison"] and n == 0 else None)
            or (makers.rollup(n, bases) if bases and rng.random() < 0.25 else None) or makers.make(n))
    size = rng.randint(1050, 1300) if large else rng.choice((4, 12, 20, 40))
    made["records"] = records_of(rng, made, made.get("size", size))
    made["ways"] = made.get("ways") or ([0, 1, 2, 3] if large else [0, 1, 3])
    return made
