"""What happened in the last minute: differences between the board now and a while ago.

Counters on the board only grow. `Recent` keeps a ring of samples of the routes' and
candidates' rows, one every few seconds, with the routes' latency histograms folded to
an eighth; a figure of the last minute is now minus the sample of a minute ago. The
latency of backends needs none of it: the board has windows for that.

Cost: a sample of 50 routes with 8 backends is about 0.6 MB; 13 are kept.
Rule 1: a row that was given to another route or backend in between counts from zero.
Rule 2: time is a parameter; `app` calls `take` by the clock.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.control.buckets import quantiles
from gateway.control.figures import BoardView, RowFigures, parts_of
from gateway.edges import FINE_SHIFT, lower_edges
from gateway.plan import Plan

EVERY_NS = 5_000_000_000
WINDOW_NS = 60_000_000_000  # shares, quantiles, cost
SHORT_NS = 10_000_000_000  # rates that should follow quickly
_FOLD = 8  # fine buckets into one: 6 % wide
LATENCIES = ("total_ns", "first_byte_ns")

_SLOTS = ("outcomes", "statuses", "skips", "finishes", "anomalies")
_COUNTERS = tuple(
    name for name in RowFigures.__struct_fields__ if name not in {*_SLOTS, "in_flight", "queued"}
)
Folded = NDArray[np.uint64]


class Sample(Struct, frozen=True):
    """The rows of a plan at one moment, by row index."""

    at_ns: int
    keys: dict[int, int]
    rows: dict[int, RowFigures]
    latencies: dict[tuple[int, str], Folded]  # of the routes' own rows


class Difference(Struct, frozen=True):
    """What one row counted in a span of time; gauges are as they are now."""

    span_s: float
    row: RowFigures

    def per_s(self, count: float) -> float:
        return count / self.span_s if self.span_s > 0 else 0.0


class Recent:
    """The ring of samples."""

    def __init__(self, view: BoardView) -> None:
        self._view = view
        self._samples: deque[Sample] = deque(maxlen=WINDOW_NS // EVERY_NS + 1)
        edges = lower_edges(view.fine_buckets + _FOLD, FINE_SHIFT)[::_FOLD]
        self.latency_values = edges[:-1] + (edges[1:] - edges[:-1]) // np.uint64(2)

    def take(self, plan: Plan, now_ns: int) -> None:
        """Keeps a sample."""
        self._samples.append(self._sample(plan, now_ns))

    def moment(self, plan: Plan, now_ns: int) -> Moment:
        """The board now, beside what is kept."""
        return Moment(self._sample(plan, now_ns), tuple(self._samples), self.latency_values)

    def _sample(self, plan: Plan, now_ns: int) -> Sample:
        parts: dict[int, list[int]] = {}
        latencies: dict[tuple[int, str], Folded] = {}
        for route in plan.routes:
            parts |= parts_of(route)
            for row in parts[route.row]:
                for name, histogram in self._view.histograms(row, LATENCIES).items():
                    folded = histogram.counts.reshape(-1, _FOLD).sum(axis=1, dtype=np.uint64)
                    latencies[route.row, name] = folded + latencies.get((route.row, name), 0)
        keys = dict(zip(parts, self._view.keys(parts), strict=True))
        sums = self._view.sums(list(parts.values()))
        return Sample(now_ns, keys, dict(zip(parts, sums, strict=True)), latencies)


class Moment:
    """One look at the board, and how it differs from the samples before."""

    def __init__(self, now: Sample, before: Sequence[Sample], latency_values: Folded) -> None:
        self.now = now
        self._before = before
        self._latency_values = latency_values
        self._differences: dict[tuple[int, int], Difference] = {}

    def since(self, span_ns: int) -> Sample | None:
        """The youngest sample that is at least as old, or else the oldest there is."""
        old_enough = [s for s in self._before if self.now.at_ns - s.at_ns >= span_ns]
        return old_enough[-1] if old_enough else next(iter(self._before), None)

    def difference(self, row: int, span_ns: int) -> Difference:
        """What this row counted in about the last `span_ns`."""
        found = self._differences.get((row, span_ns))
        if found is None:
            found = _difference(self.now, self.since(span_ns), row)
            self._differences[row, span_ns] = found
        return found

    def latency_ns(self, row: int, name: str, wanted: Sequence[float]) -> list[int | None]:
        """Quantiles of a route's histogram over the last minute."""
        counts = self.now.latencies.get((row, name))
        if counts is None:
            return [None] * len(wanted)
        then = self.since(WINDOW_NS)
        before = then.latencies.get((row, name)) if then and _is_same(self.now, then, row) else None
        if before is not None:
            counts = np.where(counts >= before, counts - before, counts)
        return quantiles(counts, self._latency_values, wanted)

    def rates_per_s(self, row: int) -> tuple[float, ...]:
        """Requests per second in each interval between samples, the oldest first."""
        samples = (*self._before, self.now)
        pairs = itertools.pairwise(samples)
        spans = (_difference(later, earlier, row) for earlier, later in pairs)
        return tuple(round(d.per_s(d.row.requests), 3) for d in spans if d.span_s >= 1)


def _is_same(now: Sample, then: Sample, row: int) -> bool:
    return now.keys.get(row) == then.keys.get(row)


def _difference(now: Sample, then: Sample | None, row: int) -> Difference:
    figures = now.rows.get(row, RowFigures())
    if then is None:
        return Difference(0.0, figures)
    span_s = (now.at_ns - then.at_ns) * 1e-9
    if row not in then.rows or not _is_same(now, then, row):
        return Difference(span_s, figures)
    return Difference(span_s, _minus(figures, then.rows[row]))


def _minus(now: RowFigures, then: RowFigures) -> RowFigures:
    """Counted since; never below zero, should a worker's rows have been cleared."""
    counts: dict[str, Any] = {
        name: max(getattr(now, name) - getattr(then, name), 0) for name in _COUNTERS
    }
    slots: dict[str, Any] = {
        name: _less(getattr(now, name), getattr(then, name)) for name in _SLOTS
    }
    return RowFigures(**counts, **slots, in_flight=now.in_flight, queued=now.queued)


def _less(now: Sequence[int], then: Sequence[int]) -> list[int]:
    # Why not strict: a default is as long as what has a name, a row of the board has room for more.
    return [max(after - before, 0) for after, before in zip(now, then, strict=False)]
