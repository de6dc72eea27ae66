"""What was counted is on disk, whole, and several may write it."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from gateway.profiles.slices import Source
from gateway.watch.changes import HOUR, HOURS_KEPT, Changes, Key
from gateway.watch.kept import BACKFILL, Kept
from gateway.watch.kept_file import Damaged, KeptError
from gateway.watch.tally import Tally
from gateway.watch.view import Counted, Merged, is_inside
from tests.profiles.samples import MINUTE
from tests.watch.lines import NOW, basis_of, single_pass, stream_of

BASIS = basis_of()
SOURCE = Source("iris", "1")
HOURS = [MINUTE - MINUTE % HOUR + minute for minute in range(0, 3 * HOUR, 5)]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "drift" / "profiles.sqlite")


def counted(lines: list[bytes], kept: Kept, keep: int = HOUR) -> Tally:
    tally = Tally([BASIS], keep, recall=kept.value)
    tally.restore(*kept.begin())
    tally.count(b"".join(lines), NOW)
    kept.save(tally.drain())
    return tally


def test_a_restart_goes_on_where_it_was(kept: Kept) -> None:
    lines = stream_of("w0-a", 200, minutes=HOURS)
    for begin in range(0, 200, 40):
        counted(lines[max(0, begin - 15) : begin + 40], kept)
        kept.close()
    wanted = single_pass(lines, [BASIS], HOUR)
    _, keys = kept.load()
    assert {key: kept.value(key) for key in keys} == wanted
    told = kept.told()[""]
    assert told["counted"] + told["late"] == 200
    assert told["duplicate"] == 60


def test_before_anything_was_written_there_is_nothing(kept: Kept) -> None:
    view = kept.view()
    assert kept.load() == (Changes(), [])
    assert kept.value(Key("b", SOURCE, 1)) is None
    assert (view.watermark, view.sources(BASIS), view.minutes(BASIS, SOURCE)) == (0, (), ())
    assert view.window(BASIS, SOURCE, "x", 0, NOW).rows == 0
    assert kept.told() == {}


def test_a_view_is_what_was_counted(kept: Kept) -> None:
    lines = stream_of("w0-a", 300, minutes=HOURS)
    tally = counted(lines, kept)
    memory = Tally([BASIS], HOUR)
    memory.count(b"".join(lines), NOW)
    memory.drain()
    views = [kept.view(), Counted(memory.values, lambda: memory.newest)]
    views.append(Merged(views[:1]))
    assert [view.watermark for view in views] == [tally.newest] * 3
    for view in views:
        assert view.sources(BASIS) == (Source("iris", "0"), SOURCE)
        assert view.minutes(BASIS, SOURCE) == views[0].minutes(BASIS, SOURCE)
        for first, end in [(HOURS[0], HOURS[-1] + 1), (HOURS[14], HOURS[30]), (HOURS[30], NOW)]:
            whole = view.profiles(BASIS, SOURCE, first, end)
            assert whole["x"].encode() == view.window(BASIS, SOURCE, "x", first, end).encode()
            assert whole["c"].encode() == views[0].profiles(BASIS, SOURCE, first, end)["c"].encode()
    every = [view.window(BASIS, one, "x", 0, NOW).rows for one in view.sources(BASIS)]
    assert sum(every) == 300


def test_rows_are_told_by_slice(kept: Kept) -> None:
    lines = stream_of("w0-a", 200, minutes=HOURS)
    counted(lines, kept)
    wanted = single_pass(lines, [BASIS], HOUR)
    in_memory, on_disk = Counted(wanted, lambda: NOW), kept.view()
    first, end = HOURS[0], HOURS[-1]
    for name in ("x", "gone"):
        span = (first, end)
        found = on_disk.rows(BASIS, SOURCE, name, *span)
        assert sorted(found) == sorted(in_memory.rows(BASIS, SOURCE, name, *span))
        assert sorted(found) == sorted(Merged([on_disk, Counted({}, lambda: 0)]).rows(
            BASIS, SOURCE, name, *span
        ))  # fmt: skip
        assert {minutes for _first, minutes, _rows in found} == {1, HOUR}
        assert 90 <= sum(rows for *_when, rows in found) <= 100
    # What reaches into a time belongs to it.
    assert [one[0] for one in on_disk.rows(BASIS, SOURCE, "x", first + 59, first + 60)] == [first]


def test_a_view_of_several_adds_them_up_and_waits_for_those_that_keep_up(kept: Kept) -> None:
    lines = stream_of("w0-a", 100, minutes=HOURS)
    parts = []
    for part in (lines[:60], lines[60:]):
        tally = Tally([BASIS])
        tally.count(b"".join(part), NOW)
        tally.drain()
        parts.append(tally)
    views = [Counted(one.values, lambda at=at: MINUTE + at) for at, one in enumerate(parts)]  # type: ignore[misc]
    merged = Merged([*views, Counted({}, lambda: MINUTE - 60)])
    whole = Tally([BASIS])
    whole.count(b"".join(lines), NOW)
    whole.drain()
    wanted = Counted(whole.values, lambda: 0)
    assert merged.watermark == MINUTE
    assert merged.sources(BASIS) == wanted.sources(BASIS)
    assert merged.minutes(BASIS, SOURCE) == wanted.minutes(BASIS, SOURCE)
    for field in ("x", "c"):
        found = merged.window(BASIS, SOURCE, field, 0, NOW)
        assert found.encode() == wanted.window(BASIS, SOURCE, field, 0, NOW).encode()
        assert merged.profiles(BASIS, SOURCE, 0, NOW)[field].encode() == found.encode()


@pytest.mark.parametrize(
    "first, end, taken",
    [
        (0, 60, True),
        (30, 90, True),
        (31, 91, False),
        (10, 20, True),
        (50, 80, False),
        (60, 60, False),
    ],
)
def test_an_hour_belongs_to_the_window_that_has_half_of_it(
    first: int, end: int, taken: bool
) -> None:
    assert is_inside(Key("b", SOURCE, 0, HOUR), first, end) is taken


def test_parts_are_counted_apart_and_read_together(kept: Kept) -> None:
    back = Kept(kept.path, BACKFILL)
    lines = stream_of("w0-a", 80, minutes=HOURS[:3])
    counted(lines[40:], kept)
    counted(lines[:40], back)
    assert (
        sum(kept.view().window(BASIS, one, "x", 0, NOW).rows for one in kept.view().sources(BASIS))
        == 80
    )
    assert kept.load()[0].marks == {"w0-a": 80}
    assert back.load()[0].marks == {"w0-a": 40}
    assert kept.told() == {"": {"counted": 40}, BACKFILL: {"counted": 40}}


def test_hours_of_a_part_at_rest_go_too(kept: Kept) -> None:
    back = Kept(kept.path, BACKFILL)
    counted(stream_of("w0-a", 10), back)
    counted(stream_of("w0-b", 10, minutes=[MINUTE + (HOURS_KEPT + 2) * HOUR]), kept)
    assert back.load()[1] == []


def test_each_line_is_one_part_s(kept: Kept) -> None:
    basis = (BASIS.name, "iris")
    assert kept.claim([basis], "w0-a", 100) == {basis: 0}
    assert kept.claim_back(basis, "w0-a", 500) == 99
    assert kept.claim([basis], "w0-a", 150) == {basis: 99}
    assert kept.claim_back(basis, "w0-a", 500) == 99
    assert kept.claim_back(basis, "w0-b", 500) == 500
    assert kept.claim([basis, ("other", "iris")], "w0-b", 400) == {basis: 500, ("other", "iris"): 0}
    assert kept.claim_back(basis, "w0-b", 900) == 500
    assert kept.claim_back(("other", "iris"), "w0-b", 900) == 399


def test_a_claim_is_forgotten_with_the_hours_it_was_about(kept: Kept) -> None:
    basis = (BASIS.name, "iris")
    kept.claim([basis], "w0-a", 100, MINUTE)
    kept.claim([basis], "w0-b", 100, MINUTE + (HOURS_KEPT + 24) * HOUR + 1)
    assert kept.claim_back(basis, "w0-a", 500) == 500
    assert kept.claim_back(basis, "w0-b", 500) == 99


def test_nobody_else_may_read_it(kept: Kept) -> None:
    kept.save(Changes(marks={"a": 1}))
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700


def test_what_is_no_database_is_said_and_can_be_set_aside(kept: Kept) -> None:
    kept.path.parent.mkdir()
    kept.path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(Damaged, match=r"profiles\.sqlite"):
        kept.load()
    with pytest.raises(Damaged):
        kept.save(Changes())
    kept.set_aside("now")
    kept.save(Changes(marks={"a": 1}))
    assert kept.load()[0].marks == {"a": 1}
    assert kept.path.with_name("profiles.sqlite.damaged-now").exists()


def test_a_newer_file_is_left_alone(kept: Kept) -> None:
    kept.save(Changes())
    with sqlite3.connect(kept.path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    kept.close()
    with pytest.raises(KeptError, match="newer gateway"):
        kept.load()
    with pytest.raises(KeptError, match="newer gateway"):
        kept.save(Changes())


def test_what_cannot_be_written_is_a_sentence_and_changes_nothing(kept: Kept) -> None:
    kept.save(Changes(marks={"a": 1}))
    with pytest.raises(KeptError, match="cannot write"):
        kept.save(Changes(marks={"a": 2}, profiles={Key("b", SOURCE, 1): None}))  # type: ignore[dict-item]
    assert kept.load()[0].marks == {"a": 1}


def test_who_begins_ends_the_time_of_who_did_before(kept: Kept) -> None:
    before = Kept(kept.path)
    before.begin()
    before.save(Changes(marks={"a": 1}))
    assert kept.begin()[0].marks == {"a": 1}
    with pytest.raises(KeptError, match="somebody else"):
        before.save(Changes(marks={"a": 2}))
    kept.save(Changes(marks={"a": 3}))
    assert before.load()[0].marks == {"a": 3}
    Kept(kept.path, BACKFILL).begin()
    kept.save(Changes(marks={"a": 4}))


def test_sources_are_those_that_were_counted_in_order(kept: Kept) -> None:
    names = [("", ""), ("", "shadow"), ("1", ""), ("1", "next:b"), ("10", ""), ("2", "next:a")]
    of = [Source("iris", *name) for name in names]
    keys = [Key(BASIS.name, one, minute) for one in of for minute in (5, 1, 7)]
    others = [Key("other", Source("iris", "0"), 1), Key(BASIS.name, Source("wine", "0"), 1)]
    kept.save(Changes(profiles=dict.fromkeys([*keys, *others], b"")))
    assert kept.view().sources(BASIS) == tuple(of)
