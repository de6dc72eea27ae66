"""What experiments need of bodies: patches, and answers held against the request's own schema."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from gateway.dataplane.experiments import meets_schema, merged

NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}


def asked(schema: Any = None) -> bytes:
    wanted: dict[str, Any] = {"type": "json_object"}
    if schema is not None:
        wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    return json.dumps({"response_format": wanted}).encode()


def answered(*texts: str | None) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}} for text in texts]}).encode()


@pytest.mark.parametrize(
    "schema, texts, meets",
    [
        (None, ["{}"], True),
        (None, ["no JSON"], False),
        (None, ["{}", "{"], False),
        (None, [None], True),  # a call of a tool has no text
        (NUMBER, ['{"n": 1}'], True),
        (NUMBER, ['{"n": "1"}'], False),
        (NUMBER, ["[]"], False),
        ({"type": "nothing"}, ["{}"], True),  # a schema that is none says nothing
    ],
)
def test_answers_are_held_against_the_schema_of_the_request(
    schema: Any, texts: list[str | None], meets: bool
) -> None:
    assert meets_schema(asked(schema), answered(*texts)) is meets


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"choices": 1}', b'{"choices": [7]}'])
def test_answer_of_another_shape_meets_nothing(answer: bytes) -> None:
    assert not meets_schema(asked(NUMBER), answer)


def test_client_cannot_have_the_gateway_fetch_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/x.json"}
        assert meets_schema(asked(schema), answered("{}"))
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    "under, over, result",
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({"a": "foo"}, "bar", "bar"),
    ],
)
def test_patches_are_those_of_rfc_7396(under: Any, over: Any, result: Any) -> None:
    assert merged(under, over) == result
