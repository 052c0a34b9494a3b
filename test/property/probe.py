"""What the server under test can do: what it says that it cannot is left out of the definitions."""
import re

from cases import ARGUMENTS, ORDERED

STREAM = "CREATE FOREIGN TABLE probe (i4 int, t text, ts timestamptz) SERVER local OPTIONS (event_time 'ts');\n"
WINDOWS = {"tumble": "'1 min'", "hop": "'1 min', '5 min'", "cumulate": "'1 min', '5 min'"}
RULES = """SELECT '@rule', p.proname, p.prorettype::regtype::text,
  (SELECT string_agg(a::regtype::text, ';') FROM unnest(p.proargtypes) a)
FROM streamagg.merge_rules, pg_proc p
WHERE p.oid = CASE WHEN aggregate NOT LIKE '%@%' THEN to_regprocedure(aggregate) END ORDER BY 2, 3, 4;
"""


def attempt(what, query):
    """0A000 is an ability that is not there; anything else that goes wrong is an error."""
    return (f"BEGIN;\nDO $$ BEGIN PERFORM streamagg.create_aggregate('probed', $q$ {query} $q$); "
            f"RAISE INFO '@can {what}'; EXCEPTION WHEN feature_not_supported THEN "
            f"RAISE INFO '@cannot {what}: %', SQLERRM; END $$;\nROLLBACK;\n")


def probe(psql, database):
    """(abilities, [what is left out])"""
    sql = STREAM + "".join(
        attempt(f"window {kind}", f"SELECT w.window_start, w.window_end, count(*) FROM probe l, "
                f"streamagg.{kind}(l.ts, {sizes}) w GROUP BY 1, 2") for kind, sizes in WINDOWS.items())
    done = psql(database, "\\set ON_ERROR_STOP on\nSET client_min_messages = warning;\n" + sql + RULES)
    rules = [{"name": name, "returns": returns, "arguments": [a for a in arguments.split(";") if a]}
             for name, returns, arguments in re.findall(r"^@rule\|(.*)\|(.*)\|(.*)$", done.stdout, re.M)]
    if done.returncode != 0 or not rules:
        raise RuntimeError("the probe failed: " + done.stderr[:2000])
    names = sorted({r["name"] for r in rules if r["arguments"]})
    tried = psql(database, "SET client_min_messages = warning;\n" + "".join(
        attempt(f"DISTINCT {name}", f"SELECT {name}(DISTINCT {argument}) FROM probe l")
        for name in names for argument in [argument_of(rules, name)] if argument)
        + "DROP FOREIGN TABLE probe;\n")
    can = re.findall(r"INFO:.*@can (\w+) (\w+)", done.stderr + tried.stderr)
    cannot = re.findall(r"INFO:.*@cannot (\w+) (\w+): (.*)", done.stderr + tried.stderr)
    usable = [r for r in rules if not ORDERED.search(r["name"])
              and all(a in ARGUMENTS for a in r["arguments"])]
    return ({"windows": [name for kind, name in can if kind == "window"] + ["date_bin", "date_trunc"],
             "distinct": [name for kind, name in can if kind == "DISTINCT"], "rules": usable},
            left_out(rules, usable, cannot))


def argument_of(rules, name):
    """Of a function of one argument that the probe's stream has."""
    types = [r["arguments"][0] for r in rules if r["name"] == name and len(r["arguments"]) == 1]
    for type_name, argument in (("integer", "l.i4"), ('"any"', "l.i4"), ("text", "l.t"),
                                ("boolean", "l.i4 > 0"), ("double precision", "l.i4::float8")):
        if type_name in types:
            return argument
    return None


def left_out(rules, usable, cannot):
    found = [f"{name} ({reason})" if kind == "window" else f"{name}(DISTINCT …) ({reason})"
             for kind, name, reason in cannot]
    return found + [f"{r['name']}({', '.join(r['arguments'])}) (no value or no order here)"
                    for r in rules if r not in usable]
