"""The metric table and the log lines, by their rules."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.telemetry import (
    LATENCY_S,
    METRICS,
    document,
    escaped,
    redacted,
    set_up_logging,
)

ROOT = Path(__file__).resolve().parents[1]
UNITS = ("_seconds", "_bytes", "_usd", "_ratio", "_info", "_total")
SECRETS = (
    "sk-proj-abcdef123456",
    "Bearer abcdefghijkl",
    "gw_live_12345678_abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890123456789012345",
    "https://user:pass@host/path",
    "api_key=supersecret1",
    '{"password": "supersecret1"}',
    "Authorization: Basic dXNlcjpwYXNz",
    "x-api-key: supersecret1",
    "ghp_abcdefghijklmnop",
)
VISIBLE = (
    "abcdef123456",
    "abcdefghijkl",
    "supersecret1",
    "IOSFODNN7",
    "pass@",
    "dXNlcjpwYXNz",
    "c2ln",
)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger as it was, after each test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def logged(form: str, message: str, *args: object, **extra: object) -> str:
    stream = io.StringIO()
    set_up_logging(form, "info", stream)
    logging.getLogger("gateway.test").info(message, *args, extra=extra)
    return stream.getvalue()


def test_names_are_unique_and_have_the_prefix() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"gateway_[a-z0-9_]+", name) for name in names)


def test_counters_and_only_counters_end_in_total() -> None:
    assert all((m.kind == "counter") == m.name.endswith("_total") for m in METRICS)


def test_histograms_are_in_seconds_and_their_bounds_grow() -> None:
    for metric in METRICS:
        assert bool(metric.bounds_s) == (metric.kind == "histogram")
        assert list(metric.bounds_s) == sorted(set(metric.bounds_s))
        assert metric.kind != "histogram" or metric.name.endswith("_seconds")
    assert LATENCY_S[-1] == 600


def test_help_is_one_sentence() -> None:
    assert all(m.help.endswith(".") and "\n" not in m.help for m in METRICS)


def test_document_is_what_the_table_prints() -> None:
    found = (ROOT / "docs/metrics.md").read_text("utf-8")
    assert found == document(), "run `python -m gateway.telemetry > docs/metrics.md`"


def test_text_lines_are_key_value_pairs() -> None:
    line = logged("text", "plan applied", plan="9f3a", count=3, why="two words")
    assert re.fullmatch(
        r"time=\S+Z level=info logger=gateway.test message=\"plan applied\""
        r" plan=9f3a count=3 why=\"two words\"\n",
        line,
    )


def test_json_lines_are_objects_with_the_extra_fields() -> None:
    line = json.loads(logged("json", "plan applied", plan="9f3a", count=3, odd=Path("x")))
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "gateway.test",
        "message": "plan applied",
        "plan": "9f3a",
        "count": 3,
        "odd": "x",
    }


def test_lower_levels_are_left_out() -> None:
    stream = io.StringIO()
    set_up_logging("text", "warning", stream)
    logging.getLogger("gateway.test").info("not shown")
    assert not stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_exception_is_logged_on_one_line(form: str) -> None:
    stream = io.StringIO()
    set_up_logging(form, "info", stream)
    try:
        int("sk-proj-abcdef123456")
    except ValueError:
        logging.getLogger("gateway.test").exception("it failed")
    assert stream.getvalue().count("\n") == 1
    assert "Traceback" in stream.getvalue()
    assert "abcdef123456" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
@given(message=st.text(), value=st.text())
def test_line_is_one_line_whatever_is_logged(form: str, message: str, value: str) -> None:
    line = logged(form, "%s", message, field=value)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", line)
    if form == "json":
        json.loads(line)


def test_escaping_leaves_other_letters_alone() -> None:
    assert escaped("Grüße, 世界\n") == "Grüße, 世界\\u000a"


@pytest.mark.parametrize("secret", SECRETS)
def test_credentials_are_cut_out(secret: str) -> None:
    text = redacted(f"before {secret} after")
    assert "[redacted]" in text
    assert text.startswith("before ")
    assert not any(part in text for part in VISIBLE)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "extra",
    [{"api_key": "plain1"}, {"token": 12345}, {"headers": {"Authorization": "Bearer plain1234"}}],
)
def test_fields_of_secret_names_are_not_logged(form: str, extra: dict[str, Any]) -> None:
    line = logged(form, "x", **extra)
    assert "[redacted]" in line
    assert "plain1" not in line
    assert "12345" not in line.partition("message")[2]


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=5 output_tokens=7",
        "${OPENAI_API_KEY}",
        "routes.chat.backends[1]",
        "task-force",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redacted(text) == text
