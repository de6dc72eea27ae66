"""The gateway's own figures: from arrays, from lines, a look, and memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from bench.drift.findings import Memory, Rate
from bench.drift.records import FEATURES, MINUTE, lines, rows
from gateway.drift.battery import Battery
from gateway.profiles.extraction import Extraction
from gateway.profiles.profile import Profile
from gateway.profiles.recorded import from_lines
from gateway.profiles.reference import Reference, from_arrays
from gateway.profiles.slices import Slices
from gateway.watch.basis import Basis
from gateway.watch.tally import Tally

SYSTEM = "gateway"
BATCH = 4096
NOW = MINUTE + 60


def best(measured: Callable[[], object], repetitions: int) -> float:
    """Seconds of processor time of the fastest repetition: what others' work adds is not ours."""
    least = float("inf")
    for _ in range(repetitions):
        began = time.process_time()
        measured()
        least = min(least, time.process_time() - began)
    return least


def arrays(count: int, repetitions: int) -> Iterator[Rate]:
    """Rows of twenty numbers, a batch at a time, to updated profiles."""
    data = np.ascontiguousarray(rows(count).T)
    reference = reference_of_rows()

    def counted() -> None:
        profiles = [Profile(one.field) for one in reference.fields]
        for begin in range(0, count, BATCH):
            for profile, column in zip(profiles, data, strict=True):
                profile.add_numbers(column[begin : begin + BATCH])

    yield Rate(
        system=SYSTEM,
        what="profiles of 20 numeric columns, from arrays",
        unit="rows",
        count=count,
        seconds=best(counted, repetitions),
    )


def reference_of_rows(size: int = 100_000) -> Reference:
    """Of the same distribution."""
    return from_arrays({f"feature_{at}": one for at, one in enumerate(rows(size, 1).T)})


def records(count: int, repetitions: int) -> Iterator[Rate]:
    """Lines of the log to updated profiles of features and signals."""
    data = lines(count)
    reference = from_lines(data.splitlines()[:5000], "credit")

    def counted() -> None:
        slices = Slices()
        taken = Extraction({"credit": reference}).count(data, slices, NOW)
        assert taken == count
        assert not slices.dropped, "every record is counted"

    basis = Basis(name=reference.hash, route="credit", origin="training", reference=reference)

    def counted_once() -> None:
        tally = Tally([basis])
        tally.count(data, NOW)
        assert tally.drain().told == {"counted": count}

    signals = len(reference.fields) - FEATURES
    size = len(data) / count
    yield Rate(
        system=SYSTEM,
        what=f"profiles of 20 features and {signals} signals, from NDJSON of {size:,.0f} bytes",
        unit="records",
        count=count,
        seconds=best(counted, repetitions),
    )
    yield Rate(
        system=SYSTEM,
        what="the same where each counts once: marks, results, encoded state",
        unit="lines",
        count=count,
        seconds=best(counted_once, repetitions),
    )


def looks(repetitions: int) -> Iterator[Rate]:
    """One look: tests of twenty fields, p-values, effects, false discovery control."""
    reference = reference_of_rows()
    now = {name: Profile(one.field) for name, one in reference.profiles.items()}
    for at, profile in enumerate(now.values()):
        profile.add_numbers(np.ascontiguousarray(rows(10_000, 2)[:, at]))
    battery = Battery(reference.profiles)
    least = float("inf")
    for _ in range(repetitions):
        began = time.perf_counter()
        battery.look(now, 1e-3)
        least = min(least, time.perf_counter() - began)
    yield Rate(
        system=SYSTEM,
        what="PSI, KS and Wasserstein of 20 features, and the shares of null, NaN, … , from counts",
        unit="looks",
        count=1,
        seconds=least,
    )


def yardstick(repetitions: int) -> Iterator[Rate]:
    """PSI, KS and JS of the same counts in plain numpy, without p-values.

    26 us on an idle machine; what it takes more says how busy this one is.
    """
    rng = np.random.default_rng(1)
    r, c = rng.integers(100, 200, (FEATURES, 64)) + 0.5, rng.integers(10, 20, (FEATURES, 64)) + 0.5
    least = float("inf")
    for _ in range(repetitions):
        began = time.perf_counter()
        p, q = r / r.sum(axis=1, keepdims=True), c / c.sum(axis=1, keepdims=True)
        ((p - q) * np.log(p / q)).sum(axis=1)
        np.abs(np.cumsum(p, axis=1) - np.cumsum(q, axis=1)).max(axis=1)
        a = (p + q) / 2
        (p * np.log(p / a)).sum(axis=1) + (q * np.log(q / a)).sum(axis=1)
        least = min(least, time.perf_counter() - began)
    yield Rate(
        system="numpy",
        what="yardstick: PSI, KS and JS of 20 features in plain numpy, no p-values",
        unit="looks",
        count=1,
        seconds=least,
        is_ours=False,
    )


def memory(sizes: tuple[int, ...]) -> Iterator[Memory]:
    """The state after so many rows, in one process that goes on."""
    reference = reference_of_rows(10_000)
    profiles = [Profile(one.field) for one in reference.fields]
    batch = np.ascontiguousarray(rows(BATCH).T)
    seen, before = 0, _resident()
    for size in sizes:
        while seen < size:
            for profile, column in zip(profiles, batch, strict=True):
                profile.add_numbers(column)
            seen += BATCH
        held = sum(len(one.encode()) for one in profiles)
        yield Memory(rows=seen, state_bytes=held, grown_bytes=max(_resident() - before, 0))


def _resident() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
