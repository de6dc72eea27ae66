"""However lines come, what is counted is what a single pass over them counts."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.watch.changes import HOUR, HOURS_KEPT, Changes, Key, decoded
from gateway.watch.slots import MOST_OPEN, SOURCES
from gateway.watch.tally import RESULTS, Tally
from tests.profiles.samples import MINUTE
from tests.watch.lines import (
    NOW,
    apply,
    basis_of,
    kept_of,
    placed,
    single_pass,
    stream_of,
)

BASES = [basis_of(), basis_of(seed=2), basis_of("wine")]
DAYS = [MINUTE + day * 24 * HOUR + minute for day in range(3) for minute in (0, 1, 59, 60, 200)]


def told(*lines: bytes, now: int = NOW, **more: Any) -> dict[str, int]:
    tally = Tally(BASES, **more)
    tally.count(b"".join(lines), now)
    return tally.drain().told


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_any_batching_kill_and_repetition_is_a_single_pass(seed: int) -> None:
    rng = random.Random(seed)
    keep = rng.choice([HOUR, 24 * HOUR])
    streams = [stream_of(name, 40, minutes=DAYS, seed=seed) for name in ("w0-a", "w1-b", "w2-c")]
    sent = _interleaved(streams, rng)
    tally, kept, state = Tally(BASES, keep), dict[Key, bytes](), Changes()
    at = committed = 0
    while at < len(sent):
        size = rng.randint(1, 30)
        tally.count(b"".join(sent[at : at + size]), NOW)
        at += size
        fate = rng.random()
        if fate < 0.5:
            state = tally.drain()
            apply(kept, state)
            committed = at
        elif fate < 0.7:  # killed: nothing since the last commit is there; some of it comes again
            tally = Tally(BASES, keep)
            tally.restore(Changes(profiles=dict(kept), marks=state.marks, newest=state.newest))
            at = committed - rng.randint(0, min(20, committed))
    apply(kept, tally.drain())
    assert kept == single_pass(sent, BASES, keep)
    assert kept == tally.values


def _interleaved(streams: list[list[bytes]], rng: random.Random) -> list[bytes]:
    """Each in its order, and batches that come twice."""
    left, sent = [list(one) for one in streams], list[bytes]()
    while any(left):
        stream = rng.choice([one for one in left if one])
        batch = [stream.pop(0) for _ in range(min(rng.randint(1, 8), len(stream)))]
        sent += batch * rng.choice([1, 1, 1, 2])
    return sent


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_with_values_elsewhere_it_is_the_same(seed: int) -> None:
    rng = random.Random(seed)
    lines = _interleaved([stream_of("w0-a", 60, minutes=DAYS, seed=seed)], rng)
    elsewhere: dict[Key, bytes] = {}
    tally = Tally(BASES, HOUR, recall=elsewhere.get)
    for begin in range(0, len(lines), 9):
        tally.count(b"".join(lines[begin : begin + 9]), NOW)
        changes = tally.drain()
        apply(elsewhere, changes)
        if rng.random() < 0.3:
            tally = Tally(BASES, HOUR, recall=elsewhere.get)
            tally.restore(Changes(marks=changes.marks, newest=changes.newest), elsewhere)
    assert elsewhere == single_pass(lines, BASES, HOUR)
    assert not any(tally.values.values())


def test_a_slice_a_line_is_counted_without_being_held_open() -> None:
    minutes = list(range(MINUTE, MINUTE + MOST_OPEN + 200))
    lines = stream_of("w0-a", len(minutes), minutes=minutes)
    tally = Tally(BASES[:1])
    tally.count(b"".join(lines), NOW)
    tally.count(b"".join(stream_of("w0-b", 50, minutes=minutes[:9])), NOW)
    found = single_pass([*lines, *stream_of("w0-b", 50, minutes=minutes[:9])], BASES[:1])
    assert kept_of(tally) == found


def test_each_line_has_one_result() -> None:
    lines = [
        placed({"x": 1.0}, seq=1),
        placed({"x": 1.0}, seq=1),
        placed({"x": "1.0"}, seq=2),
        b'{"v":1,"kind":"predic\n',
        placed({"x": 1.0}, seq=3, v=2),
        placed({"x": 1.0}, seq=4, kind="refusal"),
        placed({"x": 1.0}, seq=5, route="beer"),
        placed({"x": 1.0}, seq=6, time="yesterday"),
        placed({"x": 1.0}, seq=7, minute=NOW + 6),
        placed({"x": 1.0}, seq="8"),
        placed({"x": 1.0}, seq=9, stream=None),
        placed({"x": 1.0}, seq=0.5),
    ]
    found = told(*lines)
    assert found == {
        "counted": 1,
        "duplicate": 1,
        "mistyped": 1,
        "malformed": 1,
        "version": 1,
        "other": 1,
        "unwatched": 1,
        "untimed": 1,
        "ahead": 1,
        "unplaced": 3,
    }
    assert sum(found.values()) == len(lines)
    assert set(found) <= set(RESULTS)


def test_what_is_put_aside_has_a_sample() -> None:
    tally = Tally(BASES)
    aside = placed({"x": "1,0"}, seq=2)
    tally.count(placed({"x": 1.0}) + aside + b"not json\n" + placed(seq=4, minute=NOW + 9), NOW)
    samples = {one.reason: one for one in tally.drain().samples}
    assert samples["mistyped"].line == aside.rstrip()
    assert samples["mistyped"].about == "iris: x"
    assert samples["malformed"].line == b"not json"
    assert json.loads(samples["ahead"].line)["seq"] == 4
    assert len(samples) == 3
    assert not tally.drain().samples


def test_samples_of_one_reason_are_few_an_hour() -> None:
    tally = Tally(BASES)
    tally.count(b"nonsense\n" * 100, NOW)
    assert len(tally.drain().samples) == 5
    tally.count(b"nonsense\n" * 100, NOW)
    assert not tally.drain().samples
    tally.count(b"nonsense\n" * 100, NOW + HOUR)
    assert len(tally.drain().samples) == 5


def test_late_lines_count_in_their_minute() -> None:
    tally = Tally(BASES[:1], lateness=10)
    tally.count(placed({"x": 1.0}, minute=MINUTE + 30), NOW)
    tally.count(placed({"x": 1.0}, seq=2, minute=MINUTE + 19), NOW)
    tally.count(placed({"x": 1.0}, seq=3, minute=MINUTE + 20), NOW)
    changes = tally.drain()
    assert changes.told == {"counted": 2, "late": 1}
    assert sorted(key.minute - MINUTE for key in changes.profiles) == [19, 20, 30]


def test_minutes_become_hours_and_hours_go() -> None:
    tally = Tally(BASES[:1], 2 * HOUR)
    hour = MINUTE - MINUTE % HOUR
    kept: dict[Key, bytes] = {}
    tally.count(b"".join(stream_of("w0-a", 60, minutes=range(hour, hour + 60))), NOW)
    apply(kept, tally.drain())
    assert {key.span for key in kept} == {1}
    tally.count(placed({"x": 1.0}, stream="b", minute=hour + 3 * HOUR), NOW)
    apply(kept, tally.drain())
    sums = [key for key in kept if key.span == HOUR]
    assert {key.minute for key in sums} == {hour}
    rows = [decoded(kept[key], BASES[0].reference)["x"].rows for key in sums]
    assert sum(rows) == 60
    assert len(kept) == 3  # two versions of the hour, and the minute
    later = hour + (HOURS_KEPT + 1) * HOUR
    tally.count(placed({"x": 1.0}, stream="b", seq=2, minute=later), NOW)
    apply(kept, tally.drain())
    assert [key for key in kept if key.minute == hour] == []
    assert kept == tally.values


def test_what_is_older_than_all_that_is_kept_is_told() -> None:
    now = MINUTE + (HOURS_KEPT + 1) * HOUR
    found = told(placed({"x": 1.0}, minute=now), placed({"x": 1.0}, stream="b", minute=MINUTE))
    assert found["counted"] == 2  # in one batch, they come in the order of time …
    tally = Tally(BASES)
    tally.count(placed({"x": 1.0}, minute=now), NOW)
    tally.count(placed({"x": 1.0}, stream="b", minute=MINUTE), NOW)
    assert tally.drain().told == {"counted": 1, "old": 1}  # … and nothing of it is kept


def test_a_clock_in_front_moves_no_other_line() -> None:
    tally = Tally(BASES[:1])
    tally.count(placed({"x": 1.0}, minute=NOW + 5) + placed({"x": 1.0}, seq=2, minute=NOW), NOW)
    changes = tally.drain()
    assert changes.told == {"counted": 2}
    assert changes.newest == NOW


def test_sources_are_bounded() -> None:
    lines = [placed({"x": 1.0}, seq=seq, version=f"{seq:04}") for seq in range(1, SOURCES + 11)]
    tally = Tally(BASES[:1])
    tally.count(b"".join(lines), NOW)
    assert tally.drain().told == {"counted": SOURCES, "sources": 10}


def test_bases_may_change() -> None:
    tally = Tally(BASES[:1])
    tally.count(placed({"x": 1.0}), NOW)
    tally.use([BASES[1]])
    tally.count(placed({"x": 1.0}, seq=2), NOW)
    rows = {
        key.basis: decoded(value, one.reference)["x"].rows
        for key, value in kept_of(tally).items()
        for one in BASES[:2]
        if one.name == key.basis
    }
    assert rows == {BASES[0].name: 1, BASES[1].name: 1}


def test_too_many_columns_are_a_sentence_and_the_others_go_on() -> None:
    wide = basis_of("wide", **{str(at): [1.0, 2.0] for at in range(9000)})
    tally = Tally([BASES[0], wide])
    assert len(tally.refused) == 1
    assert "wide" in tally.refused[0]
    tally.count(placed({"x": 1.0}), NOW)
    assert tally.drain().told == {"counted": 1}


def test_a_batch_that_cannot_be_counted_is_passed_over() -> None:
    tally = Tally(BASES)
    tally.pass_over("w0-a", 7, 7, b"{}", NOW)
    tally.count(placed({"x": 1.0}, seq=7) + placed({"x": 1.0}, seq=8), NOW)
    changes = tally.drain()
    assert changes.told == {"defect": 7, "duplicate": 1, "counted": 1}
    assert [one.reason for one in changes.samples] == ["defect"]


def test_lines_that_others_counted_are_left_to_them() -> None:
    asked: list[tuple[list[tuple[str, str]], str, int]] = []

    def claim(bases: list[tuple[str, str]], stream: str, first: int) -> dict[tuple[str, str], int]:
        asked.append((bases, stream, first))
        return {(BASES[0].name, "iris"): 3}

    tally = Tally(BASES[:2], claim=claim)
    lines = stream_of("w0-a", 9)
    tally.count(b"".join(lines[1:5]), NOW)
    tally.count(b"".join(lines[5:]), NOW)
    rows = {one.name: 0 for one in BASES[:2]}
    for key, value in kept_of(tally).items():
        one = next(each for each in BASES if each.name == key.basis)
        rows[key.basis] += decoded(value, one.reference)["x"].rows
    assert rows == {BASES[0].name: 6, BASES[1].name: 8}
    assert [(stream, first) for _, stream, first in asked] == [("w0-a", 2)]


@pytest.mark.parametrize("first", [0, 1])
def test_changes_that_could_not_be_kept_come_with_the_next(first: int) -> None:
    tally, kept, pending = Tally(BASES, HOUR), dict[Key, bytes](), Changes()
    lines = stream_of("w0-a", 60, minutes=DAYS)
    for at in range(0, 60, 10):
        tally.count(b"".join(lines[at : at + 10]), NOW)
        pending = pending.then(tally.drain())
        if (at // 10 + first) % 3 == 0:
            apply(kept, pending)
            pending = Changes()
    apply(kept, pending.then(tally.drain()))
    assert kept == single_pass(lines, BASES, HOUR)


def test_a_clock_that_was_in_front_for_a_while_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tally, kept = Tally(BASES[:1]), dict[Key, bytes]()
    changes, future = Changes(), MINUTE + 30 * 24 * HOUR
    for seq, (minute, now) in enumerate(
        [(MINUTE, MINUTE), (future, future), (MINUTE + 1, MINUTE + 1), (MINUTE + 2, MINUTE + 2)], 1
    ):
        tally.count(placed({"x": 1.0}, seq=seq, minute=minute), now)
        changes = tally.drain()
        apply(kept, changes)
    assert changes.told == {"counted": 4}
    assert changes.newest == MINUTE + 2
    assert {MINUTE + 1, MINUTE + 2} <= {key.minute for key in kept}
    assert caplog.text.count("the clock went back") == 1
