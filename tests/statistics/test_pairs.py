"""Paired tests against scipy, simulation, and the sums of the values themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from scipy.special import logsumexp

from gateway.statistics.means import Joint, Moments, mean_difference
from gateway.statistics.pairs import (
    FixedTest,
    adjusted_difference,
    correlation,
    cuped,
    differences,
    joint_of,
    log_e_outcomes,
    log_e_share,
    log_e_share_below,
    log_e_signs,
    mcnemar,
    paired_difference,
    paired_ratio,
    paired_test,
    projected,
    sign_test,
    slope,
)

Floats = NDArray[np.float64]
FIGURES = st.lists(st.tuples(st.floats(0.1, 1e3), st.floats(0.1, 1e3)), min_size=3, max_size=30)
ALARM = math.log(20)


def pairs_of(seed: int, n: int, rho: float, shift: float = 0.0) -> tuple[Floats, Floats]:
    """Challenger and champion, correlated normal figures with means 10 + shift and 10."""
    rng = np.random.default_rng(seed)
    y, noise = rng.normal(size=n), rng.normal(size=n)
    return 10 + shift + rho * y + math.sqrt(1 - rho**2) * noise, 10 + y


@pytest.mark.parametrize("higher, lower", [(8, 2), (2, 8), (5, 5), (0, 7), (100, 140)])
def test_sign_test_is_the_binomial_test(higher: int, lower: int) -> None:
    for ours, theirs in (("either", "two-sided"), ("higher", "greater"), ("lower", "less")):
        expected = stats.binomtest(higher, higher + lower, alternative=theirs).pvalue
        assert sign_test(higher, lower, direction=ours) == pytest.approx(expected)  # type: ignore[arg-type]


def test_mcnemar_is_the_sign_test_of_those_that_differ() -> None:
    """Agresti's example of approval ratings has 86 and 150 that changed: p is 3.7e-5."""
    assert mcnemar(150, 86) == pytest.approx(3.7e-5, rel=0.02)
    assert mcnemar(150, 86, direction="higher") < 3e-5 < mcnemar(86, 150, direction="higher")
    assert mcnemar(0, 0) == 1.0


def test_evidence_of_signs_holds_its_error_at_every_look() -> None:
    alarms = 0
    for seed in range(100):
        higher = np.cumsum(np.random.default_rng(seed).random(1000) < 0.5)
        looks = range(40, 1001, 40)
        alarms += any(
            log_e_signs(int(higher[n - 1]), n - int(higher[n - 1])) >= ALARM for n in looks
        )
    assert alarms / 100 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    assert log_e_signs(30, 5) > ALARM


OUTCOMES = st.tuples(*(st.integers(0, 300),) * 3)


@given(OUTCOMES, st.floats(0, 2), st.floats(0.001, 0.4), st.floats(0, 1))
@settings(deadline=None)
def test_bet_on_the_next_pair_is_fair_at_the_margin_whatever_fails_together(
    seen: tuple[int, int, int], margin: float, fails: float, together: float
) -> None:
    """The champion fails with probability `fails`, the challenger 1 + margin times as often."""
    both = fails * together
    worse, better = (1 + margin) * fails - both, fails - both
    chances = np.array([worse, better, both, 1 - worse - better - both])
    if np.min(chances) < 1e-6:
        return
    steps: list[tuple[int, int, int]] = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    for direction in ("higher", "lower"):
        after = [
            log_e_outcomes(
                *(n + more for n, more in zip(seen, step, strict=True)),
                margin=margin,
                direction=direction,
            )
            for step in steps
        ]
        assert logsumexp(after, b=chances) == pytest.approx(after[-1], abs=1e-6)


def test_margin_counts_failures_that_both_share() -> None:
    """Of 20,000 pairs 10 % and 11 % fail, nearly all of them together: within a margin of 10 %."""
    worse, better, both = 300, 100, 1900
    assert log_e_outcomes(worse, better, both, margin=0.1) < ALARM
    assert log_e_outcomes(worse, better, both) > ALARM
    assert log_e_outcomes(2 * worse, better, both, margin=0.1) > ALARM
    assert log_e_outcomes(100, 300, both, margin=0.1, direction="lower") > ALARM


def test_evidence_of_outcomes_without_margin_is_that_of_signs() -> None:
    for worse, better in ((30, 5), (60, 40), (200, 100)):
        assert log_e_outcomes(worse, better, 1000) == log_e_signs(worse, better)
        nearly = log_e_outcomes(worse, better, 1000, margin=1e-9)
        assert nearly == pytest.approx(log_e_signs(worse, better), abs=2.0)


@pytest.mark.parametrize("limit", [0.02, 0.2, 0.6])
def test_evidence_of_disagreement_grows_above_the_limit_only(limit: float) -> None:
    n = 4000
    assert log_e_share(int(n * limit), n, limit) < ALARM
    assert log_e_share(int(n * limit * 1.5), n, limit) > ALARM
    assert log_e_share_below(int(n * limit), n, limit) < ALARM
    assert log_e_share_below(int(n * limit * 0.5), n, limit) > ALARM


def test_limit_of_nothing_is_broken_by_anything() -> None:
    assert log_e_share(1, 100, 0.0) == math.inf
    assert log_e_share(0, 100, 0.0) == 0.0
    assert log_e_share(100, 100, 1.0) == 0.0


def test_paired_test_is_students() -> None:
    x, y = pairs_of(1, 40, 0.6, 0.2)
    expected = stats.ttest_rel(x, y)
    found = paired_test(joint_of(x, y), 0.05)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_nothing_is_known_of_one_pair() -> None:
    one = joint_of([1.0], [2.0])
    assert paired_test(one, 0.05).p == 1.0
    assert paired_difference(one, 0.05).log_e == 0.0
    assert math.isnan(paired_ratio(one, 0.05).estimate)
    assert correlation(one) == 0.0


def test_differences_that_never_vary_are_certain() -> None:
    same = joint_of([2.0, 3.0, 4.0], [1.0, 2.0, 3.0])
    assert paired_test(same, 0.05) == FixedTest(1.0, 1.0, 1.0, 0.0)
    equal = joint_of([2.0, 3.0], [2.0, 3.0])
    assert paired_test(equal, 0.05).p == 1.0


@given(FIGURES, st.floats(0.5, 2))
@settings(deadline=None)
def test_sums_are_enough_for_the_differences(
    figures: list[tuple[float, float]], ratio: float
) -> None:
    x, y = np.array(figures).T
    found = differences(joint_of(x, y), ratio)
    assert found.mean == pytest.approx(np.mean(x - ratio * y), abs=1e-9)
    assert found.variance == pytest.approx(np.var(x - ratio * y, ddof=1), rel=1e-6, abs=1e-6)


def test_pairs_need_fewer_requests_than_arms() -> None:
    x, y = pairs_of(3, 2000, 0.9)
    arms = mean_difference([(_moments(y), _moments(x))], 0.05)
    paired = paired_difference(joint_of(x, y), 0.05)
    assert paired.low < 0 < paired.high
    assert (paired.high - paired.low) < 0.5 * (arms.high - arms.low)


def test_paired_interval_holds_the_truth_at_every_look() -> None:
    missed = 0
    for seed in range(200):
        x, y = pairs_of(seed, 2000, 0.7, 0.1)
        looks = [paired_difference(joint_of(x[:n], y[:n]), 0.05) for n in range(100, 2001, 100)]
        missed += any(not look.low <= 0.1 <= look.high for look in looks)
    assert missed / 200 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize("margin, is_harm", [(0.0, True), (0.1, False)])
def test_ratio_is_judged_against_its_margin(margin: float, is_harm: bool) -> None:
    x, y = pairs_of(5, 3000, 0.8, 0.5)  # 5 % more
    found = paired_ratio(joint_of(x, y), 0.05, margin=margin, direction="higher")
    assert found.estimate == pytest.approx(1.05, abs=0.005)
    assert (found.log_e >= ALARM) == is_harm
    assert (found.low > 1 + margin) == is_harm
    assert found.high == math.inf


def test_evidence_and_interval_of_the_ratio_agree() -> None:
    """The interval is where the evidence is below log 1/alpha."""
    x, y = pairs_of(5, 500, 0.8, 0.5)
    pairs = joint_of(x, y)
    interval = paired_ratio(pairs, 0.05)
    for end in (interval.low, interval.high):
        assert paired_ratio(pairs, 0.05, margin=end - 1).log_e == pytest.approx(ALARM, abs=1e-6)


def test_ratio_to_a_mean_near_nothing_has_no_end() -> None:
    rng = np.random.default_rng(1)
    found = paired_ratio(joint_of(rng.random(50), rng.normal(0.01, 1, 50)), 0.05)
    assert math.isnan(found.estimate) or (found.low, found.high) == (0.0, math.inf)


# Covariates


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_cuped_leaves_the_mean_and_takes_rho_squared_of_the_variance(rho: float) -> None:
    y, x = pairs_of(7, 20_000, rho)
    adjusted = cuped(y, x)
    assert np.mean(adjusted) == pytest.approx(np.mean(y))
    assert np.var(adjusted) / np.var(y) == pytest.approx(1 - rho**2, abs=0.02)
    assert correlation(joint_of(y, x)) == pytest.approx(np.corrcoef(y, x)[0, 1])


@given(FIGURES)
@settings(deadline=None)
def test_slope_is_that_of_least_squares(figures: list[tuple[float, float]]) -> None:
    y, x = np.array(figures).T
    if np.var(x) < 1e-3:
        return
    assert slope([joint_of(y, x)]) == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-4, abs=1e-6)


def test_constant_covariate_changes_nothing() -> None:
    y = np.arange(10.0)
    assert cuped(y, np.full(10, 3.0)).tolist() == y.tolist()
    assert correlation(joint_of(y, np.full(10, 3.0))) == 0.0


def test_adjusted_arms_differ_by_the_truth_in_a_narrower_interval() -> None:
    champion = pairs_of(1, 4000, 0.9)
    challenger = pairs_of(2, 4000, 0.9, 0.3)
    plain = mean_difference([(_moments(champion[0]), _moments(challenger[0]))], 0.05)
    found = adjusted_difference([(joint_of(*champion), joint_of(*challenger))], 0.05)
    assert found.low < 0.3 < found.high
    assert (found.high - found.low) / (plain.high - plain.low) == pytest.approx(
        math.sqrt(1 - 0.81), abs=0.02
    )
    assert found.log_e > plain.log_e


def test_covariate_of_an_unknown_arm_says_nothing() -> None:
    nothing = Joint(0, 0.0, 0.0, 0.0, 0.0, 0.0)
    found = adjusted_difference([(nothing, joint_of(*pairs_of(1, 50, 0.5)))], 0.05)
    assert found.log_e == 0.0


def test_champions_other_requests_tell_the_challengers_mean_for_all() -> None:
    rng = np.random.default_rng(4)
    errors, plain, told = [], [], []
    for _ in range(400):
        y = rng.normal(10, 3, 5000)
        x = y[:400] + rng.normal(1, 0.5, 400)
        found = projected(joint_of(x, y[:400]), _moments(y))
        errors.append(found.value - 11)
        plain.append(np.mean(x) - 11)
        told.append(found.variance)
    assert np.std(errors) < 0.4 * np.std(plain)
    assert np.sqrt(np.mean(told)) == pytest.approx(np.std(errors), rel=0.15)


def _moments(values: Floats) -> Moments:
    return Moments(values.size, float(np.sum(values)), float(np.sum(values**2)))
