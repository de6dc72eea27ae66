from __future__ import annotations

from pathlib import Path

import pytest

from gateway.log.files import LogError
from gateway.log.lines import tombstone
from gateway.log.manifest import (
    DROPPED,
    RETENTION,
    SHIPPED,
    Forgotten,
    Manifest,
    Removed,
    Sealed,
    entry_of,
)
from gateway.log.sealer import Sealer
from gateway.log.tally import content_of
from tests.log.samples import STREAM, leave_open, line, lines

SEGMENT = f"{STREAM}-00000001.ndjson"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    leave_open(tmp_path, 1, lines(1, 3))
    leave_open(tmp_path, 2, lines(4, 4))
    Sealer(tmp_path).seal_ready()
    return tmp_path


def test_manifest_that_is_not_there_is_empty(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "absent")
    assert list(manifest.entries()) == []
    assert manifest.find(SEGMENT) is None
    assert manifest.live() == {}
    assert not (tmp_path / "absent").exists()


def test_segment_is_found_as_it_was_sealed(directory: Path) -> None:
    listed = Manifest(directory).find(SEGMENT)
    assert listed is not None
    assert (listed.sealed.records, listed.sha256) == (3, listed.sealed.sha256)
    assert not listed.is_delivered
    assert list(Manifest(directory).live()) == [SEGMENT, f"{STREAM}-00000002.ndjson"]


def test_delivered_segment_is_known_until_retention_takes_it(directory: Path) -> None:
    manifest = Manifest(directory, now=lambda: 1_800_000_000.1234)
    entry = manifest.remove(SEGMENT, 3, "delivered")
    assert entry == Removed(
        at="2027-01-15T08:00:00.123Z", segment=SEGMENT, records=3, reason="delivered"
    )
    assert not (directory / SEGMENT).exists()
    listed = manifest.find(SEGMENT)
    assert listed is not None
    assert listed.is_delivered
    assert manifest.is_removed(SEGMENT)
    manifest.remove(SEGMENT, 3, "retention")
    assert manifest.find(SEGMENT) is None
    assert manifest.is_removed(SEGMENT)


@pytest.mark.parametrize("reason", [SHIPPED, RETENTION, DROPPED])
def test_segment_that_is_nowhere_here_is_not_listed(directory: Path, reason: str) -> None:
    manifest = Manifest(directory)
    manifest.remove(SEGMENT, 3, reason)
    assert manifest.find(SEGMENT) is None
    assert manifest.is_removed(SEGMENT)


def test_forgetting_changes_what_the_segment_is_and_is_appended_once(directory: Path) -> None:
    manifest = Manifest(directory)
    before = manifest.find(SEGMENT)
    text = lines(1, 3).replace(line(2), tombstone(line(2)))
    content = content_of(text, STREAM)
    for _ in range(2):
        manifest.forget(SEGMENT, content, 1, "asked for")
    after = manifest.find(SEGMENT)
    assert before is not None
    assert after is not None
    assert (after.sha256, after.check) == (content.sha256, content.check)
    (entry,) = (one for one in manifest.entries() if isinstance(one, Forgotten))
    assert (entry.was, entry.records, entry.reason) == (before.sha256, 1, "asked for")


def test_forgetting_in_an_unknown_segment_is_refused(directory: Path) -> None:
    with pytest.raises(LogError, match="does not know"):
        Manifest(directory).forget("w0-0198c0ffee00beef-00000009.ndjson", content_of(b"", ""), 0)


def test_what_others_append_is_seen(directory: Path) -> None:
    reader, writer = Manifest(directory), Manifest(directory)
    assert reader.find(SEGMENT)
    writer.remove(SEGMENT, 3, "dropped")
    assert reader.find(SEGMENT) is None
    (directory / "manifest.ndjson").unlink()
    assert reader.live() == {}


def test_entry_of_an_unknown_kind_and_unknown_fields_are_passed_over(directory: Path) -> None:
    manifest = Manifest(directory)
    manifest._chain.append(b'{"kind":"from_the_future","at":"2030"}')
    manifest._chain.append(
        b'{"kind":"removed","at":"2030","segment":"s","records":1,"reason":"new","more":1}'
    )
    assert [type(entry) for entry in manifest.entries()] == [Sealed, Sealed, Removed]
    assert len(manifest.live()) == 2


def test_damaged_entry_is_none() -> None:
    assert entry_of(b"\xff") is None
    assert entry_of(b"{}") is None
