"""The file of figures: what each workload measured and on which machine, as JSON."""
import json
import os
import re
from pathlib import Path

from kafka import POM


def system_name():
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', Path("/etc/os-release").read_text(), re.MULTILINE)
    return found.group(1) if found else "Linux"


def processor():
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(1) if found else os.uname().machine


def machine(postgres):
    """Where the figures are from: a measurement without that says nothing."""
    [[version]] = postgres.sql("postgres", "SHOW server_version")
    [[library]] = postgres.sql("template1", """
        BEGIN; CREATE EXTENSION streamagg;
        SELECT version FROM streamagg.version() WHERE component = 'librdkafka'; ROLLBACK""")
    kafka = re.search(r"<kafka.version>(.*?)</", POM.read_text(encoding="utf-8"))
    return {"processor": processor(), "cpus": os.cpu_count(), "system": system_name(),
            "postgresql": version.split()[0], "librdkafka": library,
            "kafka": kafka.group(1) if kafka else ""}


def describe(found):
    return (f"{found['cpus']} CPUs ({found['processor']}), {found['system']}, "
            f"PostgreSQL {found['postgresql']}, librdkafka {found['librdkafka']}, "
            f"Apache Kafka {found['kafka']}")


def save(path, workload, figures):
    """Adds a workload's figures to the file; those of other workloads stay as they are."""
    path = Path(path)
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    found[workload] = rounded(figures)
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    # a list of numbers is one line
    text = re.sub(r"\[([-0-9.,e\s]+)\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    path.write_text(text, encoding="utf-8")


def rounded(value):
    """Five digits of each number: more are not measured."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
