from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.statistics import events, proportions
from gateway.statistics.proportions import Share

traffic = st.floats(0.001, 0.999)


def test_fewer_accepts_are_told_by_both_ways() -> None:
    champion, challenger = Share(3000, 5000), Share(2700, 5000)
    pair = [(champion, challenger)]
    assert proportions.share_difference(pair, 0.05, direction="lower").high < 0
    assert proportions.share_ratio(pair, 0.05, direction="lower").high < 1
    assert proportions.log_e_shares([(0.5, champion, challenger)]) > log(20)
    assert proportions.log_e_shares([(0.5, champion, challenger)], direction="higher") < 0


def test_estimates_are_the_plain_figures() -> None:
    pair = [(Share(60, 100), Share(45, 90))]
    assert proportions.share_difference(pair, 0.05).estimate == pytest.approx(-0.1)
    assert proportions.share_ratio(pair, 0.05).estimate == pytest.approx(0.5 / 0.6)


def test_margin_of_a_difference_is_in_points() -> None:
    pair = [(Share(6000, 10_000), Share(5800, 10_000))]
    assert proportions.share_difference(pair, 0.05, direction="lower").log_e > 0
    kept = proportions.share_difference(pair, 0.05, margin=-0.05, direction="higher")
    assert kept.log_e > log(20)


def test_no_hit_at_all_is_not_certainty() -> None:
    found = proportions.share_difference([(Share(0, 100), Share(0, 100))], 0.05)
    assert found.low < 0 < found.high
    assert Share(0, 0).estimate.is_known is False


@given(traffic, st.floats(0.01, 0.99), *(st.integers(0, 5000) for _ in range(4)))
def test_exact_bet_is_fair_for_equal_shares_of_any_size(
    share: float, rate: float, hits: int, misses: int, their_hits: int, their_misses: int
) -> None:
    """One more answer, whoever gives it and however it is rated, pays its stake on average."""

    def log_e(x: int, y: int) -> float:
        at = [hits, misses, their_hits, their_misses]
        if x >= 0:
            at[x] += y
        a, b, c, d = at
        return proportions.log_e_shares([(share, Share(c, c + d), Share(a, a + b))])

    now = log_e(-1, 0)
    chances = (share * rate, share * (1 - rate), (1 - share) * rate, (1 - share) * (1 - rate))
    paid = sum(chance * exp(log_e(at, 1) - now) for at, chance in enumerate(chances))
    assert paid == pytest.approx(1, abs=1e-7)


def test_exact_evidence_is_of_hits_and_misses_together() -> None:
    hits = events.log_e_events(80, 120, 0.5, direction="lower", prior=(50.0, 50.0))
    misses = events.log_e_events(120, 80, 0.5, direction="higher", prior=(50.0, 50.0))
    found = proportions.log_e_shares([(0.5, Share(120, 200), Share(80, 200))])
    assert found == pytest.approx(hits + misses)


def test_periods_multiply_and_one_arm_alone_says_nothing() -> None:
    period = (0.2, Share(300, 500), Share(50, 120))
    once = proportions.log_e_shares([period])
    alone = (1.0, Share(0, 0), Share(50, 120))
    assert proportions.log_e_shares([period, period, alone]) == pytest.approx(2 * once)


def test_arrays_are_taken_element_by_element() -> None:
    x, y = np.array([10, 50]), np.array([30, 80])
    found = proportions.log_e_array(0.3, y, 100, x, 60)
    one_by_one = [
        proportions.log_e_shares([(0.3, Share(b, 100), Share(a, 60))])
        for a, b in ((10, 30), (50, 80))
    ]
    assert found.tolist() == pytest.approx(one_by_one)
