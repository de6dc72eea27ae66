"""What the file system asks of a process that writes the log: `python -m bench.pages`.

Lines of a record's size into segments, three ways: into a new file whose pages come as they
are written to, into a new file whose pages were touched ahead, and into a spare, which was a
segment before. CPU time a line, of the appending and of the preparing, and the longest that
one line took: so long would the whole worker stand still.

Why ranges and not one figure: on a virtual machine a page that the host has to find first
costs ten times one that the guest had before, and which it is nobody can choose.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.load.rig import FILES
from bench.summary import Table
from bench.terminal import drawn, make_console
from gateway._fast import Segment, Stream
from gateway.log.spares import retire, take
from gateway.log.writer import allocate

SEGMENT_BYTES = 16 << 20
LINE = b"x" * 1582  # and a newline
ROUNDS = 7


class Cost(Struct, frozen=True):
    """Of one segment filled."""

    append_us: float  # CPU time a line
    prepare_us: float  # CPU time a line, before the first one
    worst_ms: float  # the longest that one line took


def filled(made: Callable[[Path], Segment], directory: Path) -> Cost:
    """One segment, made and written full."""
    path = directory / "w0-00000000000000aa-00000001.ndjson"
    begun = time.process_time_ns()
    segment = made(path)
    prepared = time.process_time_ns() - begun
    stream = Stream("w0-00000000000000aa")
    stream.attach(segment)
    lines, worst_ns = segment.size // (len(LINE) + 1), 0
    begun = time.process_time_ns()
    for _ in range(lines):
        before = time.perf_counter_ns()
        assert stream.add(LINE, 1)
        worst_ns = max(worst_ns, time.perf_counter_ns() - before)
    appended = time.process_time_ns() - begun
    segment.close()
    return Cost(appended / lines / 1e3, prepared / lines / 1e3, worst_ns / 1e6)


def new(path: Path) -> Segment:
    """A new file, its blocks allocated, its pages left to the faults."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    allocate(fd, SEGMENT_BYTES)
    return Segment(fd, 1)


def touched(path: Path) -> Segment:
    """A new file whose pages are in memory."""
    segment = new(path)
    segment.touch(SEGMENT_BYTES)
    return segment


def spare(path: Path) -> Segment:
    """What was a segment before; its zeros were written by who delivered it."""
    fd = take(path.parent, path, SEGMENT_BYTES)
    if fd is None:
        raise SystemExit("this system keeps no spares; see gateway/log/spares.py")
    allocate(fd, SEGMENT_BYTES)
    segment = Segment(fd, 1)
    segment.touch(SEGMENT_BYTES)
    return segment


def measure(rounds: int = ROUNDS) -> dict[str, list[Cost]]:
    """Each way so many times, in turn, on the disk that the benchmarks use."""
    FILES.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[Cost]] = {"new file": [], "touched ahead": [], "spare": []}
    with tempfile.TemporaryDirectory(dir=FILES) as folder:
        directory = Path(folder)
        path = directory / "w0-00000000000000aa-00000001.ndjson"
        for _ in range(rounds):
            found["new file"].append(filled(new, directory))
            path.unlink()
            found["touched ahead"].append(filled(touched, directory))
            retire(path)
            found["spare"].append(filled(spare, directory))
            path.unlink()
    return found


def table(found: dict[str, list[Cost]]) -> Table:
    """Median and range of each."""
    rows = []
    for name, costs in found.items():
        columns = (
            [each.append_us for each in costs],
            [each.prepare_us for each in costs],
            [each.worst_ms for each in costs],
        )
        rows.append((name, *map(_range, columns)))
    header = ("segment", "append us/line", "prepare us/line", "longest append ms")
    return Table("Writing lines of 1.6 kB into the log", header, tuple(rows))


def _range(values: list[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> int:
    """The exit status."""
    make_console().print(drawn(table(measure())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
