"""When it began, and what broke together."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.profiles.fields import numeric_field
from gateway.profiles.profile import Profile
from gateway.watch.causes import Causes, Onset, onset_of

RNG = np.random.default_rng(8)
FIELD = numeric_field("x", RNG.normal(size=5_000))


def profile(shift: float, rows: int = 60, seed: int = 0) -> Profile:
    made = Profile(FIELD)
    made.update(np.random.default_rng(seed).normal(shift, 1.0, rows))
    return made


THEN = profile(0.0, 5_000, 99)


@pytest.mark.parametrize("shift, rows", [(3.0, 10), (1.0, 60), (0.5, 500)])
def test_minute_of_an_abrupt_change_is_found(shift: float, rows: int) -> None:
    minutes = {at: profile(shift if at >= 57 else 0.0, rows, at) for at in range(90)}
    onset = onset_of(THEN, minutes)
    assert onset is not None
    assert abs(onset.minute - 57) <= 1
    assert onset.is_sharp


def test_slow_change_has_no_sharp_onset() -> None:
    minutes = {at: profile(max(0, at - 30) / 40, 120, at) for at in range(90)}
    onset = onset_of(THEN, minutes)
    assert onset is not None
    assert not onset.is_sharp


def test_change_that_was_always_there_has_no_onset() -> None:
    assert onset_of(THEN, {at: profile(2.0, 60, at) for at in range(30)}) is None
    assert onset_of(THEN, {}) is None
    assert onset_of(Profile(FIELD), {at: profile(2.0) for at in range(3)}) is None


def test_minutes_without_rows_are_passed_over() -> None:
    minutes = {at: profile(2.0 if at >= 20 else 0.0, 0 if at % 2 else 60, at) for at in range(40)}
    assert onset_of(THEN, minutes) == Onset(20, is_sharp=True)


def test_fields_that_broke_together_have_one_cause() -> None:
    causes = Causes()
    name = causes.of("fraud", "amount", Onset(29_379_000, is_sharp=True))
    assert name == "amount since 2025-11-10 02:00Z"
    assert causes.of("fraud", "country", Onset(29_379_002, is_sharp=True)) == name
    assert causes.of("churn", "amount", Onset(29_379_001, is_sharp=True)) == name
    assert causes.of("fraud", "age", Onset(29_379_010, is_sharp=True)) != name
    assert causes.of("other", "zip", Onset(29_379_000, is_sharp=True)) != name


def test_what_has_no_sharp_onset_has_no_cause() -> None:
    causes = Causes()
    assert causes.of("fraud", "amount", Onset(5, is_sharp=False)) == ""
    assert causes.of("fraud", "amount", None) == ""


def test_causes_are_bounded() -> None:
    causes = Causes()
    for at in range(1_100):
        causes.of("fraud", "amount", Onset(at * 10, is_sharp=True))
    assert len(causes.kept) == 1_000
