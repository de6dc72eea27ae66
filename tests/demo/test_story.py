"""The story: when the model dies and returns, and that each moment has its sentence."""

import itertools

import pytest

from gateway.demo.figures import CLOSED, HALF_OPEN, OPEN, Chronicle
from gateway.demo.models import CHALLENGERS, MORTAL
from gateway.demo.story import DIES, RETURNS, deeds, narration, trials
from tests.demo.test_figures import status_of


@pytest.mark.parametrize("seconds", [6.0, 8.0, 31.0, 64.0, 100.0])
def test_bounded_story_ends_with_the_model_alive_and_time_to_recover(seconds: float) -> None:
    told = list(deeds(seconds))
    assert [what for _at, what in told] == [DIES, RETURNS] * (len(told) // 2)
    times = [at_s for at_s, _what in told]
    assert times == sorted(times)
    assert times[-1] <= seconds * 0.9


@pytest.mark.parametrize("seconds", [None, 8.0, 100.0])
def test_challengers_are_tried_one_after_the_other(seconds: float | None) -> None:
    (bad_at_s, bad), (good_at_s, good) = trials(seconds)
    assert (bad, good) == CHALLENGERS
    assert bad_at_s < good_at_s <= (seconds or 100) / 2


def test_endless_story_goes_on() -> None:
    told = list(itertools.islice(deeds(None), 6))
    assert [what for _at, what in told] == [DIES, RETURNS] * 3
    assert told[4][0] - told[2][0] == told[2][0] - told[0][0]


@pytest.mark.parametrize(
    "deed,breaker,words",
    [
        ("", CLOSED, "Four kinds of clients"),
        (DIES, CLOSED, "has just died"),
        (DIES, OPEN, "nobody waits for it"),
        (RETURNS, OPEN, "nobody knows yet"),
        (RETURNS, HALF_OPEN, "probe is under way"),
        (RETURNS, CLOSED, "closed"),
    ],
)
def test_each_moment_has_its_sentence(deed: str, breaker: str, words: str) -> None:
    chronicle = Chronicle()
    if deed:
        chronicle.note(0.0, MORTAL.name, deed)
    chronicle.add(1.0, status_of(breaker, **{MORTAL.name: 1}))
    assert words in narration(chronicle)


def test_narration_before_the_first_look_says_so() -> None:
    assert narration(Chronicle()) == "The gateway is starting."
