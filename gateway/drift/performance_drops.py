"""Whether figures of now are worse than those of a reference: surely, and by how much.

p-values are one-sided. Shares: Fisher's exact test. Other figures: the difference on the scale
of their intervals, by its standard error, with Student's t of the smaller sample. A drop is
both significant and large, as drift is: significance alone is always there in the end.

Effects: shares, F1, AUC, ECE and the bias of probabilities in points; losses and errors of
numbers relative to the reference's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec import Struct
from scipy import special

from gateway.drift.performance import Figure, position
from gateway.statistics.intervals import fewer

POINTS = 0.02  # a smaller fall of a share is none
RELATIVE = 0.1  # a smaller rise of a loss or an error is none
LEAST = 50  # rows of each sample: below it nothing is said

_RELATIVE = frozenset({"log_loss", "brier", "mae", "rmse"})


class Drop(Struct, frozen=True, kw_only=True):
    """One figure, then and now."""

    name: str
    reference: Figure
    current: Figure
    effect: float  # positive: worse
    limit: float
    p: float  # of this figure alone
    is_significant: bool
    is_large: bool

    @property
    def is_drop(self) -> bool:
        """Both."""
        return self.is_significant and self.is_large


def drops(
    reference: Iterable[Figure],
    current: Sequence[Figure],
    alpha: float,
    *,
    effect: float | None = None,
    least: int = LEAST,
) -> list[Drop]:
    """Every figure that both samples have enough rows for; together they err with `alpha`."""
    before = {one.name: one for one in reference if one.n >= least}
    pairs = [(before[one.name], one) for one in current if one.n >= least and one.name in before]
    each = alpha / max(len(pairs), 1)
    found = (_drop(then, now, each, effect) for then, now in pairs)
    return sorted(found, key=lambda one: one.p)


def _drop(then: Figure, now: Figure, alpha: float, effect: float | None) -> Drop:
    is_relative = now.name in _RELATIVE or (now.better == "lower" and now.name != "ece")
    change = worse_by(then, now)
    if is_relative:
        change = change / abs(then.value) if then.value else math.copysign(math.inf, change)
    limit = effect if effect is not None else RELATIVE if is_relative else POINTS
    p = p_value(then, now)
    return Drop(
        name=now.name,
        reference=then,
        current=now,
        effect=change,
        limit=limit,
        p=p,
        is_significant=p <= alpha,
        is_large=change >= limit,
    )


def worse_by(then: Figure, now: Figure) -> float:
    """In its own unit."""
    if now.better == "nearer 0":
        return abs(now.value) - abs(then.value)
    return then.value - now.value if now.better == "higher" else now.value - then.value


def p_value(then: Figure, now: Figure) -> float:
    """Chance of a fall like this one where nothing fell; 1 where that is not known."""
    if then.hits is not None and now.hits is not None:
        if now.better == "higher":
            return fewer(now.hits, now.n, then.hits, then.n)
        return fewer(now.n - now.hits, now.n, then.n - then.hits, then.n)
    before, after = position(then), position(now) - now.excess
    if now.better == "nearer 0":
        before, after = abs(before), abs(after)
    if now.better == "higher":
        before, after = after, before
    deviation = math.hypot(then.deviation, now.deviation)
    if not (math.isfinite(before) and math.isfinite(after) and deviation > 0):
        return 1.0
    degrees = max(min(then.n, now.n) - 1, 1)
    return float(special.stdtr(degrees, -(after - before) / deviation))
