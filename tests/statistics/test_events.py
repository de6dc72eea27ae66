from math import exp, inf, isfinite, isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from gateway.statistics import events
from gateway.statistics.events import EventsProcess, Period

SIDES: list[events.Side] = ["higher", "lower"]
shares = st.floats(1e-6, 1 - 1e-6)
counts = st.integers(0, 10**12)
margins = st.sampled_from([0.0, 0.2, -0.05])
sides = st.sampled_from(SIDES)


def by_integration(
    x: int, y: int, share: float, margin: float, direction: events.Side, a: float, b: float
) -> float:
    """The bet as it is defined: the likelihood ratio, averaged over the prior beyond the null."""
    odds = share / (1 - share) * (1 + margin)
    p = odds / (1 + odds)
    ends = (p, 1.0) if direction == "higher" else (0.0, p)

    def prior(theta: float) -> float:
        return float(theta ** (a - 1) * (1 - theta) ** (b - 1))

    def paid(theta: float) -> float:
        return float((theta / p) ** x * ((1 - theta) / (1 - p)) ** y) * prior(theta)

    return log(quad(paid, *ends, limit=200)[0] / quad(prior, *ends, limit=200)[0])


@pytest.mark.parametrize("direction", SIDES)
@pytest.mark.parametrize("margin", [0.0, 0.25, -0.1])
@pytest.mark.parametrize(
    "x, y, share", [(3, 40, 0.05), (0, 12, 0.2), (9, 0, 0.3), (30, 31, 0.5), (40, 9, 0.8)]
)
def test_evidence_is_the_integral_over_the_prior(
    x: int, y: int, share: float, margin: float, direction: events.Side
) -> None:
    wanted = by_integration(x, y, share, margin, direction, 2.0, 3.5)
    found = events.log_e_events(x, y, share, margin=margin, direction=direction, prior=(2.0, 3.5))
    assert found == pytest.approx(wanted, abs=1e-7)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.001, 0.999), margins, sides)
def test_bet_is_fair_where_the_null_is_just_true(
    x: int, y: int, share: float, margin: float, side: events.Side
) -> None:
    """What one more event pays on average is what was there: a martingale."""
    p, q = events.null_share(share, 1 + margin)
    now, one, other = (
        events.log_e_events(*at, share, margin=margin, direction=side)
        for at in ((x, y), (x + 1, y), (x, y + 1))
    )
    assert float(p) * exp(one - now) + float(q) * exp(other - now) == pytest.approx(1, abs=1e-7)


@given(st.integers(0, 10**4), st.integers(0, 10**4), st.floats(0.01, 0.99), sides)
def test_bet_loses_on_average_inside_the_null(
    x: int, y: int, share: float, side: events.Side
) -> None:
    ratio = 0.7 if side == "higher" else 1.4
    p, q = events.null_share(share, ratio)
    now, one, other = (
        events.log_e_events(*at, share, direction=side) for at in ((x, y), (x + 1, y), (x, y + 1))
    )
    assert float(p) * exp(one - now) + float(q) * exp(other - now) <= 1 + 1e-9


@given(counts, counts, shares, margins, sides)
def test_evidence_is_finite_at_every_count_and_share(
    x: int, y: int, share: float, margin: float, side: events.Side
) -> None:
    assert isfinite(events.log_e_events(x, y, share, margin=margin, direction=side))


@given(st.integers(0, 10**9), st.integers(0, 10**9), shares, st.floats(-0.5, 2))
def test_lower_is_higher_with_the_arms_exchanged(
    x: int, y: int, share: float, margin: float
) -> None:
    prior = (2.0, 5.0)
    lower = events.log_e_events(x, y, share, margin=margin, direction="lower", prior=prior)
    higher = events.log_e_events(y, x, 1 - share, margin=1 / (1 + margin) - 1, prior=(5.0, 2.0))
    assert lower == pytest.approx(higher, rel=1e-6, abs=1e-6)


@given(st.integers(0, 10**4), st.integers(0, 10**5), st.floats(0.001, 0.9))
def test_one_more_event_of_the_challenger_never_speaks_for_it(x: int, y: int, share: float) -> None:
    assert events.log_e_events(x + 1, y, share) > events.log_e_events(x, y, share)
    assert events.log_e_events(x, y + 1, share) < events.log_e_events(x, y, share)


def test_nothing_is_said_without_events_or_without_a_second_arm() -> None:
    assert events.log_e_events(0, 0, 0.01) == 0
    assert events.log_e_events(50, 0, 1.0) == 0
    assert events.log_e_events(0, 50, 0.0) == 0


def test_one_failure_of_a_canary_is_no_alarm_and_a_few_in_a_row_are() -> None:
    assert events.log_e_events(1, 0, 0.01) < log(20) / 2
    assert events.log_e_events(4, 0, 0.01) > log(20)


def test_margin_is_what_may_be_worse() -> None:
    """A tenth more errors for years: harm, unless a fifth more is allowed."""
    assert events.log_e_events(11_000, 10_000, 0.5) > log(20)
    assert events.log_e_events(11_000, 10_000, 0.5, margin=0.2) < 0
    assert events.log_e_events(11_000, 10_000, 0.5, margin=0.2, direction="lower") > log(20)
    assert events.log_e_events(11_000, 10_000, 0.5, margin=0.05, direction="lower") < 0


def test_accepts_are_worse_when_they_are_fewer() -> None:
    assert events.log_e_events(4_000, 5_000, 0.5, direction="lower") > log(20)
    assert events.log_e_events(4_000, 5_000, 0.5, margin=-0.3, direction="lower") < 0


def test_prior_is_wide_at_a_canary_and_narrow_at_equal_shares() -> None:
    a, b = events.prior_of(0.01, 0.99)
    assert float(a) == pytest.approx(1, rel=0.01)
    assert float(a / (a + b)) == pytest.approx(2 * 0.01, rel=0.02)
    a, b = events.prior_of(0.5, 0.5)
    assert (float(a), float(b)) == (10, 5)


def test_periods_multiply() -> None:
    first, second = Period(0.01, 3, 200), Period(0.05, 20, 190)
    both = events.log_e_periods([first, second])
    assert both == pytest.approx(
        events.log_e_events(3, 200, 0.01) + events.log_e_events(20, 190, 0.05)
    )


def test_process_adds_within_a_share_and_begins_anew_with_another() -> None:
    process = EventsProcess(margin=0.1)
    process.update(0.01, 1, 80)
    process.update(0.01, 2, 120)
    found = process.update(0.05, 20, 190)
    wanted = events.log_e_periods([Period(0.01, 3, 200), Period(0.05, 20, 190)], margin=0.1)
    assert found == process.log_e == pytest.approx(wanted)


def test_a_ramp_is_no_evidence_when_the_day_gets_worse_for_both() -> None:
    """Added up over the ramp the challenger has more than its share; within periods it has not."""
    ramp = [Period(0.01, 1, 99), Period(0.5, 1000, 1000)]
    assert events.log_e_periods(ramp) < 0
    assert events.log_e_events(1001, 1099, 1001 / 10_000) > log(20)


def test_stake_that_is_kept_is_played_later_and_is_never_lost_before() -> None:
    good, bad = Period(0.05, 20, 2000), Period(0.5, 85, 40)
    plain = events.log_e_periods([good, bad])
    assert plain < log(20) < events.log_e_periods([good, bad], late=0.2)
    assert events.log_e_periods([good], late=0.2) > log(0.2)
    assert events.log_e_periods([], late=0.2) == 0


def test_stakes_are_one_in_all() -> None:
    """Periods that say nothing leave the whole as it was, however many they are."""
    for count in (1, 2, 7):
        assert float(events.log_e_in_turn(np.zeros(count), 0.3)) == pytest.approx(0)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5), st.floats(0.05, 0.9))
def test_bets_in_turn_are_an_average_over_their_beginnings(each: list[float], late: float) -> None:
    stakes = [1 - late] + [late * 0.5**at for at in range(1, len(each))]
    paid = sum(stake * exp(sum(each[at:])) for at, stake in enumerate(stakes)) + 1 - sum(stakes)
    assert float(events.log_e_in_turn(np.array(each), late)) == pytest.approx(log(paid))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_interval_of_the_ratio_ends_where_the_evidence_is_enough(alpha: float) -> None:
    periods = [Period(0.01, 10, 500), Period(0.05, 40, 480)]
    found = events.rate_ratio(periods, alpha)
    assert found.low < found.estimate < found.high
    for end in (found.low, found.high):
        against = sum(float(events.log_e_against(x, y, r, end)) for r, x, y in periods)
        assert against == pytest.approx(-log(alpha), abs=1e-6)


def test_estimate_of_one_period_is_the_plain_ratio() -> None:
    found = events.rate_ratio([Period(0.2, 30, 60)], 0.05)
    assert found.estimate == pytest.approx(30 / 60 * 4)
    assert found.log_e == pytest.approx(float(events.log_e_against(30, 60, 0.2, 1.0)))


def test_ratio_of_arms_without_events_has_open_ends() -> None:
    none = events.rate_ratio([Period(0.2, 0, 0)], 0.05)
    assert isnan(none.estimate)
    assert (none.low, none.high, none.log_e) == (0, inf, 0)
    good = events.rate_ratio([Period(0.01, 0, 1000)], 0.05)
    assert (good.estimate, good.low) == (0, 0)
    assert 0 < good.high < 1
    bad = events.rate_ratio([Period(0.01, 9, 0)], 0.05)
    assert (bad.estimate, bad.high) == (inf, inf)
    assert bad.low > 1
    assert events.rate_ratio([Period(1.0, 9, 0)], 0.05) == pytest.approx(none, nan_ok=True)


def test_evidence_against_a_ratio_is_an_average_of_likelihood_ratios() -> None:
    a, b = (float(part) for part in events.prior_of(0.2, 0.8, 1.0))

    def paid(theta: float) -> float:
        return float((theta / 0.2) ** 7 * ((1 - theta) / 0.8) ** 11 * prior(theta))

    def prior(theta: float) -> float:
        return float(theta ** (a - 1) * (1 - theta) ** (b - 1))

    wanted = log(quad(paid, 0, 1)[0] / quad(prior, 0, 1)[0])
    assert float(events.log_e_against(7, 11, 0.2, 1.0)) == pytest.approx(wanted, abs=1e-9)


def test_arrays_are_taken_element_by_element() -> None:
    x, y = np.array([0, 3, 900]), np.array([5, 200, 100])
    found = events.log_e_array(x, y, 0.05, 0.1)
    one_by_one = [events.log_e_events(a, b, 0.05, margin=0.1) for a, b in zip(x, y, strict=True)]
    assert found.tolist() == pytest.approx(one_by_one)
