"""`python -m bench.store`: loads records into the local store and measures questions to it.

    python -m bench.store --records 10000000    # the figure in docs/decisions: about 10 minutes
    python -m bench.store --records 200000      # a look

Two workers' segments over some days are made (see `tests.support.log_lines`), added one by
one as the shipper does, and joined. Then each question is asked several times, each time
for something else; `new process` is the whole command line, with the start of Python.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gateway.store import Store
from gateway.store.filters import Filter
from tests.support.log_lines import EPOCH_MS, Shape, segment_bytes

DAYS = 7
DAY_MS = 86_400_000
SEGMENT_RECORDS = 45_000  # 64 MiB
STREAMS = ("w0-019b76daa8000000", "w1-019b76daa8000000")


class Bench:
    """One store, and what is known to be in it."""

    def __init__(self, directory: Path, records: int) -> None:
        self.state, self.records = directory, records
        self.log = directory / "log"
        self.log.mkdir()
        # Why the clock: the days are over, so all of their volumes are joined.
        end_s = EPOCH_MS / 1000 + (DAYS + 1) * 86_400
        self.store = Store(directory / "store", self.log, now=lambda: end_s)
        self.known: list[tuple[str, str]] = []  # ids and request ids, some of each segment
        self.add_s = self.add_cpu_s = 0.0
        self.loaded_bytes = 0

    def load(self) -> None:
        """Make and add every segment."""
        each = self.records // len(STREAMS)
        every_ms = DAYS * DAY_MS / each
        for number, first in enumerate(range(1, each + 1, SEGMENT_RECORDS), 1):
            for stream in STREAMS:
                shape = Shape(stream, every_ms=every_ms)
                count = min(SEGMENT_RECORDS, each - first + 1)
                self._add(stream, number, segment_bytes(shape, count, first_seq=first))
            print(f"\r{min(self.records, first * 2):,} records", end="", file=sys.stderr)
        print("\r", end="", file=sys.stderr)

    def _add(self, stream: str, number: int, data: bytes) -> None:
        path = self.log / f"{stream}-{number:08d}.ndjson"
        path.write_bytes(data)
        self.loaded_bytes += len(data)
        begun_s, cpu_s = time.perf_counter(), _cpu_s()
        self.store.add(path)
        self.add_s += time.perf_counter() - begun_s
        self.add_cpu_s += _cpu_s() - cpu_s
        path.unlink()
        lines = data.split(b"\n")
        for line in lines[:: len(lines) // 4][:4]:
            record = msgspec.json.decode(line)
            if record["kind"] != "feedback":
                self.known.append((record["id"], record["request_id"]))

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.state.rglob("*") if path.is_file())


def main() -> None:
    """Load, ask, print."""
    asked = argparse.ArgumentParser(prog="bench.store", description=__doc__)
    asked.add_argument("--records", type=int, default=1_000_000)
    asked.add_argument("--directory", type=Path, help="where; default: the temporary directory")
    asked.add_argument("--keep", action="store_true", help="leave the store there")
    given = asked.parse_args()
    with _directory(given.directory, keep=given.keep) as directory:
        bench = Bench(directory, given.records)
        bench.load()
        _say("add", f"{bench.records / bench.add_s:,.0f} records/s,", _us(bench.add_cpu_s, bench))
        _say("before joining", f"{len(bench.store.volumes())} volumes, {_gib(bench.size())}")
        _say("find by id", *_finds(bench, 0))
        begun_s, cpu_s = time.perf_counter(), _cpu_s()
        bench.store.compact(most=1000)
        took_s = time.perf_counter() - begun_s
        _say("join", f"{bench.records / took_s:,.0f} records/s,", _us(_cpu_s() - cpu_s, bench))
        _say(
            "joined",
            f"{len(bench.store.volumes())} volumes, {_gib(bench.size())},",
            f"of {_gib(bench.loaded_bytes)} of lines",
        )
        _ask(bench)


def _ask(bench: Bench) -> None:
    chance = random.Random(7)
    _say("find by id", *_finds(bench, 0))
    _say("find by request id", *_finds(bench, 1))
    _say("find an unknown id", *_times(lambda: bench.store.find("nobody"), 20))
    _say("find, new process", *_times(lambda: _command(bench, "find", chance), 5))
    for name, wanted in _filters(chance).items():
        _say(name, *_times(partial(_search, bench, wanted), 5))
    _say("search a day, new process", *_times(lambda: _command(bench, "search", chance), 3))
    everything = Filter()
    _say("stats, everything", *_times(lambda: bench.store.stats(everything), 3))
    _say("stats, a day", *_times(lambda: bench.store.stats(_day(chance)), 5))
    _say(
        "stats, everything, feedback",
        *_times(lambda: bench.store.stats(everything, with_feedback=True), 2),
    )


def _search(bench: Bench, wanted: Callable[[], Filter]) -> object:
    return bench.store.search(wanted())


def _filters(chance: random.Random) -> dict[str, Callable[[], Filter]]:
    def three(**more: Any) -> Callable[[], Filter]:
        return lambda: msgspec.structs.replace(_day(chance), **more)

    return {
        "search a day, 3 filters, many match": three(
            route=("chat",), backend=("mini",), outcome=("ok",)
        ),
        "search a day, 3 filters, few match": three(
            route=("chat",), status=("5xx",), min_cost_usd=0.003, min_latency_us=900_000
        ),
        "search a day, 3 filters with text": three(
            route=("chat",), backend=("mini",), text="no such text anywhere"
        ),
        "search a day, text alone": three(text="no such text anywhere"),
        "search everything, 3 filters": lambda: Filter(
            route=("agents",), outcome=("upstream_5xx",), min_latency_us=8_000_000
        ),
    }


def _day(chance: random.Random) -> Filter:
    since_us = (EPOCH_MS + chance.randrange(DAYS) * DAY_MS) * 1000
    return Filter(since_us=since_us, until_us=since_us + DAY_MS * 1000)


def _finds(bench: Bench, which: int) -> list[str]:
    chance = random.Random(which)

    def find() -> None:
        key = chance.choice(bench.known)[which]
        assert bench.store.find(key), key

    find()
    return _times(find, 50)


def _command(bench: Bench, what: str, chance: random.Random) -> None:
    state = ["--state", str(bench.state)]
    arguments = {
        "find": ["show", chance.choice(bench.known)[0]],
        "search": ["search", "--since", "2026-01-03", "--until", "2026-01-04", "--route", "chat",
                   "--backend", "mini", "--outcome", "ok"],
    }[what]  # fmt: skip
    command = [sys.executable, "-m", "gateway", "log", *arguments, *state]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _times(call: Callable[[], object], times: int) -> list[str]:
    taken: list[float] = []
    for _ in range(times):
        begun_s = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun_s)
    mean, worst = statistics.mean(taken), max(taken)
    return [f"mean {mean * 1e3:,.0f} ms, worst {worst * 1e3:,.0f} ms"]


def _say(what: str, *words: str) -> None:
    print(f"{what:<40}{' '.join(words)}", flush=True)


def _us(cpu_s: float, bench: Bench) -> str:
    return f"{cpu_s / bench.records * 1e6:.1f} us of CPU each"


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _directory(wanted: Path | None, *, keep: bool) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="bench-store-", dir=wanted))
    try:
        yield directory
    finally:
        if keep:
            print(f"kept in {directory}")
        else:
            shutil.rmtree(directory)


if __name__ == "__main__":
    os.nice(10)
    main()
