"""Group sequential tests: few looks at a planned number of requests, error spent by a plan.

The most powerful test where the greatest number of requests is known. The error that may be
spent by the time a part t of the requests has come is alpha(t); with O'Brien and Fleming's
shape nearly all of it is left for the end.

    obrien_fleming   2 - 2 Phi(z_{alpha/2} / sqrt t)        pocock   alpha log(1 + (e - 1) t)

`boundaries` gives the z that each look must reach so that exactly that much is spent, by the
recursion of Armitage, McPherson and Rowe (1969). `continuous_boundary` is the same for looks
at any time: z_{alpha/2} / sqrt t, since O'Brien and Fleming's spending is the law of the first
passage of a Brownian motion over a constant; it needs to know nothing of earlier looks.

Rule: alpha is that of one side. Two sides: twice, with half of it each.
Rule: what comes after the planned number spends nothing more: a look there can only fail.
Source: Lan and DeMets 1983.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Spending = Callable[[float, float], float]
Values = NDArray[np.float64]

WIDTH = 8.0  # standard deviations that the grid of the walk reaches to
PANELS, POINTS = 25, 16  # of the grid, and Gauss's places in each
LATEST = 1.05  # part of the plan at which its last look may come
LEAST_SPENT = 1e-14  # less than this is not spent at all: the bound is infinite


def obrien_fleming(part: float, alpha: float) -> float:
    """Error spent when this part of the planned requests has come."""
    if part <= 0:
        return 0.0
    return float(2 * ndtr(ndtri(alpha / 2) / math.sqrt(min(part, 1.0))))


def pocock(part: float, alpha: float) -> float:
    """The same, spent nearly evenly: earlier stops, less power at the end."""
    return alpha * math.log1p((math.e - 1) * min(max(part, 0.0), 1.0))


def continuous_boundary(part: float, alpha: float) -> float:
    """The z to reach at this part of the planned requests, however often one looks before.

    One-sided. The plan's last look may come a little late; those after it cannot reject, since
    all error is spent (going on against the last bound would spend as much again).
    """
    if part <= 0 or part > LATEST:
        return math.inf
    return float(-ndtri(alpha / 2)) / math.sqrt(min(part, 1.0))


def boundaries(
    parts: Sequence[float], alpha: float, *, spending: Spending = obrien_fleming
) -> list[float]:
    """The z that each look must reach, at these growing parts of the planned requests.

    Cost: some milliseconds a look; kept for the plans last asked for.
    """
    return list(_boundaries(tuple(parts), alpha, spending))


@lru_cache(maxsize=64)
def _boundaries(parts: tuple[float, ...], alpha: float, spending: Spending) -> tuple[float, ...]:
    walk, found, spent = Walk(), [], 0.0
    for part in parts:
        step = spending(part, alpha) - spent
        if step < LEAST_SPENT:
            found.append(math.inf)
            walk = walk.on_to(part, math.inf)
            continue
        bound = walk.bound_for(part, step)
        found.append(bound)
        walk = walk.on_to(part, bound)
        spent += step
    return tuple(found)


def crossing(parts: Sequence[float], bounds: Sequence[float], *, drift: float = 0.0) -> list[float]:
    """Probability to reach the bound first at each look; drift is the mean of z at part 1."""
    walk, found = Walk(), []
    for part, bound in zip(parts, bounds, strict=True):
        found.append(walk.chance_above(part, bound, drift))
        walk = walk.on_to(part, bound, drift)
    return found


class Walk:
    """Where a Brownian motion may be that has not crossed yet: density on a grid.

    `score` is its value, z sqrt(part); before the first look it is 0 for certain.
    """

    def __init__(
        self, part: float = 0.0, score: Values | None = None, mass: Values | None = None
    ) -> None:
        self.part = part
        self.score = np.zeros(1) if score is None else score
        self.mass = np.ones(1) if mass is None else mass  # density times the grid's weight

    def chance_above(self, part: float, z: float, drift: float = 0.0) -> float:
        """Probability to be at or above z at the next look."""
        if math.isinf(z):
            return 0.0
        ahead = part - self.part
        mean = self.score + drift * ahead
        return float(np.sum(self.mass * ndtr((mean - z * math.sqrt(part)) / math.sqrt(ahead))))

    def bound_for(self, part: float, chance: float) -> float:
        """The z that is reached with this probability at the next look."""
        low, high = -WIDTH, WIDTH + 2
        for _ in range(60):
            middle = (low + high) / 2
            if self.chance_above(part, middle) > chance:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def on_to(self, part: float, bound: float, drift: float = 0.0) -> Walk:
        """The walk at the next look, of those that did not reach its bound."""
        ahead = part - self.part
        middle, reach = drift * part, WIDTH * math.sqrt(part)
        top = min(bound * math.sqrt(part), middle + reach)
        nodes, weights = _legendre()
        half = (top - (middle - reach)) / 2
        score = middle - reach + half * (nodes + 1)
        away = score[:, None] - (self.score + drift * ahead)[None, :]
        density = np.exp(-0.5 * away**2 / ahead) / math.sqrt(2 * math.pi * ahead)
        return Walk(part, score, density @ self.mass * weights * half)


@lru_cache(maxsize=1)
def _legendre() -> tuple[Values, Values]:
    """Places and weights on (-1, 1), panel by panel: as good as one rule and cheaper to make."""
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    middles = (2 * np.arange(PANELS) + 1) / PANELS - 1
    places = (middles[:, None] + nodes[None, :] / PANELS).ravel()
    return places, np.tile(weights / PANELS, PANELS)
