"""One person's records go, wherever they are, and the log still verifies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.log.manifest import Forgotten, Manifest
from gateway.log.verify import verify
from gateway.store.database import StoreError
from gateway.store.filters import Filter
from gateway.store.orders import FILE_NAME, Hold, read_orders
from tests.log.crashes import Killed, dies_after, dies_before, steps
from tests.store.places import NOW_S, Place, feedback, id_of, record

SECRET = "eve-4711"
LINES = [
    record(1, user=SECRET, request_id="hers"),
    record(2),
    feedback(3, "hers", comment="said by her"),
    feedback(4, id_of(2)),
    record(5, user=SECRET, route="search"),
]


def everything(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())


def lines(place: Place) -> list[bytes]:
    return [match.line for match in place.store.search(Filter()).matches]


def later(place: Place) -> None:
    """The clock stands behind every line."""
    place.now_s = NOW_S + 100


def test_forgotten_lines_are_gone_and_the_log_verifies(place: Place) -> None:
    segment = place.added(1, LINES)
    before = place.bytes_of(segment)
    later(place)
    done = place.store.forget(SECRET)
    assert (done.records, done.feedback, done.held, done.waiting) == (2, 1, 0, 0)
    assert done.notes == ()
    assert lines(place) == [record(2)]
    assert place.store.find("hers") is None
    assert place.store.find(id_of(5)) is None
    assert place.store.feedback_of("hers") == []
    assert place.store.feedback_of(id_of(2)) == [feedback(4, id_of(2))]
    after = place.bytes_of(segment)
    assert len(after) == len(before)
    assert SECRET.encode() not in after
    assert b"said by her" not in after
    kinds = [msgspec.json.decode(line)["kind"] for line in after.splitlines()]
    assert kinds == ["forgotten", "prediction", "forgotten", "feedback", "forgotten"]
    assert verify(place.log, place.store).is_good


def test_manifest_says_that_lines_were_taken_out_and_how_many(place: Place) -> None:
    segment = place.added(1, LINES)
    later(place)
    place.store.forget(SECRET)
    entries = [e for e in Manifest(place.log).entries() if isinstance(e, Forgotten)]
    assert [(e.segment, e.records, e.reason) for e in entries] == [(segment, 3, "forget")]


def test_nothing_of_the_person_is_left_in_any_file_once_all_is_stored(place: Place) -> None:
    place.added(1, LINES)
    later(place)
    place.store.forget(SECRET)
    kept = everything(place.directory / "2026-11-21") + everything(place.log)
    assert SECRET.encode() not in kept
    assert b"hers" not in kept


@pytest.mark.parametrize("is_stored", [False, True])
def test_sealed_segment_that_waits_for_another_sink_is_cleaned_too(
    place: Place, is_stored: bool
) -> None:
    path = place.sealed(1, LINES)
    if is_stored:
        place.store.add(path)
    later(place)
    done = place.store.forget(SECRET)
    assert (done.records, done.feedback) == (2, 1)
    assert SECRET.encode() not in path.read_bytes()
    assert verify(place.log, place.store).is_good
    place.store.add(path)
    place.deliver(path.name)
    assert lines(place) == [record(2)]
    assert verify(place.log, place.store).is_good


def test_segment_that_is_being_written_is_cleaned_when_it_is_added(place: Place) -> None:
    place.write(1, LINES)
    later(place)
    done = place.store.forget(SECRET)
    assert (done.records, done.waiting) == (0, 3)
    assert len(lines(place)) == 3
    (path,) = place.seal()
    place.opened().add(path)
    assert SECRET.encode() not in path.read_bytes()
    place.deliver(path.name)
    assert lines(place) == [record(2)]
    assert verify(place.log, place.store).is_good


def test_records_after_the_order_are_not_forgotten(place: Place) -> None:
    place.added(1, [record(1, user=SECRET)])
    later(place)
    place.store.forget(SECRET)
    new = record(200, user=SECRET)
    place.added(2, [new])
    assert lines(place) == [new]


def test_late_feedback_on_a_forgotten_record_goes_too(place: Place) -> None:
    place.added(1, LINES[:2])
    place.write(2, [feedback(3, "hers"), feedback(4, id_of(2))])
    later(place)
    place.store.forget(SECRET)
    (path,) = place.seal()
    place.opened().add(path)
    place.deliver(path.name)
    assert place.store.feedback_of("hers") == []
    assert place.store.feedback_of(id_of(2)) == [feedback(4, id_of(2))]


def test_forgetting_again_changes_nothing(place: Place) -> None:
    segment = place.added(1, LINES)
    later(place)
    place.store.forget(SECRET)
    after = place.bytes_of(segment)
    done = place.store.forget(SECRET)
    assert (done.records, done.feedback) == (0, 0)
    assert place.bytes_of(segment) == after


def hold(**more: Any) -> Hold:
    return Hold(**{"id": "h1", "at_us": 0, "reason": "a case", **more})


def test_held_records_are_spared_and_counted(place: Place) -> None:
    place.added(1, LINES)
    place.store.add_hold(hold(route="chat"))
    later(place)
    done = place.store.forget(SECRET)
    assert (done.records, done.feedback, done.held) == (1, 0, 1)
    assert place.store.find("hers") == LINES[0]
    assert place.store.feedback_of("hers") == [LINES[2]]
    place.store.remove_hold("h1")
    assert place.store.forget(SECRET).records == 1
    assert verify(place.log, place.store).is_good


def test_holds_are_listed_and_an_unknown_one_is_told(place: Place) -> None:
    place.store.add_hold(hold(user="ada", since_us=5))
    assert place.opened().holds() == (hold(user="ada", since_us=5),)
    with pytest.raises(StoreError, match="there is no hold h2"):
        place.store.remove_hold("h2")
    place.store.remove_hold("h1")
    assert place.store.holds() == ()


def test_nothing_is_deleted_while_holds_cannot_be_read(place: Place) -> None:
    place.added(1, LINES)
    (place.directory / FILE_NAME).write_bytes(b"{")
    later(place)
    with pytest.raises(StoreError, match="is damaged; nothing is deleted"):
        place.store.forget(SECRET)
    with pytest.raises(StoreError, match="is damaged; nothing is deleted"):
        place.store.expire(1, 0)
    assert place.store.find("hers") == LINES[0]


def test_no_user_is_nobody(place: Place) -> None:
    with pytest.raises(StoreError, match="name the user"):
        place.store.forget("")


@pytest.mark.parametrize("how", [dies_before, dies_after])
def test_forgetting_that_dies_anywhere_is_finished_by_the_next_upkeep(
    tmp_path: Path, how: Any
) -> None:
    def make(name: str) -> Place:
        (tmp_path / name).mkdir()
        place = Place(tmp_path / name)
        place.added(1, LINES)
        place.sealed(2, [record(8, user=SECRET), record(9)])
        later(place)
        return place

    make("warm").store.forget(SECRET)
    with steps(0, how) as counted:
        make("count").opened().forget(SECRET)
    every = 1 if os.environ.get("RUN_SLOW") else max(1, counted.seen // 3)
    for at in range(1, counted.seen + 1, every):
        place = make(str(at))
        try:
            with steps(-at, how):
                place.opened().forget(SECRET)
        except Killed:
            pass
        ordered = bool(read_orders(place.directory).forgets)
        place.opened().expire(365, 1 << 40)
        if ordered:
            assert lines(place) == [record(9), record(2)], f"step {at}"
        assert verify(place.log, place.store).is_good, f"step {at}"
        place.store.close()


def test_order_is_dropped_when_nothing_can_be_left_of_it(place: Place) -> None:
    place.added(1, LINES)
    later(place)
    place.store.forget(SECRET)
    assert SECRET.encode() in (place.directory / FILE_NAME).read_bytes()
    place.now_s += 3 * 86_400
    place.store.expire(365, 1 << 40)
    assert SECRET.encode() not in (place.directory / FILE_NAME).read_bytes()
