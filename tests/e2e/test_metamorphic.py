"""The same request through the gateway and direct: the same bytes, however they are cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.answers import Answer, Stream, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.raw_client import RawClient, Response, request_bytes
from tests.support.script import Received
from tests.support.settings import echo as echo_settings
from tests.support.strategies import Message, cut_at, requests

SIZES = [0, 1, 2, 15, 16, 17, 255, 4095, 4096, 65535, 65536, 65537, 1_000_000, 5_000_000]
HOPS = {"connection", "transfer-encoding", "content-length", "date", "server-timing"}
OURS = {"x-request-id", "x-gateway-backend", "x-gateway-attempts", "x-gateway-cost-usd"}


def answer(received: Received) -> Answer | Stream:
    """Bytes made of the request's alone: reversed; chunked for every other size."""
    body = received.body[::-1]
    kinds = (("content-type", "application/octet-stream"), ("etag", f'"{len(body)}"'))
    if len(body) % 2:
        pieces = [body[n : n + 1000] for n in range(0, len(body), 1000)]
        return Stream(tuple(pieces), 200, kinds)
    return Answer(200, kinds, body)


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("echo", plays(answer))


@pytest.fixture
def gateway(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    return make_gateway(echo_settings(backend))


def plain_fields(response: Response) -> list[tuple[str, str]]:
    return [(k.lower(), v) for k, v in response.headers if k.lower() not in HOPS | OURS]


@pytest.mark.parametrize("size", SIZES)
def test_answer_through_the_gateway_is_byte_equal_to_the_direct_one(
    gateway: Gateway, backend: Backend, size: int
) -> None:
    body = random.Random(size).randbytes(size)
    with gateway.connect(timeout_s=20) as through, RawClient(backend.address) as direct:
        ours = through.request("POST", "/echo", body)
        theirs = direct.request("POST", "/echo", body)
    assert (ours.status, ours.body) == (theirs.status, theirs.body)
    assert plain_fields(ours) == plain_fields(theirs)


def test_request_cut_at_every_byte_gives_the_same_answer(gateway: Gateway) -> None:
    data = request_bytes("POST", "/echo", b"abcdef", [("x-a", "1")])
    with gateway.connect() as client:
        for place in range(1, len(data)):
            first, second = cut_at(data, [place])
            client.send(first)
            gateway.settle()
            client.send(second)
            assert client.read_response().body == b"fedcba"


def test_two_requests_cut_at_every_byte_give_the_same_answers(gateway: Gateway) -> None:
    one = request_bytes("POST", "/echo", b"ab")
    coded = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = one + coded + b"3;x=y\r\nabc\r\n0\r\nT: u\r\n\r\n" + one
    with gateway.connect() as client:
        for place in range(1, len(data)):
            first, second = cut_at(data, [place])
            client.send(first)
            gateway.settle()
            client.send(second)
            assert [client.read_response().body for _ in range(3)] == [b"ba", b"cba", b"ba"]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(message=requests())
def test_any_valid_request_reaches_the_backend_with_its_meaning(
    gateway: Gateway, backend: Backend, message: Message
) -> None:
    data = message.data.replace(b" /", b" /echo?", 1)
    with gateway.connect() as client:
        client.send(data)
        assert client.read_response().body == message.body[::-1]
    got = backend.received[-1]
    assert got.method == message.method
    assert got.target == "/echo?" + message.target[1:]
    assert got.body == message.body
    names = {name for name, _ in message.fields}
    kept = [(k.lower(), v) for k, v in got.headers if k.lower() in names]
    assert kept == list(message.fields)
