"""Tests of current profiles against a reference's, all fields in one pass.

Each test has a statistic, a p-value from its null at these sample sizes, and an effect: what
is left of the statistic when what chance gives is taken away. A field drifts where one of
its tests is significant, the family of all fields taken into account, and that test's effect
is large. Shares of what is no value (null, NaN, unseen, of another type), of zeros and
of numbers outside the reference's range are tested on their own, exactly.

Cells are pooled by the reference until ten are expected in each, so that small windows are
tested on few cells and large ones on all.

Cost: 50 us for 20 numeric fields (docs/drift.md). Poolings are kept for sizes that come
again; the usual tests of numbers are one compiled pass (`_fast.shifts`), with scipy's functions
between its two halves.
Formulas and nulls: gateway/statistics/distances.py; MMD: Gretton et al. 2012, with random
features after Rahimi & Recht 2007.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import special

from gateway._fast import Pooling, Shares, Shifts, adjusted_into
from gateway.profiles.fields import SPECIALS, Field, Floats
from gateway.profiles.profile import Profile
from gateway.statistics import distances, families
from gateway.statistics.distances import MEAN_SUPREMUM, Cells

Test = Literal["psi", "ks", "wasserstein", "js", "hellinger", "chi_square", "l_infinity", "mmd"]
Control = Literal["bh", "by", "bonferroni"]
Counts = NDArray[np.int64]
Cuts = NDArray[np.intp]

NUMERIC: tuple[Test, ...] = ("psi", "ks", "wasserstein")
NAMED: tuple[Test, ...] = ("psi", "chi_square", "l_infinity")
EMBEDDING: tuple[Test, ...] = ("mmd",)
FAMILIES = {"numeric": 0, "text": 0, "score": 1, "boolean": 2, "category": 2, "embedding": 3}
OF_ORDER = {"ks", "wasserstein"}
NAMED_KINDS = {"category", "boolean"}
# Shares that are tested on their own; `rare` of the least frequent categories, which have no pool
# of their own; `under` and `over` all that the reference had.
QUALITIES = (*SPECIALS, "rare", "zero", "under", "over")
RARE = 0.01  # of the reference's rows, all rare categories together

# Rows of what Shifts and Shares find: see `_fast/shifts.pxd`.
(_ROWS, _PSI, _PSI_EFFECT, _PSI_SCALED, _KS, _KS_EFFECT, _KS_SCALED, _W1, _W1_EFFECT) = range(9)
(_W1_SHAPE, _W1_FAR, _W1_NEAR, _PSI_P, _KS_P, _W1_P, _TOGETHER, _EACH, _FIGURES) = range(9, 18)
_BETA, _SHARE_FIGURES = slice(6, 9), 9

LEAST = 10  # values of each sample: below it no test is made
LEAST_P, MOST_P = 1e-300, 0.9
POOLINGS = 256  # kept


class Limits(Struct, frozen=True, kw_only=True):
    """From where an effect is large. Each is what is left of the statistic beyond chance."""

    psi: float = 0.1  # 0.25 is what folklore calls major
    ks: float = 0.1  # of the distribution's height
    wasserstein: float = 0.1  # of the reference's standard deviations
    js: float = 0.1  # distance, base 2
    hellinger: float = 0.1
    chi_square: float = 0.1  # in units of PSI
    l_infinity: float = 0.1  # of one category's share
    mmd: float = 0.005  # of the reference's spread in feature space
    share: float = 0.01  # of null, NaN, unseen, another type, zero, out of range


class Finding(Struct, frozen=True, kw_only=True):
    """One test of one field."""

    field: str
    test: str  # a Test, or one of QUALITIES
    statistic: float
    effect: float
    limit: float
    p: float  # of this test alone
    adjusted: float  # with all fields in account
    reference: int  # values
    current: int
    is_significant: bool
    is_large: bool

    @property
    def is_drift(self) -> bool:
        """Both."""
        return self.is_significant and self.is_large


class Measured(NamedTuple):
    """One test of a group of fields, an element a field."""

    statistic: Floats
    effect: Floats
    p: Floats


class Outcome(NamedTuple):
    """What a group's tests say."""

    fields: tuple[Field, ...]
    tests: Mapping[Test, Measured]
    n: Floats
    m: Floats
    p: Floats  # of a field's tests together; 1 where values lack
    each: Floats  # what the p-value of one of them is multiplied by for that

    def drifting(self, alpha: float, adjusted: Floats, limits: Limits) -> NDArray[np.bool_]:
        """Fields that are unlike the reference by a test that is significant and large."""
        found = np.zeros(len(self.fields), np.bool_)
        for test, measured in self.tests.items():
            found |= self._significant(measured, alpha, adjusted) & (
                measured.effect >= getattr(limits, test)
            )
        return found

    def _significant(self, measured: Measured, alpha: float, adjusted: Floats) -> NDArray[np.bool_]:
        """Where this test alone would be enough: at the level its family leaves its field."""
        # Why: the field is rejected at the level its least p-value was; others must reach it.
        own = np.minimum(measured.p * self.each, 1.0)
        raised = np.where(self.p > 0, adjusted / np.maximum(self.p, 1e-300), 1.0)
        return (own * np.maximum(raised, 1.0) <= alpha) & (adjusted <= alpha)


class Verdict(NamedTuple):
    """What one look says of all fields."""

    alpha: float  # of the values
    limits: Limits
    outcomes: tuple[Outcome, ...]
    adjusted: tuple[Floats, ...]  # by outcome, by field
    drifting: frozenset[str]  # names of fields whose values are unlike the reference's
    broken: Mapping[str, tuple[str, ...]]  # by field: qualities whose shares are
    qualities: tuple[Finding, ...]  # those that are significant

    def findings(self) -> list[Finding]:
        """Every test of every field, and the qualities that changed; the surest first."""
        found = list(self.qualities)
        for outcome, adjusted in zip(self.outcomes, self.adjusted, strict=True):
            found += _findings(outcome, adjusted, self.alpha, self.limits)
        return sorted(found, key=lambda one: (not one.is_drift, one.adjusted, -one.effect))


class _Pools(NamedTuple):
    """Cells with enough expected, and all that is known of them before they are counted."""

    ends: NDArray[np.intp]  # behind the last cell of each pool; 0 fills up
    begins: NDArray[np.intp]
    cells: Cells  # the reference on both sides
    p: Floats
    log_p: Floats
    half_freedom: Floats
    voices: Floats  # by test and field: its part in what is said of the field
    compiled: Pooling | None  # of the usual tests of numbers


class _Group:
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
        self._whole = _running(_joined(profiles))
        self._poolings: dict[bytes, _Pools] = {}
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
        running = _running(counts)
        m = np.add.reduceat(counts, self._first).astype(np.float64)
        pools = self._pooled(m)
        current = np.subtract(running[pools.ends], running[pools.begins], dtype=np.float64)
        cells = distances.with_current(pools.cells, current, np.maximum(m, 1.0)[:, None])
        ordered = self._ordered(running) if OF_ORDER & set(self.tests) else {}
        found: dict[Test, Measured] = {}
        for test in self.tests:
            if test == "psi":
                found[test] = _psi(cells, pools)
            else:
                found[test] = ordered[test] if test in ordered else _MEASURES[test](cells)
        together, each = _combined(found, pools.voices)
        if self._least_n < least or m.min() < least:
            together[np.minimum(self._n, m) < least] = 1.0
        return Outcome(self.fields, found, self._n, m, together, each)

    def _pooled(self, m: Floats) -> _Pools:
        """Cells with enough expected at sizes of about these."""
        # Why the square root of two: sizes that differ less have the same pooling.
        sizes = (2 * np.log2(np.maximum(np.minimum(m, self._n), 1.0))).astype(np.int8)
        key = sizes.tobytes()
        kept = self._poolings.get(key)
        if kept is None:
            if len(self._poolings) >= POOLINGS:
                self._poolings.clear()
            kept = self._poolings[key] = self._pooling(sizes.tolist())
        return kept

    def _pooling(self, sizes: Sequence[int]) -> _Pools:
        starts = [
            distances.pooled(reference, float(reference.sum()), 2 ** (size / 2))
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
        # Why: where few values leave one cell, tests of cells are none.
        is_heard = [(cells.sizes[:, 0] > 1) | (test in OF_ORDER) for test in self.tests]
        voices = np.array(is_heard) / np.maximum(np.sum(is_heard, axis=0), 1)
        log_p = np.log(p)
        compiled = None
        if self.tests == NUMERIC:
            counts = np.array([len(one) for one in starts])
            compiled = Pooling(begins, ends, counts, p, log_p, freedom / 2, voices)
        return _Pools(ends, begins, cells, p, log_p, freedom / 2, voices, compiled)

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


class _Numbers(_Group):
    """Ordered fields with the usual tests: what `_Group` says, from one compiled pass."""

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


class _Embeddings(_Group):
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


class Battery:
    """The tests of one reference."""

    def __init__(
        self,
        reference: Mapping[str, Profile],
        *,
        limits: Limits | None = None,
        least: int = LEAST,
        numeric: Sequence[Test] = NUMERIC,
        named: Sequence[Test] = NAMED,
    ) -> None:
        self.limits = limits or Limits()
        self.least = least
        ordered = [one for one in reference.values() if one.field.is_ordered]
        categories = [one for one in reference.values() if one.field.kind in NAMED_KINDS]
        embeddings = [one for one in reference.values() if one.field.kind == "embedding"]
        self._groups: list[_Group] = []
        if ordered:
            usual = tuple(numeric) == NUMERIC
            self._groups.append(_Numbers(ordered) if usual else _Group(ordered, numeric))
        if categories:
            self._groups.append(_Group(categories, named))
        if embeddings:
            self._groups.append(_Embeddings(embeddings))
        self._empty = [Profile(one.field) for one in (*ordered, *categories, *embeddings)]
        self._cuts = np.cumsum([len(group.fields) for group in self._groups])[:-1]
        self._share = _family_shares([FAMILIES[one.field.kind] for one in self._empty])
        self._order = [one.field.name for one in self._empty]
        self._qualities = _Qualities(self._empty, [reference[name] for name in self._order])

    @property
    def fields(self) -> tuple[str, ...]:
        """Names, in the order they are tested."""
        return tuple(self._order)

    def look(
        self, current: Mapping[str, Profile], alpha: float, *, control: Control = "bh"
    ) -> Verdict:
        """What is unlike the reference. If nothing is, anything is said with probability alpha.

        Half of alpha is for values, half for the shares of what is none, where there is any.
        """
        profiles = [current.get(one.field.name, one) for one in self._empty]
        counts = _joined(profiles)
        outcomes: list[Outcome] = []
        at = cell = 0
        for group in self._groups:
            end, last = at + len(group.fields), cell + group.size
            outcomes.append(group.look(counts[cell:last], profiles[at:end], self.least))
            at, cell = end, last
        parts = self._adjusted_parts(outcomes, control)
        qualities = self._qualities.changed(
            counts, alpha / 2, control, self.least, self.limits.share
        )
        # Why the whole: those tests are made given how many there are in all, so that none at
        # all decides nothing about the values.
        of_values = alpha if qualities is None else alpha / 2
        drifting: set[str] = set()
        for outcome, part in zip(outcomes, parts, strict=True):
            if float(part.min()) <= of_values:
                is_one = outcome.drifting(of_values, part, self.limits).tolist()
                drifting |= {f.name for f, is_ in zip(outcome.fields, is_one, strict=True) if is_}
        broken: dict[str, tuple[str, ...]] = {}
        for one in qualities or ():
            if one.is_drift:
                broken[one.field] = (*broken.get(one.field, ()), one.test)
        return Verdict(
            of_values,
            self.limits,
            tuple(outcomes),
            tuple(parts),
            frozenset(drifting),
            broken,
            qualities or (),
        )

    def _adjusted_parts(self, outcomes: Sequence[Outcome], control: Control) -> list[Floats]:
        """Adjusted p-values of all fields, by outcome; each family has an equal share of alpha."""
        p = outcomes[0].p if len(outcomes) == 1 else np.concatenate([one.p for one in outcomes])
        # Why never less than p: weights are relative, and one field's must not make up for it.
        if control == "bonferroni":
            whole = np.maximum(adjusted(np.minimum(p * self._share, 1.0), control), p)
        else:
            whole = np.empty(p.size)
            adjusted_into(whole, p, p.size, _factor(control, p.size), self._share)
        return [whole] if len(outcomes) == 1 else np.split(whole, self._cuts)


class _Qualities:
    """Shares of what is no value, zero or out of range."""

    def __init__(self, empty: Sequence[Profile], then: Sequence[Profile]) -> None:
        begins, ends, self._outside = _quality_cells(then)
        self._names = [one.field.name for one in empty]
        cells = [one.field.cells for one in empty]
        counts = _joined(then)
        first = np.cumsum([0, *cells[:-1]])
        held = np.subtract(_running(counts)[ends], _running(counts)[begins], dtype=np.float64)
        # Why: a zero that the reference never had is told as such.
        held[:, -2:] -= held[:, -3:-2] * self._outside
        rows = np.add.reduceat(counts, first).astype(np.float64)
        outside = np.array([1 if under else 2 if over else 0 for under, over in self._outside])
        self._shares = Shares(first, np.array(cells), begins, ends, outside, held, rows)
        self._found = np.empty((_SHARE_FIGURES, held.size))

    def changed(
        self, counts: Counts, alpha: float, control: Control, least: int, limit: float
    ) -> tuple[Finding, ...] | None:
        """Those that are unlike the reference's; None where there is nothing to test."""
        count = self._shares.find(counts, least, self._found)
        if not count:
            return None
        found = self._found[:, :count]
        p = np.minimum(2 * special.betainc(*found[_BETA]), 1.0)
        # Why all: what was seen in neither counts as a test that found nothing.
        every = len(self._names) * len(QUALITIES)
        if control == "bonferroni":
            whole = np.minimum(p * every, 1.0)
        else:
            whole = np.empty(count)
            adjusted_into(whole, p, every, _factor(control, every))
        if whole.min() > alpha:
            return ()
        return tuple(
            self._finding(found[:, one].tolist(), float(p[one]), float(whole[one]), limit)
            for one in np.flatnonzero(whole <= alpha).tolist()
        )

    def _finding(self, of: Sequence[float], p: float, whole: float, limit: float) -> Finding:
        at, test, now, m, then, n, *_ = of
        effect = abs(now / m - then / n)
        return Finding(
            field=self._names[int(at)],
            test=QUALITIES[int(test)],
            statistic=now / m,
            effect=effect,
            limit=limit,
            p=p,
            adjusted=whole,
            reference=int(n),
            current=int(m),
            is_significant=True,
            is_large=effect >= limit,
        )


def _factor(control: Control, count: int) -> float:
    """What Benjamini & Yekutieli multiply by, so that tests may depend on each other."""
    return float(np.sum(1 / np.arange(1, count + 1))) if control == "by" else 1.0


def _running(counts: Counts) -> Counts:
    """How many are before each cell; and, last, behind all."""
    running = np.empty(counts.size + 1, np.int64)
    running[0] = 0
    np.cumsum(counts, out=running[1:])
    return running


def _joined(profiles: Sequence[Profile]) -> Counts:
    """The cells of all, one behind the other."""
    return np.concatenate([one.counts for one in profiles])


def _quality_cells(profiles: Sequence[Profile]) -> tuple[Cuts, Cuts, NDArray[np.bool_]]:
    """(first cell, cell behind the last) of each field's qualities; none where both are alike.

    And whether zero is below, or above, all that the reference had.
    """
    begins: list[list[int]] = []
    ends: list[list[int]] = []
    outside: list[tuple[bool, bool]] = []
    first = 0
    for one in profiles:
        field, zero = one.field, one.field.zero_bin
        behind = first + field.bins
        under, over = field.outer_bins if field.is_ordered else (0, 0)
        specials = range(behind, behind + len(SPECIALS))
        rare = _rare(one)
        begins.append([*specials, first + rare.start, first + max(zero, 0), first, behind - over])
        ends.append(
            [
                *(at + 1 for at in specials),
                first + rare.stop,
                first + zero + 1,
                first + under,
                behind,
            ]
        )
        outside.append((0 <= zero < under, zero >= field.bins - over))
        first += field.cells
    return np.array(begins), np.array(ends), np.array(outside)


def _rare(then: Profile) -> range:
    """The least frequent categories: those at the end; of a boolean either."""
    if then.field.kind not in NAMED_KINDS:
        return range(0)
    counts, most = then.counts[: then.field.bins], RARE * then.rows
    if then.field.kind == "boolean":
        return range(1, 2) if counts[1] <= most else range(int(counts[0] <= most))
    few = int(np.count_nonzero(np.cumsum(counts[::-1]) <= most))
    return range(counts.size - few, counts.size)


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


def _family_shares(families: Sequence[int]) -> Floats:
    """How much larger a family is than the average: what its p-values are multiplied by.

    Weights after Genovese, Roeder & Wasserman 2006: a hundred features do not take from the
    one embedding, nor from the model's ten scores, which see most shifts first.
    """
    sizes = np.bincount(families, minlength=1)
    return np.asarray(sizes[families] * np.count_nonzero(sizes) / max(len(families), 1))


def adjusted(p: Floats, control: Control) -> Floats:
    """p-values with the family in account."""
    if control == "bonferroni":
        return np.minimum(p * p.size, 1.0)
    return families.adjusted(p, dependent=control == "by")


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


def _psi(cells: Cells, pools: _Pools) -> Measured:
    statistic = distances.psi_of(pools.p, pools.log_p, cells)
    noise = cells.noise[:, 0]
    p = special.gammaincc(pools.half_freedom, statistic / (2 * noise))
    return Measured(statistic, statistic - 2 * pools.half_freedom * noise, p)


def _chi_square(cells: Cells) -> Measured:
    statistic = distances.chi_square(cells)
    return _like_chi_square(statistic, statistic * cells.noise[:, 0], cells)


def _js(cells: Cells) -> Measured:
    divergence = distances.jensen_shannon(cells)
    smoothed = 8 * math.log(2) * distances.jensen_shannon(_smoothed(cells))
    plain = _like_chi_square(divergence, smoothed, cells)
    rest = np.sqrt(np.maximum(plain.effect, 0.0) / (8 * math.log(2)))
    return Measured(np.sqrt(divergence), rest, plain.p)


def _hellinger(cells: Cells) -> Measured:
    distance = distances.hellinger(cells)
    plain = _like_chi_square(distance, 8 * distances.hellinger(_smoothed(cells)) ** 2, cells)
    return Measured(distance, np.sqrt(np.maximum(plain.effect, 0.0) / 8), plain.p)


def _smoothed(cells: Cells) -> Cells:
    """With half a count more in each cell: the null of few counts is then nearer to chi-square."""
    half = cells.is_cell / 2
    return cells._replace(
        reference=cells.reference + half,
        current=cells.current + half,
        n=cells.n + cells.sizes / 2,
        m=cells.m + cells.sizes / 2,
    )


def _like_chi_square(statistic: Floats, scaled: Floats, cells: Cells) -> Measured:
    """What is (1/n + 1/m) times a chi-square number, once it is scaled."""
    noise, sizes = cells.noise[:, 0], cells.sizes[:, 0]
    effect = scaled - (sizes - 1) * noise
    return Measured(statistic, effect, distances.chi_square_p(scaled / noise, sizes))


def _l_infinity(cells: Cells) -> Measured:
    change = distances.largest_change(cells)
    return Measured(change, change, distances.largest_change_p(change, cells))


_MEASURES: dict[Test, Callable[[Cells], Measured]] = {
    "js": _js,
    "hellinger": _hellinger,
    "chi_square": _chi_square,
    "l_infinity": _l_infinity,
}


def _findings(outcome: Outcome, adjusted_: Floats, alpha: float, limits: Limits) -> list[Finding]:
    found: list[Finding] = []
    for test, measured in outcome.tests.items():
        significant = outcome._significant(measured, alpha, adjusted_)  # noqa: SLF001 - of this module
        for at, field in enumerate(outcome.fields):
            limit = float(getattr(limits, test))
            found.append(
                Finding(
                    field=field.name,
                    test=test,
                    statistic=float(measured.statistic[at]),
                    effect=float(measured.effect[at]),
                    limit=limit,
                    p=float(measured.p[at]),
                    adjusted=float(adjusted_[at]),
                    reference=int(outcome.n[at]),
                    current=int(outcome.m[at]),
                    is_significant=bool(significant[at]),
                    is_large=bool(measured.effect[at] >= limit),
                )
            )
    return found
