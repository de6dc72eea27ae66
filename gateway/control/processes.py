"""What the operating system says of the gateway's processes, read from /proc.

Where there is no /proc (macOS), or the process has gone, there are no figures.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

# Positions behind the state: field n of proc(5) is at n - 4.
_USER_TICKS, _SYSTEM_TICKS, _START_TICKS, _RESIDENT_PAGES = 10, 11, 18, 20


class Usage(Struct, frozen=True):
    """What a process uses."""

    resident_bytes: int
    cpu_s: float
    open_fds: int
    max_fds: int
    started_at_s: float


def usage_of(pid: int, proc: Path = Path("/proc")) -> Usage | None:
    """The usage of one process; None if the system does not say."""
    try:
        fields = _stat_fields((proc / str(pid) / "stat").read_text())
        ticks_per_s = os.sysconf("SC_CLK_TCK")
        return Usage(
            resident_bytes=fields[_RESIDENT_PAGES] * os.sysconf("SC_PAGE_SIZE"),
            cpu_s=(fields[_USER_TICKS] + fields[_SYSTEM_TICKS]) / ticks_per_s,
            open_fds=sum(1 for _ in (proc / str(pid) / "fd").iterdir()),
            max_fds=_max_fds((proc / str(pid) / "limits").read_text()),
            started_at_s=_booted_at_s((proc / "stat").read_text())
            + fields[_START_TICKS] / ticks_per_s,
        )
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _stat_fields(text: str) -> list[int]:
    """The numbers behind the process's state.

    Why: the name, in parentheses before it, may itself hold spaces and parentheses.
    """
    return [int(field) for field in text.rpartition(")")[2].split()[1:]]


def _max_fds(text: str) -> int:
    """The soft limit; 0 if there is none."""
    line = next(line for line in text.splitlines() if line.startswith("Max open files"))
    soft = line.split()[3]
    return 0 if soft == "unlimited" else int(soft)


def _booted_at_s(text: str) -> int:
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("btime "))
