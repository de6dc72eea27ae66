from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.statistics import events, power, sequences

shares = st.sampled_from([0.01, 0.05, 0.5])
rates = st.sampled_from([0.001, 0.02, 0.2])


@settings(max_examples=20)
@given(rates, st.floats(1.2, 4), shares)
def test_needed_requests_are_those_at_which_the_expected_evidence_is_enough(
    rate: float, ratio: float, share: float
) -> None:
    needed = power.events_needed(rate, ratio, share, 0.05, power=0.5)
    assert needed is not None

    def evidence(requests: float) -> float:
        theirs = requests * (1 - share) / share * rate
        return events.log_e_events(requests * min(rate * ratio, 1), theirs, share)

    assert evidence(needed) >= log(20) - 1e-6
    assert evidence(0.97 * needed - 2) < log(20)


@pytest.mark.parametrize("ratio", [2.0, 4.0])
def test_needed_requests_are_enough_as_often_as_was_asked(ratio: float) -> None:
    rng = np.random.default_rng(4)
    needed = power.events_needed(0.02, ratio, 0.5, 0.05, power=0.8)
    assert needed is not None
    x, y = (rng.binomial(needed, 0.02 * times, 4000) for times in (ratio, 1))
    told = events.log_e_array(x, y, 0.5) >= log(20)
    assert 0.75 < told.mean() < 0.87


@pytest.mark.parametrize("direction, ratio", [("higher", 1.0), ("higher", 0.5), ("lower", 1.0)])
def test_what_is_not_so_is_never_told(direction: events.Side, ratio: float) -> None:
    assert power.events_needed(0.02, ratio, 0.05, 0.05, direction=direction) is None


@pytest.mark.parametrize("share, rate", [(0.0, 0.02), (1.0, 0.02), (0.5, 0.0)])
def test_without_a_second_arm_or_events_nothing_is_ever_told(share: float, rate: float) -> None:
    assert power.events_needed(rate, 2.0, share, 0.05) is None
    assert power.events_detectable(rate, 1000, share, 0.05) is None


def test_no_harm_within_a_margin_takes_its_requests() -> None:
    wide = power.events_needed(0.02, 1.0, 0.5, 0.05, margin=0.5, direction="lower")
    narrow = power.events_needed(0.02, 1.0, 0.5, 0.05, margin=0.1, direction="lower")
    assert wide is not None
    assert narrow is not None
    assert narrow > 5 * wide


def test_what_was_seen_is_taken_off() -> None:
    fresh = power.events_needed(0.02, 2.0, 0.5, 0.05)
    bad = power.events_needed(0.02, 2.0, 0.5, 0.05, seen=(40, 20))
    good = power.events_needed(0.02, 2.0, 0.5, 0.05, seen=(20, 30))
    assert fresh is not None
    assert bad is not None
    assert good is not None
    assert bad < fresh < good
    assert power.events_needed(0.02, 2.0, 0.5, 0.05, seen=(400, 20)) == 0


@pytest.mark.parametrize("direction", ["higher", "lower"])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_detectable_effect_is_told_with_those_requests_and_a_lesser_is_not(
    share: float, direction: events.Side
) -> None:
    found = power.events_detectable(0.02, 20_000, share, 0.05, direction=direction)
    assert found is not None
    assert (found > 1) == (direction == "higher")
    at_it = power.events_needed(0.02, found, share, 0.05, direction=direction)
    assert at_it is not None
    assert at_it <= 20_500
    nearer = power.events_needed(0.02, found**0.9, share, 0.05, direction=direction)
    assert nearer is not None
    assert nearer > 20_000


def test_few_requests_show_no_drop_of_what_is_rare() -> None:
    assert power.events_detectable(0.001, 50, 0.5, 0.05, direction="lower") is None


def test_difference_of_means_is_told_as_often_as_was_asked() -> None:
    rng = np.random.default_rng(5)
    needed = power.means_needed(1.0, 0.2, 0.5, 0.05, power=0.8)
    assert needed is not None
    estimate = rng.normal(0.2, np.sqrt(2 / needed), 4000)
    t = sequences.mixture_time(2 * needed, 0.05)
    log_e = sequences.log_e_of(estimate / np.sqrt(2 / needed), t)
    assert 0.77 < (log_e >= log(20)).mean() < 0.83


@settings(max_examples=20)
@given(st.floats(0.05, 1), shares, st.sampled_from(["either", "higher"]))
def test_needed_and_detectable_are_inverse(
    effect: float, share: float, direction: sequences.Direction
) -> None:
    needed = power.means_needed(1.0, effect, share, 0.05, direction=direction)
    assert needed is not None
    least = power.means_detectable(1.0, needed, share, 0.05, direction=direction)
    assert least is not None
    assert 0.9 * effect < least <= effect


def test_requests_so_far_are_taken_off_and_margins_add() -> None:
    fresh = power.means_needed(1.0, 0.2, 0.5, 0.05)
    assert fresh is not None
    assert power.means_needed(1.0, 0.2, 0.5, 0.05, seen=500) == pytest.approx(fresh - 500, rel=0.02)
    assert power.means_needed(1.0, 0.2, 0.5, 0.05, seen=10 * fresh) == 0
    assert power.means_needed(1.0, 0.3, 0.5, 0.05, margin=0.1) == pytest.approx(fresh, rel=0.02)


@pytest.mark.parametrize(
    "effect, direction", [(0.0, "either"), (-0.2, "higher"), (0.2, "lower"), (1e-9, "either")]
)
def test_no_number_of_requests_shows_what_is_not_there(
    effect: float, direction: sequences.Direction
) -> None:
    assert power.means_needed(1.0, effect, 0.5, 0.05, direction=direction) is None


def test_nothing_is_detectable_without_requests_or_a_second_arm() -> None:
    assert power.means_detectable(1.0, 0, 0.5, 0.05) is None
    assert power.means_detectable(1.0, 100, 1.0, 0.05) is None
    assert power.events_detectable(0.02, 0, 0.5, 0.05) is None
    assert (power.means_detectable(1.0, 1, 0.5, 0.05) or inf) > 3
