"""OpenAI's wire format: paths, models, errors as its clients read them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.errors import OUTCOMES, Outcome
from gateway.plan import CAPABILITIES
from gateway.protocols.openai import OpenAI
from tests.protocols.paths import BY_REASON, Meaning, error, event, meaning

OPENAI = OpenAI()


@pytest.mark.parametrize(
    "method,path,expected",
    [
        ("POST", "/v1/chat/completions", ("chat", None)),
        ("POST", "/v1/completions", ("completions", None)),
        ("POST", "/v1/embeddings", ("embeddings", None)),
        ("POST", "/v1/responses", ("responses", None)),
        ("GET", "/v1/chat/completions", None),
        ("GET", "/v1/responses/resp_1", ("other", None)),
        ("POST", "/v1/audio/speech", ("other", None)),
        ("DELETE", "/v1/files/file-1", ("other", None)),
        ("POST", "/chat/completions", None),
        ("POST", "/v2/models/x/infer", None),
        ("POST", "/v1", None),
        ("POST", "", None),
    ],
)
def test_path_is_an_operation_or_not_of_this_protocol(
    method: str, path: str, expected: Meaning | None
) -> None:
    assert meaning(OPENAI, method, path) == expected


@pytest.mark.parametrize(
    "path,needs",
    [
        ("/v1/chat/completions", {"chat"}),
        ("/v1/completions", {"completions"}),
        ("/v1/responses", {"responses"}),
        ("/v1/embeddings", {"embeddings"}),
        ("/v1/audio/speech", set()),
    ],
)
def test_operation_needs_a_backend_that_can_do_it(path: str, needs: set[str]) -> None:
    found = OPENAI.resolve("POST", path)
    assert found is not None
    assert {name for name, bit in CAPABILITIES.items() if found[0].capability & bit} == needs


@pytest.mark.parametrize(
    "path,is_generation",
    [("/v1/chat/completions", True), ("/v1/embeddings", False), ("/v1/audio/speech", False)],
)
def test_only_what_generates_tokens_is_estimated_as_such(path: str, is_generation: bool) -> None:
    found = OPENAI.resolve("POST", path)
    assert found is not None
    assert found[0].is_generation is is_generation


def test_known_paths_are_resolved_to_one_operation_each() -> None:
    first = OPENAI.resolve("POST", "/v1/chat/completions")
    second = OPENAI.resolve("POST", "/v1/chat/completions")
    assert first is not None
    assert second is not None
    assert first[0] is second[0]


def test_models_are_listed_and_each_can_be_asked_for() -> None:
    answers = OPENAI.own_answers(["chat", "gpt-4.1"])
    assert set(answers) == {"/v1/models", "/v1/models/chat", "/v1/models/gpt-4.1"}
    models = orjson.loads(answers["/v1/models"][1])
    assert models["object"] == "list"
    assert [model["id"] for model in models["data"]] == ["chat", "gpt-4.1"]
    assert orjson.loads(answers["/v1/models/chat"][1]) == models["data"][0]
    assert models["data"][0] == {
        "id": "chat",
        "object": "model",
        "created": 0,
        "owned_by": "gateway",
    }


@pytest.mark.parametrize(
    "reason,kind,code",
    [
        ("no_route", "invalid_request_error", "model_not_found"),
        ("bad_body", "invalid_request_error", "bad_body"),
        ("unauthenticated", "authentication_error", "invalid_api_key"),
        ("forbidden", "permission_error", "forbidden"),
        ("rate_limited", "rate_limit_error", "rate_limited"),
        ("budget_spent", "insufficient_quota", "budget_spent"),
        ("not_capable", "invalid_request_error", "not_capable"),
        ("body_too_large", "invalid_request_error", "body_too_large"),
        ("overloaded", "server_error", "overloaded"),
        ("upstream_closed", "server_error", "upstream_closed"),
    ],
)
def test_error_has_the_type_and_code_that_clients_know(reason: str, kind: str, code: str) -> None:
    assert error(OPENAI, reason) == {
        "error": {"message": "So it is.", "type": kind, "param": None, "code": code}
    }


@pytest.mark.parametrize("outcome", OUTCOMES[1:], ids=lambda outcome: str(outcome.reason))
def test_every_outcome_may_end_a_stream(outcome: Outcome) -> None:
    data = event(OPENAI, outcome, ndjson=False)
    assert data.startswith(b"data: ")
    assert data.endswith(b"\n\n")
    assert b"\n" not in data[:-2]
    found: Any = orjson.loads(data[6:])
    assert found["error"]["message"] == outcome.sentence
    line = event(OPENAI, outcome, ndjson=True)
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == found


def test_error_of_a_stream_without_a_status_of_its_own_is_the_servers() -> None:
    found = orjson.loads(event(OPENAI, BY_REASON["stream_error"], ndjson=True))
    assert found["error"]["type"] == "server_error"


def test_sentence_with_quotes_and_other_letters_stays_json() -> None:
    assert error(OPENAI, "no_route", 'The model `a"\\é` does not exist.')
