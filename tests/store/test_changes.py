"""Adding, joining and what goes wrong: crashes, full disks, damaged files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.log.verify import verify
from gateway.store import changes
from gateway.store.catalog import FILE_NAME
from gateway.store.changes import lock
from gateway.store.database import StoreError
from gateway.store.feedback import load_feedback
from gateway.store.filters import Filter
from gateway.store.upkeep import LARGE_BYTES, MANY, groups_to_join
from gateway.store.volume import Volume
from tests.log.crashes import Killed, dies_after, dies_before, disk_is_full, steps
from tests.store.places import DAY_S, STREAM, Place, feedback, id_of, joined, record

LINES = [record(1), feedback(2, id_of(1)), record(3)]


def seqs(place: Place) -> list[bytes]:
    return [match.line for match in place.store.search(Filter(), limit=1000).matches]


Change = Callable[[], object]


def crashes(root: Path, make: Callable[[Path], tuple[Place, Change]], how: Any) -> Iterator[Place]:
    """The change dies at one step on files after the other: what it leaves, each time."""
    warm = make(root / "warm")
    warm[1]()  # Why: modules that are imported at first use open files, too
    with steps(0, how) as counted:
        make(root / "count")[1]()
    every = 1 if os.environ.get("RUN_SLOW") else max(1, counted.seen // 4)
    for at in range(1, counted.seen + 1, every):
        place, change = make(root / str(at))
        with suppress(Killed, StoreError), steps(-at, how):
            change()
        yield place
        place.store.close()


def to_be_added(root: Path) -> tuple[Place, Change]:
    root.mkdir()
    place = Place(root)
    path = place.sealed(1, LINES)
    return place, lambda: place.opened().add(path)


def to_be_joined(root: Path) -> tuple[Place, Change]:
    root.mkdir()
    place = Place(root)
    place.added(1, LINES)
    place.added(2, [record(4)])
    place.now_s += 2 * DAY_S
    return place, lambda: place.opened().compact()


@pytest.mark.parametrize("how", [dies_before, dies_after, disk_is_full])
def test_adding_that_dies_anywhere_is_done_again(tmp_path: Path, how: Any) -> None:
    segment = f"{STREAM}-00000001.ndjson"
    for place in crashes(tmp_path, to_be_added, how):
        assert seqs(place) == [record(3), record(1)]
        place.opened().add(place.log / segment)
        place.deliver(segment)
        assert seqs(place) == [record(3), record(1)]
        assert place.bytes_of(segment) == joined(LINES)
        assert len(list(place.directory.glob("*/*"))) == 4


@pytest.mark.parametrize("how", [dies_before, dies_after, disk_is_full])
def test_joining_that_dies_anywhere_loses_and_doubles_nothing(tmp_path: Path, how: Any) -> None:
    for place in crashes(tmp_path, to_be_joined, how):
        assert seqs(place) == [record(4), record(3), record(1)]
        place.opened().compact()
        assert seqs(place) == [record(4), record(3), record(1)]
        assert place.store.feedback_of(id_of(1)) == [feedback(2, id_of(1))]
        assert len(place.parquet()) == 1
        assert verify(place.log, place.store).is_good


def test_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    place, add = to_be_added(tmp_path / "state")
    with steps(-2, disk_is_full), pytest.raises(StoreError, match="no space left on device"):
        add()
    assert seqs(place) == [record(3), record(1)]


def test_killed_process_leaves_a_store_that_goes_on(tmp_path: Path) -> None:
    """SIGKILL at any moment of adding and joining, in a process of its own."""
    place = Place(tmp_path)
    for number in range(1, 9):
        place.sealed(number, [record(number), feedback(number + 100, id_of(number))])
    for wait_s in (0.3, 0.4, 0.5, 0.6) if os.environ.get("RUN_SLOW") else (0.5,):
        process = subprocess.Popen([sys.executable, "-c", _ADD_ALL, str(tmp_path)])
        with suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
        process.kill()
        process.wait()
        assert len(seqs(place)) == 8
    for number in range(1, 9):
        place.opened().add(place.log / f"{STREAM}-{number:08d}.ndjson")
    place.now_s += 2 * DAY_S
    place.opened().compact()
    assert len(seqs(place)) == 8
    assert len(place.parquet()) == 1


_ADD_ALL = """
import sys
from pathlib import Path
from gateway.store import Store
state = Path(sys.argv[1])
store = Store(state / "store", state / "log", now=lambda: 2e9)
for path in sorted((state / "log").glob("*.ndjson")):
    if path.name != "manifest.ndjson":
        store.add(path)
        store.compact()
"""


def test_small_volumes_of_a_day_that_is_over_become_one(place: Place) -> None:
    segments = {place.added(number, [record(number)]): record(number) for number in range(1, 6)}
    assert place.store.compact() == 0
    place.now_s += DAY_S
    assert place.store.compact() == 1
    assert len(place.parquet()) == 1
    assert {segment: place.bytes_of(segment) for segment in segments} == {
        segment: line + b"\n" for segment, line in segments.items()
    }
    assert place.store.find(id_of(4)) == record(4)
    assert place.store.compact() == 0


def test_volumes_of_two_days_stay_apart(place: Place) -> None:
    place.added(1, [record(1)])
    place.added(2, [record(2 * DAY_S)])
    place.now_s += 9 * DAY_S
    assert place.store.compact() == 0


def volume(number: int, *, size: int = 1000, day: str = "2026-11-21") -> Volume:
    return Volume(
        number=number,
        day=day,
        records=1,
        feedback=0,
        bytes=size,
        first_us=number,
        last_us=number,
        newer=0,
        damaged=0,
        forgotten=0,
    )


@pytest.mark.parametrize(
    "volumes, today, expected",
    [
        ([volume(1), volume(2)], "2026-11-22", [[1, 2]]),
        ([volume(1), volume(2)], "2026-11-21", []),
        ([volume(n) for n in range(MANY)], "2026-11-21", [list(range(MANY))]),
        ([volume(1), volume(2, size=LARGE_BYTES)], "2026-11-22", []),
        ([volume(1), volume(2, day="2026-11-20")], "2026-11-22", []),
        ([volume(n, size=LARGE_BYTES // 3) for n in range(4)], "2026-11-22", [[0, 1, 2]]),
    ],
)
def test_volumes_to_join(volumes: list[Volume], today: str, expected: list[list[int]]) -> None:
    found = [[each.number for each in group] for group in groups_to_join(volumes, today)]
    assert found == expected


def test_damaged_volume_is_named_and_the_others_answer(place: Place) -> None:
    first = place.added(1, [record(1), feedback(2, id_of(1))])
    place.added(2, [record(3)])
    broken = place.parquet()[0]
    broken.write_bytes(broken.read_bytes()[:-40])
    found = place.store.search(Filter())
    assert [match.line for match in found.matches] == [record(3)]
    assert f"{broken} is missing or damaged; the 1 records and 1 feedback" in found.notes[0]
    assert place.store.stats(Filter()).groups[0].records == 1
    assert place.store.find(id_of(3)) == record(3)
    assert place.store.find(id_of(1)) is None
    report = verify(place.log, place.store)
    assert [finding.file for finding in report.findings] == [first]


@pytest.mark.parametrize("place_in_file", [0.05, 0.36, 0.45])  # one of each hits the lines
def test_flipped_bits_in_a_volume_are_found_by_verify(place: Place, place_in_file: float) -> None:
    segment = place.added(1, [record(seq) for seq in range(1, 200)])
    path = place.parquet()[0]
    content = bytearray(path.read_bytes())
    for offset in range(int(len(content) * place_in_file), len(content), len(content) // 3):
        content[offset] ^= 0xFF
    path.write_bytes(content)
    report = verify(place.log, place.store)
    assert [finding.file for finding in report.findings] == [segment]
    place.store.search(Filter())


def test_missing_volume_is_named(place: Place) -> None:
    place.added(1, [record(1)])
    place.parquet()[0].unlink()
    assert "is missing or damaged" in place.store.search(Filter()).notes[0]


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"GWIDS\0\0\1" + b"\xff" * 40])
def test_index_that_is_missing_or_damaged_costs_time_only(
    place: Place, content: bytes | None
) -> None:
    place.added(1, LINES)
    for path in place.directory.glob("*/*.ids"):
        path.unlink() if content is None else path.write_bytes(content)
    assert place.store.find(id_of(3)) == record(3)
    assert place.store.feedback_of(id_of(1)) == [feedback(2, id_of(1))]
    assert place.store.find("nobody") is None


@pytest.mark.parametrize("content", [None, b"nonsense" * 1000, b""])
def test_catalog_is_made_anew_from_the_files(place: Place, content: bytes | None) -> None:
    segments = [place.added(1, LINES), place.added(2, [record(4)])]
    before = seqs(place)
    catalog = place.directory / FILE_NAME
    catalog.unlink() if content is None else catalog.write_bytes(content)
    third = place.sealed(3, [record(5)])
    place.opened().add(third)
    third.unlink()
    assert seqs(place) == [record(5), *before]
    assert place.bytes_of(segments[0]) == joined(LINES)


def test_catalog_that_is_made_anew_takes_the_volume_that_was_written_last(place: Place) -> None:
    place.added(1, LINES)
    place.added(2, [record(4)])
    old = {path: path.read_bytes() for path in place.directory.glob("*/*")}
    place.now_s += 2 * DAY_S
    place.store.compact()
    for path, content in old.items():
        path.write_bytes(content)
    (place.directory / FILE_NAME).unlink()
    place.opened().compact()
    assert seqs(place) == [record(4), record(3), record(1)]
    assert len(place.parquet()) == 1


def test_catalog_that_is_another_database_is_put_aside_even_by_a_reader(place: Place) -> None:
    place.added(1, LINES)
    before = seqs(place)
    (place.directory / FILE_NAME).unlink()
    with closing(sqlite3.connect(place.directory / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE other (x)")
    assert seqs(place) == before
    assert len(list(place.directory.glob("catalog.sqlite.damaged-*"))) == 1


def test_changes_take_turns_and_do_not_wait_for_ever(place: Place) -> None:
    place.added(1, LINES)
    path = place.directory / changes.LOCK_NAME
    with lock(path), pytest.raises(StoreError, match="changing"), lock(path, wait_s=0.05):
        pass
    place.store.compact()


def test_what_is_deleted_while_it_is_read_is_looked_for_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.added(1, LINES)
    place.added(2, [record(4)])
    place.now_s += 2 * DAY_S
    store = place.opened()
    done: list[int] = []

    def joins_meanwhile(look: Any, wanted: Any) -> None:
        if not done:
            done.append(store.compact())
        load_feedback(look, wanted)

    monkeypatch.setattr("gateway.store.search.load_feedback", joins_meanwhile)
    found = place.store.search(Filter(), with_feedback=True)
    assert done == [1]
    assert [match.line for match in found.matches] == [record(4), record(3), record(1)]
    assert found.notes == ()
