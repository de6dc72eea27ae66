"""`gateway explain`, over a state directory that no gateway runs on."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from msgspec import Raw

from gateway.config import load
from gateway.log.names import DIRECTORY
from gateway.messages import Payload, Record
from gateway.payloads.encryption import Sealer, bound_to, sealed_payload
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry
from tests.cli.admin_port import exit_code
from tests.explanation.records import TEXT, record

STARTED_MS = 1_793_000_000_000
KEY = bytes(range(32))
ENVIRON = {"HOST": "m.example", "KEY": "k", "LOG_KEY": base64.b64encode(KEY).decode()}
BODY = Payload(bytes=9, type="json", body=Raw(b'{"a":"\\u001b[2J"}'))


class Place:
    """A directory with gateway.yaml, its history, and a segment of the log."""

    def __init__(self, root: Path) -> None:
        self.config, self.state = root / "gateway.yaml", root / "state"
        settings: dict[str, Any] = yaml.safe_load(TEXT)
        settings |= {"state": str(self.state), "log": {"encryption": {"key": "${LOG_KEY}"}}}
        self.config.write_text(yaml.safe_dump(settings))
        self.hash = load(self.config, ENVIRON).hash
        engine = open_database(self.state)
        text = self.config.read_text()
        ConfigHistory(engine).append(
            Entry(
                at_ms=1_700_000_000_000, author="ann", hash=self.hash, outcome="applied", text=text
            )
        )
        engine.dispose()

    def write(self, *records: Record) -> None:
        log = self.state / DIRECTORY
        log.mkdir()
        lines = b"".join(msgspec.json.encode(each) + b"\n" for each in records)
        (log / f"w0-{STARTED_MS:012x}0123-00000001.ndjson").write_bytes(lines)

    def explain(self, *arguments: str) -> int:
        return exit_code("explain", *arguments, "-c", str(self.config))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    return Place(tmp_path)


def test_the_page_is_printed_without_a_gateway(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write(record(place.hash, request_id="client-7"))
    assert place.explain("client-7") == 0
    text = capsys.readouterr().out
    assert "Answered by mini (model gpt-mini, version 2026-04) in 812 ms, for $0.00033." in text
    assert "in force since 2023-11-14T22:13:20Z, put there by ann" in text
    assert "Decided again from the record and its plan: the same." in text


def test_json_has_the_same(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    it = record(place.hash)
    place.write(it)
    assert exit_code("explain", it.id, "--state", str(place.state), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["id"], found["verdict"]) == (it.id, "agrees")
    assert "request_body" not in found


def test_bodies_are_printed_only_when_asked_for(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    it = record(place.hash, request=BODY)
    place.write(it)
    place.explain(it.id)
    assert '"a"' not in capsys.readouterr().out
    assert place.explain(it.id, "--payload") == 0
    text = capsys.readouterr().out
    assert 'Request\n{\n  "a": "' in text
    assert "\x1b" not in text
    assert 'Answer\n{\n  "a": 1\n}' in text


def test_encrypted_bodies_are_read_with_the_key_of_the_configuration(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cryptography")
    it = record(place.hash)
    sealed = sealed_payload(BODY, Sealer(KEY), bound_to(it.id, "request"))
    place.write(msgspec.structs.replace(it, request=sealed))
    place.explain(it.id)
    assert "request: 9 bytes, kept, encrypted" in capsys.readouterr().out
    assert place.explain(it.id, "--payload", "--json") == 0
    assert json.loads(capsys.readouterr().out)["request_body"] == {"a": "\x1b[2J"}


def test_a_missing_key_is_said_in_a_sentence(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    it = record(place.hash)
    sealed = sealed_payload(BODY, Sealer(KEY), bound_to(it.id, "request"))
    place.write(msgspec.structs.replace(it, request=sealed))
    monkeypatch.delenv("LOG_KEY")
    assert place.explain(it.id, "--payload") == 1
    assert "the bodies are encrypted, and" in capsys.readouterr().err


def test_an_unknown_id_says_what_there_is(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write(record(place.hash))
    assert place.explain("nobody") == 1
    assert capsys.readouterr().err == (
        "gateway: There is no record of nobody; there are records"
        " from 2026-10-26T07:33:20Z to 2026-11-01T12:00:00.123456Z.\n"
    )


def test_a_directory_without_records_says_so_and_stays_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "nothing"
    assert exit_code("explain", "x", "--state", str(state)) == 1
    assert "there are no records at all" in capsys.readouterr().err
    assert not state.exists()
