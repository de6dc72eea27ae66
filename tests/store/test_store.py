"""The door: what was added is there, once, exactly, and found, whatever else there is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.log.verify import verify
from gateway.store.database import StoreError
from gateway.store.filters import Filter
from tests.store.places import Place, feedback, id_of, joined, record

LINES = [record(1), feedback(2, id_of(1)), record(3, user="bob"), record(4, route="other")]


def found(place: Place, **wanted: object) -> list[bytes]:
    filter_ = msgspec.convert(wanted, Filter)
    return [match.line for match in place.store.search(filter_).matches]


def test_lines_of_a_segment_are_those_that_were_added(place: Place) -> None:
    segment = place.added(1, LINES)
    assert not (place.log / segment).exists()
    assert place.bytes_of(segment) == joined(LINES)
    assert verify(place.log, place.store).is_good


def test_line_is_kept_exactly_however_strange_it_is(place: Place) -> None:
    strange = [
        b'{"v":1 , "seq":1,"kind":"prediction", "user":"\\u00e4\\ud83d\\ude00"}',
        '{"v":1,"seq":2,"user":"ä\u2028 \'; DROP TABLE x --"}'.encode(),
        b'{"v":1,"seq":3,"status":"text","timing":7,"attempts":{}}',
        b'{"v":1,"seq":4,"cost_usd":1e999,"time":"never"}',
    ]
    path = place.log / f"{place.stream}-00000001.ndjson"
    path.write_bytes(joined(strange))
    place.store.add(path)
    assert place.bytes_of(path.name) == joined(strange)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"v":1,"user":"\xc3"}',
        b"[1]",
        b"null",
        b"\0",
        b"{}\r",
        b"[" * 9999,
        b"\\x41",
        "ä{".encode(),
    ],
    ids=repr,
)
def test_damaged_line_is_kept_and_said_and_the_others_are_found(
    place: Place, damage: bytes
) -> None:
    path = place.log / f"{place.stream}-00000001.ndjson"
    path.write_bytes(joined([record(1), damage, record(3)]))
    place.store.add(path)
    path.unlink()
    assert place.bytes_of(path.name) == joined([record(1), damage, record(3)])
    answer = place.store.search(Filter())
    assert [match.line for match in answer.matches] == [record(3), record(1)]
    assert place.store.find(id_of(3)) == record(3)


def test_segment_that_is_added_twice_is_there_once(place: Place) -> None:
    path = place.sealed(1, LINES)
    assert place.store.add(path)
    assert not place.store.add(path)
    assert place.opened().add(path) is False
    path.unlink()
    assert found(place) == [record(4, route="other"), record(3, user="bob"), record(1)]


@pytest.mark.parametrize("stage", ["open", "sealed", "added", "delivered"])
def test_record_is_found_once_at_every_stage_of_its_life(place: Place, stage: str) -> None:
    mine = record(3, request_id='mine "quoted" é')
    place.write(1, [record(1), mine])
    if stage != "open":
        (path,) = place.seal()
        if stage != "sealed":
            place.store.add(path)
        if stage == "delivered":
            place.deliver(path.name)
    assert place.store.find(id_of(3)) == mine
    assert place.store.find_all('mine "quoted" é') == [mine]
    assert place.store.find("nobody") is None
    assert found(place, user=["ada"]) == [mine, record(1)]
    assert place.store.stats(Filter()).groups[0].records == 2


def test_unfinished_line_of_an_open_segment_is_not_there_yet(place: Place) -> None:
    path = place.log / f"{place.stream}-00000001.ndjson.open"
    path.write_bytes((record(1) + b"\n" + record(2)).ljust(9999, b"\0"))
    assert place.store.find(id_of(2)) is None
    assert found(place) == [record(1)]


def test_request_id_that_was_used_again_finds_every_record_the_newest_first(place: Place) -> None:
    place.added(1, [record(1, request_id="same"), record(2)])
    place.write(2, [record(3, request_id="same")])
    expected = [record(3, request_id="same"), record(1, request_id="same")]
    assert place.store.find_all("same") == expected
    assert place.store.find("same") == expected[0]


def test_feedback_is_found_by_either_id_each_signal_once(place: Place) -> None:
    place.added(1, [record(1, request_id="mine"), feedback(2, "mine"), feedback(3, id_of(1))])
    again = msgspec.json.decode(feedback(4, "mine"))
    again["id"] = msgspec.json.decode(feedback(2, "mine"))["id"]
    place.write(2, [msgspec.json.encode(again), feedback(5, "another")])
    assert place.store.feedback_of(id_of(1), "mine") == [feedback(2, "mine"), feedback(3, id_of(1))]


def test_nothing_is_there_where_there_is_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert place.store.find("x") is None
    assert place.store.lines_of(f"{place.stream}-00000001.ndjson") is None
    assert place.store.search(Filter()).matches == ()
    assert place.store.stats(Filter()).groups == ()
    assert not place.directory.exists()


@pytest.mark.parametrize("name", ["notes.txt", "w0-0198c0ffee00beef-00000001.ndjson.open"])
def test_only_a_sealed_segment_is_added(place: Place, name: str) -> None:
    (place.log / name).write_bytes(joined(LINES))
    with pytest.raises(StoreError, match="no sealed segment"):
        place.store.add(place.log / name)


def test_files_are_readable_for_their_owner_alone(place: Place) -> None:
    place.added(1, LINES)
    modes = {path.name: path.stat().st_mode & 0o077 for path in place.directory.rglob("*")}
    assert modes
    assert not any(modes.values()), modes
    assert place.directory.stat().st_mode & 0o077 == 0


def test_store_that_cannot_be_written_says_so_in_a_sentence(place: Place) -> None:
    path = place.sealed(1, LINES)
    place.directory.write_text("a file where the directory should be")
    with pytest.raises(StoreError, match="cannot make"):
        place.store.add(path)


def test_log_of_a_newer_gateway_is_searched_and_said(place: Place) -> None:
    place.added(1, [record(1, v=2), record(2)])
    answer = place.store.search(Filter())
    assert len(answer.matches) == 2
    assert "1 lines were written by a newer gateway" in answer.notes[0]
