"""The official openai client, unchanged, through the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.support import faults
from tests.support.answers import plays
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.openai_model import OpenAIModel, error
from tests.support.settings import NO_BREAKER, ONE_ATTEMPT, chat
from tests.support.waiting import until

ASKED: list[Any] = [{"role": "user", "content": "hi"}]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
]
ANY: dict[str, Any] = {"model": "chat", "messages": ASKED}


def client_of(gateway: Gateway, **more: Any) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="sk-client", base_url=gateway.base_url + "/v1", max_retries=0, timeout=10, **more
    )


@pytest.fixture
def client(make_backend: MakeBackend, make_gateway: MakeGateway) -> Iterator[openai.OpenAI]:
    backend = make_backend("mini")
    with client_of(make_gateway(chat(backend))) as client:
        yield client


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ANY)
    assert answer.choices[0].message.content == "mini w1 w2 w3"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 14


def test_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(**ANY, stream=True) as stream:
        parts = list(stream)
    assert "".join(part.choices[0].delta.content or "" for part in parts) == "mini w1 w2 w3"
    assert parts[-1].choices[0].finish_reason == "stop"


def test_usage_event_is_withheld_from_a_client_that_did_not_ask(client: openai.OpenAI) -> None:
    parts = list(client.chat.completions.create(**ANY, stream=True))
    assert all(part.choices for part in parts)
    assert all(part.usage is None for part in parts)


def test_usage_event_reaches_a_client_that_asked(client: openai.OpenAI) -> None:
    options: Any = {"include_usage": True}
    parts = list(client.chat.completions.create(**ANY, stream=True, stream_options=options))
    assert parts[-1].usage is not None
    assert parts[-1].usage.completion_tokens == 5
    assert parts[-1].choices == []


def test_tools(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(**ANY, tools=TOOLS)
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "weather"
    assert calls[0].function.arguments == '{"city": "Bern"}'


def test_tools_in_a_stream(client: openai.OpenAI) -> None:
    parts = list(client.chat.completions.create(**ANY, tools=TOOLS, stream=True))
    call = parts[0].choices[0].delta.tool_calls[0]
    assert call.function.name == "weather"
    assert parts[-1].choices[0].finish_reason == "tool_calls"


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="chat", prompt="hi")
    assert answer.choices[0].text == "mini w1 w2 w3"


def test_completions_in_a_stream(client: openai.OpenAI) -> None:
    parts = client.completions.create(model="chat", prompt="hi", stream=True)
    assert "".join(part.choices[0].text for part in parts) == "mini w1 w2 w3"


@pytest.mark.parametrize("encoding", ["float", "base64", None])
def test_embeddings(client: openai.OpenAI, encoding: Any) -> None:
    more = {} if encoding is None else {"encoding_format": encoding}
    answer = client.embeddings.create(model="chat", input=["a", "four"], **more)
    assert len(answer.data) == 2
    if encoding != "base64":
        assert answer.data[1].embedding == [4.0, 0.5, -1.0]


def test_responses(client: openai.OpenAI) -> None:
    answer = client.responses.create(model="chat", input="hi")
    assert answer.output_text == "mini w1 w2 w3"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 5


def test_responses_in_a_stream(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="chat", input="hi", stream=True))
    assert [event.type for event in events][0::5] == [
        "response.created",
        "response.output_text.done",
    ]
    assert events[-1].type == "response.completed"
    assert "".join(getattr(event, "delta", "") for event in events) == "mini w1 w2 w3"


def test_models_are_the_routes(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["chat"]
    assert client.models.retrieve("chat").id == "chat"


def test_raw_headers_say_which_backend_answered(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(**ANY)
    assert raw.headers["x-gateway-backend"] == "mini"
    assert raw.headers["x-gateway-attempts"] == "1"
    assert raw.headers["x-request-id"]


def test_unknown_model_is_not_found_with_the_code_that_clients_know(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nobody", messages=ASKED)
    assert caught.value.code == "model_not_found"


def test_body_that_is_not_json_is_a_bad_request_in_the_protocols_shape(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(chat(make_backend("mini")))
    with gateway.connect() as raw:
        answer = raw.request("POST", "/v1/chat/completions", b'{"model": "chat",')
        assert answer.status == 400
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert answer.json()["error"]["type"] == "invalid_request_error"


ERRORS = [
    (400, "invalid_request_error", openai.BadRequestError),
    (401, "authentication_error", openai.AuthenticationError),
    (403, "permission_error", openai.PermissionDeniedError),
    (404, "invalid_request_error", openai.NotFoundError),
    (409, "invalid_request_error", openai.ConflictError),
    (422, "invalid_request_error", openai.UnprocessableEntityError),
    (429, "rate_limit_error", openai.RateLimitError),
    (500, "server_error", openai.InternalServerError),
    (503, "server_error", openai.InternalServerError),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status,kind,expected", ERRORS)
def test_backends_error_becomes_the_clients_own_exception(
    make_backend: MakeBackend,
    make_gateway: MakeGateway,
    status: int,
    kind: str,
    expected: type[openai.APIStatusError],
    stream: bool,
) -> None:
    backend = make_backend("mini", plays(lambda _: error(status, "no", kind, "why")))
    settings = chat(backend, each={"breaker": NO_BREAKER}, retry=ONE_ATTEMPT)
    with client_of(make_gateway(settings)) as client, pytest.raises(expected) as caught:
        client.chat.completions.create(**ANY, stream=stream)
    assert caught.value.status_code == status
    assert caught.value.type == kind


def test_nobody_listening_is_a_server_error(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini")
    gateway = make_gateway(chat(backend))
    backend.kill()
    with client_of(gateway) as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(**ANY)
    assert caught.value.status_code in (502, 503)
    backend.revive()


def test_stream_without_its_end_raises_in_the_client(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini", faults.without_done(OpenAIModel("mini"), last=3))
    with client_of(make_gateway(chat(backend))) as client:
        stream = client.chat.completions.create(**ANY, stream=True)
        with pytest.raises(openai.APIError):
            list(stream)


def test_cancelled_stream_is_cancelled_at_the_backend_within_100_ms(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini", plays(OpenAIModel("mini", chunks=500, gap_s=0.02)))
    with client_of(make_gateway(chat(backend))) as client:
        stream = client.chat.completions.create(**ANY, stream=True)
        next(iter(stream))
        left_at = time.monotonic()
        stream.close()
        until(lambda: backend.received[0].abandoned_at > 0)
    assert backend.received[0].abandoned_at - left_at < 0.1


def test_cancelled_request_is_cancelled_at_the_backend_within_100_ms(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("mini", faults.never())
    gateway = make_gateway(chat(backend))

    async def leave() -> float:
        base_url = gateway.base_url + "/v1"
        async with openai.AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0) as client:
            asking = asyncio.create_task(client.chat.completions.create(**ANY))
            while not backend.received:
                await asyncio.sleep(0.005)
            asking.cancel()
            left_at = time.monotonic()
            await asyncio.gather(asking, return_exceptions=True)
            return left_at

    left_at = asyncio.run(leave())
    until(lambda: backend.received[0].abandoned_at > 0)
    assert backend.received[0].abandoned_at - left_at < 0.1


def test_many_clients_at_once_get_their_own_answers(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backends = [make_backend(name) for name in ("one", "two")]
    gateway = make_gateway(chat(*backends, policy="least_loaded"))

    async def ask_all() -> list[Any]:
        base_url = gateway.base_url + "/v1"
        async with openai.AsyncOpenAI(api_key="k", base_url=base_url) as client:
            asks = [client.embeddings.create(model="chat", input="x" * n) for n in range(1, 101)]
            return await asyncio.gather(*asks)

    answers = asyncio.run(ask_all())
    assert [answer.data[0].embedding[0] for answer in answers] == [float(n) for n in range(1, 101)]
    assert all(backend.received for backend in backends)
