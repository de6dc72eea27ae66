"""`gateway log tail, show, search, export, stats, forget, hold`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.cli.log_search import _told
from tests.store.places import NOW_S, Place, feedback, id_of, record

HER = record(1, user="eve", request_id="hers", cost_usd=0.25)
LINES = [HER, record(2, backend="large", outcome="upstream_5xx", status=502)]
LINES += [feedback(3, "hers", comment="good")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.added(1, LINES)
    place.write(2, [record(4)])
    yield place
    place.store.close()


def run(place: Place, *arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["log", *arguments, "--state", str(place.state)])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_tail_prints_the_newest_last(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "tail", "-n", "2") == 0
    first, second = said(capsys)
    assert "502 upstream_5xx" in first
    assert "chat -> large" in first
    assert id_of(4) in second


def test_tail_as_json_has_the_lines(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "tail", "-n", "1", "--json") == 0
    assert said(capsys) == [record(4).decode()]


def test_tail_follows_what_is_written(place: Place) -> None:
    command = [sys.executable, "-m", "gateway", "log", "tail", "-f", "-n", "1", "--json"]
    process = subprocess.Popen(
        [*command, "--state", str(place.state)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == record(4) + b"\n"
        time.sleep(0.3)
        path = place.log / f"{place.stream}-00000002.ndjson.open"
        with path.open("r+b") as file:
            file.write(record(4) + b"\n" + record(5) + b"\n")
        assert process.stdout.readline() == record(5) + b"\n"
    finally:
        while process.poll() is None:  # Why again: one that comes while it imports may be lost
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
        process.stdout.close()


def test_show_prints_the_record_and_what_was_said(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, "show", "hers", "--feedback") == 0
    assert said(capsys) == [HER.decode(), LINES[2].decode()]


def test_show_of_an_unknown_id_says_so(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "show", "nobody") == 1
    assert capsys.readouterr().err == "gateway: no record has the id nobody\n"


def test_search_takes_filters(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    filters = ["--status", "5xx", "--backend", "large", "--backend", "mini"]
    assert run(place, "search", *filters, "--json") == 0
    assert said(capsys) == [LINES[1].decode()]


def test_search_with_feedback_prints_it(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "search", "--feedback", "any") == 0
    told = said(capsys)
    assert "eve" not in told[0]
    assert told[1] == "    thumbs true good"
    assert run(place, "search", "--feedback", "any", "--json") == 0
    (line,) = said(capsys)
    assert json.loads(line)["record"]["user"] == "eve"
    assert json.loads(line)["feedback"][0]["comment"] == "good"


def test_search_that_finds_nothing_or_not_all_says_so(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, "search", "--user", "nobody") == 0
    assert capsys.readouterr().err == "no record matches\n"
    assert run(place, "search", "--limit", "1") == 0
    assert capsys.readouterr().err == "the newest 1; there are more (--limit)\n"


@pytest.mark.parametrize(
    "option, value, sentence",
    [
        ("--since", "soon", "`soon` is no time"),
        ("--status", "many", "`many` is no status"),
    ],
)
def test_wrong_filter_is_one_sentence(
    place: Place, capsys: pytest.CaptureFixture[str], option: str, value: str, sentence: str
) -> None:
    assert run(place, "search", option, value) == 1
    assert sentence in capsys.readouterr().err


def test_wrong_latency_is_wrong_usage(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "search", "--min-latency", "long") == 2
    assert "--min-latency" in capsys.readouterr().err


def test_damaged_volume_is_noted_and_the_rest_is_printed(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.parquet()[0].write_bytes(b"PAR1")
    assert run(place, "search", "--json") == 0
    told = capsys.readouterr()
    assert told.out == record(4).decode() + "\n"
    assert "is missing or damaged" in told.err


@pytest.mark.parametrize("name", ["out.ndjson", "out.jsonl", "out.csv", "out.parquet"])
def test_export_takes_the_form_from_the_name(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert run(place, "export", str(tmp_path / name), "--route", "chat") == 0
    assert said(capsys) == [f"3 records are in {tmp_path / name}"]
    assert (tmp_path / name).stat().st_size > 100


def test_export_of_an_unknown_form_is_wrong_usage(place: Place, tmp_path: Path) -> None:
    assert run(place, "export", str(tmp_path / "out.xlsx")) == 2


def test_stats_are_a_table_or_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "stats", "--by", "backend", "--feedback") == 0
    head, first, second, _, outcomes = said(capsys)
    assert head.split()[:3] == ["BACKEND", "RECORDS", "OK"]
    assert head.split()[-1] == "THUMBS"
    assert first.split()[:3] == ["mini", "2", "100.0%"]
    assert first.endswith("50.0% (1.00)")
    assert second.split()[:3] == ["large", "1", "0.0%"]
    assert outcomes == "outcomes: ok 2, upstream_5xx 1"
    assert run(place, "stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["groups"][0]["by"] == {
        "route": "chat",
        "backend": "mini",
    }


def test_forget_says_what_went_what_waits_and_what_is_out_of_reach(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write(2, [record(4, user="eve")])
    monkeypatch.setattr(time, "time", lambda: NOW_S + 100)
    assert run(place, "forget", "--user", "eve") == 0
    deleted, waiting, out_of_reach = said(capsys)
    assert deleted == "1 records and 1 feedback lines were deleted."
    assert waiting.startswith("1 lines are in segments that are being written")
    assert "Kafka" in out_of_reach
    assert run(place, "verify") == 0


def test_holds_are_added_listed_and_removed(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(place, "hold", "list") == 0
    assert said(capsys) == ["there are no holds"]
    options = ["--user", "eve", "--since", "2026-11-21", "--reason", "case 7"]
    assert run(place, "hold", "add", *options) == 0
    (hold,) = said(capsys)
    assert run(place, "hold", "list") == 0
    _, row = said(capsys)
    assert row.split()[0] == hold
    assert row.endswith("case 7")
    monkeypatch.setattr(time, "time", lambda: NOW_S + 100)
    assert run(place, "forget", "--user", "eve", "--json") == 0
    assert json.loads(capsys.readouterr().out)["held"] == 1
    assert run(place, "hold", "remove", hold) == 0
    assert run(place, "hold", "remove", hold) == 1
    assert f"there is no hold {hold}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line, told",
    [
        (b"{", "(a damaged line)"),
        (b"[]", "(a damaged line)"),
        (b'{"kind":"forgotten","time":"t"}', "t                            (forgotten)"),
    ],
)
def test_line_that_is_no_record_is_told(line: bytes, told: str) -> None:
    assert _told(line) == told
