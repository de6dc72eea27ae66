"""Errors one after the other: what changed is found, what did not is not, and it ends."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.drift.error_streams import ALLOWANCE, ErrorStream, StreamTest, days_of, threshold_of

TESTS: tuple[StreamTest, ...] = ("adwin", "page_hinkley")
SECOND_US, DAY_US = 10**6, 86_400 * 10**6


def fed(stream: ErrorStream, shares: list[float], each: int, seed: int = 1) -> ErrorStream:
    rng = np.random.default_rng(seed)
    errors = np.concatenate([rng.random(each) < share for share in shares]).astype(float)
    times = range(stream.last_us + 1, stream.last_us + 1 + errors.size * SECOND_US, SECOND_US)
    stream.feed(times, errors.tolist(), 0.02)
    return stream


@pytest.mark.parametrize("test", TESTS)
def test_rise_of_errors_is_found_with_both_levels(test: StreamTest) -> None:
    stream = fed(ErrorStream(test, 30, 2000), [0.05, 0.2], 3000)
    assert stream.change is not None
    assert stream.change.before == pytest.approx(0.05, abs=0.02)
    assert stream.change.after == pytest.approx(0.2, abs=0.08)
    assert 3000 <= stream.change.at_us / SECOND_US <= 3600


@pytest.mark.parametrize("test", TESTS)
def test_fall_of_errors_is_no_change(test: StreamTest) -> None:
    assert fed(ErrorStream(test, 30, 2000), [0.3, 0.1], 3000).change is None


@pytest.mark.parametrize("test", TESTS)
def test_change_ends_when_errors_are_back(test: StreamTest) -> None:
    stream = fed(ErrorStream(test, 30, 2000), [0.05, 0.2], 2000)
    assert stream.change is not None
    assert fed(stream, [0.05], 2000, seed=2).change is None


def test_change_becomes_the_new_level_after_a_week() -> None:
    stream = fed(ErrorStream("page_hinkley", 30, 2000), [0.05, 0.25], 2000)
    assert stream.change is not None
    stream.feed([stream.last_us + 8 * DAY_US], [1.0], 0.02)
    assert stream.change is None


@pytest.mark.parametrize("test", TESTS)
def test_few_errors_say_nothing(test: StreamTest) -> None:
    stream = fed(ErrorStream(test, 30, 2000), [0.1], 299)
    assert stream.is_learning
    assert not fed(stream, [0.1], 10).is_learning


@pytest.mark.parametrize("test", TESTS)
def test_false_alarms_are_no_oftener_than_asked(test: StreamTest) -> None:
    """60 streams of 5,000 errors; one false alarm in 20,000 is asked for: 13 of 60 expected."""
    wrong = sum(
        fed(ErrorStream(test, 1, 20_000), [0.2], 5000, seed).change is not None
        for seed in range(60)
    )
    assert wrong <= 13


@pytest.mark.parametrize("run", [1_000, 100_000, 10_000_000])
def test_threshold_has_the_run_that_is_asked(run: float) -> None:
    """Siegmund's formula, put in again."""
    x = 2 * ALLOWANCE * (threshold_of(run) + 1.166)
    assert (np.expm1(x) - x) / (2 * ALLOWANCE**2) == pytest.approx(run)


def test_days_of_a_stretch() -> None:
    assert days_of([0, 3 * DAY_US]) == 3.0
    assert days_of([7]) == 1.0
