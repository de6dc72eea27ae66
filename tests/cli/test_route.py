"""`gateway route` against a real admin port."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.route import page
from tests.cli.admin_port import AdminPort, exit_code


def test_routes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        assert exit_code("route", "list", "--admin", url) == 0
        assert exit_code("route", "list", "--json", "--admin", url) == 0
    text, _, as_json = capsys.readouterr().out.partition("[\n")
    assert [line.split()[0] for line in text.splitlines()] == ["ROUTE", "chat", "fraud"]
    assert json.loads("[" + as_json)[0]["name"] == "chat"


def test_explanation_says_who_would_be_asked_and_why_not_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with AdminPort() as url:
        assert exit_code("route", "explain", "chat", "--admin", url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "chat (ordered): mini would be asked"
    assert lines[3].split() == ["->", "mini", "100.0%", "0", "-", "-"]
    assert lines[4].endswith("Its breaker is open.")


@pytest.mark.parametrize("source", ["argument", "file", "stdin"])
def test_request_is_passed_on(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = '{"model": "chat"}'
    (tmp_path / "body.json").write_text(body)
    monkeypatch.setattr("sys.stdin", io.StringIO(body))
    given = {"argument": body, "file": f"@{tmp_path / 'body.json'}", "stdin": "-"}[source]
    port = AdminPort()
    with port as url:
        arguments = ["-d", given, "-H", "X-Gateway-Priority: 3", "--path", "/v1/chat/completions"]
        assert exit_code("route", "explain", "chat", "--json", *arguments, "--admin", url) == 0
    asked = port.gateway.explainer.asked
    assert asked is not None
    assert asked.body == {"model": "chat"}
    assert asked.headers == {"X-Gateway-Priority": "3"}
    assert asked.path == "/v1/chat/completions"


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        (["-d", "{"], "--body is not JSON"),
        (["-d", "@/does/not/exist"], "cannot read /does/not/exist"),
        (["-H", "no-colon"], "`no-colon` is not NAME:VALUE"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("route", "explain", "chat", *arguments) == 2
    assert sentence in capsys.readouterr().err


def test_unknown_route_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        assert exit_code("route", "explain", "chatt", "--admin", url) == 1
    assert "did you mean `chat`?" in capsys.readouterr().err


def test_request_that_would_wait_is_not_refused() -> None:
    answer: dict[str, Any] = {
        "route": "chat",
        "policy": "ordered",
        "choice": None,
        "refusal": "",
        "needs": [],
    }
    rest: dict[str, Any] = {"is_panic": False, "input_tokens": None, "candidates": [], "notes": []}
    assert page(answer | rest).startswith("chat (ordered): the request would wait\n")


def test_refusal_panic_needs_and_notes_are_told() -> None:
    text = page(
        {
            "route": "chat",
            "policy": "cheapest",
            "choice": None,
            "refusal": "not_capable",
            "is_panic": True,
            "needs": ["tools", "vision"],
            "input_tokens": 1234.4,
            "candidates": [],
            "notes": ["no model was named"],
        }
    )
    assert text.splitlines()[:5] == [
        "chat (cheapest): refused, not_capable",
        "needs tools, vision",
        "about 1234 input tokens",
        "too few candidates are usable, so breakers and health are ignored",
        "no model was named",
    ]
