"""The desk: looks of a state directory are handed on once, over restarts and failures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.alerts.desk import BadLook
from gateway.alerts.finding import Look
from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.errors import GatewayError
from gateway.log.files import LogError
from gateway.watch.basis import DIRECTORY, BasisFiles, bases_of, learned_name
from gateway.watch.desk import STATE, LookDesk, Standing
from gateway.watch.kept import FILE, Kept
from gateway.watch.tally import Tally
from tests.watch.world import START, Traffic, drift_of, rule, trained


class Place:
    """A state directory with a training reference, and a gateway that takes looks."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        file = folder / "train.json"
        file.write_bytes(trained(2_000).encode())
        self.drift = drift_of(DriftReference(kind="training", file=str(file)))
        self.taken: list[Look] = []
        self.error: GatewayError | None = None
        self.now_s = 0.0
        self.is_counted = False

    async def take(self, look: Look) -> None:
        if self.error is not None:
            raise self.error
        self.taken.append(look)

    def desk(self) -> LookDesk:
        return LookDesk(
            self.state,
            lambda: self.drift,
            lambda: ["fraud"],
            self.take,
            now_s=lambda: self.now_s,
            is_counted=lambda: self.is_counted,
        )

    def count(self, minutes: int, each: int = 1) -> None:
        bases = bases_of(self.drift, ["fraud"], BasisFiles(self.state / DIRECTORY))
        kept, traffic = Kept(self.state / FILE), Traffic(rows=60)
        tally = Tally(bases.all, recall=kept.value)
        for minute in range(START, START + minutes, each):
            tally.count(b"\n".join([*traffic.minute(minute), b""]), minute)
        kept.save(tally.drain())
        kept.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def turn(*desks: LookDesk) -> None:
    for desk in desks:
        asyncio.run(desk.tick())


def standing(desk: LookDesk) -> Standing:
    return desk.standing


def test_before_anything_was_counted_there_is_nothing_to_look_at(place: Place) -> None:
    desk = place.desk()
    turn(desk)
    assert not place.taken
    assert desk.standing.rules == 1
    assert not desk.standing.problems


def test_looks_are_handed_on_once_and_not_again_after_a_restart(place: Place) -> None:
    place.count(30)
    desk = place.desk()
    turn(desk, desk, place.desk())
    assert [look.at_ms // 60_000 - START for look in place.taken] == [5, 10, 15, 20, 25]
    assert desk.standing.looks == 5
    assert (place.state / STATE).stat().st_mode & 0o077 == 0


def test_rule_that_is_new_says_nothing_of_last_week(place: Place) -> None:
    place.count(100)
    turn(place.desk())
    assert [look.at_ms // 60_000 - START for look in place.taken] == list(range(40, 100, 5))


def test_look_that_could_not_be_taken_is_handed_on_later(place: Place) -> None:
    place.count(12)
    desk, place.error = place.desk(), LogError("the disk is full")
    turn(desk)
    assert desk.standing.problems == ("the disk is full",)
    place.error = None
    turn(desk)
    assert len(place.taken) == 2
    assert not desk.standing.problems


def test_look_of_a_rule_that_has_gone_is_dropped(place: Place) -> None:
    place.count(12)
    desk, place.error = place.desk(), BadLook("drift.rules has no `inputs`")
    turn(desk)
    place.error = None
    turn(desk)
    assert not place.taken


def test_rule_that_is_added_is_looked_at_from_then_on(place: Place) -> None:
    place.count(12)
    desk = place.desk()
    turn(desk)
    rules = place.drift.rules | {"more": rule(fields=("age",))}
    place.drift = Drift(references=place.drift.references, rules=rules)
    turn(desk)
    assert [look.rule for look in place.taken] == ["inputs", "inputs", "more", "more"]


def test_fields_that_are_learned_meanwhile_are_taken_up(place: Place) -> None:
    place.drift = Drift(
        references={"week": DriftReference(kind="last_week")},
        rules={"weekly": DriftRule(reference="week")},
    )
    desk = place.desk()
    turn(desk)
    assert standing(desk).learning == ("fraud",)
    BasisFiles(place.state / DIRECTORY).put(learned_name("fraud"), trained(2_000).encode())
    turn(desk)
    assert standing(desk).learning == ("fraud",)  # asked for again after a while
    place.now_s += 60
    turn(desk)
    assert not standing(desk).learning
    assert desk.standing.rules == 1


def test_reference_that_is_missing_is_a_sentence(place: Place, caplog: Any) -> None:
    place.drift.references["train"] = DriftReference(kind="training", file="/no/such.csv")
    desk = place.desk()
    turn(desk, desk)
    assert "/no/such.csv cannot be read" in desk.standing.problems[0]
    assert caplog.text.count("/no/such.csv cannot be read") == 1


def test_look_that_fails_by_a_defect_is_told_and_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.count(12)
    desk = place.desk()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("gateway.watch.terms.pairs_of", broken)
        turn(desk)
    assert "failed by a defect" in desk.standing.problems[0]
    assert not place.taken
    turn(desk)
    assert not place.taken


def test_view_that_cannot_be_read_is_read_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.count(12)
    desk = place.desk()

    def broken(*_: object) -> None:
        raise LogError("the disk is away")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.watch.terms.pairs_of", broken)
        turn(desk)
    assert desk.standing.problems == ("the disk is away",)
    turn(desk)
    assert len(place.taken) == 2


@pytest.mark.parametrize("is_counted", [True, False])
def test_traffic_that_stops_is_looked_at_while_nothing_is_on_its_way(
    place: Place,
    is_counted: bool,
) -> None:
    """Two days of requests each half hour, and then three hours of silence."""
    place.drift = drift_of(
        DriftReference(kind="training", file=str(place.state.parent / "train.json")),
        volume=rule(fields=("traffic.requests",)),
    )
    place.count(48 * 60, 30)
    place.now_s, place.is_counted = (START + 51 * 60) * 60.0, is_counted
    turn(place.desk())
    found = [finding for look in place.taken for finding in look.findings]
    assert bool(found) is is_counted
    assert {one.kind for one in found} <= {"traffic_drop"}
    last = place.taken[-1].at_ms // 60_000 - START
    assert last == (51 * 60 - 5 if is_counted else 47 * 60 + 30)
