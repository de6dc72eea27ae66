"""Streams: secrets in one event and across events."""

from __future__ import annotations

import json
import re

import pytest

from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import Pointer
from gateway.payloads.redaction import RULES
from gateway.payloads.streams import Stream, may_hold
from gateway.payloads.texts import Texts
from tests.payloads.canaries import CANARIES, LOT, betrayed, content_of, delta

ALL = Patterns(list(RULES.values()))
DONE = b"data: [DONE]\n\n"


def cleaned(data: bytes, *, is_lines: bool = False) -> tuple[str, int]:
    stream = Stream(data, is_lines=is_lines, is_cut=False)
    count = stream.clean(Texts(ALL), ALL)
    return stream.encoded().decode(), count


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_secret_is_found_however_the_answer_is_cut_into_events(name: str, size: int) -> None:
    text = f"Here it is: {CANARIES[name][1]}\nThat was it."
    data = b"".join(delta(piece) for piece in pieces_of(text, size)) + DONE
    assert may_hold(data, ALL)
    made, count = cleaned(data)
    assert count >= 1
    said = content_of(made)
    assert not betrayed(name, said)
    assert not betrayed(name, made)
    assert said.startswith("Here it is: ")
    assert said.endswith("\nThat was it.")
    assert made.count("data: ") == data.count(b"data: ")
    assert made.endswith("data: [DONE]\n\n")


def test_ordinary_stream_needs_no_closer_look() -> None:
    first = (
        b'data: {"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
    )
    words = re.split(" ", "Ask Ann about the risk of tokens, keys and numbers: 12, 13.")
    data = first + b"".join(delta(word + " ") for word in words) + DONE
    assert not may_hold(data, ALL)


@pytest.mark.parametrize(
    "data",
    [
        delta("sk-") + delta(LOT, index=1),  # several texts of a name
        b'data: {"tokens": ["sk-", "' + LOT.encode() + b'"]}\n\n',
        b"data: sk-\n\ndata: " + LOT.encode() + b"\n\n",
    ],
)
def test_unusual_stream_gets_a_closer_look(data: bytes) -> None:
    assert may_hold(data, ALL)


def test_first_event_of_another_shape_does_not_hide_what_it_begins() -> None:
    data = b'data: {"choices":[{"delta":{"role":"a","content":"sk-"}}]}\n\n'
    data += b"".join(delta(piece) for piece in pieces_of(LOT, 4)) + DONE
    assert may_hold(data, ALL)
    made, _ = cleaned(data)
    assert LOT[:8] not in content_of(made)


def test_texts_of_two_choices_are_not_mixed() -> None:
    one, two = pieces_of(f"sk-{LOT}", 3), pieces_of("just ordinary words here", 3)
    events = []
    for number in range(len(one)):
        events.append(delta(one[number]))
        events.append(delta(two[number] if number < len(two) else "", index=1))
    made, count = cleaned(b"".join(events))
    assert count == 1
    choices = [json.loads(line[6:])["choices"][0] for line in made.splitlines() if line]
    by_index = {
        index: "".join(one["delta"]["content"] for one in choices if one["index"] == index)
        for index in (0, 1)
    }
    assert by_index == {0: "[redacted:secrets]", 1: "just ordinary words here"}


def test_arguments_of_a_tool_call_are_one_text() -> None:
    arguments = json.dumps({"password": "hunter2", "city": "Bern"})
    events = b""
    for piece in pieces_of(arguments, 4):
        call = {"index": 0, "function": {"arguments": piece}}
        choice = {"index": 0, "delta": {"tool_calls": [call]}}
        events += b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    made, count = cleaned(events)
    assert count == 1
    calls = [
        json.loads(line[6:])["choices"][0]["delta"]["tool_calls"][0]
        for line in made.splitlines()
        if line
    ]
    said = "".join(call["function"]["arguments"] for call in calls)
    assert json.loads(said) == {"password": "[redacted:secrets]", "city": "Bern"}


def responses(pieces: list[str]) -> bytes:
    events = [
        {
            "type": "response.output_text.delta",
            "item_id": f"m{n}",
            "output_index": 0,
            "delta": piece,
        }
        for n, piece in enumerate(pieces)
    ]
    whole = "".join(pieces)
    events.append({"type": "response.output_text.done", "output_index": 0, "text": whole})
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def test_responses_are_one_text_by_output_index_and_whole_at_the_end() -> None:
    made, count = cleaned(responses(pieces_of(f"a sk-{LOT} b", 4)))
    assert count == 2
    assert LOT[:6] not in made
    assert made.count("event: response.output_text.delta") == len(f"a sk-{LOT} b") // 4 + 1


def test_lines_of_json_are_events_too() -> None:
    data = b"".join(
        json.dumps({"model": "m", "message": {"content": piece}}).encode() + b"\n"
        for piece in pieces_of(f"a sk-{LOT} b", 4)
    )
    made, count = cleaned(data, is_lines=True)
    assert count == 1
    said = "".join(json.loads(line)["message"]["content"] for line in made.splitlines())
    assert said == "a [redacted:secrets] b"


def test_events_that_are_no_json_are_one_text() -> None:
    data = b"".join(f"data: {piece}\n\n".encode() for piece in pieces_of(f"x sk-{LOT}", 5))
    made, count = cleaned(data)
    assert count == 1
    assert LOT[:5] not in made


def test_other_lines_and_names_of_members_are_cleaned() -> None:
    data = b': ann@example.org\nid: 7\ndata: {"ann@example.org": 1}\n\n'
    made, count = cleaned(data)
    assert made == ': [redacted:email]\nid: 7\ndata: {"[redacted:email]":1}\n\n'
    assert count == 2


def test_tokens_that_say_it_again_are_taken_out() -> None:
    tokens = {"content": [{"token": "sk-", "bytes": [115]}, {"token": LOT[:9], "bytes": [90]}]}
    made, _ = cleaned(delta(f"sk-{LOT}", logprobs=tokens))
    assert LOT[:9] not in made
    assert '"logprobs":"[redacted]"' in made


def test_nothing_is_taken_out_of_an_ordinary_stream() -> None:
    data = delta("one ") + b": ping\n\n" + delta("two", logprobs={"content": []}) + DONE
    made, count = cleaned(data)
    assert count == 0
    assert content_of(made) == "one two"


def test_pointers_are_followed_in_each_event() -> None:
    stream = Stream(delta("one") + delta("two") + DONE, is_lines=False, is_cut=False)
    assert stream.take_out([Pointer("/choices/*/delta/content")]) == 2
    assert content_of(stream.encoded().decode()) == "[redacted][redacted]"


def test_line_ends_of_any_kind_are_read() -> None:
    data = b'data: {"b": "x"}\r\n\r\ndata: {"a":\ndata: "ann@example.org"}\n\ndata\r\r'
    made, count = cleaned(data)
    assert made == 'data: {"b":"x"}\n\ndata: {"a":"[redacted:email]"}\n\ndata\n\n'
    assert count == 1


def test_cut_stream_loses_its_last_event_and_the_ends_of_texts() -> None:
    words = [delta(word) for word in ("one ", "two ", "three " * 20, "x" * 200, "y" * 200)]
    stream = Stream(b"".join(words) + delta("last")[:-5], is_lines=False, is_cut=True)
    stream.cut()
    said = content_of(stream.encoded().decode())
    assert said.startswith("one two three")
    assert "x" not in said
    assert "last" not in said
