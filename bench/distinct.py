"""Workload distinct: what exact DISTINCT costs, beside --query over the same topic without it."""
import archive
from reading import Query

Q1_DISTINCT = Query(("login.sql", "q1_distinct.sql"))


def run(readings, args):
    return archive.compare(readings, args, "distinct", Q1_DISTINCT)
