"""CPU time and memory of processes, read from /proc.

CPU time is utime and stime of `/proc/PID/stat`: every thread of the process, also those
that have ended, in clock ticks of 10 ms. Their sum is known to the nanosecond from the
process's CPU clock (clock_getcpuclockid); the ticks then only say how it divides. Resident
memory is `/proc/PID/statm`.

Rule: a process that is gone counts as zero; the difference of two readings is then
negative and the caller sees that the peer died.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PROC = Path("/proc")
CPU_CLOCK_SCHED = 2


class CpuTime(Struct, frozen=True):
    """What a process has used so far."""

    user_us: float = 0.0
    system_us: float = 0.0

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user_us + other.user_us, self.system_us + other.system_us)

    def __sub__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(self.user_us - other.user_us, self.system_us - other.system_us)

    @property
    def total_us(self) -> float:
        """User and system together."""
        return self.user_us + self.system_us


def fields_after_name(stat: str) -> list[str]:
    """The fields of a stat line from the third on; the second may hold blanks and brackets."""
    return stat[stat.rindex(")") + 1 :].split()


def parse_cpu_time(stat: str) -> CpuTime:
    """User and system time of one `/proc/PID/stat` line."""
    fields = fields_after_name(stat)
    scale_us = 1e6 / TICKS_PER_S
    return CpuTime(int(fields[11]) * scale_us, int(fields[12]) * scale_us)


def parse_parent(stat: str) -> int:
    """The parent's process id of one `/proc/PID/stat` line."""
    return int(fields_after_name(stat)[1])


def parse_resident_bytes(statm: str) -> int:
    """Resident memory of one `/proc/PID/statm` line."""
    return int(statm.split()[1]) * PAGE_BYTES


def read(pid: int, name: str, proc: Path = PROC) -> str:
    """One file of a process; "" when the process is gone."""
    try:
        return (proc / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def exact_us(pid: int) -> float:
    """Time on a core of all threads there ever were; 0 where the process is gone."""
    # Why by hand: Python has the call for threads alone. The rest is <linux/posix-timers.h>.
    try:
        return time.clock_gettime_ns(~pid << 3 | CPU_CLOCK_SCHED) / 1e3
    except OSError:
        return 0.0


def scaled(ticks: CpuTime, total_us: float) -> CpuTime:
    """The ticks' division of the exact total; the ticks themselves without one."""
    if not total_us or not ticks.total_us:
        return ticks
    factor = total_us / ticks.total_us
    return CpuTime(ticks.user_us * factor, ticks.system_us * factor)


def cpu_time(
    pids: list[int], proc: Path = PROC, exact: Callable[[int], float] = exact_us
) -> CpuTime:
    """Added up over the processes."""
    total = CpuTime()
    for pid in pids:
        if stat := read(pid, "stat", proc):
            total += scaled(parse_cpu_time(stat), exact(pid))
    return total


def resident_bytes(pids: list[int], proc: Path = PROC) -> int:
    """Added up over the processes; shared pages count once for each."""
    lines = [read(pid, "statm", proc) for pid in pids]
    return sum(parse_resident_bytes(line) for line in lines if line)


def family(root: int, proc: Path = PROC) -> list[int]:
    """The process and all its descendants, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit() and (stat := read(int(entry.name), "stat", proc)):
            children.setdefault(parse_parent(stat), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(sorted(children.get(pid, [])))
    return found


def command_line(pid: int, proc: Path = PROC) -> str:
    """The process's arguments and its short name, blank-separated."""
    arguments = read(pid, "cmdline", proc).replace("\0", " ")
    return f"{arguments}{read(pid, 'comm', proc).strip()}"


def machine_time(proc: Path = PROC) -> str:
    """The reading of /proc/stat that `stolen_share` compares."""
    return (proc / "stat").read_text()


def stolen_share(before: str, after: str) -> float:
    """The share of all CPU time between two readings of /proc/stat that the host took away."""
    first, second = (
        [int(field) for field in text.splitlines()[0].split()[1:9]] for text in (before, after)
    )
    spent = [late - early for early, late in zip(first, second, strict=True)]
    return spent[7] / sum(spent) if sum(spent) else 0.0
