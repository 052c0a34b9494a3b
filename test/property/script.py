"""A group as a script for psql that needs nothing but a database with the extension: the streams, the
records, what happens between batches, and what must be equal.  A line of output that begins with @ is
read by run.py.

The stream is made several times, with the same definitions: the records come one by one, in batches of
7, of 1000 (where there are more), and all at once.  The expected rows are those of the definition's own query over a plain table
with the accepted rows; of aggregates that leave rows out, over those that expected.py keeps; of a rollup, the
query with the greater windows.
"""
import random

from expected import COUNTERS, NEVER, Stream, place_in, windows
from values import SECOND, ddl, iso

WAYS = (1, 7, 1000, None)
# Once a database.
PREPARE = """
CREATE EXTENSION IF NOT EXISTS streamagg;
CREATE SERVER local FOREIGN DATA WRAPPER streamagg_kafka;
CREATE COLLATION property_no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE property_mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE property_pair AS (x numeric, y text);
CREATE FUNCTION property_near(a float8, b float8, relative float8, floor float8) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
    WHEN a = b THEN true
    WHEN a::text IN ('NaN', 'Infinity', '-Infinity') OR b::text IN ('NaN', 'Infinity', '-Infinity') THEN false
    ELSE abs(a - b) <= relative * greatest(abs(a), abs(b), floor) END $$;
"""


def literal(value):
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def instant(moment):
    return "-infinity" if moment == NEVER else iso(moment)


def array(values, type_name):
    return "'{" + ",".join(str(v) for v in values) + f"}}'::{type_name}[]"

# ---------------------------------------------------------------- queries


def select(definition, source, condition=None, more=(), shown=None):
    """The definition's query, over a source; with more outputs, and a condition on groups."""
    outputs = [f"{sql} AS {alias}" for sql, alias, _ in definition["outputs"]] + list(more)
    conditions = [c for c in (definition["where"], condition) if c]
    groups = [c for c in (definition["having"], shown) if c]
    return (f"SELECT {', '.join(outputs)} FROM {source}"
            + (f" WHERE ({') AND ('.join(conditions)})" if conditions else "")
            + (f" GROUP BY {', '.join(definition['group'])}" if definition["group"] else "")
            + (f" HAVING ({') AND ('.join(groups)})" if groups else ""))


def continuous(definition, stream):
    source = definition["source"].replace("{s}", stream)
    if definition["in_from"]:
        source += ", " + definition["in_from"]
    return select(definition, source)


def window_rows(definition):
    """The window as plain SQL in FROM, without streamagg."""
    window = definition["window"]
    size, origin = f"'{window['size']} microseconds'::interval", iso(window["origin"])
    start = f"date_bin({size}, l.ts, '{origin}')"
    slide = f"'{window['slide']} microseconds'::interval"
    if window["kind"] == "hop":
        last = f"date_bin({slide}, l.ts, '{origin}')"
        return (f"LATERAL (SELECT s AS window_start, s + {size} AS window_end FROM generate_series("
                f"{last}, l.ts - {size} + '1 microsecond', -{slide}) s) w")
    if window["kind"] == "cumulate":
        return (f"LATERAL (SELECT {start} AS window_start, e AS window_end FROM generate_series("
                f"{start} + {slide}, {start} + {size}, {slide}) e WHERE e > l.ts) w")
    return f"LATERAL (SELECT {start} AS window_start, {start} + {size} AS window_end) w"


def plain(definition, stream):
    """The same query over the accepted rows that the stream's model keeps."""
    ids = array(stream.accepted, "int")
    condition = None
    source = definition["source"]
    drops = definition["left_out"] is not None
    if drops and definition["window"]:
        kept = stream.kept[definition["name"]]
        ids = array(sorted({i for i, _, _ in kept}), "int")
    source = source.replace("{s}", f"(SELECT * FROM plain WHERE id = ANY ({ids}))")
    if definition["in_from"] and drops:
        pairs = (array([i for i, _, _ in kept], "int"), array([iso(s) for _, s, _ in kept], "timestamptz"),
                 array([iso(e) for _, _, e in kept], "timestamptz"))
        source += f", unnest({', '.join(pairs)}) AS w (row_id, window_start, window_end)"
        condition = "w.row_id = l.id"
    elif definition["in_from"]:
        source += ", " + window_rows(definition)
    final = final_sql(definition, stream)
    return select(definition, source, condition, [f"{final} AS is_final", *added(definition, stream)],
                  final if definition["emit"] == "final" else None)


def added(definition, stream):
    """A column that was added, and whether its group has no row of before."""
    if not definition["added"]:
        return []
    sql, alias, _ = definition["added"]["output"]
    before = array(stream.accepted[:stream.unknown[definition["name"]]], "int")
    return [f"{sql} AS {alias}, NOT bool_or(l.id = ANY ({before})) AS known"]


def final_sql(definition, stream):
    """Whether a group's window is closed."""
    if not definition["window"]:
        shown = "false"
    elif definition["window"]["kind"] == "date_trunc" or not definition["in_from"] \
            or definition["window"]["kind"] == "tumble":
        finals = sorted({s for i, s, e in all_windows(definition, stream)
                         if stream.is_final(definition, e)})
        shown = f"{definition['start']} = ANY ({array([iso(s) for s in finals], 'timestamptz')})"
    else:
        closed = "'-infinity'" if stream.closing == NEVER else f"'{iso(stream.closing - definition['lateness'])}'"
        shown = f"w.window_end <= {closed}"
    return shown


def all_windows(definition, stream):
    times = {r["id"]: r["ts"] for r in stream.group["records"]}
    return [(i, s, e) for i in stream.accepted for s, e in windows(definition["window"], times[i])]

# ---------------------------------------------------------------- making


def settings(group):
    return (f"SET TimeZone = {literal(group['timezone'])}; SET DateStyle = {literal(group['datestyle'])};"
            f" SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex';"
            f" SET client_min_messages = warning; SET search_path = property_{group['number']}, public;\n")


def options(group, way):
    given = {"event_time": "ts", "watermark_delay": f"{group['delay']} us",
             "on_decode_error": group["on_decode"], "on_violation": group["on_violation"],
             **group["options"]}
    if group["dedup"]:
        given["dedup_key"] = "dk"
    if group["archive"][way]:
        given["archive"] = "on"
    return ", ".join(f"{k} {literal(v)}" for k, v in given.items())


def copy_rows(table, rows):
    return f"COPY {table} FROM STDIN;\n" + "".join("\t".join(r) + "\n" for r in rows) + "\\.\n"


def plain_row(group, record):
    row = {**record["row"], "p": (None, str(record["p"]))}
    names = ["id", "dk", "p", "k", "ts", *group["columns"]]
    return [row[name][1] if name in row else "\\N" for name in names]


def escaped(message):
    return "\\N" if message is None else message.replace("\\", "\\\\")


def make(group):
    name = f"property_{group['number']}"
    sql = f"DROP SCHEMA IF EXISTS {name} CASCADE;\nCREATE SCHEMA {name};\n" + settings(group)
    sql += "CREATE TABLE dims (k int, name text, w int);\n"
    sql += copy_rows("dims", [["\\N" if v is None else str(v) for v in d] for d in group["dims"]])
    sql += "CREATE TABLE records (n int PRIMARY KEY, p int, message text);\n"
    sql += copy_rows("records", [(str(n), str(r["p"]), escaped(r["message"]))
                                 for n, r in enumerate(group["records"])])
    for way in group["ways"]:
        sql += (f"CREATE FOREIGN TABLE s{way} ({ddl(group['columns'])}) SERVER {group['server']} "
                f"OPTIONS ({options(group, way)});\n")
    sql += f"CREATE TABLE plain (LIKE s{group['ways'][0]});\n"
    sql += copy_rows("plain", [plain_row(group, r) for r in group["records"] if not r["broken"]])
    sql += (f"CREATE FUNCTION feed(stream regclass, first int, last int, part int) RETURNS bigint "
            f"LANGUAGE sql AS $$ SELECT late FROM streamagg.push(stream, ARRAY(SELECT message FROM "
            f"{name}.records WHERE n BETWEEN first AND last AND p = part ORDER BY n), part) $$;\n")
    for way in group["ways"]:
        for definition in group["definitions"]:
            if definition["at"] is None:
                sql += create(definition, way)
    return sql


def create(definition, way):
    name = definition["name"]
    made = create_rollup(definition, way) if definition["of"] else create_aggregate(definition, way)
    return f"\\echo @create {name} {way}\n{made}\\echo @created\n"


def create_rollup(definition, way):
    return (f"SELECT NULL FROM streamagg.create_rollup('{definition['name']}_{way}', "
            f"'{definition['of']}_{way}', '{definition['size']}');\n")


def add_column(definition, way):
    sql, alias, _ = definition["added"]["output"]
    name = definition["name"]
    return (f"\\echo @create {name} {way}\nSELECT NULL FROM streamagg.add_column('{name}_{way}', '{alias}', "
            f"{literal(sql)});\n\\echo @created\n")


def create_aggregate(definition, way):
    kept = f", retention => '{definition['retention']} us'" if definition["retention"] else ""
    return (f"SELECT NULL FROM streamagg.create_aggregate('{definition['name']}_{way}', "
            f"{literal(continuous(definition, f's{way}'))}, late => '{definition['late']}', "
            f"allowed_lateness => '{definition['lateness']} us', emit => '{definition['emit']}'{kept});\n")

# ---------------------------------------------------------------- batches, and what happens between


def batches(group, way):
    """[(first, last, partition)]: a push takes the records of one partition."""
    records, size = group["records"], WAYS[way] or len(group["records"])
    found, first = [], 0
    while first < len(records):
        many = len(records) > 200 and size < 100 and 40 <= first < len(records) - 40
        part = records[first:first + (40 if many else size)]    # of very many, the middle is quick
        for partition in sorted({r["p"] for r in part}):
            found.append((first, first + len(part) - 1, partition))
        first += len(part)
    return found


def feed(group, way, batch):
    name = f"property_{group['number']}"
    return f"{name}.feed('{name}.s{way}', {batch[0]}, {batch[1]}, {batch[2]})"


def push_sql(group, way, some):
    """Several batches in one transaction."""
    if len(some) == 1:
        return f"SELECT '@late {way} ' || {feed(group, way, some[0])};\n"
    name = f"property_{group['number']}"
    values = ", ".join(f"({n}, {a}, {b}, {p})" for n, (a, b, p) in enumerate(some))
    return (f"SELECT '@late {way} ' || sum({name}.feed('{name}.s{way}', a, b, p)) FROM (SELECT * FROM "
            f"(VALUES {values}) x (n, a, b, p) ORDER BY n) y;\n")


def in_block(statements):
    """They are done and taken back."""
    return (f"DO $$ BEGIN {statements} RAISE division_by_zero; "
            "EXCEPTION WHEN division_by_zero OR query_canceled OR invalid_parameter_value THEN NULL; END $$;\n")


def interruption(rng, group, way, batch, crash):
    """What may happen between two batches.  None of it may leave anything of the batch."""
    name, this = f"property_{group['number']}", feed(group, way, batch)
    definitions = [d for d in group["definitions"] if d["at"] is None]      # as many random numbers, however many there are
    state = f"{name}.{definitions[int(rng.random() * len(definitions))]['name']}_{way}_state"
    shell = f"psql -Xq -c \"BEGIN\" -c \"SELECT {this}\" -c "
    ways = [
        "\\c\n", "DISCARD ALL;\n", f"BEGIN;\nSELECT NULL FROM {this};\nROLLBACK;\n",
        in_block(f"PERFORM {this};"), in_block(f"PERFORM streamagg.push('{name}.s{way}', '{{}}', -1);"),
        f"SET statement_timeout = 2;\n{in_block(f'PERFORM {this};')}RESET statement_timeout;\n",
        f"VACUUM ANALYZE {state};\n", f"ANALYZE {state};\n", f"VACUUM FULL {state};\n",
        "SET TimeZone = 'Pacific/Kiritimati'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601';\n"
        "SET extra_float_digits = -15; SET bytea_output = 'escape'; SET search_path = pg_catalog;\n",
        "SET enable_hashagg = off; SET enable_sort = off; SET work_mem = '64kB';\n",
        "SET plan_cache_mode = force_generic_plan; SET max_parallel_workers_per_gather = 0;\n",
        f"ALTER FOREIGN TABLE {name}.s{way} OPTIONS (SET watermark_delay '{group['delay']} us');\n",
        f"\\! {shell} \"SELECT pg_terminate_backend(pg_backend_pid())\" 2> /dev/null\n"]
    if crash:
        return (f"\\! {shell} \"COPY (SELECT) TO PROGRAM 'kill -9 \\$PPID'\" 2> /dev/null\n"
                "\\! until psql -Xqc 'SELECT' > /dev/null 2>&1; do sleep 0.05; done\n\\c\n")
    return rng.choice(ways)


def run_way(group, way, crashes):
    rng, sql, some = random.Random(f"{group['seed']}/{group['number']}/{way}"), "", []
    todo = batches(group, way)
    likely = rng.choice((0, 1.5)) / max(len(todo), 2)
    together = rng.choice((1, 5, 40))
    for number, batch in enumerate(todo):
        begins = happening(group, way, number, len(todo))
        if begins:
            sql += (push_sql(group, way, some) if some else "") + begins
            some = []
        if rng.random() < likely or (crashes and number == len(todo) // 2):
            sql += push_sql(group, way, some) if some else ""
            sql += interruption(rng, group, way, batch, crashes and number == len(todo) // 2)
            some = []
        some.append(batch)
        if len(some) >= together:
            sql += push_sql(group, way, some)
            some = []
    return sql + (push_sql(group, way, some) if some else "") + happening(group, way, len(todo), len(todo))


def happening(group, way, number, many):
    """Rollups that are made, and columns that are added, before this one of many batches."""
    sql = ""
    for definition in group["definitions"]:
        if place_in(definition["at"], many) == number:
            sql += create(definition, way)
        if definition["added"] and place_in(definition["added"]["at"], many) == number:
            sql += add_column(definition, way)
    return settings(group) + sql if sql else ""


def model(group, way):
    stream, todo = Stream(group), batches(group, way)
    for number, (first, last, partition) in enumerate(todo):
        stream.happen(number, len(todo))
        stream.push(partition, [r for r in group["records"][first:last + 1] if r["p"] == partition])
    stream.happen(len(todo), len(todo))
    return stream

# ---------------------------------------------------------------- comparing


def same(alias, limits):
    if limits is None:
        return f"e.{alias} IS NOT DISTINCT FROM f.{alias}"
    return f"property_near(e.{alias}, f.{alias}, {limits[0]}, {limits[1]})"


def compare(definition, way, stream):
    """Rows by their order: what is exact comes first, and where something is not, all keys are there."""
    outputs = sorted(definition["outputs"], key=lambda o: o[2] is not None)
    added_names, conditions = "", []
    if definition["added"]:                 # NULL where a group had rows before, but for what was stored already
        _, alias, limits = definition["added"]["output"]
        added_names = f", {alias}"
        conditions = [f"({same(alias, limits)} OR NOT e.known AND f.{alias} IS NULL)"]
    order = ", ".join([f"{alias}" for _, alias, _ in outputs] + ["is_final"])
    names = ", ".join(alias for _, alias, _ in definition["outputs"]) + added_names
    shown = "true"
    if definition["retention"]:
        shown = f"k0 = ANY ({array([iso(s) for s in stream.shows(definition)], 'timestamptz')})"
    expected = f"CREATE TEMP VIEW expected AS {plain(definition, stream)};\n"
    conditions = " AND ".join(conditions + [same(alias, limits) for _, alias, limits in outputs] +
                              ["e.is_final = f.is_final"])
    return (f"\\echo @compare {definition['name']} {way}\n{expected}"
            f"SELECT '@differs', to_jsonb(e), to_jsonb(f) FROM "
            f"(SELECT *, row_number() OVER (ORDER BY {order}) AS row FROM expected WHERE {shown}) e FULL JOIN "
            f"(SELECT {names}, is_final, row_number() OVER (ORDER BY {order}) AS row "
            f"FROM {definition['name']}_{way} WHERE {shown}) f USING (row) "
            f"WHERE e.row IS NULL OR f.row IS NULL OR NOT ({conditions}) ORDER BY row LIMIT 5;\n"
            "DROP VIEW expected;\n\\echo @compared\n")


def look(group, way, stream):
    """Rows of all definitions, late counts, counters, watermark, verify()."""
    sql = "".join(compare(d, way, stream) for d in group["definitions"])
    counters = ", ".join(f"'{c}', {c}" for c in COUNTERS)
    sql += (f"SELECT '@partition {way}', json_build_object('partition', partition, {counters}) "
            f"FROM streamagg.partitions WHERE stream = 's{way}'::regclass;\n")
    sql += (f"SELECT '@closing {way}', coalesce(extract(epoch FROM watermark) * {SECOND}, '-infinity') "
            f"FROM streamagg.streams WHERE stream = 's{way}'::regclass;\n")
    sql += (f"SELECT '@counts {way}', json_build_object('name', split_part(aggregate::text, '_', 1), 'rows_in', "
            f"rows_in, 'late', json_build_array(late_rows, late_pairs)) FROM streamagg.aggregates "
            f"WHERE stream = 's{way}'::regclass;\n")
    if group["archive"][way]:
        for d in group["definitions"]:
            sql += f"\\echo @compare {d['name']} {way}\n"
            sql += (f"SELECT '@verify', v.* FROM streamagg.verify('{d['name']}_{way}') v LIMIT 5;\n"
                    "\\echo @compared\n")
    return sql


def script(group, crashes=False):
    """(sql, {way: its model})"""
    models = {way: model(group, way) for way in group["ways"]}
    sql = "\\set VERBOSITY verbose\n\\setenv PGDATABASE :DBNAME\n" + make(group)
    for way in group["ways"]:
        sql += run_way(group, way, crashes and way == 1) + settings(group)
    for way in group["ways"]:
        sql += look(group, way, models[way])
    return sql + f"\\echo @end\nDROP SCHEMA property_{group['number']} CASCADE;\n", models
