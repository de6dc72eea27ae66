"""Drift of the challenger against the champion on the same minutes.

Answers' reasons to finish, latency and time to the first byte are compared as distributions
by the population stability index

    PSI = Σ (p - q) ln(p / q)        of B bins: (1/n + 1/m) χ²(B - 1) if nothing has drifted

Rule 1: drift is both significant (by the formula) and large (what is left of it when what
        chance gives is taken away): the first alone is always there in the end, the second
        alone is always there at first.
Rule 2: bins are the champion's deciles, found in the same data; each period's champion counts
        as often as the challenger's requests were in it, so that a ramp is no drift.

Sources: Yurdakul and Naranjo 2020 (PSI's distribution); Shafer 2021 (evidence of a p-value).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct

from gateway.rollout.comparisons import Stretch
from gateway.rollout.counts import FINISHES, ArmCounts, Histogram, size
from gateway.statistics import distances

BINS = 10
LARGE = 0.1  # where the gate says no margin; 0.25 is what folklore calls major
LEAST = 200  # requests of each arm

# What is compared, and its name in a sentence.
_OF: dict[str, Callable[[ArmCounts], Histogram]] = {
    "reasons to finish": lambda arm: dict(enumerate(arm.finishes)),
    "latency": lambda arm: arm.total_ns,
    "time to the first byte": lambda arm: arm.first_byte_ns,
}


class Likeness(Struct, frozen=True):
    """How unlike the champion one distribution is."""

    what: str
    excess: float  # PSI beyond what chance gives
    log_e: float  # evidence of any drift
    champion_n: float
    challenger_n: int


def likeness(stretches: Sequence[Stretch]) -> list[Likeness]:
    """Of each distribution of which enough is known; the least alike first."""
    found = (_of(what, histogram, stretches) for what, histogram in _OF.items())
    return sorted((one for one in found if one is not None), key=lambda one: -one.excess)


def _of(
    what: str, histogram: Callable[[ArmCounts], Histogram], stretches: Sequence[Stretch]
) -> Likeness | None:
    both = [
        (histogram(one.champion), histogram(one.challenger))
        for one in stretches
        if 0 < one.share < 1
    ]
    both = [(y, x) for y, x in both if size(y) and size(x)]
    challenger_n = sum(size(x) for _, x in both)
    champion, champion_n = _weighted([(y, size(x)) for y, x in both], challenger_n)
    if min(challenger_n, champion_n) < LEAST:
        return None
    edges = list(range(len(FINISHES))) if what == "reasons to finish" else _edges(champion)
    theirs, own = _binned(champion, edges), [0.0] * len(edges)
    for _, x in both:
        own = [a + b for a, b in zip(own, _binned(x, edges), strict=True)]
    kept = [at for at in range(len(edges)) if theirs[at] + own[at] > 0]
    if len(kept) < 2:
        return Likeness(what, 0.0, 0.0, champion_n, challenger_n)
    bins = np.array([[theirs[at] * champion_n, own[at]] for at in kept], np.float64).T
    psi = float(distances.psi(distances.cells(bins[:1], bins[1:]))[0])
    chance = 1 / champion_n + 1 / challenger_n
    freedom = len(kept) - 1
    p = float(distances.chi_square_p(np.array([psi / chance]), np.array([len(kept)]))[0])
    log_e = -math.log(2) - 0.5 * math.log(max(p, 1e-300))
    return Likeness(what, psi - freedom * chance, max(log_e, 0.0), champion_n, challenger_n)


def _weighted(parts: Sequence[tuple[Histogram, int]], whole: int) -> tuple[dict[int, float], float]:
    """The champion's distribution in the challenger's proportions, and of how many it is worth."""
    mixed: dict[int, float] = {}
    spread = 0.0
    for counts, weight in parts:
        n, share = size(counts), weight / whole
        spread += share * share / n
        for bucket, count in counts.items():
            mixed[bucket] = mixed.get(bucket, 0.0) + share * count / n
    return mixed, 1 / spread if spread else 0.0


def _edges(distribution: dict[int, float]) -> list[int]:
    """First buckets of the bins: about a tenth of the champion's in each."""
    edges, seen = [0], 0.0
    for bucket in sorted(distribution):
        seen += distribution[bucket]
        if seen >= len(edges) / BINS and len(edges) < BINS:
            edges.append(bucket + 1)
    return edges


def _binned(counts: dict[int, float] | Histogram, edges: Sequence[int]) -> list[float]:
    bins, at = [0.0] * len(edges), 0
    for bucket in sorted(counts):
        while at + 1 < len(edges) and bucket >= edges[at + 1]:
            at += 1
        bins[at] += counts[bucket]
    return bins
