"""`gateway drift backfill` on a state directory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.watch.kept import BACKFILL, FILE, Kept
from tests.cli.admin_port import exit_code
from tests.watch.lines import basis_of, stream_of

NAME = "w0-0000000000000001"
BASIS = basis_of()


def configured(place: Path, **drift: Any) -> str:
    """A configuration whose state has a log of fifty lines."""
    log = place / "log"
    log.mkdir(mode=0o700)
    minute = int(time.time() // 60) - 30
    lines = stream_of(NAME, 50, minutes=range(minute, minute + 20))
    (log / f"{NAME}-00000001.ndjson").write_bytes(b"".join(lines))
    (place / "iris.json").write_bytes(BASIS.reference.encode())
    settings = {
        "state": str(place),
        "backends": {"b": {"protocol": "openai", "url": "http://127.0.0.1:9/v1"}},
        "routes": {"iris": {"backends": ["b"]}},
        "drift": {
            "references": {"then": {"kind": "training", "file": str(place / "iris.json")}},
            "rules": {"inputs": {"reference": "then"}},
            **drift,
        },
    }
    file = place / "gateway.yaml"
    file.write_text(json.dumps(settings))
    return str(file)


def test_what_was_recorded_is_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("drift", "backfill", "--last", "1d", "--config", configured(tmp_path))
    assert exit_code(*asked) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "50 lines of 1 segments were read that were not counted before"
    assert sum(int(line.split()[0]) for line in said[1:]) == 50
    assert exit_code(*asked) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0 lines of 0 segments were read that were not counted before"
    ]
    view = Kept(tmp_path / FILE, BACKFILL).view()
    now = int(time.time() // 60)
    rows = [view.window(BASIS, one, "x", now - 60, now + 1).rows for one in view.sources(BASIS)]
    assert sum(rows) == 50


def test_what_cannot_be_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = configured(tmp_path, rules={})
    assert exit_code("drift", "backfill", "--config", file) == 1
    assert "no rule of `drift` has a reference" in capsys.readouterr().err
    assert exit_code("drift", "backfill", "--config", file, "--last", "soon") == 1
    assert "is no time" in capsys.readouterr().err
