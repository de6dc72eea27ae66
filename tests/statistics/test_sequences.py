from math import exp, inf, isfinite, isnan, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from gateway.statistics import sequences
from gateway.statistics.sequences import Contrast, Direction, Estimate

DIRECTIONS: list[Direction] = ["either", "higher", "lower"]
figures = st.floats(0.5, 2)
variances = st.floats(1e-6, 0.1)
sizes = st.floats(50, 1e6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("z", [-3.0, 0.0, 1.5, 4.0])
@pytest.mark.parametrize("t", [0.1, 1.0, 30.0])
def test_evidence_is_the_integral_of_the_mixture(z: float, t: float, direction: Direction) -> None:
    """Effects are normal with variance t, in standard errors; one-sided, half of them are."""
    ends = {"either": (-inf, inf), "higher": (0, inf), "lower": (-inf, 0)}[direction]
    whole = 1 if direction == "either" else 0.5

    def paid(effect: float) -> float:
        density = exp(-(effect**2) / (2 * t)) / sqrt(2 * pi * t)
        return exp(effect * z - effect**2 / 2) * density

    wanted = log(quad(paid, *ends)[0] / whole)
    found = float(sequences.log_e_of(z, t, direction=direction))
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("alpha", [0.2, 0.05, 1e-4])
@pytest.mark.parametrize("t", [1e-3, 1.0, 1e6])
def test_bound_is_where_the_evidence_is_enough(
    t: float, alpha: float, direction: Direction
) -> None:
    z = sequences.bound_of(t, alpha, direction=direction)
    at = -z if direction == "lower" else z
    assert float(sequences.log_e_of(at, t, direction=direction)) == pytest.approx(-log(alpha))


def test_two_sided_half_width_is_the_published_one() -> None:
    """Waudby-Smith et al. 2024, as GrowthBook has it, with n of both arms."""
    n, alpha, planned, se = 1800.0, 0.05, 5000.0, 0.03
    rho = sqrt((-2 * log(alpha) + log(-2 * log(alpha) + 1)) / planned)
    grown = n * rho**2 + 1
    wanted = se * sqrt(n) * sqrt(2 * grown / (n * rho) ** 2 * log(sqrt(grown) / alpha))
    found = Contrast(1.0, 1.2, se**2 / 2, se**2 / 2, n)
    interval = sequences.difference(found, alpha)
    assert interval.high - interval.estimate == pytest.approx(wanted)
    assert interval.estimate - interval.low == pytest.approx(wanted)


def test_evidence_far_on_the_wrong_side_goes_on_falling() -> None:
    z = -np.geomspace(1e2, 1e9, 50)
    found = sequences.log_e_of(z, 1e9, direction="higher")
    assert np.all(np.diff(found) < 0)
    assert np.all(np.isfinite(found))


@given(figures, figures, variances, variances, sizes, st.sampled_from(DIRECTIONS))
def test_interval_and_evidence_of_a_ratio_agree(
    x: float, y: float, vx: float, vy: float, n: float, direction: Direction
) -> None:
    found = Contrast(y, x, vy, vx, n)
    interval = sequences.ratio(found, 0.05, direction=direction)
    is_inside = interval.low <= 1 <= interval.high
    if abs(interval.log_e + log(0.05)) > 1e-6:
        assert is_inside == (interval.log_e < -log(0.05))


@given(figures, figures, variances, variances, sizes, st.sampled_from(DIRECTIONS))
def test_interval_and_evidence_of_a_difference_agree(
    x: float, y: float, vx: float, vy: float, n: float, direction: Direction
) -> None:
    interval = sequences.difference(
        Contrast(y, x, vy, vx, n), 0.05, margin=0.1, direction=direction
    )
    is_inside = interval.low <= 0.1 <= interval.high
    if abs(interval.log_e + log(0.05)) > 1e-6:
        assert is_inside == (interval.log_e < -log(0.05))


def test_ratio_of_uncertain_figures_has_open_ends() -> None:
    found = sequences.ratio(Contrast(0.1, 0.1, 1.0, 1.0, 100.0), 0.05)
    assert (found.low, found.high) == (0, inf)


def test_ratio_to_nothing_has_no_estimate() -> None:
    found = sequences.ratio(Contrast(0.0, 1.0, 0.01, 0.01, 1000.0), 0.05)
    assert isnan(found.estimate)
    assert (found.low, found.high) == (-inf, inf)


def test_figures_that_never_vary_are_told_apart_with_finite_evidence() -> None:
    found = sequences.ratio(Contrast(1.0, 2.0, 0.0, 0.0, 1000.0), 0.05, direction="higher")
    assert found.log_e > 100
    assert isfinite(found.log_e)
    same = sequences.ratio(Contrast(1.0, 1.0, 0.0, 0.0, 1000.0), 0.05, direction="higher")
    assert same.log_e < 0


def test_arms_without_figures_say_nothing() -> None:
    assert sequences.contrast([]) is None
    unknown, known = Estimate(float("nan"), float("nan"), 1), Estimate(1.0, 0.1, 100)
    assert sequences.contrast([(unknown, known)]) is None
    found = sequences.difference(None, 0.05)
    assert isnan(found.estimate)
    assert found[1:] == sequences.ratio(None, 0.05)[1:] == (-inf, inf, 0)


def test_periods_are_weighed_by_what_they_tell() -> None:
    first = Estimate(1.0, 0.01, 9_900), Estimate(1.1, 1.0, 100)
    second = Estimate(2.0, 0.02, 5_000), Estimate(2.2, 0.02, 5_000)
    found = sequences.contrast([first, second])
    assert found is not None
    assert found.n == pytest.approx(4 * (99 + 2500))
    assert found.champion == pytest.approx((99 * 1.0 + 2500 * 2.0) / 2599)
    assert found.challenger == pytest.approx((99 * 1.1 + 2500 * 2.2) / 2599)


def test_information_of_equal_arms_is_all_their_requests() -> None:
    found = sequences.contrast([(Estimate(1.0, 0.01, 700), Estimate(1.0, 0.01, 700))])
    assert found is not None
    assert found.n == 1400


def test_a_small_arm_is_no_surer_of_its_spread_than_the_large_one() -> None:
    found = sequences.contrast([(Estimate(1.0, 3.0 / 900, 900), Estimate(0.9, 1.0 / 100, 100))])
    assert found is not None
    assert found.challenger_variance == pytest.approx(3.0 / 100)
    assert found.champion_variance == pytest.approx(3.0 / 900)
    turned = sequences.contrast([(Estimate(0.9, 1.0 / 100, 100), Estimate(1.0, 3.0 / 900, 900))])
    assert turned is not None
    assert turned.champion_variance == pytest.approx(3.0 / 100)


def test_arms_of_a_size_keep_their_own_spreads() -> None:
    found = sequences.contrast([(Estimate(1.0, 3.0 / 150, 150), Estimate(0.9, 1.0 / 100, 100))])
    assert found is not None
    assert found.challenger_variance == pytest.approx(1.0 / 100)
