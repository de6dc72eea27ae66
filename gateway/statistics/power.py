"""How many more requests a question takes, and how small an effect so many would show.

The evidence of a gate is a function of counts that grow with the requests. Here it is asked
at the counts that are to be expected, less so many standard deviations that they are reached
with the wanted power, and the number of requests is searched at which it is enough. What a
reader is told ("1,840 more requests") is this number; looking oftener only makes it sooner.

Rule: requests are the challenger's. At a share r the route serves 1/r times as many.
Cost: some hundred evaluations of the evidence, in a few array calls.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from gateway.statistics.events import Side, log_e_array, null_share
from gateway.statistics.sequences import Direction, bound_of, mixture_time
from gateway.statistics.tails import Floats

MOST = 10**12  # requests; what takes more is never
_RATIOS = np.geomspace(1 + 1e-4, 1e4, 400)  # effects that are tried, nearest first


def events_needed(
    rate: float,
    ratio: float,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    power: float = 0.8,
    seen: tuple[int, int] = (0, 0),
) -> int | None:
    """Further requests of the challenger until the evidence is enough; None: never.

    If its event rate is `ratio` times the champion's, which is `rate`; `seen` are the events
    of challenger and champion so far in this period.
    """
    if not 0 < share < 1 or rate <= 0:
        return None

    def is_enough(requests: Floats) -> NDArray[np.bool_]:
        x, y = _expected(rate, ratio, requests, share, direction, power)
        evidence = log_e_array(seen[0] + x, seen[1] + y, share, margin, direction=direction)
        return np.asarray(evidence >= -math.log(alpha))

    return _least(is_enough)


def events_detectable(
    rate: float,
    requests: int,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Side = "higher",
    power: float = 0.8,
) -> float | None:
    """The relative rate nearest to the null's that so many requests of the challenger show.

    None: not even ten thousand times the rate, or none at all.
    """
    if not 0 < share < 1 or rate <= 0 or requests <= 0:
        return None
    effects = _RATIOS if direction == "higher" else np.append(1 / _RATIOS, 0.0)
    ratios = (1 + margin) * effects
    x, y = _expected(rate, ratios, float(requests), share, direction, power)
    evidence = log_e_array(x, y, share, margin, direction=direction)
    enough = np.flatnonzero(evidence >= -math.log(alpha))
    return float(ratios[enough[0]]) if enough.size else None


def means_needed(
    deviation: float,
    effect: float,
    share: float,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    power: float = 0.8,
    planned: float = 5000,
    seen: int = 0,
) -> int | None:
    """Further requests of the challenger until a difference `effect` is told from `margin`.

    `deviation` is the standard deviation of one request's figure. None: never.
    """
    gap = effect - margin
    against = (direction == "higher" and gap <= 0) or (direction == "lower" and gap >= 0)
    if not 0 < share < 1 or gap == 0 or against:
        return None

    def is_enough(requests: Floats) -> NDArray[np.bool_]:
        least = [
            _least_gap(deviation, seen + n, share, alpha, direction, power, planned)
            for n in requests
        ]
        return np.asarray(np.array(least) <= abs(gap))

    return _least(is_enough)


def means_detectable(
    deviation: float,
    requests: int,
    share: float,
    alpha: float,
    *,
    direction: Direction = "either",
    power: float = 0.8,
    planned: float = 5000,
) -> float | None:
    """The least difference of means, beyond any margin, that so many requests show."""
    if not 0 < share < 1 or requests < 1:
        return None
    return _least_gap(deviation, requests, share, alpha, direction, power, planned)


def _least_gap(
    deviation: float,
    requests: float,
    share: float,
    alpha: float,
    direction: Direction,
    power: float,
    planned: float,
) -> float:
    """Evidence starts at `bound_of` standard errors; so many more make it likely."""
    if requests <= 0:
        return math.inf
    others = requests * (1 - share) / share
    information = 4 * requests * others / (requests + others)
    se = deviation * math.sqrt(1 / requests + 1 / others)
    t = float(mixture_time(information, alpha, direction=direction, planned=planned))
    return se * (bound_of(t, alpha, direction=direction) + float(ndtri(power)))


def _expected(
    rate: float,
    ratio: float | Floats,
    requests: float | Floats,
    share: float,
    direction: Side,
    power: float,
) -> tuple[Floats, Floats]:
    """Events of challenger and champion in so many requests, as unlucky as `power` allows."""
    theirs = np.asarray(requests) * rate * (1 - share) / share
    events = theirs + np.asarray(requests) * np.minimum(rate * np.asarray(ratio), 1.0)
    theta, rest = null_share(share, ratio)
    luck = float(ndtri(power)) * np.sqrt(events * theta * rest)
    x = events * theta - (luck if direction == "higher" else -luck)
    x = np.clip(x, 0.0, events)
    return x, events - x


def _least(is_enough: Callable[[Floats], NDArray[np.bool_]]) -> int | None:
    """The least number of requests, to one in a hundred, from which on it is enough."""
    low, high = 0.0, float(MOST)
    places = np.concatenate([[0.0], np.geomspace(1, MOST, 60)])
    for _ in range(2):
        short = np.flatnonzero(~is_enough(places))
        if not short.size:
            return math.ceil(low)
        if short[-1] == places.size - 1:
            return None if high == MOST else math.ceil(high)
        low, high = float(places[short[-1]]), float(places[short[-1] + 1])
        places = np.linspace(low, high, 60)
    short = np.flatnonzero(~is_enough(places))
    return math.ceil(float(places[short[-1] + 1]))
