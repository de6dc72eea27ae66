from math import exp, inf, isfinite, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln

from gateway.statistics import srm

counts = st.lists(st.integers(0, 10**12), min_size=2, max_size=5)


def plainly(counts: list[int], shares: list[float]) -> float:
    """The formula as it is written down."""
    n, theta = np.array(counts, dtype=float), np.array(shares)
    alpha = 100 * theta
    rise = np.sum(gammaln(alpha + n) - gammaln(alpha)) - (
        gammaln(np.sum(alpha + n)) - gammaln(np.sum(alpha))
    )
    return float(rise - np.sum(n * np.log(theta)))


@pytest.mark.parametrize(
    "counts, shares",
    [([500, 9500], [0.05, 0.95]), ([0, 3], [0.01, 0.99]), ([70, 80, 90], [0.3, 0.3, 0.4])],
)
def test_evidence_is_the_formula(counts: list[int], shares: list[float]) -> None:
    assert srm.log_e_srm(counts, shares) == pytest.approx(plainly(counts, shares), abs=1e-8)


@given(st.lists(st.integers(0, 10**5), min_size=3, max_size=3))
def test_next_unit_pays_its_stake_on_average(counts: list[int]) -> None:
    shares = [0.01, 0.29, 0.7]
    now = srm.log_e_srm(counts, shares)
    paid = 0.0
    for at, share in enumerate(shares):
        after = [n + (place == at) for place, n in enumerate(counts)]
        paid += share * exp(srm.log_e_srm(after, shares) - now)
    assert paid == pytest.approx(1, abs=1e-8)


@given(counts)
def test_evidence_is_finite_at_every_count(counts: list[int]) -> None:
    shares = [1e-6] * (len(counts) - 1) + [1 - 1e-6 * (len(counts) - 1)]
    assert isfinite(srm.log_e_srm(counts, shares))


def test_units_as_drawn_speak_against_a_fault_the_more_there_are() -> None:
    few, many = (srm.log_e_srm([5 * n, 95 * n], [0.05, 0.95]) for n in (10, 10**10))
    assert many < few < 0


def test_half_a_point_too_much_is_told_by_ten_thousands() -> None:
    assert srm.log_e_srm([5500, 94_500], [0.05, 0.95]) > log(100)


def test_shares_need_not_add_to_one_and_arms_without_one_are_left_out() -> None:
    wanted = srm.log_e_srm([30, 70], [0.25, 0.75])
    assert srm.log_e_srm([30, 70, 0], [1, 3, 0]) == pytest.approx(wanted)


def test_units_in_an_arm_that_gets_none_are_certain() -> None:
    assert srm.log_e_srm([1, 70], [0.0, 1.0]) == inf


def test_one_arm_is_always_as_drawn() -> None:
    assert srm.log_e_srm([1000], [1.0]) == pytest.approx(0)


@pytest.mark.parametrize(
    "counts, shares", [([1], [0.5, 0.5]), ([1, 1], [0, 0]), ([1, 1], [-0.5, 1.5])]
)
def test_what_are_no_shares_is_refused(counts: list[int], shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares"):
        srm.log_e_srm(counts, shares)


def test_arrays_have_arms_along_the_last_axis() -> None:
    n = np.array([[50.0, 950.0], [80.0, 920.0]])
    found = srm.log_e_drawn(n, np.array([0.05, 0.95]))
    one_by_one = [srm.log_e_srm([int(x) for x in each], [0.05, 0.95]) for each in n]
    assert found.tolist() == pytest.approx(one_by_one)
