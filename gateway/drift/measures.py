"""Tests of cells that know nothing of their order: chi-square and its kin, and of one cell alone.

Formulas and nulls: gateway/statistics/distances.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gateway.drift.verdict import Measured, Test
from gateway.profiles.fields import Floats
from gateway.statistics import distances
from gateway.statistics.distances import Cells


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


def _one_category(cells: Cells) -> Measured:
    """Of the cell that chance changes least often by as much; exact, by Boole's inequality."""
    part = distances.psi_parts(cells)
    p = np.where(
        cells.is_cell > 0,
        distances.share_p(cells.current, cells.m, cells.reference, cells.n),
        1.0,
    )
    least = p.min(axis=1, keepdims=True)
    # Why the largest of them: of many values several p-values are 0.
    statistic = np.where(p <= least, part, 0.0).max(axis=1)
    together = np.minimum(least[:, 0] * cells.sizes[:, 0], 1.0)
    return Measured(statistic, statistic - cells.noise[:, 0], together)


MEASURES: dict[Test, Callable[[Cells], Measured]] = {
    "js": _js,
    "hellinger": _hellinger,
    "chi_square": _chi_square,
    "l_infinity": _l_infinity,
    "one_category": _one_category,
}
