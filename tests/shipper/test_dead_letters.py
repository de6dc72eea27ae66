"""What a destination will never take is kept, within bounds."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gateway.log.names import SegmentName
from gateway.shipper.dead_letters import FILE, LONGEST_LINE, OLD_FILE, DeadLetters, Letter
from gateway.shipper.dead_letters import letter_of as made_letter


def letter_of(line: bytes) -> Letter:
    return made_letter(line, time="now", sink="kafka", reason="too long", segment="w1-00.ndjson")


def letters(path: Path) -> list[Letter]:
    return [msgspec.json.decode(line, type=Letter) for line in path.read_bytes().splitlines()]


def test_letters_are_appended_with_the_line_and_the_reason(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path)
    dead.put([letter_of(b'{"id":"1"}'), letter_of(b"\xff\n")])
    dead.put([letter_of(b"third")])
    found = letters(tmp_path / FILE)
    assert [letter.line for letter in found] == ['{"id":"1"}', "\ufffd\n", "third"]
    assert found[0] == letter_of(b'{"id":"1"}')
    assert [letter.bytes for letter in found] == [10, 2, 5]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    DeadLetters(tmp_path).put([letter_of(b"secret")])
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_full_file_makes_room_and_both_stay_within_bounds(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path, most_bytes=1000)
    for number in range(100):
        dead.put([letter_of(b"x" * 100 + b"%d" % number)])
        sizes = [path.stat().st_size for path in tmp_path.iterdir()]
        assert sum(sizes) <= 2000
    assert {path.name for path in tmp_path.iterdir()} == {FILE, OLD_FILE}
    assert letters(tmp_path / FILE)[-1].line.endswith("x99")


def test_endless_line_is_cut_and_says_so(tmp_path: Path) -> None:
    letter = letter_of(b"y" * (LONGEST_LINE + 1))
    assert letter.cut
    assert len(letter.line) == LONGEST_LINE
    assert letter.bytes == LONGEST_LINE + 1


@pytest.mark.parametrize("name", [FILE, OLD_FILE])
def test_files_are_not_taken_for_segments(name: str) -> None:
    assert SegmentName.parse(name) is None


def test_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DeadLetters(tmp_path / "gone").put([letter_of(b"x")])


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Stands for a disk that is full: writing beyond fails, what is before it is written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_full_disk_leaves_no_half_letter(tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path)
    dead.put([letter_of(b"first")])
    size = os.stat(tmp_path / FILE).st_size  # noqa: PTH116
    with files_up_to(size + 50), pytest.raises(OSError, match="too large"):
        dead.put([letter_of(b"z" * 500)])
    dead.put([letter_of(b"third")])
    assert [letter.line for letter in letters(tmp_path / FILE)] == ["first", "third"]
