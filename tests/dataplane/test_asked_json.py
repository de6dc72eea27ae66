"""Answers held against the JSON that their request asked for."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from gateway.dataplane.asked_json import MOST_BYTES, judged

NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
NOT_JSON, UNLIKE = "ANSWER_NOT_JSON", "ANSWER_UNLIKE_SCHEMA"


def asked(schema: Any = None, operation: str = "chat") -> bytes:
    if operation == "responses":
        form = {"type": "json_object"} if schema is None else {"type": "json_schema"}
        return json.dumps({"text": {"format": form | {"schema": schema}}}).encode()
    wanted: dict[str, Any] = {"type": "json_object"}
    if schema is not None:
        wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    return json.dumps({"messages": [], "response_format": wanted}).encode()


def answered(*texts: str | None, operation: str = "chat") -> bytes:
    if operation == "responses":
        parts = [{"type": "output_text", "text": text} for text in texts]
        said = [{"type": "reasoning", "summary": []}, {"type": "message", "content": parts}]
        return json.dumps({"output": said}).encode()
    if operation == "completions":
        return json.dumps({"choices": [{"text": text} for text in texts]}).encode()
    return json.dumps({"choices": [{"message": {"content": text}} for text in texts]}).encode()


def streamed(*pieces: str) -> bytes:
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    lines = [b"data: " + json.dumps(event).encode() for event in events]
    return b"\n\n".join([*lines, b"data: [DONE]", b""])


def names(
    request: bytes, answer: bytes, operation: str = "chat", *, is_stream: bool = False
) -> list[str]:
    found = judged(request, answer, operation, is_stream=is_stream)
    assert found is not None
    return [one.name for one in found.anomalies]


@pytest.mark.parametrize(
    "schema, texts, expected",
    [
        (None, ["{}"], []),
        (None, ["no JSON"], [NOT_JSON]),
        (None, ["```json\n{}\n```"], [NOT_JSON]),
        (None, ["[1]"], [NOT_JSON]),  # an object was asked for
        (None, ["{}", "{", "{}"], [NOT_JSON]),
        (None, [None], []),  # a call of a tool has no text
        (NUMBER, ['{"n": 1}'], []),
        (NUMBER, ['{"n": "1"}'], [UNLIKE]),
        (NUMBER, ["[]"], [UNLIKE]),
        (NUMBER, ["{"], [NOT_JSON]),
        ({"type": "nothing"}, ["{}"], []),  # a schema that is none says nothing
        ({"const": 0, "x": "x" * 20_000}, ["{}"], []),  # a long one neither
    ],
)
def test_texts_are_held_against_what_was_asked(
    schema: Any, texts: list[str | None], expected: list[str]
) -> None:
    assert names(asked(schema), answered(*texts)) == expected


@pytest.mark.parametrize("operation", ["chat", "completions", "responses"])
def test_each_operation_has_its_place(operation: str) -> None:
    places = {
        "chat": "/choices/1/message/content",
        "completions": "/choices/1/text",
        "responses": "/output/1/content/1/text",
    }
    answer = answered("{}", "{", operation=operation)
    found = judged(asked(NUMBER, operation), answer, operation, is_stream=False)
    assert found is not None
    assert found.format == "json_schema"
    assert [(one.name, one.pointer) for one in found.anomalies][-1] == (
        NOT_JSON, places[operation],
    )  # fmt: skip


def test_streams_are_put_together() -> None:
    assert names(asked(NUMBER), streamed('{"n"', ": 1}"), is_stream=True) == []
    assert names(asked(NUMBER), streamed('{"n"', ": 1"), is_stream=True) == [NOT_JSON]


def test_streams_of_several_choices_calls_and_nonsense_are_read_as_well() -> None:
    def event(*choices: Any) -> bytes:
        return b"data: " + json.dumps({"choices": choices}).encode()

    def part(index: int, **delta: Any) -> dict[str, Any]:
        return {"index": index, "delta": delta}

    call = part(0, tool_calls=[{"index": 0, "function": {"name": "f", "arguments": "{"}}])
    said = [event(part(1, content="{")), event(part(0, content="{")), event(part(0, content="}"))]
    done = b"data: [DONE]"
    cases = [
        (said, [NOT_JSON]),  # the second choice
        ([*said, event(part(1, content="}")), b"data: {", done], []),  # an event that is none
        ([event(part(0, role="assistant", content=None)), event(call), done], []),
        ([event(part(0, role="assistant")), event(), done], [NOT_JSON]),  # an empty text
        ([b'data: {"choices": null}', *said[1:]], []),
    ]
    for lines, expected in cases:
        assert names(asked(), b"\r\n\r\n".join(lines), is_stream=True) == expected


@pytest.mark.parametrize(
    "request_body",
    [b"{}", b"[]", b"\xff", b'{"response_format": 7}', b'{"response_format": {"type": "text"}}',
     b'{"response_format": null, "messages": [{"type": "json_object"}]}'],
)  # fmt: skip
def test_who_did_not_ask_is_told_nothing(request_body: bytes) -> None:
    assert judged(request_body, answered("no JSON"), "chat", is_stream=False) is None


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"choices": 1}', b'{"choices": [7]}'])
def test_answer_of_another_shape_is_not_what_was_asked(answer: bytes) -> None:
    assert names(asked(NUMBER), answer) == [NOT_JSON]


def test_an_answer_that_is_too_long_to_read_says_nothing() -> None:
    answer = answered("x" * MOST_BYTES)
    assert judged(asked(), answer, "chat", is_stream=False) is None


def test_client_cannot_have_the_gateway_fetch_a_schema() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        schema = {"$ref": f"http://127.0.0.1:{server.getsockname()[1]}/x.json"}
        assert names(asked(schema), answered("{}")) == []
        with pytest.raises(TimeoutError):
            server.accept()
