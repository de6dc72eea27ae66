"""Streams are relayed as they come, in either format, and nothing of them is lost or made up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.answers import SSE, Stream, chunk, plays, sse
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.openai_model import DONE, OpenAIModel
from tests.support.raw_client import RawClient, Response, request_bytes
from tests.support.script import Pause, Received, Script, Send
from tests.support.settings import chat
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

ASKED = b'{"model": "chat", "messages": [], "stream": true}'
NDJSON = (("content-type", "application/x-ndjson"),)


def begin(client: RawClient, body: bytes = ASKED) -> None:
    client.send(request_bytes("POST", "/v1/chat/completions", body))


def ask(gateway: Gateway, **more: Any) -> Response:
    with gateway.connect() as client:
        body = {"model": "chat", "messages": [], "stream": True, **more}
        return client.post_json("/v1/chat/completions", body)


@pytest.mark.parametrize("size", [1, 100, 20_000])
def test_each_event_arrives_before_the_next_is_sent(
    make_backend: MakeBackend, make_gateway: MakeGateway, size: int
) -> None:
    """The backend sends an event only when the client has the one before."""
    got: list[int] = []

    def patient(_: Received) -> Script:
        yield Send(Stream(()).head())
        for number in range(5):
            while len(got) < number:  # the test's thread reads meanwhile
                yield Pause(0.002)
            yield Send(chunk(sse({"n": number, "pad": "x" * size, "choices": [{"delta": {}}]})))
        yield Send(chunk(DONE) + b"0\r\n\r\n")

    gateway = make_gateway(chat(make_backend("mini", patient)))
    with gateway.connect() as client:
        begin(client)
        for number in range(5):
            while f'"n": {number}'.encode() not in client.received:
                client.read_some()
            got.append(number)
        assert client.read_to_mark(b"0\r\n\r\n")


def test_head_of_a_stream_does_not_wait_for_its_first_event_longer_than_it_must(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """Head and first event come in one piece, so that no small write waits for an ACK."""
    backend = make_backend("mini", plays(OpenAIModel("mini", first_s=0.05, gap_s=0.05)))
    with make_gateway(chat(backend)).connect() as client:
        begin(client)
        first = client.read_some()
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b"data: {" in first


def test_comments_and_odd_line_ends_pass_unchanged(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    event = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\r\n\r\n'
    events = (b": ping\n\n", event, b"id: 7\nretry: 10\n", b"event: x\ndata: y\n\n", DONE)
    backend = make_backend("mini", plays(lambda _: Stream(events)))
    assert ask(make_gateway(chat(backend))).body == b"".join(events)


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
def test_events_cut_anywhere_by_the_backend_are_the_same_events(
    make_backend: MakeBackend, make_gateway: MakeGateway, piece_bytes: int
) -> None:
    model = OpenAIModel("mini")

    def cut(received: Received) -> Script:
        body = model(received).body
        yield Send(Stream(()).head())
        for start in range(0, len(body), piece_bytes):
            yield Send(chunk(body[start : start + piece_bytes]))
        yield Send(b"0\r\n\r\n")

    response = ask(make_gateway(chat(make_backend("mini", cut))))
    words = [json.loads(event)["choices"][0]["delta"] for event in response.events()[:-2]]
    assert "".join(word["content"] for word in words) == model.text
    assert response.events()[-1] == "[DONE]"


def test_usage_is_asked_for_and_withheld(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini")
    gateway = make_gateway(chat(backend))
    assert [event for event in ask(gateway).events() if '"choices": []' in event] == []
    assert json.loads(backend.received[0].body)["stream_options"] == {"include_usage": True}
    kept = ask(gateway, stream_options={"include_usage": True}).events()
    assert len([event for event in kept if '"choices": []' in event]) == 1


def test_client_that_wants_no_usage_event_keeps_its_other_options(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini")
    options = {"include_usage": False, "include_obfuscation": False}
    ask(make_gateway(chat(backend)), stream_options=options)
    sent = json.loads(backend.received[0].body)["stream_options"]
    assert sent == {"include_usage": True, "include_obfuscation": False}


def test_lines_of_json_are_relayed_as_they_come(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    lines = tuple(json.dumps({"n": n}).encode() + b"\n" for n in range(5))
    backend = make_backend("echo", plays(lambda _: Stream(lines, 200, NDJSON, gap_s=0.02)))
    with make_gateway(echo_settings(backend)).connect() as client:
        response = client.request("GET", "/echo")
    assert response.body == b"".join(lines)
    assert len(response.pieces) >= 4
    assert response.pieces[-1][0] - response.pieces[0][0] > 0.05


def test_two_streams_at_once_do_not_mix(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backends = [make_backend(name, plays(OpenAIModel(name, 40, gap_s=0.002))) for name in "ab"]
    gateway = make_gateway(chat(*backends, policy="least_loaded"))
    clients = [gateway.connect() for _ in range(20)]
    for client in clients:
        begin(client)
    for client in clients:
        response = client.read_response()
        name = response.header("x-gateway-backend")
        deltas = [json.loads(event)["choices"] for event in response.events()[:-1]]
        text = "".join(each[0]["delta"].get("content", "") for each in deltas if each)
        assert text == OpenAIModel(str(name), 40).text
        client.close()


def test_answer_that_was_not_asked_to_stream_is_held_until_it_is_whole(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """So that it has a length, and a broken one can still be tried elsewhere."""
    backend = make_backend("mini", plays(lambda _: Stream((b"{", b'"a": 1', b"}"), 200, ())))
    with make_gateway(chat(backend)).connect() as client:
        response = client.post_json("/v1/chat/completions", {"model": "chat", "messages": []})
    assert (response.framing, response.body) == ("length", b'{"a": 1}')


def test_gateways_memory_of_a_stream_is_let_go(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    events = tuple(sse({"choices": [], "pad": "x" * 5000}) for _ in range(200))
    backend: Backend = make_backend("mini", plays(lambda _: Stream((*events, DONE), 200, SSE)))
    gateway = make_gateway(chat(backend))
    for _ in range(5):
        ask(gateway)
    until(lambda: len(backend.open) == 1)
    assert backend.connection_count == 1
