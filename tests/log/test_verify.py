from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.log.chain import HEAD_NAME, MANIFEST_NAME
from gateway.log.files import LogError
from gateway.log.lines import tombstone
from gateway.log.manifest import Broken, Manifest
from gateway.log.sealer import Sealer
from gateway.log.tally import content_of
from gateway.log.verify import Report, verify
from tests.log.samples import OTHER, STREAM, feedback, leave_open, line, lines

FIRST = f"{STREAM}-00000001.ndjson"
SECOND = f"{STREAM}-00000002.ndjson"
THIRD = f"{OTHER}-00000001.ndjson"
GAPPED = f"{OTHER}-00000002.ndjson"
GONE = f"{STREAM}-00000003.ndjson"
SEGMENTS = (FIRST, SECOND, THIRD, GAPPED)
MANY = settings(max_examples=2000 if os.environ.get("RUN_SLOW") else 60, deadline=None)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with segments of two streams, one with a gap, one with a tombstone, one removed."""
    directory = tmp_path_factory.mktemp("original")
    leave_open(directory, 1, lines(1, 5) + msgspec.json.encode(feedback(6)) + b"\n" + b"half")
    leave_open(directory, 2, lines(7, 8))
    leave_open(directory, 3, lines(9, 9))
    leave_open(directory, 1, lines(1, 3, stream=OTHER), stream=OTHER)
    gapped = lines(4, 5, stream=OTHER) + lines(9, 10, stream=OTHER)
    leave_open(directory, 2, gapped, stream=OTHER)
    Sealer(directory).seal_ready()
    manifest = Manifest(directory)
    manifest.remove(GONE, 1, "dropped")
    forget(directory, SECOND, 7)
    leave_open(directory, 4, lines(10, 11) + line(12)[:30])
    assert verify(directory).is_good
    return directory


@pytest.fixture
def directory(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "log")
    return tmp_path / "log"


class Copies:
    """A fresh copy for each example of a property."""

    def __init__(self, original: Path, place: Path) -> None:
        self._original, self._place, self._count = original, place, 0

    def fresh(self) -> Path:
        self._count += 1
        return Path(shutil.copytree(self._original, self._place / str(self._count)))


@pytest.fixture(scope="module")
def copies(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    return Copies(original, tmp_path_factory.mktemp("copies"))


def forget(directory: Path, segment: str, seq: int) -> None:
    path = directory / segment
    text = path.read_bytes()
    text = text.replace(line(seq), tombstone(line(seq)))
    Manifest(directory).forget(segment, content_of(text, STREAM), 1, "asked for")
    path.write_bytes(text)


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def assert_found(report: Report, file: str, *numbers: int) -> None:
    """The first finding is about this line of this file, in one sentence."""
    assert report.findings, "not found"
    first = report.findings[0]
    assert first.file == file, first.sentence
    assert first.line in numbers, first.sentence
    place = f"{file}, line {first.line}," if first.line else file
    assert first.sentence.startswith(f"{place} ")
    assert first.sentence.endswith(".")
    assert "\n" not in first.sentence


def test_log_as_it_was_written_is_good(directory: Path) -> None:
    report = verify(directory)
    assert report.findings == ()
    assert (report.entries, report.segments, report.records) == (7, 4, 15)
    assert report.unsealed == 1


@given(data=st.data())
@MANY
def test_any_altered_byte_of_a_segment_is_found_with_its_line(
    copies: Copies, data: st.DataObject
) -> None:
    path = copies.fresh() / data.draw(st.sampled_from(SEGMENTS))
    text = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    number = path.read_bytes()[:place].count(b"\n") + 1
    path.write_bytes(text)
    assert_found(verify(path.parent), path.name, number)


@given(data=st.data())
@MANY
def test_any_altered_byte_of_the_manifest_is_found_with_its_line(
    copies: Copies, data: st.DataObject
) -> None:
    path = copies.fresh() / MANIFEST_NAME
    text = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    number = path.read_bytes()[:place].count(b"\n") + 1
    path.write_bytes(text)
    assert_found(verify(path.parent), MANIFEST_NAME, number)


@given(data=st.data())
@MANY
def test_any_altered_byte_of_the_head_is_found(copies: Copies, data: st.DataObject) -> None:
    path = copies.fresh() / HEAD_NAME
    text = bytearray(path.read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(text)
    first = verify(path.parent).findings[0]
    assert HEAD_NAME in first.sentence


@pytest.mark.parametrize("name", [FIRST, SECOND, THIRD, MANIFEST_NAME])
def test_any_removed_line_is_found_where_it_stood(copies: Copies, name: str) -> None:
    count = len(lines_in(copies.fresh() / name))
    for number in range(1, count + 1):
        path = copies.fresh() / name
        left = lines_in(path)
        del left[number - 1]
        path.write_bytes(b"".join(left))
        assert_found(verify(path.parent), name, number)


@given(data=st.data())
@MANY
def test_any_two_swapped_lines_are_found_where_the_first_stands(
    copies: Copies, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([FIRST, SECOND, THIRD, MANIFEST_NAME]))
    path = copies.fresh() / name
    moved = lines_in(path)
    one, two = sorted(
        data.draw(st.lists(st.sampled_from(range(len(moved))), min_size=2, max_size=2, unique=True))
    )
    moved[one], moved[two] = moved[two], moved[one]
    path.write_bytes(b"".join(moved))
    assert_found(verify(path.parent), name, one + 1)


@given(data=st.data())
@MANY
def test_any_truncation_is_found_where_it_begins(copies: Copies, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*SEGMENTS, MANIFEST_NAME, HEAD_NAME]))
    path = copies.fresh() / name
    text = path.read_bytes()
    kept = text[: data.draw(st.integers(0, len(text) - 1))]
    path.write_bytes(kept)
    assert_found(verify(path.parent), name, 0 if name == HEAD_NAME else kept.count(b"\n") + 1)


@given(data=st.data())
@MANY
def test_anything_added_is_found(copies: Copies, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*SEGMENTS, HEAD_NAME]))
    path = copies.fresh() / name
    text = path.read_bytes()
    place = data.draw(st.integers(0, len(text)))
    added = data.draw(st.binary(min_size=1, max_size=20) | st.sampled_from(lines_in(path)))
    path.write_bytes(text[:place] + added + text[place:])
    assert verify(path.parent).findings[0].file == name


def test_count_altered_in_the_head_is_not_blamed_on_the_manifest(directory: Path) -> None:
    path = directory / HEAD_NAME
    head = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode(head | {"count": head["count"] * 10}))
    assert_found(verify(directory), HEAD_NAME, 0)


@given(data=st.data())
@MANY
def test_line_added_to_the_manifest_is_found(copies: Copies, data: st.DataObject) -> None:
    path = copies.fresh() / MANIFEST_NAME
    longer = lines_in(path)
    place = data.draw(st.integers(0, len(longer)))
    longer.insert(place, data.draw(st.sampled_from(longer)))
    path.write_bytes(b"".join(longer))
    assert_found(verify(path.parent), MANIFEST_NAME, place + 1, place + 2)


@pytest.mark.parametrize("seq", [4, 5, 9, 10])
def test_line_removed_from_a_segment_with_a_gap_is_found(directory: Path, seq: int) -> None:
    path = directory / GAPPED
    removed = line(seq, stream=OTHER) + b"\n"
    assert removed in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(removed, b""))
    assert_found(verify(directory), GAPPED, 4)


@pytest.mark.parametrize("segment", SEGMENTS)
def test_removed_segment_is_found(directory: Path, segment: str) -> None:
    (directory / segment).unlink()
    assert_found(verify(directory), segment, 0)


@pytest.mark.parametrize("segment", SEGMENTS)
def test_emptied_segment_is_found(directory: Path, segment: str) -> None:
    (directory / segment).write_bytes(b"")
    assert_found(verify(directory), segment, 1)


def test_segments_that_changed_places_are_found(directory: Path) -> None:
    first, second = (directory / FIRST).read_bytes(), (directory / SECOND).read_bytes()
    (directory / FIRST).write_bytes(second)
    (directory / SECOND).write_bytes(first)
    assert_found(verify(directory), FIRST, 1)


def test_removed_manifest_is_found(directory: Path) -> None:
    (directory / MANIFEST_NAME).unlink()
    assert_found(verify(directory), MANIFEST_NAME, 1)


def test_removed_head_is_found(directory: Path) -> None:
    (directory / HEAD_NAME).unlink()
    assert_found(verify(directory), HEAD_NAME, 0)


def test_removed_manifest_and_head_are_found(directory: Path) -> None:
    (directory / MANIFEST_NAME).unlink()
    (directory / HEAD_NAME).unlink()
    assert not verify(directory).is_good


@pytest.mark.parametrize("count", [0, 1, 3])
def test_manifest_cut_off_between_lines_is_found(directory: Path, count: int) -> None:
    path = directory / MANIFEST_NAME
    path.write_bytes(b"".join(lines_in(path)[:count]))
    assert_found(verify(directory), MANIFEST_NAME, count + 1)


def test_what_was_broken_once_is_told_for_ever(directory: Path) -> None:
    """A gateway that goes on with a manifest that was cut off does not make it good."""
    path = directory / MANIFEST_NAME
    path.write_bytes(b"".join(lines_in(path)[:-2]))
    leave_open(directory, 5, lines(20, 21))
    Sealer(directory).seal_ready()
    assert any(isinstance(entry, Broken) for entry in Manifest(directory).entries())
    assert_found(verify(directory), MANIFEST_NAME, 6)
    assert "head.json knows" in verify(directory).findings[0].sentence


def test_damaged_head_is_told_for_ever(directory: Path) -> None:
    (directory / HEAD_NAME).write_bytes(b"{}")
    leave_open(directory, 5, lines(20, 21))
    Sealer(directory).seal_ready()
    assert_found(verify(directory), MANIFEST_NAME, 8)


def test_segment_sealed_twice_is_found(directory: Path) -> None:
    manifest = Manifest(directory)
    listed = manifest.find(FIRST)
    assert listed
    manifest.append(listed.sealed)
    assert_found(verify(directory), MANIFEST_NAME, 8)


def test_several_altered_lines_are_found_though_not_where(directory: Path) -> None:
    path = directory / FIRST
    path.write_bytes(path.read_bytes().replace(b'"total_us":120', b'"total_us":920'))
    assert_found(verify(directory), FIRST, 0)
    assert "several lines" in verify(directory).findings[0].sentence


def test_forgotten_line_that_is_still_there_is_found(directory: Path) -> None:
    path = directory / FIRST
    before = path.read_bytes()
    forget(directory, FIRST, 2)
    assert verify(directory).is_good
    path.write_bytes(before)
    assert_found(verify(directory), FIRST, 2)


def test_what_a_crash_leaves_is_a_note(directory: Path) -> None:
    Sealer(directory).seal_ready()
    head = (directory / HEAD_NAME).read_bytes()
    leave_open(directory, 5, lines(20, 21) + b"garbage\n" + lines(22, 22))
    Sealer(directory).seal_ready()
    (directory / HEAD_NAME).write_bytes(head)  # it was not replaced yet
    sealed = directory / f"{STREAM}-00000006.ndjson"
    sealed.write_bytes(lines(23, 24))  # its entry was not written
    with (directory / MANIFEST_NAME).open("ab") as manifest:
        manifest.write(b'{"kind":"sealed","at')  # but begun
    report = verify(directory)
    assert report.is_good
    assert len(report.notes) == 3
    assert any(sealed.name in note for note in report.notes)
    assert any(".damaged" in note for note in report.notes)


def test_two_segments_outside_of_the_manifest_are_found(directory: Path) -> None:
    for number in (5, 6):
        (directory / f"{STREAM}-{number:08d}.ndjson").write_bytes(lines(23, 24))
    assert_found(verify(directory), f"{STREAM}-00000005.ndjson", 0)


def test_fresh_log_is_good(tmp_path: Path) -> None:
    assert verify(tmp_path) == Report(
        entries=0, segments=0, records=0, unsealed=0, findings=(), notes=()
    )
    Sealer(tmp_path).seal_ready()
    assert verify(tmp_path).is_good


def test_log_that_is_not_there_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="There is no log in"):
        verify(tmp_path / "absent")


class Shelf:
    """A store in memory."""

    def __init__(self) -> None:
        self.segments: dict[str, list[bytes]] = {}

    def lines_of(self, segment: str) -> Iterator[bytes] | None:
        return iter(self.segments[segment]) if segment in self.segments else None


@pytest.fixture
def shelf(directory: Path) -> Shelf:
    """A store that the first segment was delivered to."""
    shelf = Shelf()
    shelf.segments[FIRST] = (directory / FIRST).read_bytes().splitlines()
    Manifest(directory).remove(FIRST, 6, "delivered")
    return shelf


def test_delivered_segment_is_checked_in_the_store(directory: Path, shelf: Shelf) -> None:
    assert not (directory / FIRST).exists()
    assert (verify(directory, shelf).is_good, verify(directory, shelf).segments) == (True, 4)
    assert (verify(directory).is_good, verify(directory).segments) == (True, 3)


@given(data=st.data())
@MANY
def test_any_altered_byte_in_the_store_is_found_with_its_line(
    copies: Copies, data: st.DataObject
) -> None:
    directory = copies.fresh()
    stored = (directory / FIRST).read_bytes().splitlines()
    Manifest(directory).remove(FIRST, 6, "delivered")
    number = data.draw(st.integers(0, len(stored) - 1))
    altered = bytearray(stored[number])
    altered[data.draw(st.integers(0, len(altered) - 1))] ^= data.draw(st.integers(1, 255))
    shelf = Shelf()
    shelf.segments[FIRST] = [*stored[:number], bytes(altered), *stored[number + 1 :]]
    assert_found(verify(directory, shelf), FIRST, number + 1)


def test_row_and_segment_missing_in_the_store_are_found(directory: Path, shelf: Shelf) -> None:
    del shelf.segments[FIRST][3]
    assert_found(verify(directory, shelf), FIRST, 4)
    shelf.segments.clear()
    assert_found(verify(directory, shelf), FIRST, 0)


def test_segment_that_retention_took_from_the_store_is_not_missed(
    directory: Path, shelf: Shelf
) -> None:
    shelf.segments.clear()
    Manifest(directory).remove(FIRST, 6, "retention")
    assert verify(directory, shelf).is_good
