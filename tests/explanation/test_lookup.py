from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from gateway.explanation.lookup import Lookup, NoRecord, Span
from gateway.explanation.placeholders import parse_without_environment
from gateway.explanation.plans import Plans
from gateway.messages import RECORD_VERSION, Feedback, Record
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry
from tests.explanation.records import TEXT, record

HASH = parse_without_environment(TEXT).hash
IT = record(HASH, request_id="client-7")
SIGNAL = Feedback(
    v=RECORD_VERSION,
    id="f1",
    time="2026-11-02T08:00:00.000000Z",
    kind="feedback",
    gateway="gw-1",
    worker=0,
    stream="c-1",
    seq=1,
    request_id=IT.id,
    signal="thumbs",
    value=Raw(b"true"),
)


class FakeSource:
    """Lines by id."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = lines
        self.signals = [msgspec.json.encode(SIGNAL), b'{"v":99}']

    def find(self, key: str) -> list[bytes]:
        ids = {line: msgspec.json.decode(line) for line in self.lines}
        return [line for line, each in ids.items() if key in {each["id"], each.get("request_id")}]

    def feedback_on(self, record: Record) -> list[bytes]:
        return self.signals

    def span(self) -> Span | None:
        return Span("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z") if self.lines else None


def lookup_of(state: Path, *lines: bytes) -> Lookup:
    return Lookup(FakeSource(*lines), Plans(state))


def test_a_record_is_explained_with_its_plan_and_what_was_said(tmp_path: Path) -> None:
    engine = open_database(tmp_path)
    ConfigHistory(engine).append(
        Entry(at_ms=1_700_000_000_000, author="file", hash=HASH, outcome="applied", text=TEXT)
    )
    engine.dispose()
    found = lookup_of(tmp_path, msgspec.json.encode(IT)).explanation(IT.id)
    assert found.request_id == "client-7"
    assert found.verdict == "agrees"
    assert (found.plan.since, found.plan.author) == ("2023-11-14T22:13:20Z", "file")
    assert [signal.signal for signal in found.feedback] == ["thumbs"]


def test_without_a_state_directory_the_plan_is_missing_and_nothing_is_made(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    found = lookup_of(state, msgspec.json.encode(IT)).explanation(IT.id)
    assert not found.plan.is_known
    assert found.verdict == "cannot_say"
    assert not state.exists()


def test_an_unknown_id_says_what_times_there_are_records_of(tmp_path: Path) -> None:
    with pytest.raises(NoRecord) as caught:
        lookup_of(tmp_path, msgspec.json.encode(IT)).record("nobody\x1b[2J")
    assert str(caught.value) == (
        "There is no record of nobody?[2J; "
        "there are records from 2026-11-01T00:00:00Z to 2026-11-02T00:00:00Z."
    )


def test_of_requests_with_the_same_id_the_newest_is_explained(tmp_path: Path) -> None:
    older = replace(IT, id="older")
    found = lookup_of(tmp_path, *map(msgspec.json.encode, (IT, older))).explanation("client-7")
    assert found.id == IT.id
    assert "Other requests had this id too; their records are older." in found.notes


def test_copies_of_a_request_are_named_beside_it(tmp_path: Path) -> None:
    copy = replace(IT, id="copy", kind="shadow")
    found = lookup_of(tmp_path, *map(msgspec.json.encode, (IT, copy))).explanation("client-7")
    assert found.id == IT.id
    assert "It was copied to other backends; the records are copy." in found.notes


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoRecord, match="there are no records at all"):
        lookup_of(tmp_path).record("x")


@pytest.mark.parametrize(
    "line,sentence",
    [
        (b'{"id":"x","v":2,"kind":"prediction"}', "This line was written by a newer gateway"),
        (b'{"id":"x","v":1,"kind":"prediction"}', "This line is no record: "),
        (b'{"id":"x","v":1,"kind":"forgotten"}', "This line was deleted on request"),
        (msgspec.json.encode(SIGNAL), f"This is the id of feedback on the request {IT.id}."),
    ],
)
def test_what_is_no_readable_record_is_said_to_be(
    line: bytes, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(NoRecord) as caught:
        lookup_of(tmp_path, line).record(msgspec.json.decode(line)["id"])
    assert str(caught.value).startswith(sentence)
