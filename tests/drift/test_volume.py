"""Counts that fell: exact where nothing varies, seldom wrong where counts vary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gateway.drift.volume import FINE, GRID, LEAST_PAIRS, fall_of, noise_of

Pairs = list[tuple[int, int]]


def pairs_of(count: int, mean: float, noise: float, rng: np.random.Generator) -> Pairs:
    """Later and earlier counts: Poisson about rates that vary by `noise`, lognormally."""
    rates = mean * rng.lognormal(-(noise**2) / 2, noise, (count, 2))
    return [(int(later), int(earlier)) for later, earlier in rng.poisson(rates)]


@pytest.mark.parametrize("now, then", [(0, 14), (30, 60), (410, 500), (5, 5)])
def test_p_is_that_of_the_beta_binomial(now: int, then: int) -> None:
    shape = 0.1**-2
    expected = stats.betabinom.cdf(now, now + then, shape, shape)
    assert fall_of(now, then, 0.1).p == pytest.approx(expected, rel=1e-9)


def test_without_noise_p_is_that_of_a_fair_coin() -> None:
    expected = stats.binom.cdf(30, 90, 0.5)
    assert fall_of(30, 60, float(GRID[0])).p == pytest.approx(expected, rel=0.02)


def test_many_requests_are_as_sure_as_their_noise() -> None:
    few, many = fall_of(FINE // 3, FINE // 2, 0.2), fall_of(FINE // 3 * 4, FINE // 2 * 4, 0.2)
    assert many.p == pytest.approx(few.p, rel=0.05)
    assert many.lost == pytest.approx(1 / 3, abs=0.01)


def test_nothing_before_and_nothing_now_is_no_fall() -> None:
    fall = fall_of(0, 0, 0.1)
    assert (fall.p, fall.lost) == (1.0, 0.0)


def test_of_few_pairs_nothing_is_known() -> None:
    assert noise_of([(10, 10)] * (LEAST_PAIRS - 1) + [(0, 0)] * 50) is None
    assert noise_of([(10, 10)] * LEAST_PAIRS) is not None


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
def test_noise_is_learned_and_seldom_taken_for_less(noise: float) -> None:
    rng = np.random.default_rng(3)
    found = [noise_of(pairs_of(47, 800, noise, rng)) or 0.0 for _ in range(60)]
    assert np.mean(np.array(found) >= noise * 0.98) >= 0.75
    assert np.median(found) <= noise * 1.6 + 0.02


@pytest.mark.parametrize("mean, noise", [(30, 0.0), (300, 0.1), (5_000, 0.3)])
def test_traffic_that_does_not_fall_is_seldom_said_to(mean: float, noise: float) -> None:
    """Of 300 looks that may be false with 1 % each, more than 8 would be a surprise."""
    rng, false = np.random.default_rng(4), 0
    for _ in range(300):
        pairs = pairs_of(48, mean, noise, rng)
        learned = noise_of(pairs[1:])
        assert learned is not None
        false += fall_of(*pairs[0], learned).p <= 0.01
    assert false <= 8
