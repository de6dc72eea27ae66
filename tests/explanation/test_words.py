import pytest

from gateway.explanation.exclusions import ORDER
from gateway.explanation.figures import Figure, Members, lowest, minus, recorded
from gateway.explanation.words import (
    SENTENCES,
    counted,
    duration,
    joined,
    money,
    outcome_sentence,
    reason_sentence,
    share,
    size,
)


def test_every_compiled_exclusion_is_known_in_its_order() -> None:
    routes = pytest.importorskip("gateway._fast.routes")
    assert routes.EXCLUDED[1:] == ORDER
    assert set(SENTENCES) == set(ORDER)


@pytest.mark.parametrize(
    "time_us,text",
    [
        (0, "0 µs"),
        (345, "345 µs"),
        (1234, "1.23 ms"),
        (90_140, "90.1 ms"),
        (812_345, "812 ms"),
        (5_000_000, "5.00 s"),
    ],
)
def test_times_have_units(time_us: float, text: str) -> None:
    assert duration(time_us) == text


@pytest.mark.parametrize(
    "usd,text",
    [
        (0.0, "$0.00"),
        (0.000334, "$0.00033"),
        (0.0018, "$0.0018"),
        (0.25, "$0.25"),
        (1234.5, "$1,234.50"),
        (1e-9, "$0.0000000010"),
    ],
)
def test_money_has_the_digits_that_say_something(usd: float, text: str) -> None:
    assert money(usd) == text


def test_sizes_counts_and_shares() -> None:
    assert [size(1), size(999), size(1234), size(2_500_000)] == [
        "1 byte",
        "999 bytes",
        "1.2 kB",
        "2.5 MB",
    ]
    assert [counted(1, "token"), counted(1200, "token")] == ["1 token", "1,200 tokens"]
    assert [share(1.0), share(0.025), share(0.0)] == ["100 %", "2.5 %", "0 %"]
    assert [joined(["a"]), joined(["a", "b", "c"])] == ["a", "a, b and c"]


def test_unknown_tokens_are_shown_as_they_are() -> None:
    assert reason_sentence("moonstruck") == "Excluded for `moonstruck`."
    assert outcome_sentence("moonstruck") == "The outcome was `moonstruck`."
    assert outcome_sentence("ok") == ""


# Figures


def test_figures_too_near_to_tell_are_neither_lower_nor_higher() -> None:
    near, far = Figure(1.0, 0.5), Figure(3.0, 0.5)
    assert near.is_below(far) is True
    assert far.is_below(near) is False
    assert near.is_below(Figure(1.9, 0.5)) is None
    assert Figure(1.0).is_below(Figure(1.0)) is False
    assert recorded(9e15, 0.5).is_below(recorded(9.5e15, 0.5)) is None
    assert recorded(1e15, 0.5).is_below(recorded(9e15, 0.5)) is True


def test_the_lowest_are_certain_without_slack_and_possible_with_it() -> None:
    assert lowest({0: Figure(2), 1: Figure(1), 2: Figure(1)}) == Members((1, 2))
    assert lowest({0: Figure(1, 0.1), 1: Figure(1.1, 0.1), 2: Figure(5, 0.1)}) == Members(
        (), (0, 1)
    )
    assert lowest({0: Figure(1, 0.1), 1: Figure(5, 0.1)}) == Members((0,))


def test_a_set_known_within_bounds_says_who_can_stand_where() -> None:
    some = Members((2, 5), (1, 7))
    assert some.contains(2, 2) == (True,)
    assert some.contains(7, 2) == (False,)
    assert some.contains(7, 3) == (True, False)
    assert some.contains(7, 4) == (True,)
    assert some.can_be_nth(2, 0, 3)  # 2, 5, 7
    assert some.can_be_nth(2, 1, 3)  # 1, 2, 5
    assert not some.can_be_nth(2, 2, 3)
    assert not some.can_be_nth(7, 0, 3)
    assert not some.can_be_nth(4, 0, 2)


def test_a_difference_is_as_certain_as_its_parts() -> None:
    assert minus(Members((1, 2, 3), (4,)), Members((2,), (3,))) == Members((1,), (3, 4))
