"""Loads records into a local store and measures questions to it.

    python -m bench.store --records 10000000    # the figure in docs/decisions: about 10 minutes
    python -m bench.store --records 200000      # a look

Two workers' segments over some days are made (see `tests.support.log_lines`), added one by
one as the shipper does, and joined. Then each question is asked several times, each time
for something else; `new process` is the whole command line, with the start of Python.

Rule: `run` is a process of its own on all cores, so that memory and threads are the store's.
"""

import argparse
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.load.peers import ROOT
from bench.load.rig import FILES
from bench.results import Question, StoreSample
from gateway.config import parse
from gateway.errors import GatewayError
from gateway.explanation.archive import lookup_in
from gateway.production.production import InForce
from gateway.production.stored import StoredFigures
from gateway.state.database import look_into_database, open_database
from gateway.state.history import ConfigHistory, Entry
from gateway.store import Store
from gateway.store.filters import Filter
from tests.support.log_lines import BACKENDS, EPOCH_MS, ROUTES, Shape, segment_bytes

RECORDS, FEW_RECORDS = 10_000_000, 100_000
DAYS = 7
DAY_MS = 86_400_000
SEGMENT_RECORDS = 45_000  # 64 MiB
STREAMS = ("w0-019b76daa8000000", "w1-019b76daa8000000")
PLAN_OF_LINES = b"3b7c9d20a1" * 6  # the hash in made lines
SETTLE_S = 3600.0  # an hour is more than ten million records take
CONFIGURATION = """
backends:
{backends}
routes:
{routes}
"""
BACKEND = """  {name}:
    protocol: openai
    url: http://127.0.0.1:9/v1
    model: {name}-2026
    version: "{version}"
    price: {{input: 0.15, output: 0.6}}
"""

Ask = Callable[[], object]


class Bench:
    """One store, and what is known to be in it."""

    def __init__(self, directory: Path, records: int) -> None:
        self.state, self.records = directory, records
        self.log = directory / "log"
        self.log.mkdir()
        # Why the clock: the days are over, so all of their volumes are joined.
        end_s = EPOCH_MS / 1000 + (DAYS + 1) * 86_400
        self.store = Store(directory / "store", self.log, now=lambda: end_s)
        self.plan = write_history(directory)
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
                self.add(stream, number, segment_bytes(shape, count, first_seq=first))
            print(f"\r{min(self.records, first * 2):,} records", end="", file=sys.stderr)
        print(file=sys.stderr)

    def add(self, stream: str, number: int, data: bytes) -> None:
        """One segment, as if the plan in force had decided on its requests."""
        data = data.replace(PLAN_OF_LINES, self.plan.encode())
        path = self.log / f"{stream}-{number:08d}.ndjson"
        path.write_bytes(data)
        self.loaded_bytes += len(data)
        begun_s, begun_cpu_s = time.perf_counter(), cpu_s()
        self.store.add(path)
        self.add_s += time.perf_counter() - begun_s
        self.add_cpu_s += cpu_s() - begun_cpu_s
        path.unlink()
        lines = data.split(b"\n")
        for line in lines[:: len(lines) // 4][:4]:
            record = msgspec.json.decode(line)
            if record["kind"] != "feedback":
                self.known.append((record["id"], record["request_id"]))

    def size(self) -> int:
        """Bytes of the store."""
        files = (self.state / "store").rglob("*")
        return sum(path.stat().st_size for path in files if path.is_file())


def configuration(version: str) -> str:
    """One that fits the made records."""
    backends = "".join(BACKEND.format(name=name, version=version) for name in BACKENDS)
    routes = "\n".join(f"  {name}: {{backends: [{', '.join(BACKENDS)}]}}" for name in ROUTES)
    return CONFIGURATION.format(backends=backends, routes=routes)


def write_history(state: Path) -> str:
    """Two configurations, one after the other; the hash of the second."""
    engine = open_database(state)
    plan = ""
    for version, at_ms in (("2026-01-01", EPOCH_MS), ("2026-07-18", EPOCH_MS + 2 * DAY_MS)):
        text = configuration(version)
        plan = parse(text, {}).hash
        entry = Entry(at_ms=at_ms, author="bench", hash=plan, outcome="applied", text=text)
        ConfigHistory(engine).append(entry)
    engine.dispose()
    return plan


def measured(directory: Path, records: int) -> StoreSample:
    """Load, join, ask."""
    bench = Bench(directory, records)
    bench.load()
    volumes = len(bench.store.volumes())
    before = question("find by id, before joining", partial(find_some, bench, 0), 50)
    begun_s, begun_cpu_s = time.perf_counter(), cpu_s()
    bench.store.compact(most=1000)
    join_s, join_cpu_s = time.perf_counter() - begun_s, cpu_s() - begun_cpu_s
    return StoreSample(
        records=records,
        line_bytes=bench.loaded_bytes,
        store_bytes=bench.size(),
        volumes_before=volumes,
        volumes=len(bench.store.volumes()),
        add_s=bench.add_s,
        add_us=bench.add_cpu_s / records * 1e6,
        join_s=join_s,
        join_us=join_cpu_s / records * 1e6,
        questions=(before, *asked(bench)),
    )


def asked(bench: Bench) -> Iterator[Question]:
    """Every question to a store that is joined."""
    chance, everything = random.Random(7), Filter()
    stats = bench.store.stats
    run_command = partial(command, bench, chance)
    questions: list[tuple[str, Ask, int]] = [
        ("find by id", partial(find_some, bench, 0), 50),
        ("find by request id", partial(find_some, bench, 1), 50),
        ("find an unknown id", lambda: bench.store.find("nobody"), 20),
        ("explain", partial(explain_some, bench, chance), 20),
        ("explain, new process", partial(run_command, "explain"), 5),
        *((name, partial(search, bench, wanted), 5) for name, wanted in filters(chance).items()),
        ("search a day, new process", partial(run_command, "search"), 3),
        ("production at a past time", partial(production, bench), 5),
        ("production at a past time, new process", partial(run_command, "production"), 3),
        ("stats, everything", lambda: stats(everything), 3),
        ("stats, a day", lambda: stats(day(chance)), 5),
        ("stats, everything, feedback", lambda: stats(everything, with_feedback=True), 2),
    ]
    for name, ask, times in questions:
        yield question(name, ask, times)


def question(name: str, ask: Ask, times: int) -> Question:
    """It, asked so often; once before where only the first time opens files."""
    if "new process" not in name:
        ask()
    taken_ms = [timed_ms(ask) for _ in range(times)]
    made = Question(
        name=name, times=times, mean_ms=statistics.mean(taken_ms), worst_ms=max(taken_ms)
    )
    print(f"{name:<45}{made.mean_ms:>10,.1f} ms", file=sys.stderr)
    return made


def timed_ms(ask: Ask) -> float:
    """How long it took."""
    begun_s = time.perf_counter()
    ask()
    return (time.perf_counter() - begun_s) * 1e3


def find_some(bench: Bench, which: int) -> None:
    """A record by one of its ids."""
    key = random.choice(bench.known)[which]
    assert bench.store.find(key), key


def explain_some(bench: Bench, chance: random.Random) -> None:
    """A record as the admin port explains it: found, its plan compiled, decided again."""
    lookup = lookup_in(bench.state)
    found = lookup.explanation(chance.choice(bench.known)[0])
    assert not found.plan.missing, found.plan.missing


def production(bench: Bench) -> None:
    """What was in production on the fifth day, with the figures of the records."""
    engine = look_into_database(bench.state)
    figures = StoredFigures(bench.state / "store", bench.log)
    history = ConfigHistory(engine)
    found = InForce(bench.state, history, environ={}, figures=figures).at("2026-01-05T12:00")
    engine.dispose()
    assert found.routes, "in production"


def search(bench: Bench, wanted: Callable[[], Filter]) -> object:
    """The first page of what a filter finds."""
    return bench.store.search(wanted())


def filters(chance: random.Random) -> dict[str, Callable[[], Filter]]:
    """What is searched for."""

    def three(**more: Any) -> Callable[[], Filter]:
        return lambda: msgspec.structs.replace(day(chance), **more)

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


def day(chance: random.Random) -> Filter:
    """One of the days."""
    since_us = (EPOCH_MS + chance.randrange(DAYS) * DAY_MS) * 1000
    return Filter(since_us=since_us, until_us=since_us + DAY_MS * 1000)


def command(bench: Bench, chance: random.Random, what: str) -> None:
    """The command line, from the start of Python to its end."""
    arguments = {
        "explain": ["explain", chance.choice(bench.known)[0]],
        "production": ["production", "--at", "2026-01-05T12:00"],
        "search": ["log", "search", "--since", "2026-01-03", "--until", "2026-01-04",
                   "--route", "chat", "--backend", "mini", "--outcome", "ok"],
    }[what]  # fmt: skip
    line = [sys.executable, "-m", "gateway", *arguments, "--state", str(bench.state)]
    subprocess.run(line, check=True, capture_output=True, cwd=ROOT)


def cpu_s() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def directory_in(wanted: Path, *, keep: bool) -> Iterator[Path]:
    """A new folder, removed with all that is in it."""
    wanted.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="store-", dir=wanted))
    try:
        yield directory
    finally:
        if keep:
            print(f"kept in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory)


def run(records: int) -> StoreSample:
    """The figures, from a process of its own; raises RuntimeError with a sentence."""
    line = [sys.executable, "-m", "bench.store", "--records", str(records)]
    ran = subprocess.run(
        line, stdout=subprocess.PIPE, cwd=ROOT, timeout=SETTLE_S, check=False, text=True
    )
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(ran.stdout, type=StoreSample)
    raise RuntimeError(f"bench/store.py ended with status {ran.returncode} and no figures")


def main() -> int:
    """Prints a StoreSample as JSON; the exit status."""
    parser = argparse.ArgumentParser(prog="bench.store", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path, default=FILES, help="where; default: build/bench")
    parser.add_argument("--keep", action="store_true", help="leave the store there")
    given = parser.parse_args()
    with directory_in(given.directory, keep=given.keep) as directory:
        try:
            sample = measured(directory, given.records)
        except GatewayError as error:
            print(f"bench.store: {error}", file=sys.stderr)
            return 1
    print(msgspec.json.format(msgspec.json.encode(sample), indent=1).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
