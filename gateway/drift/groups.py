"""Fields of one sort, tested together: all that can be known of them before the first look.

Cells are pooled by the reference until ten are expected in each, so that small windows are
tested on few cells and large ones on all; five are enough where a test is exact, or nearly (of
categories). Poolings are kept for sizes that come again; the usual tests of numbers are one
compiled pass (`_fast.shifts`), with scipy's functions between its two halves.
Formulas and nulls: gateway/statistics/distances.py; MMD: Gretton et al. 2012, with random
features after Rahimi & Recht 2007.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gateway._fast import Pooling, Shifts
from gateway.drift.measures import MEASURES
from gateway.drift.verdict import EMBEDDING, NUMERIC, Measured, Outcome, Test
from gateway.profiles.fields import Field, Floats
from gateway.profiles.profile import Profile
from gateway.statistics import distances
from gateway.statistics.distances import EXPECTED, MEAN_SUPREMUM, Cells

Counts = NDArray[np.int64]
OF_ORDER = {"ks", "wasserstein"}
OF_FEW: set[Test] = {
    "chi_square",
    "l_infinity",
    "one_category",
}  # that need no more than FEW in a cell
FEW = 5.0  # expected: Cochran's rule; tails of these tests are then within twice their level
# Rows of what Shifts and Shares find: see `_fast/shifts.pxd`.
(_ROWS, _PSI, _PSI_EFFECT, _PSI_SCALED, _KS, _KS_EFFECT, _KS_SCALED, _W1, _W1_EFFECT) = range(9)
(_W1_SHAPE, _W1_FAR, _W1_NEAR, _PSI_P, _KS_P, _W1_P, _TOGETHER, _EACH, _FIGURES) = range(9, 18)
LEAST_P, MOST_P = 1e-300, 0.9
POOLINGS = 256  # kept


class Pools(NamedTuple):
    """Cells with enough expected, and all that is known of them before they are counted."""

    ends: NDArray[np.intp]  # behind the last cell of each pool; 0 fills up
    begins: NDArray[np.intp]
    cells: Cells  # the reference on both sides
    p: Floats
    log_p: Floats
    half_freedom: Floats
    compiled: Pooling | None  # of the usual tests of numbers


class Group:
    """Fields of one sort, and all that can be known of them before the first look."""

    def __init__(self, profiles: Sequence[Profile], tests: Sequence[Test]) -> None:
        self.fields = tuple(one.field for one in profiles)
        self.tests = tuple(tests)
        self._reference = [one.counts.astype(np.float64) for one in profiles]
        sizes = [field.cells for field in self.fields]
        self.size = sum(sizes)
        self._first = np.cumsum([0, *sizes[:-1]])
        self._n = np.array([reference.sum() for reference in self._reference])
        self._least_n = float(self._n.min())
        self._whole = running_of(joined(profiles))
        self._poolings: dict[tuple[bytes, float], Pools] = {}
        self._expected = {
            test: FEW if test in OF_FEW and not self.fields[0].is_ordered else EXPECTED
            for test in self.tests
        }
        if self.fields[0].is_ordered:
            self._add_edges(profiles)

    def _add_edges(self, profiles: Sequence[Profile]) -> None:
        """What the tests of ordered values need: bins without the special cells."""
        bins = np.array([field.bins for field in self.fields])
        ranks = np.minimum(np.arange(bins.max()), bins[:, None] - 1)
        self._bin_ends = self._first[:, None] + ranks + 1  # of a shorter row the last, repeated
        self._whole_ends = np.ascontiguousarray(self._bin_ends[:, -1])
        self._below, self._values_n = self._shares_below(self._whole)
        self._widths = np.zeros(ranks.shape)
        for row, field in zip(self._widths, self.fields, strict=True):
            row[: field.bins] = _widths(field)
        self._bridges = distances.bridges(self._below, self._widths)
        deviations = np.array([one.deviation for one in profiles])
        self._per_deviation = 1 / np.where(
            deviations > 0, deviations, [f.unit for f in self.fields]
        )

    def _shares_below(self, running: Counts) -> tuple[Floats, Floats]:
        """(share of a field's values up to each edge, how many they are)."""
        before = running[self._first]
        m = np.maximum(running[self._whole_ends] - before, 1.0)
        below = running[self._bin_ends]
        below -= before[:, None]
        return below / m[:, None], m

    def look(self, counts: Counts, profiles: Sequence[Profile], least: int) -> Outcome:
        """All tests of all fields; `counts` are those of the profiles, one behind the other."""
        running = running_of(counts)
        m = np.add.reduceat(counts, self._first).astype(np.float64)
        pooled = {each: self._pooled(m, each) for each in dict.fromkeys(self._expected.values())}
        cells = {each: _cells(pools, running, m) for each, pools in pooled.items()}
        ordered = self._ordered(running) if OF_ORDER & set(self.tests) else {}
        found: dict[Test, Measured] = {}
        for test, expected in self._expected.items():
            if test == "psi":
                found[test] = _psi(cells[expected], pooled[expected])
            else:
                found[test] = ordered[test] if test in ordered else MEASURES[test](cells[expected])
        together, each = _combined(found, self._voices(pooled))
        if self._least_n < least or m.min() < least:
            together[np.minimum(self._n, m) < least] = 1.0
        return Outcome(self.fields, found, self._n, m, together, each)

    def _voices(self, pooled: Mapping[float, Pools]) -> Floats:
        """By test and field: its part in what is said of the field."""
        # Why: where few values leave one cell, tests of cells are none.
        is_heard = [
            (pooled[expected].cells.sizes[:, 0] > 1) | (test in OF_ORDER)
            for test, expected in self._expected.items()
        ]
        return np.asarray(np.array(is_heard) / np.maximum(np.sum(is_heard, axis=0), 1))

    def _pooled(self, m: Floats, expected: float = EXPECTED) -> Pools:
        """Cells with as many expected at sizes of about these."""
        # Why the square root of two: sizes that differ less have the same pooling.
        sizes = (2 * np.log2(np.maximum(np.minimum(m, self._n), 1.0))).astype(np.int8)
        key = sizes.tobytes(), expected
        kept = self._poolings.get(key)
        if kept is None:
            if len(self._poolings) >= POOLINGS:
                self._poolings.clear()
            kept = self._poolings[key] = self._pooling(sizes.tolist(), expected)
        return kept

    def _pooling(self, sizes: Sequence[int], expected: float) -> Pools:
        starts = [
            distances.pooled(reference, float(reference.sum()), 2 ** (size / 2), expected)
            for reference, size in zip(self._reference, sizes, strict=True)
        ]
        shape = (len(starts), max(map(len, starts)))
        begins, ends = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        for row, (first, of_field) in enumerate(zip(self._first.tolist(), starts, strict=True)):
            begins[row, : len(of_field)] = first + np.array(of_field)
            ends[row, : len(of_field) - 1] = begins[row, 1 : len(of_field)]
            ends[row, len(of_field) - 1] = first + self.fields[row].cells
        reference = np.subtract(self._whole[ends], self._whole[begins], dtype=np.float64)
        cells = distances.cells(reference, reference, np.array([len(one) for one in starts]))
        p = distances.smoothed(reference, cells.n, cells)
        freedom = np.maximum(cells.sizes[:, 0] - 1, 1e-9)
        pools = Pools(ends, begins, cells, p, np.log(p), freedom / 2, None)
        if self.tests != NUMERIC:
            return pools
        counts, voices = np.array([len(one) for one in starts]), self._voices({expected: pools})
        compiled = Pooling(begins, ends, counts, p, pools.log_p, freedom / 2, voices)
        return pools._replace(compiled=compiled)

    def _ordered(self, running: Counts) -> dict[Test, Measured]:
        """Tests that know which values are near each other."""
        below, m = self._shares_below(running)
        gaps = np.abs(below - self._below)
        noise = 1 / self._values_n + 1 / m
        root = np.sqrt(noise)
        found: dict[Test, Measured] = {}
        if "ks" in self.tests:
            gap = distances.kolmogorov_smirnov(gaps)
            p = distances.kolmogorov_p(gap, noise)
            found["ks"] = Measured(gap, gap - MEAN_SUPREMUM * root, p)
        if "wasserstein" in self.tests:
            moved = distances.wasserstein(gaps, self._widths)
            found["wasserstein"] = Measured(
                moved * self._per_deviation,
                (moved - self._bridges.mean * root) * self._per_deviation,
                distances.bridge_p(
                    moved / (root * self._bridges.deviation), self._bridges, self._values_n, m
                ),
            )
        return found


class Numbers(Group):
    """Ordered fields with the usual tests: what `Group` says, from one compiled pass."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        super().__init__(profiles, NUMERIC)
        bridge = self._bridges
        self._shifts = Shifts(
            self._first,
            np.array([field.bins for field in self.fields]),
            np.array([field.cells for field in self.fields]),
            np.ascontiguousarray(self._below),
            self._widths,
            np.array(
                [
                    *(self._n, self._values_n, self._per_deviation),
                    *(bridge.mean, bridge.deviation, bridge.skewness, bridge.is_even),
                ]
            ),
        )

    def look(self, counts: Counts, profiles: Sequence[Profile], least: int) -> Outcome:
        m = np.add.reduceat(counts, self._first).astype(np.float64)
        pools = self._pooled(m)
        pooling = cast("Pooling", pools.compiled)
        out = np.empty((_FIGURES, len(self.fields)))
        self._shifts.measure(counts, pooling, out)
        special.gammaincc(pools.half_freedom, out[_PSI_SCALED], out[_PSI_P])
        special.kolmogorov(out[_KS_SCALED], out[_KS_P])
        special.gammaincc(out[_W1_SHAPE], out[_W1_FAR], out[_W1_P])
        special.gammainc(out[_W1_SHAPE], out[_W1_NEAR], out[_TOGETHER])
        self._shifts.judge(pooling, out, least)
        found: dict[Test, Measured] = {
            "psi": Measured(out[_PSI], out[_PSI_EFFECT], out[_PSI_P]),
            "ks": Measured(out[_KS], out[_KS_EFFECT], out[_KS_P]),
            "wasserstein": Measured(out[_W1], out[_W1_EFFECT], out[_W1_P]),
        }
        return Outcome(self.fields, found, self._n, m, out[_TOGETHER], out[_EACH])


class Embeddings(Group):
    """Fields whose random features are compared."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        super().__init__(profiles, EMBEDDING)
        self._means = [one.wave_means for one in profiles]
        self._values = np.array([float(one.values) for one in profiles])
        self._spread = np.array([one.field.spread for one in profiles])
        self._squared = np.array([one.field.spread_squared for one in profiles])

    def look(self, counts: Counts, profiles: Sequence[Profile], least: int) -> Outcome:
        m = counts[self._first].astype(np.float64)
        noise = 1 / np.maximum(self._values, 1) + 1 / np.maximum(m, 1)
        apart = [
            float(np.sum((one.wave_means - mean) ** 2))
            for one, mean in zip(profiles, self._means, strict=True)
        ]
        statistic = np.array(apart)
        mean, variance = noise * self._spread, 2 * noise**2 * self._squared
        p = distances.gamma_p(statistic, mean, variance)
        effect = (statistic - mean) / np.maximum(self._spread, 1e-300)
        is_enough = np.minimum(self._values, m) >= least
        measured: dict[Test, Measured] = {"mmd": Measured(statistic, effect, p)}
        p = np.where(is_enough, p, 1.0)
        return Outcome(self.fields, measured, self._values, m, p, np.ones(p.size))


def running_of(counts: Counts) -> Counts:
    """How many are before each cell; and, last, behind all."""
    running = np.empty(counts.size + 1, np.int64)
    running[0] = 0
    np.cumsum(counts, out=running[1:])
    return running


def joined(profiles: Sequence[Profile]) -> Counts:
    """The cells of all, one behind the other."""
    return np.concatenate([one.counts for one in profiles])


def _combined(found: Mapping[Test, Measured], voices: Floats) -> tuple[Floats, Floats]:
    """(p-values of a field's tests together, how many times its least one's that is).

    Cauchy's combination (Liu & Xie 2020): whatever tests have to do with each other, its tail is
    that of one, and those that agree count as about one where Boole's inequality counts all.
    """
    p = np.array([measured.p for measured in found.values()])
    # Why: a test that sees nothing at all would outvote one that sees everything.
    said = voices / np.tan(np.pi * np.clip(p, LEAST_P, MOST_P))
    together = np.arctan2(1.0, np.add.reduce(said)) / np.pi
    least = np.maximum(np.minimum.reduce(p), LEAST_P)
    return together, np.maximum(together / least, 1.0)


def _widths(field: Field) -> Floats:
    """How much of the axis each cell's upper edge stands for; 0 for edges outside [low, high].

    Half the way to its neighbours; beyond the outermost, as far as the reference's values
    reach on average, since that is how a gap there dies away.
    """
    edges = np.array(field.edges)
    at = np.flatnonzero((edges > field.low) & (edges < field.high))
    widths = np.zeros(field.bins)
    if at.size:
        half = np.diff(edges[at]) / 2
        widths[at] = np.concatenate([[field.reach_below], half]) + np.concatenate(
            [half, [field.reach_above]]
        )
    return widths


def _cells(pools: Pools, running: Counts, m: Floats) -> Cells:
    current = np.subtract(running[pools.ends], running[pools.begins], dtype=np.float64)
    return distances.with_current(pools.cells, current, np.maximum(m, 1.0)[:, None])


def _psi(cells: Cells, pools: Pools) -> Measured:
    statistic = distances.psi_of(pools.p, pools.log_p, cells)
    noise = cells.noise[:, 0]
    p = special.gammaincc(pools.half_freedom, statistic / (2 * noise))
    return Measured(statistic, statistic - 2 * pools.half_freedom * noise, p)
