"""CPU time of processes, and what many measurements say."""
import os
import statistics
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def process_seconds(pid):
    """CPU seconds of a process, its threads that have ended included, by its CPU clock (ns)."""
    return time.clock_gettime((~pid << 3) | 2)      # clock_getcpuclockid(3) of Linux


def children(pid):
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def reaped_seconds(pid):
    """CPU seconds of the children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[13]) + int(fields[14])) / TICK


def server_seconds(pid):
    """CPU seconds of a postmaster and all of its children, those that have ended included."""
    while True:
        reaped, living = reaped_seconds(pid), children(pid)
        try:
            total = process_seconds(pid) + sum(map(process_seconds, living))
        except (OSError, ProcessLookupError):
            continue
        if (reaped, living) == (reaped_seconds(pid), children(pid)):
            return total + reaped


def memory_mb(pid, name):
    status = dict(line.split(":", 1) for line in
                  Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status[name].split()[0]) / 1024


def peak_mb(pid):
    """The most memory that a process had resident, shared buffers that it touched included."""
    return memory_mb(pid, "VmHWM")


def resident_mb(pid):
    """The memory that a process has now, and how much of it is PostgreSQL's shared memory."""
    return {"resident_mb": memory_mb(pid, "VmRSS"), "shared_mb": memory_mb(pid, "RssShmem")}


def in_turn(number, first, second):
    """What two readings give, one after the other: the second one first in every other pair."""
    if number % 2 == 0:
        return first(), second()
    late = second()
    return first(), late


def show_spread(values, form=".3f"):
    return (f"median {statistics.median(values):{form}}, from {min(values):{form}} to "
            f"{max(values):{form}}, {len(values)} pairs")
