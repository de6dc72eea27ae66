from math import isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.statistics import means
from gateway.statistics.means import Joint, Moments

values = st.lists(st.floats(0, 1e6), min_size=2, max_size=50)


def moments(drawn: NDArray[np.float64]) -> Moments:
    return Moments(len(drawn), float(drawn.sum()), float((drawn**2).sum()))


def joint(top: NDArray[np.float64], bottom: NDArray[np.float64]) -> Joint:
    sums = (top, bottom, top**2, bottom**2, top * bottom)
    return Joint(len(top), *(float(each.sum()) for each in sums))


def make_costs(n: int, scale: float = 1.0, seed: int = 1) -> NDArray[np.float64]:
    return scale * np.random.default_rng(seed).lognormal(0, 1, n)


@given(values)
def test_mean_and_variance_are_numpys(drawn: list[float]) -> None:
    found = moments(np.array(drawn))
    assert found.mean == pytest.approx(np.mean(drawn))
    assert found.variance == pytest.approx(np.var(drawn, ddof=1), rel=1e-6, abs=1e-3)
    assert found.variance >= 0


def test_sums_add_and_are_taken_away_again() -> None:
    one, other = make_costs(10), make_costs(20, seed=2)
    both = moments(one).plus(moments(other))
    assert both == pytest.approx(moments(np.concatenate([one, other])))
    assert both.minus(moments(other)) == pytest.approx(moments(one))
    pair = joint(one, one).plus(joint(other, other))
    assert pair.minus(joint(other, other)) == pytest.approx(joint(one, one))


def test_nothing_has_no_mean_and_one_value_no_variance() -> None:
    assert isnan(Moments(0, 0, 0).mean)
    assert isnan(Moments(1, 5, 25).variance)
    assert not Moments(0, 0, 0).estimate.is_known
    assert not Moments(1, 5, 25).estimate.is_known


def test_doubled_cost_is_told_and_equal_cost_is_not() -> None:
    champion = moments(make_costs(5000))
    dearer, equal = moments(make_costs(300, 2.0, 2)), moments(make_costs(300, 1.0, 3))
    found = means.mean_ratio([(champion, dearer)], 0.05, margin=0.1, direction="higher")
    assert found.log_e > log(20)
    assert 1.1 < found.low < found.estimate
    assert means.mean_ratio([(champion, equal)], 0.05, direction="higher").log_e < log(20)


def test_difference_and_ratio_without_a_margin_say_the_same() -> None:
    pair = [(moments(make_costs(500)), moments(make_costs(400, 1.3, 2)))]
    assert means.mean_difference(pair, 0.05).log_e == means.mean_ratio(pair, 0.05).log_e


def test_arms_exchanged_turn_the_difference_round() -> None:
    a, b = moments(make_costs(500)), moments(make_costs(90, 1.3, 2))
    one = means.mean_difference([(a, b)], 0.05, direction="higher")
    other = means.mean_difference([(b, a)], 0.05, direction="lower")
    assert one.estimate == -other.estimate
    assert one.low == -other.high
    assert one.log_e == pytest.approx(other.log_e)


def test_a_ramp_during_a_change_is_not_taken_for_a_difference() -> None:
    """Dear hours come when the challenger has much of the traffic: added up it seems dearer."""
    early = moments(make_costs(9900)), moments(make_costs(100, 1.0, 2))
    late = moments(make_costs(5000, 3.0, 3)), moments(make_costs(5000, 3.0, 4))
    assert abs(means.mean_ratio([early, late], 0.05).estimate - 1) < 0.1
    added = [(early[0].plus(late[0]), early[1].plus(late[1]))]
    assert means.mean_ratio(added, 0.05).low > 1.3


def test_ratio_of_sums_has_the_variance_of_its_linear_part() -> None:
    bottom = np.random.default_rng(1).poisson(3.0, 2000).astype(float)
    top = bottom * make_costs(2000)
    found = joint(top, bottom).estimate
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    residuals = (top - found.value * bottom) / bottom.mean()
    assert found.variance == pytest.approx(np.var(residuals, ddof=1) / 2000)


def test_ratio_of_sums_spreads_as_often_as_it_is_drawn() -> None:
    rng = np.random.default_rng(3)
    top = rng.lognormal(0, 0.5, (800, 400))
    bottom = (rng.random((800, 400)) < 0.6).astype(float)
    drawn = [joint(a, b).estimate for a, b in zip(top, bottom, strict=True)]
    spread = np.var([each.value for each in drawn])
    assert np.mean([each.variance for each in drawn]) == pytest.approx(spread, rel=0.2)


def test_cost_per_accept_that_doubles_is_told() -> None:
    accepts = (np.random.default_rng(5).random(2000) < 0.6).astype(float)
    champion, challenger = joint(make_costs(2000), accepts), joint(make_costs(2000, 2, 2), accepts)
    ratio = means.quotient_ratio([(champion, challenger)], 0.05, direction="higher")
    assert ratio.log_e > log(20)
    difference = means.quotient_difference([(champion, challenger)], 0.05, direction="higher")
    assert difference.log_e == ratio.log_e
    assert difference.estimate == pytest.approx(challenger.estimate.value - champion.estimate.value)


def test_ratio_of_separate_sums_takes_them_as_independent() -> None:
    cost, accepts = moments(make_costs(900)), Moments(100, 60, 60)
    found = means.quotient(cost, accepts)
    assert found.value == pytest.approx(cost.mean / 0.6)
    relative = cost.variance / 900 / cost.mean**2 + accepts.variance / 100 / 0.36
    assert found.variance == pytest.approx(found.value**2 * relative)
    assert found.n == 100


@pytest.mark.parametrize("accepts", [Moments(0, 0, 0), Moments(50, 0, 0)])
def test_ratio_to_nothing_is_not_known(accepts: Moments) -> None:
    assert not means.quotient(moments(make_costs(10)), accepts).is_known
    nothing = Joint(accepts.n, 1.0, 0.0, 1.0, 0.0, 0.0)
    assert not nothing.estimate.is_known
    assert isnan(means.quotient_ratio([(nothing, nothing)], 0.05).estimate)
