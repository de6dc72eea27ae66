"""The requests that show a finding best are those whose values have gained most."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from gateway.store import Store
from gateway.watch.examples import NoExamples, Ring, StoredExamples, best_of
from tests.profiles.samples import MINUTE, line, lines


def profiles(before: list[Any], after: list[Any], name: str = "x") -> tuple[Profile, Profile]:
    then = from_arrays({name: before}).profiles[name]
    now = Profile(then.field)
    now.update(after)
    return then, now


def shown(records: Iterable[bytes], before: list[Any], after: list[Any], name: str = "x") -> Any:
    return best_of(records, *profiles(before, after, name))


USUAL = [float(at % 50) for at in range(500)]


@pytest.mark.parametrize("value", [None, -7.0, 1e6, "text"])
def test_records_that_have_the_value_are_shown(value: Any) -> None:
    after = [value if at % 5 == 0 else one for at, one in enumerate(USUAL)]
    records = [line({"x": one}, id=f"r{at}") for at, one in enumerate(after[:40])]
    found = best_of(records, *profiles(USUAL, after))
    assert len(found) == 3
    assert set(found) <= {f"r{at}" for at in range(0, 40, 5)}


def test_record_that_lacks_the_field_shows_that_it_is_missing() -> None:
    records = [line({"x": 1.0}, id="has"), line({"y": 1.0}, id="lacks")]
    assert shown(records, USUAL, [1.0, ...] * 100) == ("lacks",)


def test_requests_are_named_by_what_their_clients_know() -> None:
    record = line({"x": -7.0}, id="ours", request_id="theirs")
    assert shown([record, record], USUAL, [-7.0] * 50) == ("theirs",)


@pytest.mark.parametrize(
    "name, more",
    [
        ("prediction.score", {"predictions": [{"score": -7.0}]}),
        ("/usage/output_tokens", {"usage": {"output_tokens": -7.0}}),
    ],
)
def test_answers_and_signals_are_read_where_they_are(name: str, more: dict[str, Any]) -> None:
    records = [line({"x": 1.0}, id="a", **more)]
    assert shown(records, USUAL, [-7.0] * 50, name) == ("a",)


def test_lines_that_cannot_be_read_are_passed_over() -> None:
    assert shown([b"{", b"[]", b"\xff"], USUAL, [-7.0] * 50) == ()


def test_ring_holds_the_newest_lines_of_a_route_and_time() -> None:
    ring = Ring(most_bytes=2_000)
    for at in range(40):
        version = {"version": "8"} if at == 38 else {}
        ring.add(lines(line({"x": at}, minute=MINUTE + at, id=f"r{at}", **version)))
    found = list(ring.lines("iris", "7", MINUTE + 30, MINUTE + 39))
    assert [one.split(b'"', 6)[5] for one in found][:2] == [b"r37", b"r36"]
    assert len(found) <= 8
    assert not list(ring.lines("other", "7", 0, MINUTE + 99))


def test_store_that_is_not_there_shows_nothing(tmp_path: Path) -> None:
    assert not list(
        StoredExamples(Store(tmp_path / "store", tmp_path / "log")).lines("a", "", 0, 9)
    )
    assert not list(NoExamples().lines("a", "", 0, 9))
