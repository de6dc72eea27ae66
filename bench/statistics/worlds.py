"""Worlds to test in: counts and sums of both arms at each look, many runs at once.

Everything is drawn by numpy from one generator, cumulative over looks: arrays of (runs, looks).
"""

from typing import NamedTuple

import numpy as np

from gateway.statistics.events import null_share
from gateway.statistics.means import Moments
from gateway.statistics.tails import Floats


class Arms(NamedTuple):
    """Both arms' moments at each look."""

    champion: Moments
    challenger: Moments


class Failures(NamedTuple):
    """Events of both arms, and the challenger's requests, at each look."""

    challenger: Floats
    champion: Floats
    requests: Floats


def equal_arms(
    rng: np.random.Generator, rate: float, ratio: float, runs: int, looks: int, step: int
) -> Failures:
    """Arms of equal shares, `step` requests each between looks."""
    x = rng.binomial(step, rate * ratio, (runs, looks)).cumsum(axis=1)
    y = rng.binomial(step, rate, (runs, looks)).cumsum(axis=1)
    requests = np.broadcast_to(step * np.arange(1, looks + 1), (runs, looks))
    return Failures(x.astype(float), y.astype(float), requests.astype(float))


def canary(
    rng: np.random.Generator,
    rate: float,
    ratio: float,
    share: float,
    *,
    runs: int,
    looks: int,
    step: int = 1,
) -> Failures:
    """A challenger with a small share, looked at after each `step` failures, of whomever."""
    theta = float(null_share(share, ratio)[0])
    whole = share * rate * ratio + (1 - share) * rate
    x = rng.binomial(step, theta, (runs, looks)).cumsum(axis=1)
    y = step * np.arange(1, looks + 1) - x
    others = rng.negative_binomial(step, whole, (runs, looks))
    ours = rng.binomial(others, share * (1 - rate * ratio) / (1 - whole))
    return Failures(x.astype(float), y.astype(float), x + ours.cumsum(axis=1).astype(float))


def cycling(
    rng: np.random.Generator,
    ramp: dict[float, float],
    *,
    runs: int,
    looks: int,
    step: int,
) -> list[Failures]:
    """A ramp through a day: error rates of the champion between 0.5 and 8 %.

    One entry for each share, with the ratio of the challenger's rate to that; arms' requests
    are drawn, not given.
    """
    each = looks // len(ramp)
    day = 0.02 * 4 ** np.sin(np.linspace(0, 4 * np.pi, each * len(ramp)))
    found = []
    for at, (share, ratio) in enumerate(ramp.items()):
        rates = day[at * each : (at + 1) * each]
        ours = rng.binomial(step, share, (runs, each))
        x, y = rng.binomial(ours, ratio * rates), rng.binomial(step - ours, rates)
        sums = (x.cumsum(axis=1), y.cumsum(axis=1), ours.cumsum(axis=1))
        found.append(Failures(*(part.astype(float) for part in sums)))
    return found


def sticky(
    rng: np.random.Generator, share: float, runs: int, looks: int, users: int, requests: int
) -> Failures:
    """Users who stay on one side, with so many requests and an error rate of their own each."""
    ours = rng.random((runs, looks, users)) < share
    rates = rng.beta(0.2, 9.8, (runs, looks, users))  # mean 2 %, a few users far above
    errors = rng.binomial(requests, rates)
    x = (errors * ours).sum(axis=2).cumsum(axis=1)
    y = (errors * ~ours).sum(axis=2).cumsum(axis=1)
    return Failures(
        x.astype(float), y.astype(float), requests * ours.sum(axis=2).cumsum(axis=1).astype(float)
    )


def values(
    rng: np.random.Generator,
    kind: str,
    share: float,
    shape: tuple[int, int, int],
    effect: float = 1.0,
) -> Arms:
    """`shape` is (runs, looks, requests between looks); the challenger's values times `effect`.

    Kinds: `cost` is lognormal with σ = 1, mean 1; `score` is in [0, 1], mean 0.8.
    """
    drawn = rng.lognormal(-0.5, 1.0, shape) if kind == "cost" else rng.beta(4.0, 1.0, shape)
    ours = rng.random(shape) < share
    drawn = np.where(ours, drawn * effect, drawn)
    return Arms(*(_moments(drawn, mine) for mine in (~ours, ours)))


def _moments(drawn: Floats, mine: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Moments:
    """Of the values that are one arm's, cumulative over looks."""
    kept = drawn * mine
    parts = (mine.astype(float), kept, kept * kept)
    return Moments(*(part.sum(axis=2).cumsum(axis=1) for part in parts))
