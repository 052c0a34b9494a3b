"""The Debian packages that a run needs: named when they are missing, or installed by --install."""
import os
import re
import shutil
import subprocess
from pathlib import Path

from place import fail

NEEDED = {                      # a program or file: the package that brings it
    "make": "make", "cc": "gcc", "c++": "g++", "/usr/include/stdio.h": "libc6-dev",
    "java": "default-jre-headless", "mvn": "maven", "setpriv": "util-linux",
    "/etc/ssl/certs/ca-certificates.crt": "ca-certificates",
    "/usr/include/librdkafka/rdkafka.h": "librdkafka-dev",
    "/usr/include/simdjson.h": "libsimdjson-dev",
    "/usr/lib/python3/dist-packages/confluent_kafka": "python3-confluent-kafka",
}
PROFILING = {"perf": "linux-perf"}
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/streamagg-bench.conf")


def installed_majors():
    return [int(path.parts[4]) for path in Path("/").glob("usr/lib/postgresql/*/lib/pgxs")]


def offered_majors():
    """Of the package lists, fetched when they are missing."""
    def offered():
        names = subprocess.run(["apt-cache", "pkgnames", "postgresql-server-dev-"], text=True,
                               stdout=subprocess.PIPE, check=False).stdout
        return [int(major) for major in re.findall(r"-(\d+)$", names, re.MULTILINE)]

    return offered() or (apt_get("update") or offered())


def choose_major(may_install):
    """The newest PostgreSQL that extensions can be built for, or that --install can bring."""
    majors = installed_majors() or (offered_majors() if may_install else [])
    if not majors:
        fail("there is no PostgreSQL to build for: apt-get install postgresql-server-dev-15 (or "
             "later), or bench/run --install")
    return max(majors)


def missing(major, profiling):
    needed = {**NEEDED, **(PROFILING if profiling else {}),
              f"/usr/lib/postgresql/{major}/bin/postgres": f"postgresql-{major}",
              f"/usr/lib/postgresql/{major}/lib/pgxs": f"postgresql-server-dev-{major}"}
    return sorted({package for what, package in needed.items()
                   if not (os.path.exists(what) if what.startswith("/") else shutil.which(what))})


def apt_get(*words):
    done = subprocess.run(["apt-get", "-y", "-qq", "-o", "DPkg::Lock::Timeout=300", *words],
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        fail(f"apt-get {' '.join(words)} failed:\n{done.stdout}")


def install(packages):
    """Without recommendations, and without the cluster that PostgreSQL's package would make."""
    print("installing " + " ".join(packages), flush=True)
    apt_get("update")
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n", encoding="utf-8")
    try:
        apt_get("--no-install-recommends", "install", *packages)
    finally:
        NO_CLUSTER.unlink()


def provide(major, may_install, profiling):
    packages = missing(major, profiling)
    if packages and not may_install:
        fail("apt-get install --no-install-recommends " + " ".join(packages)
             + "\n(bench/run --install does that)")
    if packages:
        install(packages)
