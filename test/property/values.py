"""The columns of the test's streams and what stands in them: NULL, NaN, −0, infinity, ties that print
differently, rows broken on purpose.  Used by cases.py; knows nothing of aggregates.

A value is a pair: how the record says it (JSON), and how COPY reads it into the plain table.
"""
import datetime
import json

SECOND = 1_000_000
NULL = ("null", "\\N")


def text(value):
    """A string, the same for both."""
    return json.dumps(value, ensure_ascii=False), value.replace("\\", "\\\\")


def number(value):
    return value, value


def numbers(*values):
    return [number(v) for v in values] + [text(v) for v in values[:2]]


def texts(*values):
    return [text(v) for v in values]


# name: (type and constraints in DDL, values).  What is equal and prints differently is meant to be.
COLUMNS = {
    "b": ("boolean", [number("true"), number("false"), ('"f"', "false")]),
    "i2": ("smallint", numbers("0", "1", "-1", "2", "32767", "-32768")),
    "i4": ("int CHECK (i4 <> 13)", numbers("0", "1", "2", "3", "-1", "-7", "2147483647",
                                           "-2147483648")),
    "i8": ("bigint", numbers("0", "1", "5", "-5", "9223372036854775807", "-9223372036854775808")),
    "n": ("numeric", numbers("1", "1.0", "1.00", "-2.5", "0", "0.00", "123456789.123456789",
                             "1e3", "1000")),
    # eighths: their sums, and all that statistics make of them before the last step, are exact
    "f4": ("real", numbers("0", "-0.0", "1.5", "-2.25", "0.125", "1024") + texts("NaN")),
    "f8": ("double precision", numbers("0", "-0.0", "0.125", "-7.5", "3", "1e6") +
           texts("NaN", "Infinity", "-0")),
    "e8": ("double precision", numbers("0", "-0.0", "0.125", "-7.5", "3", "12", "0.5")),
    # all positive: no sum of them cancels
    "g8": ("double precision", numbers("0.1", "0.7", "1e-3", "123.456", "98765.4321", "3.3e7")),
    "t": ("text", texts("", "a", "A", "ä", "b", "a b", "x" * 300, "NaN", "\u20ac\U0001f600")),
    "tc": ("text COLLATE property_no_case", texts("a", "A", "b", "B", "ä", "Ä", "")),
    "c": ("character(4)", texts("a", "a ", "ab", "b")),
    "v": ("varchar(8)", texts("a", "a ", "ab", "Z")),
    "u": ("uuid", texts("00000000-0000-0000-0000-000000000001",
                        "10000000-0000-0000-0000-00000000000A")),
    "d": ("date", texts("2024-02-29", "1999-12-31", "0044-03-15", "infinity")),
    "ti": ("time", texts("00:00:00", "23:59:59.5", "12:00")),
    "tt": ("time with time zone", texts("12:00:00+00", "13:00:00+01", "00:00:00-08")),
    "tz": ("timestamptz", texts("2024-03-31T00:59:59Z", "2024-03-31T01:00:00Z",
                                "2024-03-31T03:00:00+02:00", "2024-10-27T00:30:00Z")),
    "lo": ("timestamp", texts("2024-01-01 00:00:00", "1900-01-01 00:00:00.000001")),
    "iv": ("interval", texts("1 day", "24 hours", "1 hour", "-1 month", "30 days", "90 minutes")),
    "ip": ("inet", texts("10.0.0.1", "10.0.0.1/32", "10.0.0.2", "::1", "10.0.0.0/8")),
    "mo": ("money", texts("1.00", "-2.50", "100.25")),
    "m": ("property_mood", texts("sad", "ok", "happy")),
    "x": ("bytea OPTIONS (encoding 'hex')", [('""', "\\\\x"), ('"00"', "\\\\x00"),
                                             ('"ff01"', "\\\\xff01")]),
    "a": ("int[]", [("[1, 2]", "{1,2}"), ("[]", "{}"), ("[null, 2]", "{NULL,2}"), ("[1]", "{1}")]),
    "na": ("numeric[]", [("[1.0]", "{1.0}"), ("[1.00]", "{1.00}"), ("[2, 1]", "{2,1}")]),
    "r": ("property_pair", [('{"x": 1.0, "y": "a"}', '(1.0,a)'),
                            ('{"x": 1.00, "y": "a"}', '(1.00,a)'),
                            ('{"x": null, "y": null}', '(,)'), ('{"x": 2, "y": "b"}', '(2,b)')]),
    "j": ("jsonb", [('{"k": 1}', '{"k": 1}'), ('{"k": 1.0}', '{"k": 1.0}'), ("[]", "[]"),
                    ('"a"', '"a"'), ('{"k": "a"}', '{"k": "a"}')]),
}
# Always there: a row's number, its dedup key, a partition's number, what may not be NULL, the time.
FIXED = (("id", "int"), ("dk", "int"), ("p", "int OPTIONS (meta 'partition')"),
         ("k", "text NOT NULL"), ("ts", "timestamptz NOT NULL"))

# (kind, column, JSON): breaks any record; None stands for the whole of it.
BROKEN = (
    ("decode", None, '{"id": 1'), ("decode", None, ""), ("decode", None, "[]"),
    ("decode", None, "7"), ("decode", None, '{"ts": "\\u0000"}'),
    ("violation", "ts", "null"), ("violation", "ts", '"soon"'), ("violation", "ts", '"infinity"'),
    ("violation", "k", "null"), ("violation", "i4", "13"), ("violation", "i4", "1.5"),
    ("violation", "i4", "2147483648"), ("violation", "i4", '"one"'), ("violation", "i2", "32768"),
    ("violation", "i8", "9223372036854775808"), ("violation", "n", '"NaN"'),
    ("violation", "u", '"1"'), ("violation", "d", '"2024-02-30"'), ("violation", "m", '"angry"'),
    ("violation", "v", '"much too long"'), ("violation", "a", '{"x": 1}'),
    ("violation", "b", '"perhaps"'), ("violation", "f8", '"1e400"'), ("violation", "ip", '"::g"'),
    ("tombstone", None, None),
)


def used(columns):
    """The faults that a stream with these columns can have."""
    return [b for b in BROKEN if b[1] is None or b[1] in columns or b[1] in ("ts", "k")]


def ddl(columns):
    """For the foreign table; LIKE takes names, types and collations of it to the plain one."""
    return ", ".join(f"{name} {type_name}" for name, type_name in
                     [*FIXED, *((c, COLUMNS[c][0]) for c in columns)])


def iso(moment):
    """Microseconds since 1970 as a time that both read."""
    seconds, rest = divmod(moment, SECOND)
    days, seconds = divmod(seconds, 86400)
    return f"{date_of(days)}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" \
           f".{rest:06}Z"


def date_of(days):
    return datetime.date.fromordinal(datetime.date(1970, 1, 1).toordinal() + days).isoformat()
