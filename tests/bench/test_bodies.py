import json

import pytest

from bench.load import answers, bodies
from bench.load.origin import DELTA, END, FINISH, USAGE, chunk_of, content_length
from bench.load.streams import missing


@pytest.mark.parametrize("model", ["chat", "chat-least-loaded", "chat-cheapest"])
@pytest.mark.parametrize("length", [bodies.CHAT_REQUEST_BYTES, 10_240, 102_400])
def test_a_chat_request_is_as_long_as_it_was_asked_for(model: str, length: int) -> None:
    body = bodies.chat_request(model, length)
    assert len(body) == length
    assert json.loads(body)["model"] == model


def test_a_length_that_cannot_hold_the_request_is_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        bodies.chat_request("chat", 50)


def test_the_answer_is_a_chat_completion_of_380_bytes() -> None:
    assert len(bodies.ANSWER) == 380
    assert json.loads(bodies.ANSWER)["usage"]["total_tokens"] == 59


def test_every_event_is_160_bytes_and_valid_json() -> None:
    for event in (bodies.DELTA, bodies.FINISH, bodies.USAGE):
        assert len(event) == bodies.EVENT_BYTES
        assert event.endswith(b"\n\n")
        assert json.loads(event.removeprefix(b"data: "))["object"] == "chat.completion.chunk"


def test_the_origin_reads_the_wish_from_the_request_however_a_proxy_spaces_it() -> None:
    body = bodies.stream_request(7, 250)
    assert bodies.stream_wish(body) == (7, 250)
    assert bodies.stream_wish(body.replace(b": ", b":")) == (7, 250)
    assert bodies.stream_wish(b"{}") == (bodies.EVENTS, bodies.EVENT_GAP_US)


def test_a_stream_ends_with_its_reason_its_usage_and_done() -> None:
    chunks = [chunk_of(number, 4) for number in range(4)]
    assert chunks == [DELTA, DELTA, FINISH, USAGE + END]
    assert bodies.DONE in END


def test_the_length_of_a_body_is_read_whatever_its_header_s_case() -> None:
    assert content_length(b"POST / HTTP/1.1\r\nContent-Length: 12\r\nhost: x") == 12
    assert content_length(b"POST / HTTP/1.1\r\nhost: x") == 0


def test_a_forwarded_answer_must_equal_byte_for_byte() -> None:
    ask = answers.Ask(1, b"")
    assert answers.is_right(ask, 200, bodies.ANSWER)
    assert not answers.is_right(ask, 200, bodies.ANSWER + b" ")
    assert not answers.is_right(ask, 500, bodies.ANSWER)


def test_a_rewritten_answer_must_say_the_same() -> None:
    ask = answers.Ask(1, b"", rewritten=True)
    again = json.loads(bodies.ANSWER) | {"id": "another"}
    assert answers.is_right(ask, 200, json.dumps(again, indent=2).encode())
    again["choices"][0]["message"]["content"] = "something else"
    assert not answers.is_right(ask, 200, json.dumps(again).encode())
    assert not answers.is_right(ask, 200, b"no JSON")


def test_streams_with_an_event_too_few_are_noticed() -> None:
    whole = {"streams": 3.0, "events": 3.0 * (bodies.EVENTS + 1)}
    assert missing(None, whole) == 0
    assert missing(None, whole | {"events": whole["events"] - 1}) == 1
