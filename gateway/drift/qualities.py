"""Shares of what is no value (null, NaN, unseen, of another type), of zeros, of rare categories and
of numbers outside the reference's range: tested on their own, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from gateway._fast import Shares, adjusted_into
from gateway.drift.control import Control, factor
from gateway.drift.groups import Counts, joined, running_of
from gateway.drift.verdict import Finding
from gateway.profiles.fields import NAMED, SPECIALS, UNSEEN
from gateway.profiles.profile import Profile

Cuts = NDArray[np.intp]
# Shares that are tested on their own; `rare` of the least frequent categories, which have no pool
# of their own; `under` and `over` all that the reference had.
QUALITIES = (*SPECIALS, "rare", "zero", "under", "over")
# From here on, and of what is unseen of categories, the reference has what it has by construction:
# where cells are empty says something.
FROZEN = QUALITIES.index("rare")
RARE = 0.01  # of the reference's rows, all rare categories together
_BETA, _SHARE_FIGURES = slice(6, 9), 9


class Qualities:
    """Shares of what is no value, zero or out of range."""

    def __init__(self, empty: Sequence[Profile], then: Sequence[Profile]) -> None:
        begins, ends, self._outside = _quality_cells(then)
        self._names = [one.field.name for one in empty]
        cells = [one.field.cells for one in empty]
        counts = joined(then)
        first = np.cumsum([0, *cells[:-1]])
        held = np.subtract(running_of(counts)[ends], running_of(counts)[begins], dtype=np.float64)
        # Why: a zero that the reference never had is told as such.
        held[:, -2:] -= held[:, -3:-2] * self._outside
        rows = np.add.reduceat(counts, first).astype(np.float64)
        outside = np.array([1 if under else 2 if over else 0 for under, over in self._outside])
        self._shares = Shares(first, np.array(cells), begins, ends, outside, held, rows)
        self._found = np.empty((_SHARE_FIGURES, held.size))
        self._is_named = np.array([one.field.kind in NAMED for one in empty])
        self._named = int(np.count_nonzero(self._is_named))
        has_cells = (ends > begins)[:, FROZEN:]
        self._always = int(np.count_nonzero(has_cells)) + self._named

    def changed(
        self, counts: Counts, alpha: float, control: Control, least: int, limit: float
    ) -> tuple[Finding, ...] | None:
        """Those that are unlike the reference's; None where there is nothing to test."""
        count = self._shares.find(counts, least, self._found)
        if not count:
            return None
        found = self._found[:, :count]
        p = np.minimum(2 * special.betainc(*found[_BETA]), 1.0)
        # Why not all: tests are made given how many there are in both, and of none there is none to
        # make. But that nothing is beyond the reference is an outcome, and counts.
        every = self._always + int(np.count_nonzero(found[1] < FROZEN))
        if self._named:
            unseen = found[0, found[1] == UNSEEN].astype(np.intp)
            every -= int(np.count_nonzero(self._is_named[unseen]))
        if control == "bonferroni":
            whole = np.minimum(p * every, 1.0)
        else:
            whole = np.empty(count)
            adjusted_into(whole, p, every, factor(control, every))
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
    if then.field.kind not in NAMED:
        return range(0)
    counts, most = then.counts[: then.field.bins], RARE * then.rows
    if then.field.kind == "boolean":
        return range(1, 2) if counts[1] <= most else range(int(counts[0] <= most))
    few = int(np.count_nonzero(np.cumsum(counts[::-1]) <= most))
    return range(counts.size - few, counts.size)
