"""Beliefs against the closed form, draws from the posteriors, and the normal theory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from gateway.statistics.bayes import Belief, means, shares

COUNTED = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def chance_in_closed_form(champion: tuple[int, int], challenger: tuple[int, int]) -> float:
    """Sum over the challenger's hits, for whole parameters (Miller 2015)."""
    a, b = champion[0] + 1, champion[1] - champion[0] + 1
    c, d = challenger[0] + 1, challenger[1] - challenger[0] + 1
    i = np.arange(c)
    terms = special.betaln(a + i, b + d) - np.log(d + i) - special.betaln(1 + i, d)
    return float(np.sum(np.exp(terms - special.betaln(a, b))))


@pytest.mark.parametrize(
    "champion, challenger",
    [((20, 1000), (30, 1000)), ((2, 10), (3, 1000)), ((0, 10), (0, 10)), ((500, 1000), (9, 20))],
)
def test_chance_is_that_of_the_closed_form(
    champion: tuple[int, int], challenger: tuple[int, int]
) -> None:
    expected = chance_in_closed_form(champion, challenger)
    assert shares(champion, challenger).chance == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_loss_is_the_mean_of_what_is_lost() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.beta(21, 981, 400_000), rng.beta(31, 971, 400_000)
    found = shares((20, 1000), (30, 1000))
    assert found.loss == pytest.approx(np.mean(np.maximum(a - b, 0)), rel=0.03)
    assert found.champion_loss == pytest.approx(np.mean(np.maximum(b - a, 0)), rel=0.01)


@given(COUNTED, COUNTED)
@settings(deadline=None, max_examples=50)
def test_exchanging_the_arms_exchanges_the_beliefs(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    found, mirrored = shares(one, other), shares(other, one)
    assert found.chance == pytest.approx(1 - mirrored.chance, abs=2e-3)
    assert found.loss == pytest.approx(mirrored.champion_loss, abs=1e-4)


@given(COUNTED, COUNTED)
@settings(deadline=None, max_examples=30)
def test_fewer_errors_are_better_as_more_accepts_are(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    misses = [(n - hits, n) for hits, n in (one, other)]
    errors = shares(*misses, better="lower")
    accepts = shares(one, other)
    assert errors.chance == pytest.approx(accepts.chance, abs=2e-3)
    assert errors.loss == pytest.approx(accepts.loss, abs=1e-4)


def test_normal_belief_is_the_integral() -> None:
    mean, deviation = 0.3, 0.5
    x = np.linspace(mean - 8 * deviation, mean + 8 * deviation, 200_001)
    density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
    found = means(mean, deviation)
    assert found.loss == pytest.approx(np.trapezoid(np.maximum(-x, 0) * density, x), rel=1e-6)
    assert found.champion_loss == pytest.approx(found.loss + mean)
    assert means(mean, deviation, better="lower").chance == pytest.approx(1 - found.chance)


def test_prior_draws_towards_itself() -> None:
    """Posterior of two normals: precision-weighted."""
    found = means(1.0, 1.0, prior_mean=0.0, prior_deviation=1.0)
    z = 0.5 / math.sqrt(0.5)
    assert found.chance == pytest.approx(special.ndtr(z))
    wide = means(1.0, 1.0, prior_deviation=1e6)
    assert wide.chance == pytest.approx(means(1.0, 1.0).chance, abs=1e-6)


@pytest.mark.parametrize(
    "difference, belief",
    [(2.0, Belief(1.0, 0.0, 2.0)), (-2.0, Belief(0.0, 2.0, 0.0)), (0.0, Belief(0.5, 0.0, 0.0))],
)
def test_certainty_needs_no_distribution(difference: float, belief: Belief) -> None:
    assert means(difference, 0.0) == belief
