"""The writer of a stream: segments in time, nothing raised into the data plane."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gateway.errors import StateError
from gateway.log.manifest import DELIVERED, Manifest
from gateway.log.names import list_segments
from gateway.log.writer import AHEAD_BYTES, NoRoom, Writer
from gateway.messages import Feedback
from gateway.plan import LogPlan

MIB = 1 << 20
SECOND_NS = 10**9
now = time.monotonic_ns
ENTRY = Feedback(
    v=1, id="i", time="t", kind="feedback", gateway="", worker=0, stream="", seq=0,
    request_id="r", signal="accept",
)  # fmt: skip


def plan(directory: Path, **changes: object) -> LogPlan:
    made = LogPlan(
        enabled=True,
        directory=str(directory),
        gateway="g",
        segment_bytes=MIB,
        segment_age_ns=300 * SECOND_NS,
        syncs_always=False,
        max_bytes=64 * MIB,
        sheds=False,
        user_header="",
        key=b"",
    )
    return msgspec.structs.replace(made, **changes)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)


def ready(writer: Writer) -> None:
    """Look until the spare segment is there."""

    def has_spare() -> bool:
        writer.look()
        return writer.stream.spare is not None

    until(has_spare)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    made = Writer(plan(tmp_path / "log"), "w0")
    made.start()
    ready(made)
    return made


def files(writer: Writer, tmp_path: Path) -> list[tuple[int, str]]:
    return [(name.number, name.state) for name, _ in list_segments(tmp_path / "log")]


def test_there_is_a_segment_to_write_and_a_spare_one(writer: Writer, tmp_path: Path) -> None:
    assert files(writer, tmp_path) == [(1, "open"), (2, "open")]
    assert {path.stat().st_size for _, path in list_segments(tmp_path / "log")} == {MIB}
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for _, path in list_segments(tmp_path / "log")} == {0o600}
    writer.close()


def test_blocks_are_allocated_not_promised(writer: Writer, tmp_path: Path) -> None:
    for _, path in list_segments(tmp_path / "log"):
        assert path.stat().st_blocks * 512 >= MIB
    writer.close()


def test_a_segment_is_locked_while_it_may_be_written(writer: Writer, tmp_path: Path) -> None:
    _, path = list_segments(tmp_path / "log")[0]
    with path.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    writer.close()
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_full_segment_is_let_go_and_replaced(writer: Writer, tmp_path: Path) -> None:
    line = b"x" * (MIB // 2 - 1)
    for _ in range(3):
        assert writer.stream.add(line, time.monotonic_ns())
    ready(writer)
    assert files(writer, tmp_path) == [(1, "open"), (2, "open"), (3, "open")]
    _, first = list_segments(tmp_path / "log")[0]
    with first.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert first.read_bytes() == (line + b"\n") * 2
    writer.close()


def test_an_old_segment_is_followed_by_a_new_one(tmp_path: Path) -> None:
    now_ns = SECOND_NS
    made = Writer(plan(tmp_path / "log", segment_age_ns=SECOND_NS), "w0", clock=lambda: now_ns)
    made.start()
    ready(made)
    made.append(ENTRY)
    now_ns += 2 * SECOND_NS
    made.look()
    assert made.stream.current is not None
    assert made.stream.current.number == 2
    made.close()


def test_an_entry_gets_its_place(writer: Writer, tmp_path: Path) -> None:
    assert [writer.append(ENTRY) for _ in range(2)] == [1, 2]
    _, path = list_segments(tmp_path / "log")[0]
    writer.close()
    lines = path.read_bytes().rstrip(b"\0").splitlines()
    entries = [msgspec.json.decode(line, type=Feedback) for line in lines]
    assert [(each.seq, each.gateway, each.stream) for each in entries] == [
        (1, "g", writer.stream.name),
        (2, "g", writer.stream.name),
    ]


def test_a_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(StateError, match=r"cannot write the log to .*/log: File exists"):
        Writer(plan(tmp_path / "log"), "w0").start()


def test_a_full_disk_drops_and_counts_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = SECOND_NS
    made = Writer(plan(tmp_path / "log"), "w0", clock=lambda: now_ns)
    made.start()
    allocate = os.posix_fallocate

    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    ready(made)
    monkeypatch.setattr(os, "posix_fallocate", full)
    for _ in range(3):
        made.stream.add(b"x" * (MIB - 1), now_ns)

    def is_told() -> bool:
        made.look()
        return "No space left on device" in made.fault

    until(is_told)
    assert made.stream.dropped == 1
    with pytest.raises(NoRoom, match="has no room"):
        made.append(ENTRY)
    assert not [path for _, path in list_segments(tmp_path / "log") if path.suffix == ".new"]
    monkeypatch.setattr(os, "posix_fallocate", allocate)
    made.look()
    assert made.stream.spare is None  # not yet: it is tried once a second
    now_ns += 2 * SECOND_NS
    ready(made)
    assert made.fault == ""
    assert made.append(ENTRY) == 5  # the numbers of what was dropped are missing
    made.close()


def test_at_its_limit_a_shedding_log_takes_no_more(tmp_path: Path) -> None:
    made = Writer(plan(tmp_path / "log", max_bytes=2 * MIB, sheds=True), "w0")
    made.start()
    ready(made)
    made.stream.add(b"x" * (MIB - 1), now())
    made.stream.add(b"x" * (MIB * 7 // 8), now())

    def is_told() -> bool:
        made.look()
        return "has reached its limit" in made.fault

    until(is_told)
    assert made.stream.is_low
    made.close()


def test_at_its_limit_another_log_drops_its_oldest(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    oldest = directory / "w9-0000000000000000-00000001.ndjson"
    oldest.write_bytes(b"{}\n" * (MIB // 3))
    made = Writer(plan(directory, max_bytes=2 * MIB), "w0")
    made.start()
    ready(made)
    assert not oldest.exists()
    made.close()


def quiet(writer: Writer) -> None:
    """Look until there is nothing to do."""

    def is_idle() -> bool:
        writer.look()
        return writer._thread is None

    until(is_idle)


@pytest.mark.skipif(sys.platform != "linux", reason="pages are touched on Linux")
def test_pages_are_in_memory_before_lines_are(tmp_path: Path) -> None:
    writer = Writer(plan(tmp_path / "log", segment_bytes=16 * MIB), "w0")
    writer.start()
    ready(writer)
    quiet(writer)
    segment = writer.stream.current
    assert segment is not None
    least, most = AHEAD_BYTES
    assert segment.touched == least  # of a gateway that has nothing to do
    line = b"x" * 1023
    while writer.stream.written_bytes < MIB:
        assert writer.stream.add(line, now())
    quiet(writer)
    assert segment.touched >= MIB + most // 2  # a megabyte a look is much
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="pages are touched on Linux")
def test_at_the_end_of_a_segment_the_next_one_is_touched(tmp_path: Path) -> None:
    writer = Writer(plan(tmp_path / "log"), "w0")
    writer.start()
    ready(writer)
    current, spare = writer.stream.current, writer.stream.spare
    assert current is not None
    assert spare is not None
    line = b"x" * 1023
    while current.used < MIB * 15 // 16:
        assert writer.stream.add(line, now())
    quiet(writer)
    assert current.touched == MIB
    assert spare.touched > 0
    assert writer.stream.current is current
    quiet(writer)  # and then there is nothing to do
    writer.close()


def deliver(directory: Path, content: bytes) -> int:
    """A segment that every sink has becomes a spare; the number of its file."""
    directory.mkdir()
    segment = directory / "w0-00000000000000aa-00000001.ndjson"
    segment.write_bytes(content)
    number = segment.stat().st_ino
    Manifest(directory).remove(segment.name, 1, DELIVERED)
    return number


@pytest.mark.skipif(sys.platform != "linux", reason="spares are Linux's")
def test_a_delivered_segment_is_written_again(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    number = deliver(directory, b"x" * (MIB - 100))
    writer = Writer(plan(directory), "w0")
    writer.start()
    # Why the first: the thread may have made the next one already.
    (_, path), *_ = list_segments(directory)
    assert path.stat().st_ino == number
    assert path.read_bytes() == bytes(MIB)
    assert writer.append(ENTRY) == 1
    writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="spares are Linux's")
def test_spares_serve_where_the_log_may_not_grow(tmp_path: Path) -> None:
    """Their room was counted when they were segments."""
    directory = tmp_path / "log"
    deliver(directory, bytes(MIB))
    writer = Writer(plan(directory, max_bytes=MIB, sheds=True), "w0")
    writer.start()
    assert writer.append(ENTRY) == 1
    writer.close()
