"""Types, unknown keys, and words that were meant."""

from __future__ import annotations

import pytest

from gateway.config.schema import Config
from gateway.config.shape import fields_of
from tests.config.texts import document, problems, problems_of


@pytest.mark.parametrize(
    "changes, path, message",
    [
        (
            {"routes.chat.polcy": "fastest"},
            "routes.chat.polcy",
            "unknown key `polcy`, did you mean `policy`?",
        ),
        (
            {"routes.chat.policy": "cheapst"},
            "routes.chat.policy",
            "expected one of `ordered`, `weighted`, `least_loaded`, `cheapest`, `fastest`,"
            " `cheapest_within_slo`, `balanced`, got `cheapst`, did you mean `cheapest`?",
        ),
        (
            {"backends.one.timeout": {"connect": 5}},
            "backends.one.timeout.connect",
            "expected a time with its unit, such as 250ms, 2s or 5m, got `5`",
        ),
        (
            {"listen": {"port": 70000}},
            "listen.port",
            "expected a whole number from 0 to 65535, got `70000`",
        ),
        ({"listen": {"port": "80"}}, "listen.port", None),
        ({"listen": {"port": True}}, "listen.port", None),
        ({"server_header": "a\n"}, "server_header", None),
        (
            {"backends.one.version": "a\nb"},
            "backends.one.version",
            "expected text of one line, ASCII only, got `a b`",
        ),
        (
            {"routes.chat.websocket": "maybe"},
            "routes.chat.websocket",
            "expected true or false, got `maybe`",
        ),
        (
            {"routes.chat.backends": "one"},
            "routes.chat.backends",
            "expected a list, such as [a, b], got `one`",
        ),
        ({"routes.chat.backends": [["one"]]}, "routes.chat.backends[0]", None),
        (
            {"routes.chat.backends": [5]},
            "routes.chat.backends[0]",
            "expected text, got `5`; YAML reads it as a number, write it in quotes",
        ),
        ({"routes": ["chat"]}, "routes", "expected a mapping of names, got a list"),
        ({"routes": None}, "routes", "expected a mapping of names, got nothing"),
        ({"routes.chat": "one"}, "routes.chat", None),
        ({"backends.one": None}, "backends.one", "`url` is missing"),
        ({"backends.one.url": {"host": "x"}}, "backends.one.url", "expected text, got a mapping"),
        (
            {"backends.one.max_concurrency": "adptive"},
            "backends.one.max_concurrency",
            "expected a whole number from 0 to 1000000000 or `adaptive`, got `adptive`,"
            " did you mean `adaptive`?",
        ),
        (
            {"backends.one.api_key": 5},
            "backends.one.api_key",
            "expected text; YAML reads it as a number, write it in quotes",
        ),
        (
            {"backends.score.http": {"model": "model"}},
            "backends.score.http.model",
            "expected text that begins with `/`, got `model`",
        ),
        (
            {"backends.one.adaptive": {"smoothing": 0}},
            "backends.one.adaptive.smoothing",
            "expected a number above 0, at most 1, got `0`",
        ),
        ({"routes.chat.retry": {"statuses": [200]}}, "routes.chat.retry.statuses[0]", None),
        (
            {"routes.chat.panic": 20},
            "routes.chat.panic",
            "expected a share, such as 20% or 0.2, got `20`",
        ),
    ],
)
def test_wrong_value_is_told_with_its_path(
    changes: dict[str, object], path: str, message: str | None
) -> None:
    found = problems_of(changes)
    assert path in found
    assert message in {None, found[path]}


@pytest.mark.parametrize(
    "written, kind",
    [("no", "boolean"), ("1.10", "number"), ("2024-07-18", "date"), ("3", "number")],
)
def test_text_that_yaml_reads_otherwise_is_explained(written: str, kind: str) -> None:
    text = f"backends: {{a: {{protocol: http, url: 'http://h', version: {written}}}}}\n"
    text += "routes: {r: {backends: [a]}}\n"
    [problem] = problems(text)
    assert problem.message == (
        f"expected text of one line, ASCII only, got `{written}`;"
        f" YAML reads it as a {kind}, write it in quotes"
    )


def test_all_problems_are_told_at_once_in_the_order_of_the_schema() -> None:
    found = problems_of(
        {"listen": {"prt": 1}, "workers": -1, "routes.chat.polcy": 1, "backends.one.timeout": 5}
    )
    assert list(found) == ["listen.prt", "workers", "backends.one.timeout", "routes.chat.polcy"]


def test_empty_section_has_its_defaults() -> None:
    assert document(listen=None).config.listen.port == 8080


def test_number_from_a_variable_serves_where_a_number_is_wanted() -> None:
    config = document({"listen": {"port": "${PORT}"}}, {"PORT": "9090"}).config
    assert config.listen.port == 9090


def test_digits_from_a_variable_serve_where_text_is_wanted() -> None:
    changes = {"backends.two.api_key": "${KEY}", "backends.two.version": "${VERSION}"}
    config = document(changes, {"KEY": "0123", "VERSION": "1.10"}).config
    assert config.backends["two"].api_key.reveal() == "0123"
    assert config.backends["two"].version == "1.10"


def test_value_of_a_variable_is_in_no_message() -> None:
    text = "listen: {port: '${PORT}'}\nbackends: {}\nroutes: {}\n"
    problem, *_ = problems(text, {"PORT": "hunter2"})
    assert "hunter2" not in problem.message
    assert "${PORT}" in problem.message


def test_every_field_of_the_schema_is_a_key() -> None:
    assert [*fields_of(Config)] == [*Config.__struct_fields__]
