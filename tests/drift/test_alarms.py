"""Alarms open and close when they should, and false ones are as rare as was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.drift.alarms import MONTH_S, Hysteresis, Patience, Seen, alpha_of

LOOKS: dict[str, Seen] = {"d": "drift", ".": "none", "?": "unknown"}


def changes(said: str, patience: Patience | None = None) -> str:
    """An o and a c where the alarm opens and closes."""
    alarm: Hysteresis[str] = Hysteresis(patience)
    names = {"opened": "o", "closed": "c", None: "-"}
    return "".join(names[alarm.look("x", LOOKS[one])] for one in said)


@pytest.mark.parametrize(
    "said, wanted",
    [
        ("d...", "----"),
        ("dd", "-o"),
        ("d.d", "--o"),
        ("d..d", "----"),
        ("dd...", "-o--c"),
        ("dd..d...", "-o-----c"),
        ("dd..?.", "-o---c"),
        ("d??d", "---o"),
        ("dd...dd", "-o--c-o"),
    ],
)
def test_an_alarm_opens_and_closes_by_its_patience(said: str, wanted: str) -> None:
    assert changes(said) == wanted


def test_one_look_is_enough_where_it_is_asked_for() -> None:
    assert changes("d.", Patience(opens=1, of=1, closes=1)) == "oc"


def test_what_is_open_survives_a_restart() -> None:
    before: Hysteresis[tuple[str, str]] = Hysteresis()
    for _ in range(2):
        before.look(("iris", "x"), "drift")
    after: Hysteresis[tuple[str, str]] = Hysteresis()
    after.restore(before.state())
    assert after.open == (("iris", "x"),)
    assert after.look(("iris", "x"), "drift") is None
    assert after.is_open(("iris", "x"))


def test_no_more_keys_are_followed_than_there_is_room_for() -> None:
    alarm: Hysteresis[int] = Hysteresis(room=10)
    for key in range(100):
        alarm.look(key, "drift")
        alarm.look(-key, "none")
    assert len(alarm.state()) == 10


def test_a_rate_is_a_time_between_false_alarms() -> None:
    assert alpha_of(3600, MONTH_S) == pytest.approx(1 / 720)
    assert alpha_of(86_400 * 60) == 0.05
    with pytest.raises(ValueError, match="some time apart"):
        alpha_of(0)


def test_false_alarms_come_no_oftener_than_was_asked_for() -> None:
    rng = np.random.default_rng(1)
    alpha = alpha_of(3600, 20 * 3600.0)
    alarm: Hysteresis[str] = Hysteresis(Patience(opens=1, of=1, closes=1))
    opened = sum(
        alarm.look("x", "drift" if one < alpha else "none") == "opened"
        for one in rng.uniform(size=20_000)
    )
    assert opened <= 1000 + 3.5 * np.sqrt(1000)


def test_patience_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="opens <= of"):
        Patience(opens=3, of=2)
