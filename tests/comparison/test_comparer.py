"""Two answers compared: what agrees, what differs, by how much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.comparison.answers import Answer
from gateway.comparison.comparer import Comparer
from gateway.messages import Comparison
from gateway.plan import ComparePlan
from tests.support.answers import sse
from tests.support.openai_model import DONE

PLAN = ComparePlan(
    ignore=(),
    label="",
    number="",
    tolerance=0.0,
    text="",
    similarity=0.0,
    schema=b"",
    judge=-1,
    judge_prompt="",
)


def plan(**more: Any) -> ComparePlan:
    values = {name: getattr(PLAN, name) for name in PLAN.__struct_fields__}
    return ComparePlan(**{**values, **more})


def answer(body: Any, **more: Any) -> Answer:
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    values = {"outcome": "ok", "status": 200, "backend": "b", **more}
    return Answer(body=data, **values)


def compared(
    client: Any,
    shadow: Any,
    protocol: str = "openai",
    operation: str = "chat",
    **more: Any,
) -> Comparison:
    one, other = (each if isinstance(each, Answer) else answer(each) for each in (client, shadow))
    comparer = Comparer(plan(**more), protocol)
    return comparer.compare("r", one, other, comparer.read(one, other, operation))


def chat(content: str | None, *tools: tuple[str, Any], finish: str = "stop") -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if tools:
        message["tool_calls"] = [
            {
                "id": f"c{n}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(a)},
            }
            for n, (name, a) in enumerate(tools)
        ]
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": {"x": 1}}
    return {
        "id": content,
        "created": len(content or ""),
        "usage": {"a": content},
        "choices": [choice],
    }


def stream(*parts: str, finish: str = "stop") -> Answer:
    deltas: list[dict[str, Any]] = [{"content": part} for part in parts]
    choices: list[dict[str, Any]] = [
        {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
    ]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    body = b": hello\n\n" + b"".join(sse({"choices": [each]}) for each in choices) + DONE
    return answer(body, form="sse")


# figures


def test_figures_are_the_copys_minus_the_clients() -> None:
    client = answer(
        None, total_ns=5_000_000, first_byte_ns=2_000_000, nano_usd=300, output_tokens=7
    )
    shadow = answer(
        None, total_ns=8_000_000, first_byte_ns=1_000_000, nano_usd=100, output_tokens=9
    )
    found = compared(client, shadow)
    assert (found.latency_us, found.first_byte_us, found.output_tokens) == (3000, -1000, 2)
    assert found.cost_usd == pytest.approx(-2e-7)
    assert found.agrees is None


@pytest.mark.parametrize(
    "bad", [{"outcome": "upstream_5xx", "status": 500}, {"outcome": "truncated"}]
)
def test_bodies_of_bad_answers_are_not_compared(bad: dict[str, Any]) -> None:
    good, other = answer(chat("a")), answer(chat("a"), **bad)
    for pair in ((good, other), (other, good)):
        found = compared(*pair)
        assert (found.agrees, found.similarity, found.difference_count) == (None, None, 0)
    assert compared(other, good).outcome == bad["outcome"]


# openai


def test_texts_of_chats_are_likened_but_not_judged() -> None:
    found = compared(chat("It is blue."), chat("It is green."))
    assert found.similarity is not None
    assert 0.5 < found.similarity < 1
    assert found.agrees is None
    assert found.difference_count == 0  # ids, times and prose are none


def test_texts_agree_from_the_configured_similarity_on() -> None:
    assert compared(chat("It is blue."), chat("It is blue!"), similarity=0.8).agrees is True
    assert compared(chat("It is blue."), chat("No idea"), similarity=0.8).agrees is False
    assert compared(chat(None, ("f", {})), chat("It is blue."), similarity=0.8).agrees is None


def test_stream_is_compared_with_a_whole_answer() -> None:
    found = compared(stream("It ", "is ", "blue."), chat("It is blue."))
    assert found.similarity == 1.0
    assert found.difference_count == 0
    assert compared(stream("a", finish="length"), chat("a")).differences == (
        "/choices/0/finish_reason",
    )


def test_tools_are_labels_and_their_arguments_are_read() -> None:
    found = compared(
        chat(None, ("weather", {"city": "Bern"})), chat(None, ("weather", {"city": "Rom"}))
    )
    assert found.labels == ("weather", "weather")
    assert found.agrees is True
    path = "/choices/0/message/tool_calls/0/function/arguments/city"
    assert found.differences == (path,)
    other = compared(chat(None, ("weather", {})), chat("It is hot."))
    assert (other.labels, other.agrees) == (("weather", ""), False)


def test_tools_of_a_stream_are_put_together() -> None:
    parts = [
        {"index": 0, "id": "x", "function": {"name": "weather", "arguments": '{"ci'}},
        {"index": 0, "function": {"arguments": 'ty": "Bern"}'}},
    ]
    events = [{"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]} for part in parts]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    client = answer(b"".join(map(sse, events)), form="sse")
    found = compared(client, chat(None, ("weather", {"city": "Bern"})))
    assert (found.labels, found.difference_count) == (("weather", "weather"), 0)


def test_structured_answers_are_compared_by_member() -> None:
    client, shadow = chat('{"a": 1, "b": [1, 2]}'), chat('{"b": [1, 3], "a": 1}')
    found = compared(client, shadow)
    assert found.differences == ("/choices/0/message/content/b/1",)


SCHEMA = json.dumps({"type": "object", "required": ["a"]}).encode()


@pytest.mark.parametrize(
    "client, shadow, valid",
    [
        ('{"a": 1}', '{"a": 2}', (True, True)),
        ('{"a": 1}', "It is one.", (True, False)),
        ("{", '{"b": 1}', (False, False)),
    ],
)
def test_schema_is_met_by_the_json_that_the_model_wrote(
    client: str, shadow: str, valid: tuple[bool, bool]
) -> None:
    assert compared(chat(client), chat(shadow), schema=SCHEMA).schema == valid


def test_configured_label_may_stand_in_the_text() -> None:
    label = "/choices/0/message/content/class"
    client, shadow = chat('{"class": "spam", "why": "x"}'), chat('{"class": "spam", "why": "y"}')
    found = compared(client, shadow, label=label)
    assert (found.labels, found.agrees, found.difference_count) == (("spam", "spam"), True, 1)
    assert compared(client, chat("spam"), label=label).labels == ("spam", "")


def test_all_that_is_configured_must_agree() -> None:
    client, shadow = {"l": "a", "n": 1.0}, {"l": "a", "n": 1.4}
    more: dict[str, Any] = {"protocol": "http", "operation": "call", "label": "/l", "number": "/n"}
    assert compared(client, shadow, **more, tolerance=0.5).agrees is True
    assert compared(client, shadow, **more, tolerance=0.1).agrees is False
    assert compared(client, {"l": "a"}, **more, tolerance=0.1).agrees is None


def test_responses_are_read_from_their_last_event() -> None:
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "blue"}]}
    whole = {"id": "r", "output": [item], "status": "completed"}
    events = sse({"type": "response.created"}) + sse(
        {"type": "response.completed", "response": whole}
    )
    found = compared(answer(events, form="sse"), whole, operation="responses")
    assert (found.similarity, found.difference_count) == (1.0, 0)


def test_embeddings_are_likened_by_their_angle() -> None:
    def embedding(*vector: float) -> dict[str, Any]:
        return {"data": [{"embedding": list(vector)}]}

    def alike(client: Any, shadow: Any) -> float | None:
        return compared(client, shadow, operation="embeddings").similarity

    assert alike(embedding(1, 0), embedding(0, 1)) == 0
    assert alike(embedding(1, 1), embedding(2, 2)) == 1
    assert alike(embedding(1, 0), embedding(-1, 0)) == 0
    assert alike(embedding(1, 0), embedding(1, 0, 0)) is None
    assert alike(embedding(0, 0), embedding(1, 0)) is None
    assert alike({"data": [{"embedding": "AACAPwAAAAA="}]}, embedding(1, 0)) == 1
    assert alike({"data": [{"embedding": "###"}]}, embedding(1, 0)) is None


# kserve and http


def outputs(*data: Any) -> dict[str, Any]:
    return {"id": str(data), "model_name": "x", "outputs": [{"name": "o", "data": list(data)}]}


def test_outputs_of_models_are_compared() -> None:
    found = compared(outputs(0.5), outputs(0.75), "kserve", "infer")
    assert (found.number, found.agrees) == (0.25, False)
    assert found.differences == ("/outputs/0/data/0",)
    near = compared(outputs(0.5), outputs(0.75), "kserve", "infer", tolerance=0.3)
    assert (near.agrees, near.difference_count) == (True, 0)
    assert compared(outputs(1, 2), outputs(1, 2), "kserve", "infer").agrees is True


def test_class_with_the_highest_score_is_the_label() -> None:
    found = compared(outputs(0.1, 0.9), outputs(0.4, 0.6), "kserve", "infer")
    assert (found.labels, found.agrees, found.difference_count) == (("1", "1"), True, 2)
    assert compared(outputs(0.1, 0.9), outputs(0.8, 0.2), "kserve", "infer").agrees is False
    assert compared(outputs("cat"), outputs("dog"), "kserve", "infer").labels == ("cat", "dog")


def test_json_of_http_agrees_where_nothing_differs_but_ids_and_times() -> None:
    client = {"id": 1, "created_at": "now", "score": 0.5, "items": [{"id": 1}]}
    assert compared(client, {**client, "id": 2}, "http", "call").agrees is True
    other = compared(client, {**client, "items": [{"id": 2}]}, "http", "call")
    assert (other.differences, other.agrees) == (("/items/0/id",), False)
    ignored = compared(client, {**client, "score": 9}, "http", "call", ignore=("/score",))
    assert ignored.agrees is True


def test_bodies_that_are_no_json_are_texts() -> None:
    found = compared(b"hello there", b"hello then", "http", "call")
    assert found.similarity is not None
    assert found.agrees is None
    assert compared(b"\xff", b"x", "http", "call").similarity is None


# hostile


@pytest.mark.parametrize(
    "body",
    [
        b"[1, 2]",
        b"null",
        b'"text"',
        b"7",
        b'{"choices": 3, "output": "x", "outputs": [3], "data": [[]]}',
        b'{"choices": [{"message": 3}, {"message": {"content": 3, "tool_calls": [3, {}]}}]}',
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"choices": [{"message": {"content": "' + b"[" * 900 + b'"}}]}',
        b"",
        b"{",
    ],
)
@pytest.mark.parametrize("form", ["whole", "sse", "ndjson"])
@pytest.mark.parametrize(
    "protocol, operation",
    [
        ("openai", "chat"),
        ("openai", "completions"),
        ("openai", "responses"),
        ("openai", "embeddings"),
        ("kserve", "infer"),
        ("http", "call"),
    ],
)
def test_answers_of_any_form_are_compared_without_a_defect(
    body: bytes, form: Any, protocol: str, operation: str
) -> None:
    data = b"data: " + body + b"\n\n" if form == "sse" else body
    odd = answer(data, form=form)
    more: dict[str, Any] = {
        "label": "/choices/0/x",
        "number": "/a",
        "schema": b"{}",
        "similarity": 0.5,
    }
    pairs: list[tuple[Any, Any]] = [(odd, odd), (odd, chat("a")), (outputs(1.0), odd)]
    for client, shadow in pairs:
        compared(client, shadow, protocol, operation, **more)
        compared(client, shadow, protocol, operation)


def test_what_is_looked_at_and_named_is_bounded() -> None:
    found = compared({"x": list(range(100_000))}, {"x": [-1] * 100_000}, "http", "call")
    assert len(found.differences) == 8
    assert found.difference_count < 6000
    long = compared({"k" * 5000: 1}, {"k" * 5000: 2}, "http", "call")
    assert len(long.differences[0]) <= 128
    assert compared("x" * 5, "y" * 5, "http", "call").agrees is False


def test_documents_too_large_to_be_looked_at_whole_are_not_said_to_be_the_same() -> None:
    one = {"x": list(range(100_000))}
    found = compared(one, one, "http", "call")
    assert (found.agrees, found.difference_count) == (None, 0)
