"""The first backend misbehaves, the second is good: the answer is correct, or plainly an error.

Before the first byte has gone to the client every fault ends in the second backend's
answer. After it the client gets the protocol's error event, no `[DONE]`, and an end of
the connection that no HTTP client takes for a proper one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import faults
from tests.support.answers import Answer, Stream, json_answer, plays, sse
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.openai_model import OpenAIModel, error
from tests.support.raw_client import Response, Truncated, request_bytes
from tests.support.script import Answerer, Close, Hang, Reset
from tests.support.settings import SHORT, Settings, chat
from tests.support.waiting import until

SLOW = (pytest.mark.slow, pytest.mark.timeout(180))
BAD = OpenAIModel("bad", chunks=6)
GOOD = OpenAIModel("good")
LATE = faults.after(1.0, plays(BAD))  # `first_byte` is 400 ms here, as 20 s is too late in life
STREAMED_LATE = plays(OpenAIModel("bad", first_s=1.0))

# Faults before anything has gone downstream, for plain answers and streams alike.
EARLY: dict[str, Answerer] = {
    "429 with retry-after": faults.status(429, (("retry-after", "1"),)),
    "429 with retry-after-ms": faults.status(429, (("retry-after-ms", "300"),)),
    "429 without retry-after": faults.status(429),
    "500": faults.status(500),
    "503": faults.status(503),
    "503 with retry-after": faults.status(503, (("retry-after", "1"),)),
    "529": faults.status(529),
    "reset before the head": faults.reset_before_head(),
    "closed before the head": faults.close_before_head(),
    "reset in the head": faults.end_mid_head(BAD, Reset()),
    "closed in the head": faults.end_mid_head(BAD, Close()),
    "reset after the head": faults.end_after_head(BAD, Reset()),
    "closed after the head": faults.end_after_head(BAD, Close()),
    "silent after the head": faults.silent_after_head(BAD),
    "no answer at all": faults.never(),
    "answer too late": LATE,
    "garbage": faults.wire(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", Close()),
    "interim answers without end": faults.interim_flood(1000),
}
# Faults of answers that have a length.
WHOLE: dict[str, Answerer] = {
    "body shorter than promised": faults.short_body(BAD),
    "reset in the body": faults.end_mid_body(BAD, Reset()),
    "closed in the body": faults.end_mid_body(BAD, Close()),
    "stalled in the body": faults.end_mid_body(BAD, Hang()),
    "JSON that stops in the middle": lambda received: cut_json(BAD(received)).script(),
}
# Faults of streams before their first event.
UNOPENED: dict[str, Answerer] = {
    "first token too late": STREAMED_LATE,
    "stream cut before its first event": faults.end_mid_stream(BAD, 0, Reset()),
    "stream closed before its first event": faults.end_mid_stream(BAD, 0, Close()),
    "stream stalled before its first event": faults.end_mid_stream(BAD, 0, Hang()),
    "malformed first chunk": faults.malformed_chunk(BAD, events=0),
    "stream of nothing": faults.without_done(BAD, last=99),
    "error in the first event": lambda received: error_stream().script(),
}
# Faults of streams whose first event has gone out.
OPENED: dict[str, Answerer] = {
    "stream reset in the middle": faults.end_mid_stream(BAD, 3, Reset()),
    "stream closed in the middle": faults.end_mid_stream(BAD, 3, Close()),
    "stream stalled": faults.end_mid_stream(BAD, 3, Hang()),
    "malformed chunk": faults.malformed_chunk(BAD, events=3),
    "stream without its proper end": faults.without_done(BAD, last=3),
}


def cut_json(answer: Any) -> Answer:
    assert isinstance(answer, Answer)
    return Answer(200, answer.headers, answer.body[:-20])


def error_stream() -> Any:
    return Stream((sse({"error": {"message": "busy", "type": "server_error", "code": None}}),))


def ask(gateway: Gateway, stream: bool = False, **more: Any) -> Response:
    with gateway.connect(timeout_s=8) as client:
        body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        return client.post_json("/v1/chat/completions", {**body, **more})


def said(response: Response) -> str:
    """What the model said, of a stream or not."""
    if not response.header("content-type").startswith("text/event-stream"):  # type: ignore[union-attr]
        return str(response.json()["choices"][0]["message"]["content"])
    assert response.events()[-1] == "[DONE]"
    choices = [json.loads(event)["choices"] for event in response.events()[:-1]]
    return "".join(choice[0]["delta"].get("content", "") for choice in choices if choice)


@pytest.fixture
def make_pair(make_backend: MakeBackend, make_gateway: MakeGateway) -> Callable[..., Any]:
    """A gateway over a bad first backend and a good second one."""

    def make(answer: Answerer, **more: Any) -> tuple[Gateway, Backend, Backend]:
        bad, good = make_backend("bad", answer), make_backend("good")
        return make_gateway(chat(bad, good, each={"timeout": SHORT}, **more)), bad, good

    return make


def check_good(response: Response, bad: Backend, good: Backend) -> None:
    assert response.status == 200
    assert said(response) == GOOD.text
    assert response.header("x-gateway-backend") == "good"
    assert response.header("x-gateway-attempts") == "2"
    assert (len(bad.received), len(good.received)) == (1, 1)


@pytest.mark.parametrize("fault", EARLY | WHOLE)
def test_plain_answer_comes_from_the_good_backend(make_pair: Any, fault: str) -> None:
    gateway, bad, good = make_pair((EARLY | WHOLE)[fault])
    check_good(ask(gateway), bad, good)


@pytest.mark.parametrize("fault", EARLY | UNOPENED)
def test_stream_comes_from_the_good_backend(make_pair: Any, fault: str) -> None:
    gateway, bad, good = make_pair((EARLY | UNOPENED)[fault])
    check_good(ask(gateway, stream=True), bad, good)


@pytest.mark.parametrize("fault", OPENED)
def test_broken_stream_ends_in_an_explicit_error(make_pair: Any, fault: str) -> None:
    gateway, _, good = make_pair(OPENED[fault])
    with gateway.connect(timeout_s=8) as client:
        body = b'{"model": "chat", "messages": [], "stream": true}'
        client.send(request_bytes("POST", "/v1/chat/completions", body))
        response, _ = client.read_what_comes()
        assert client.is_closed()
    assert response is not None
    assert response.status == 200
    events = response.events()
    assert "[DONE]" not in events
    assert json.loads(events[0])["choices"][0]["delta"]["content"] == "bad"
    assert set(json.loads(events[-1])["error"]) >= {"message", "type", "code"}
    assert good.received == [], "text of two models would be mixed"


@pytest.mark.parametrize("stream", [False, True])
def test_one_500_goes_unnoticed_and_the_backend_stays_in_use(make_pair: Any, stream: bool) -> None:
    gateway, bad, good = make_pair(faults.counted(1, faults.status(500), plays(BAD)))
    assert [said(ask(gateway, stream=stream)) for _ in range(3)] == [GOOD.text, BAD.text, BAD.text]
    assert (len(bad.received), len(good.received)) == (3, 1)


@pytest.mark.parametrize("end", [Reset(), Close(), Hang()])
def test_error_whose_body_is_cut_is_not_passed_on_as_whole(
    make_backend: MakeBackend, make_gateway: MakeGateway, end: Any
) -> None:
    """With nobody else to ask, the client gets the gateway's own error, not half of another."""
    refusal = error(500, "a long story that is cut before its end", "server_error")
    backend = make_backend("bad", faults.end_mid_body(lambda _: refusal, end))
    response = ask(make_gateway(chat(backend, each={"timeout": SHORT})))
    assert response.status in (502, 504)
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_stream_whose_last_chunk_is_missing_does_not_end_properly(make_pair: Any) -> None:
    gateway, _, _ = make_pair(faults.missing_terminator(BAD))
    with gateway.connect() as client, pytest.raises(Truncated):
        client.post_json("/v1/chat/completions", {"model": "chat", "messages": [], "stream": True})


def test_retry_after_keeps_the_backend_out_until_its_time(make_pair: Any) -> None:
    limited = faults.counted(1, faults.status(429, (("retry-after-ms", "700"),)), plays(BAD))
    gateway, bad, good = make_pair(limited)
    begun = time.monotonic()
    assert [said(ask(gateway)) for _ in range(3)] == [GOOD.text] * 3
    assert (len(bad.received), len(good.received)) == (1, 3)
    until(lambda: said(ask(gateway)) == BAD.text, 5.0)
    assert bad.received[1].at - begun > 0.65


def test_persistent_429_everywhere_is_a_429_that_says_when_to_come_back(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    both = [make_backend(n, faults.status(429, (("retry-after", "7"),))) for n in ("one", "two")]
    gateway = make_gateway(chat(*both))
    first = ask(gateway)
    assert first.status == 429
    assert 1 <= int(first.header("retry-after") or 0) <= 7
    assert [len(backend.received) for backend in both] == [1, 1]
    second = ask(gateway)
    assert second.status in (429, 503)
    assert 1 <= int(second.header("retry-after") or 0) <= 7
    assert [len(backend.received) for backend in both] == [1, 1], "asked while cooling down"


REFUSALS: dict[str, Answer] = {
    "context length": error(400, "too long", "invalid_request_error", "context_length_exceeded"),
    "content filter": error(400, "filtered", "invalid_request_error", "content_filter"),
    "bad parameter": error(400, "no such thing", "invalid_request_error", "unknown_parameter"),
    "not found": error(404, "no such model", "invalid_request_error", "model_not_found"),
    "unprocessable": error(422, "no", "invalid_request_error"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("refusal", REFUSALS)
def test_clients_own_mistake_is_passed_on_and_not_retried(
    make_pair: Any, refusal: str, stream: bool
) -> None:
    gateway, bad, good = make_pair(plays(lambda _: REFUSALS[refusal]))
    response = ask(gateway, stream=stream)
    assert response.status == REFUSALS[refusal].status
    assert response.body == REFUSALS[refusal].body
    assert (len(bad.received), len(good.received)) == (1, 0)


@pytest.mark.parametrize(
    "key,refusal", [("larger_context", "context length"), ("content_filter", "content filter")]
)
def test_refusal_is_routed_on_where_the_route_says_so(
    make_backend: MakeBackend, make_gateway: MakeGateway, key: str, refusal: str
) -> None:
    small = make_backend("small", plays(lambda _: REFUSALS[refusal]))
    large = make_backend("large")
    settings: Settings = chat(small, large)
    settings["routes"]["chat"].update({"backends": ["small"], key: ["large"]})
    response = ask(make_gateway(settings))
    assert response.status == 200
    assert response.header("x-gateway-backend") == "large"
    assert (len(small.received), len(large.received)) == (1, 1)


@pytest.mark.parametrize("seconds", [4.0, pytest.param(60.0, marks=SLOW)])
def test_flapping_backend_never_shows(make_pair: Any, seconds: float) -> None:
    flapping = faults.flapping(seconds / 8, plays(BAD), faults.status(500))
    gateway, bad, _ = make_pair(flapping, retry={"budget": "100%"})
    end = time.monotonic() + seconds
    answers = []
    while time.monotonic() < end:
        answers.append(ask(gateway))
        time.sleep(0.01)
    assert {answer.status for answer in answers} == {200}
    assert {said(answer) for answer in answers} <= {GOOD.text, BAD.text}
    assert len(bad.received) < len(answers), "the breaker never opened"


def test_order_of_backends_does_not_matter_to_a_client(make_pair: Any) -> None:
    """The same fault on a backend that is never first goes unnoticed."""
    gateway, _, _ = make_pair(faults.status(500), policy="least_loaded")
    assert {ask(gateway).status for _ in range(20)} == {200}


def test_retries_stop_at_the_budget(make_pair: Any) -> None:
    budget = {"budget": "0%", "budget_per_s": 0, "attempts": 2}
    gateway, _, good = make_pair(faults.status(500), retry=budget)
    assert ask(gateway).status == 500
    assert good.received == []


def test_plain_json_error_in_a_200_is_not_an_answer_to_hide(make_pair: Any) -> None:
    """A backend may answer 200 to say something odd; what it said is passed on."""
    gateway, _, _ = make_pair(plays(lambda _: json_answer({"odd": True})))
    assert ask(gateway).json() == {"odd": True}
