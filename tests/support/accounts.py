"""What became of every line of the log, compared between all who should know.

    clients   which requests were answered, and to the last byte (`asking`)
    Kafka     both topics, from the beginning, by a plain consumer
    figures   what the shipper says of itself
    store     the lines of every segment that was sealed
    manifest  `gateway log verify`

Duplicates are allowed in Kafka, losses nowhere.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.log.figures import FILE_NAME, LogFigures, SinkFigures, read_figures
from gateway.log.manifest import Manifest, Sealed
from gateway.log.names import DIRECTORY as LOG
from gateway.store.store import DIRECTORY as STORE
from gateway.store.store import Store
from tests.kafka.lines import consume
from tests.support.asking import Asked
from tests.support.gateway import ROOT


class Line(msgspec.Struct, frozen=True):
    """What is needed of a Record or Feedback."""

    id: str
    request_id: str
    kind: str
    stream: str
    seq: int


@dataclass(frozen=True)
class Consumed:
    """Both topics, without duplicates: the first appearances."""

    lines: dict[str, Line]  # by ce_id
    messages: int  # with duplicates
    disorder: tuple[str, ...]  # partitions where a stream's lines are not in order

    @property
    def records(self) -> list[Line]:
        return [line for line in self.lines.values() if line.kind != "feedback"]

    @property
    def feedback(self) -> list[Line]:
        return [line for line in self.lines.values() if line.kind == "feedback"]


def consumed(bootstrap: str, *topics: str) -> Consumed:
    lines: dict[str, Line] = {}
    latest: dict[tuple[str, int, str], int] = {}
    disorder, count = [], 0
    for topic in topics:
        for message in asyncio.run(consume(bootstrap, topic)):
            count += 1
            line = msgspec.json.decode(message.value, type=Line)
            ce_id = dict(message.headers)["ce_id"].decode()
            assert ce_id == line.id
            if ce_id in lines:
                continue
            lines[ce_id] = line
            place = (topic, message.partition, line.stream)
            if line.seq <= latest.get(place, 0):
                disorder.append(f"{place}: {line.seq} after {latest[place]}")
            latest[place] = line.seq
    return Consumed(lines, count, tuple(disorder))


def final_figures(state: Path) -> LogFigures:
    """What the shipper said last."""
    figures = msgspec.json.decode((state / "run" / FILE_NAME).read_bytes(), type=LogFigures)
    assert read_figures(state / "run" / FILE_NAME, figures.at_s) == figures
    return figures


def sink_of(figures: LogFigures, name: str) -> SinkFigures:
    return next(sink for sink in figures.sinks if sink.name == name)


# -- clients


def assert_every_answer_is_recorded_once(asked: Iterable[Asked], found: Consumed) -> None:
    """Answered completely: exactly one record; otherwise at most one; nothing else is there."""
    given = list(asked)
    requests = {one.id: one for one in given if one.kind != "feedback"}
    records = Counter(line.request_id for line in found.records)
    assert {id_ for id_, count in records.items() if count > 1} == set()
    assert records.keys() - requests.keys() == set()
    whole = {id_ for id_, one in requests.items() if one.is_whole}
    lost = whole - records.keys()
    assert not lost, f"{len(lost)} of {len(whole)} answers have no record: {sorted(lost)[:5]}"
    assert_feedback_is_recorded_once({id_ for one in given for id_ in one.feedback}, found)


def assert_feedback_is_recorded_once(accepted: set[str], found: Consumed) -> None:
    assert accepted - {line.id for line in found.feedback} == set()


# -- streams


def assert_no_gap(lines: Iterable[Line]) -> int:
    """Every stream has every number from 1 to its last; how many lines."""
    seqs: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        seqs[line.stream].append(line.seq)
    for stream, found in seqs.items():
        missing = set(range(1, max(found) + 1)) - set(found)
        assert not missing, f"{stream}: {len(missing)} of {max(found)} missing: {few(missing)}"
        assert len(found) == len(set(found)), f"{stream} has a number twice"
    return sum(map(len, seqs.values()))


def gaps_of(lines: Iterable[Line]) -> int:
    """How many numbers are missing before the last of each stream."""
    latest: dict[str, int] = defaultdict(int)
    count = 0
    for line in lines:
        count += 1
        latest[line.stream] = max(latest[line.stream], line.seq)
    return sum(latest.values()) - count


def few(numbers: Iterable[int]) -> list[int]:
    return sorted(numbers)[:5]


# -- balance, store, manifest


def assert_balanced(figures: LogFigures, count: int) -> None:
    """Every sink had every line, and says so."""
    for sink in figures.sinks:
        found = (sink.name, sink.appended, sink.shipped, sink.waiting, sink.dropped)
        assert found == (sink.name, count, count, 0, 0), f"{count} lines: {figures}"
    assert figures.appended == count, f"{count} lines: {figures}"


def assert_nothing_is_missing(figures: LogFigures, count: int) -> None:
    assert figures.appended == count
    for sink in figures.sinks:
        assert (sink.name, sink.waiting, sink.dropped) == (sink.name, 0, 0), figures
        assert sink.appended == sink.shipped <= count, figures


def stored_lines(state: Path) -> list[Line]:
    """Every line of every segment that was ever sealed, as the store has it."""
    store = Store(state / STORE, state / LOG)
    found: list[Line] = []
    try:
        for entry in Manifest(state / LOG).entries():
            if isinstance(entry, Sealed):
                lines = store.lines_of(entry.segment)
                assert lines is not None, f"the store has no {entry.segment}"
                found += [msgspec.json.decode(line, type=Line) for line in lines]
    finally:
        store.close()
    return found


def assert_verified(state: Path) -> dict[str, Any]:
    """`gateway log verify` finds nothing; its report."""
    command = [sys.executable, "-m", "gateway", "log", "verify", "--json", "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["findings"] == []
    return report


def assert_nothing_waits(state: Path) -> None:
    """Each segment is gone; a kill while one was made may leave a file without a line."""
    files = [path for path in (state / LOG).glob("*.ndjson*") if path.name[0] in "wc"]
    left = [path.name for path in files if path.suffix != ".new" or has_lines(path)]
    assert left == [], f"not delivered: {left}"


def has_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) not in {b"", b"\0"}


# -- all of it


def assert_everybody_agrees(
    state: Path,
    bootstrap: str,
    topic: str,
    asked: Iterable[Asked],
    accepted: Collection[str] = (),
    *,
    is_counted_from_start: bool = True,
) -> int:
    """Clients, Kafka, figures, store and manifest, after the end; how many lines there are.

    `accepted` are ids of feedback that came by the admin port. A sink that has lost its
    checkpoints does not count what it had before.
    """
    found = consumed(bootstrap, topic, f"{topic}-feedback")
    assert_every_answer_is_recorded_once(asked, found)
    assert_feedback_is_recorded_once(set(accepted), found)
    count = assert_no_gap(found.lines.values())
    assert found.disorder == (), found.disorder[:5]
    figures = final_figures(state)
    if is_counted_from_start:
        assert_balanced(figures, count)
    else:
        assert_nothing_is_missing(figures, count)
    assert_nothing_waits(state)
    stored = stored_lines(state)
    assert len(stored) == count, f"{len(stored)} lines in the store, {count} in Kafka"
    assert {line.id for line in stored} == found.lines.keys()
    assert assert_verified(state)["records"] == count
    return count
