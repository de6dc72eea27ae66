"""What all wire formats have in common: order, names, nothing answered twice."""

from __future__ import annotations

import orjson
import pytest

from gateway.errors import OUTCOMES, Outcome
from gateway.protocols import BY_NAME, WIRE_FORMATS, WireFormat


def first(method: str, path: str) -> str | None:
    """The protocol that takes a path, as the table asks them."""
    for wire_format in WIRE_FORMATS:
        if wire_format.resolve(method, path) is not None:
            return wire_format.name
    return None


@pytest.mark.parametrize(
    "method,path,protocol",
    [
        ("POST", "/v1/models/iris:predict", "http"),
        ("GET", "/v1/models/iris/metadata", "http"),
        ("POST", "/v1/chat/completions", "openai"),
        ("GET", "/v1/batches", "openai"),
        ("POST", "/v2/models/m/infer", "kserve"),
        ("POST", "/v2/invocations", "http"),
        ("GET", "/", None),
    ],
)
def test_path_of_two_protocols_is_the_more_particular_ones(
    method: str, path: str, protocol: str | None
) -> None:
    assert first(method, path) == protocol


def test_names_are_those_of_the_configuration() -> None:
    assert set(BY_NAME) == {"openai", "kserve", "http"}


def test_no_two_protocols_answer_the_same_path_themselves() -> None:
    paths = [path for each in WIRE_FORMATS for path in each.own_answers(["m"])]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("wire_format", WIRE_FORMATS, ids=lambda each: str(each.name))
@pytest.mark.parametrize("outcome", OUTCOMES[1:], ids=lambda each: str(each.reason))
def test_every_outcome_is_an_error_body(wire_format: WireFormat, outcome: Outcome) -> None:
    body = wire_format.error(outcome.status or 502, outcome, outcome.sentence)
    assert outcome.sentence in str(orjson.loads(body)["error"])
    assert wire_format.content_type == b"application/json"
