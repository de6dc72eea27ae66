"""What a benchmark ran on and with: read from /proc and /sys, asked of the programs."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.load.peers import PEERS, ROOT, version_of
from bench.load.rig import FILES
from bench.results import Machine

PACKAGES = (
    *("uvloop", "httptools", "msgspec", "cython", "numpy", "starlette", "uvicorn"),
    *("duckdb", "aiokafka", "zstandard"),
)
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def field_of(text: str, name: str) -> str:
    """The value of the first `name : value` line, as in /proc/cpuinfo."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return "unknown"


def describe(stolen_share: float = 0.0) -> Machine:
    """This machine."""
    memory_kib = field_of(Path("/proc/meminfo").read_text(), "MemTotal").split()[0]
    return Machine(
        cpu=field_of(Path("/proc/cpuinfo").read_text(), "model name"),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=int(memory_kib) * 1024,
        kernel=platform.release(),
        governor=GOVERNOR.read_text().strip() if GOVERNOR.exists() else "not shown by the machine",
        python=platform.python_version(),
        disk=file_system(FILES, Path("/proc/self/mounts").read_text()),
        stolen_share=stolen_share,
    )


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system that a folder is on, or will be, by /proc/self/mounts."""
    fields = [line.split() for line in mounts.splitlines()]
    over = [each for each in fields if folder.is_relative_to(each[1])]
    return max(over, key=lambda each: len(each[1]))[2] if over else "unknown"


def versions(peers: tuple[str, ...]) -> dict[str, str]:
    """Of every peer that is installed, of the generator and of the packages we stand on."""
    programs = dict.fromkeys(PEERS[name].variant_of or name for name in peers)
    found = {name: version_of(PEERS[name]) for name in programs}
    found["wrk"] = first_line("wrk", "-v")
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = ""
    return {name: text for name, text in found.items() if text}


def first_line(*command: str) -> str:
    """The first line a program prints, whatever its exit status; wrk -v ends with 1."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return (ran.stdout + ran.stderr).strip().partition("\n")[0].partition(" Copyright")[0]


def commit() -> str:
    """The short commit; "none" outside a repository or before the first commit."""
    said = first_line("git", "rev-parse", "--short=10", "HEAD")
    return said if len(said) == 10 and " " not in said else "none"


def is_modified() -> bool:
    """Whether the tree holds changes that the commit does not."""
    return bool(first_line("git", "status", "--porcelain", "--", "gateway", "setup.py"))


def today() -> str:
    """Date and time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
