"""The manual of records, its printed copy, and the commands in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import duckdb
import msgspec
import pytest

from gateway.log.lines import decode
from gateway.log.manual import EXAMPLE, FEEDBACK_EXAMPLE, manual
from gateway.log.sealer import Sealer
from gateway.messages import Feedback, Record
from tests.log.samples import STREAM, leave_open, lines


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", manual(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a log in `state`: the example, feedback on it, a refusal, others."""
    directory = tmp_path / "state" / "log"
    directory.mkdir(parents=True)
    refused = msgspec.structs.replace(
        EXAMPLE, seq=3, kind="refusal", outcome="no_route", status=404, backend=""
    )
    written = [msgspec.json.encode(line) + b"\n" for line in (EXAMPLE, FEEDBACK_EXAMPLE, refused)]
    leave_open(directory, 1, b"".join(written), stream=EXAMPLE.stream)
    Sealer(directory).seal_ready()
    leave_open(directory, 1, lines(1, 2) + b"half", stream=STREAM)
    return tmp_path


def test_document_is_up_to_date() -> None:
    """Else run `python -m gateway.log.manual > docs/records.md`."""
    assert Path("docs/records.md").read_text() == manual()


def test_every_field_of_a_line_has_a_row() -> None:
    rows = [line for line in manual().splitlines() if line.startswith("| `")]
    for section in (Record, Feedback):
        for field in section.__struct_fields__:
            assert any(row.startswith(f"| `{field}` |") for row in rows)


def test_section_in_several_places_is_explained_once() -> None:
    assert manual().count("\n## Payload\n") == 1
    assert "At `request`, `response`." in manual()
    assert "At `decisions[].candidates[]`." in manual()


def test_examples_are_lines_of_the_log() -> None:
    assert [decode(block.encode()) for block in blocks("json")] == [EXAMPLE, FEEDBACK_EXAMPLE]


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_commands_do_what_they_say(place: Path) -> None:
    slowest, failed = (
        subprocess.run(["sh", "-ec", block], cwd=place, check=True, capture_output=True).stdout
        for block in blocks("sh")
    )
    rows = [row.split("\t") for row in slowest.decode().splitlines()]
    assert rows[0] == ["412870", "chat", "mini", "checkout-7731"]
    assert len(rows) == 4  # three records of one stream and two of another, less feedback
    assert failed.split() == [b"1", b"no_route"]


def test_queries_do_what_they_say(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    by_backend, joined = (duckdb.execute(block).fetchall() for block in blocks("sql"))
    assert by_backend == [("chat", "mini", 1, 412.87, 0.0000975)]
    assert [row[:3] for row in joined] == [("checkout-7731", "mini", "thumbs")]
