"""Figures from a real store and log, against sums made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.log.names import SegmentName
from gateway.messages import RECORD_VERSION, Feedback, Payload, Record, Timing
from gateway.production import stored
from gateway.production.figures import Figures, Span, Tally
from gateway.production.stored import StoredFigures
from gateway.store import Store

NOW_S = 1_790_000_000.0
ALL = Span(NOW_S - 1000, NOW_S)


def stamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Log:
    """Segments below a state directory, some of them in the store."""

    def __init__(self, state: Path) -> None:
        self.directory, self._number, self._lines = state / "log", 0, list[bytes]()
        self.store = Store(state / "store", self.directory)
        self.figures = StoredFigures(state / "store", self.directory)
        self.directory.mkdir()

    def record(self, backend: str, at_s: float, total_us: int = 1000, **members: Any) -> str:
        """One more; its id."""
        name = f"0198c0ff-ee00-7000-8000-{self._number:04d}{len(self._lines):08d}"
        given: dict[str, Any] = {"route": "chat", "outcome": "ok", "kind": "prediction"} | members
        record = Record(
            v=RECORD_VERSION,
            id=name,
            request_id=given.pop("request_id", name),
            time=stamp(at_s),
            gateway="g",
            worker=0,
            stream="w0-0198c0ffee00beef",
            seq=1,
            plan="p",
            status=200,
            timing=Timing(total_us=total_us),
            request=Payload(bytes=1),
            response=Payload(bytes=1),
            backend=backend,
            **given,
        )
        self._lines.append(msgspec.json.encode(record))
        return name

    def signal(self, about: str, name: str = "") -> None:
        feedback = Feedback(
            v=RECORD_VERSION,
            id=name or f"f{len(self._lines)}-{self._number}",
            time=stamp(NOW_S),
            kind="feedback",
            gateway="g",
            worker=0,
            stream="w0-0198c0ffee00beef",
            seq=1,
            request_id=about,
            signal="accept",
            value=msgspec.Raw(b"true"),
        )
        self._lines.append(msgspec.json.encode(feedback))

    def seal(self, *, is_stored: bool) -> None:
        """What was written becomes a segment, in the store or not yet."""
        self._number += 1
        name = SegmentName("w0-0198c0ffee00beef", self._number, "sealed")
        path = self.directory / name.file_name
        path.write_bytes(b"".join(line + b"\n" for line in self._lines))
        self._lines = []
        if is_stored:
            self.store.add(path)
            path.unlink()

    def over(self, *spans: Span) -> Tally:
        return self.figures.over(spans, ["chat"])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.mark.parametrize("is_stored", [True, False])
def test_answers_of_a_backend_are_counted(log: Log, is_stored: bool) -> None:
    for n in range(10):
        log.record("one", NOW_S - 10, 1000 * (n + 1), cost_usd=0.5, version="2")
    log.record("one", NOW_S - 10, 9_000_000, outcome="upstream_5xx", version="3")
    log.record("two", NOW_S - 10)
    log.record("", NOW_S - 10, outcome="no_backend")
    log.record("", NOW_S - 10, outcome="bad_body", kind="refusal")
    log.seal(is_stored=is_stored)
    counted = log.over(ALL).by_span[ALL]
    own = counted["chat", "one"]
    assert (own.requests, own.error_share) == (11, 1 / 11)
    assert own.p50_s == pytest.approx(0.0055, abs=0.0006)
    assert own.p95_s == pytest.approx(0.0095, abs=0.0006)  # of good answers only
    assert own.cost_usd == pytest.approx(5 / 11)
    assert own.versions == {"2": 10, "3": 1}
    assert counted["chat", "two"].requests == 1
    assert counted["chat", ""] == Figures(requests=14, error_share=2 / 14)


def test_only_the_span_the_route_and_what_clients_saw_count(log: Log) -> None:
    log.record("one", ALL.since_s)
    log.record("one", ALL.until_s - 1)
    log.record("one", ALL.since_s - 1)
    log.record("one", ALL.until_s)
    log.record("one", NOW_S - 10, route="fraud")
    log.record("one", NOW_S - 10, kind="shadow")
    log.seal(is_stored=True)
    assert log.over(ALL).by_span[ALL]["chat", "one"].requests == 2


def test_spans_are_counted_apart_and_store_and_log_together(log: Log) -> None:
    log.record("one", NOW_S - 1500)
    log.seal(is_stored=True)
    log.record("one", NOW_S - 10)
    log.seal(is_stored=True)
    log.record("one", NOW_S - 5)
    log.seal(is_stored=False)
    before = Span(NOW_S - 2000, NOW_S - 1000)
    by_span = log.over(ALL, before).by_span
    assert [by_span[span]["chat", "one"].requests for span in (ALL, before)] == [2, 1]


@pytest.mark.parametrize("is_stored", [True, False])
def test_signals_are_counted_once_by_either_id(log: Log, is_stored: bool) -> None:
    names = [log.record("one", NOW_S - 10, request_id=f"r{n}") for n in range(4)]
    log.seal(is_stored=True)
    log.signal(names[0], "a")
    log.signal("r1", "b")
    log.signal("r1", "b")  # sent twice
    log.signal("r1", "c")
    log.signal("of another", "d")
    log.seal(is_stored=is_stored)
    assert log.over(ALL).by_span[ALL]["chat", "one"].feedback_per_request == 3 / 4


def test_empty_store_counts_nothing(log: Log) -> None:
    assert log.over(ALL).by_span == {ALL: {}}


def test_much_that_is_not_stored_is_left_out_and_said(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_LIVE_BYTES", 1000)
    for _ in range(10):
        log.record("one", NOW_S - 10)
    log.seal(is_stored=False)
    tally = log.over(ALL)
    assert tally.by_span == {ALL: {}}
    assert tally.notes == ("what came in the last minutes is not counted yet",)


def test_of_many_records_the_last_are_counted_and_the_window_says_so(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "MOST_RECORDS", 50)
    for n in range(1000):
        log.record("one", ALL.since_s + n)
    log.seal(is_stored=True)
    tally = log.over(ALL)
    shorter = tally.shorter[ALL]
    assert (shorter.since_s, shorter.until_s) == (NOW_S - 60, NOW_S)
    assert tally.by_span[ALL]["chat", "one"].requests == 60
    assert log.over(Span(NOW_S - 40, NOW_S)).shorter[Span(NOW_S - 40, NOW_S)].since_s == NOW_S - 40
