"""`gateway log verify` and `gateway log schema`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway.cli import main
from gateway.log.manifest import DELIVERED, Manifest
from gateway.log.sealer import Sealer
from gateway.store.store import Store
from tests.log.samples import STREAM, feedback, leave_open, line, lines

SEGMENT = f"{STREAM}-00000001.ndjson"


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state" / "log"
    directory.mkdir(parents=True)
    leave_open(directory, 1, lines(1, 3))
    Sealer(directory).seal_ready()
    leave_open(directory, 2, lines(4, 4))
    return directory.parent


def test_log_that_is_whole_is_said_to_be(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("log", "verify", "--state", str(state)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == (
        f"{state / 'log'} is as it was written: 3 records in 1 segment, 1 lines of the manifest"
    )
    assert shown[1:] == ["  note: 1 segment not sealed yet, and not compared."]


def test_first_broken_link_is_one_sentence_and_exit_code_1(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = state / "log" / SEGMENT
    path.write_bytes(path.read_bytes().replace(b'"total_us":1202', b'"total_us":1203'))
    assert run("log", "verify", "--state", str(state)) == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        f"{SEGMENT}, line 2, was altered: its bytes are not those that were sealed."
    )


def test_state_is_where_the_configuration_says(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(f"state: {state}\n")
    assert run("log", "verify", "-c", str(config), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["valid"], answer["records"], answer["findings"]) == (True, 3, [])


def test_json_holds_every_finding(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "log" / SEGMENT).unlink()
    (state / "log" / "head.json").unlink()
    assert run("log", "verify", "--state", str(state), "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert [found["file"] for found in answer["findings"]] == ["head.json", SEGMENT]


def test_log_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("log", "verify", "--state", str(tmp_path)) == 1
    assert capsys.readouterr().err == f"gateway: There is no log in {tmp_path / 'log'}.\n"


def test_segment_in_the_store_is_compared_there(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(state / "store", state / "log")
    store.add(state / "log" / SEGMENT)
    store.close()
    Manifest(state / "log").remove(SEGMENT, 3, DELIVERED)
    assert run("log", "verify", "--state", str(state)) == 0
    assert "3 records in 1 segment" in capsys.readouterr().out
    shutil.rmtree(state / "store")
    (state / "store").mkdir()
    assert run("log", "verify", "--state", str(state)) == 1
    assert f"{SEGMENT} is missing in the store" in capsys.readouterr().out


def test_schema_accepts_what_is_written_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("log", "schema") == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    accepts = Draft202012Validator(schema).is_valid
    assert accepts(json.loads(line(1)))
    assert accepts(json.loads(msgspec.json.encode(feedback(1))))
    assert accepts(json.loads(line(1)) | {"from_the_future": 1})
    assert not accepts(json.loads(line(1)) | {"v": 2})
    assert not accepts(json.loads(line(1)) | {"status": "200"})
    assert not accepts({"v": 1, "kind": "prediction"})
    text = json.dumps(schema)
    assert "reason token of errors.OUTCOMES" in text  # the comments are the descriptions
