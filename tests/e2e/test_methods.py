"""HEAD, OPTIONS with CORS, Expect: 100-continue, and the paths the gateway answers itself."""

from __future__ import annotations

import pytest

from tests.support.answers import Answer, Stream, always, echo, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.raw_client import request_bytes
from tests.support.settings import echo as echo_settings

ORIGIN = "https://app.example.com"
PREFLIGHT = [("origin", ORIGIN), ("access-control-request-method", "POST")]


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("echo", plays(echo))


@pytest.fixture
def gateway(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    return make_gateway(echo_settings(backend))


def test_head_gets_the_head_that_get_would_get(gateway: Gateway, backend: Backend) -> None:
    backend.answer = plays(lambda _: Answer(200, (("etag", '"x"'),), b"hello"))
    with gateway.connect() as client:
        head = client.request("HEAD", "/echo")
        assert (head.status, head.body) == (200, b"")
        assert head.header("content-length") == "5"
        assert head.header("etag") == '"x"'
        assert client.request("GET", "/echo").body == b"hello"
    assert [one.method for one in backend.received] == ["HEAD", "GET"]
    assert len({one.connection for one in backend.received}) == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v1/models"])
def test_head_of_the_gateways_own_answers_has_no_body(gateway: Gateway, path: str) -> None:
    with gateway.connect() as client:
        assert client.request("HEAD", path).body == b""
        assert client.request("GET", path).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_is_passed_on(gateway: Gateway, backend: Backend, method: str) -> None:
    with gateway.connect() as client:
        assert client.request(method, "/echo", b"x").header("x-echo-method") == method


def test_method_that_the_path_does_not_take_is_a_405(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    settings = echo_settings(make_backend("echo", plays(echo)))
    settings["routes"]["echo"]["match"] = [{"path": "/echo", "methods": ["POST"]}]
    with make_gateway(settings).connect() as client:
        answer = client.request("DELETE", "/echo")
        assert answer.status in (404, 405)
        assert client.request("POST", "/echo", b"x").status == 200


# CORS.


@pytest.fixture
def cors(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    return make_gateway(echo_settings(backend, cors={"origins": [ORIGIN], "max_age": "60s"}))


def test_preflight_is_answered_without_a_backend(cors: Gateway, backend: Backend) -> None:
    with cors.connect() as client:
        answer = client.request("OPTIONS", "/echo", headers=PREFLIGHT)
    assert answer.status in (200, 204)
    assert answer.header("access-control-allow-origin") == ORIGIN
    assert "POST" in (answer.header("access-control-allow-methods") or "")
    assert answer.header("access-control-max-age") == "60"
    assert backend.received == []


def test_answer_to_an_allowed_origin_says_so(cors: Gateway) -> None:
    with cors.connect() as client:
        answer = client.request("POST", "/echo", b"x", [("origin", ORIGIN)])
        assert answer.header("access-control-allow-origin") == ORIGIN
        assert "origin" in (answer.header("vary") or "").lower()
        refusal = client.request("POST", "/nowhere", b"x", [("origin", ORIGIN)])
        assert refusal.header("access-control-allow-origin") == ORIGIN


@pytest.mark.parametrize(
    "origin", ["https://evil.test", "null", ORIGIN + ".evil.test", "http://app.example.com"]
)
def test_other_origins_get_no_permission(cors: Gateway, origin: str) -> None:
    with cors.connect() as client:
        answer = client.request("POST", "/echo", b"x", [("origin", origin)])
        assert answer.header("access-control-allow-origin") is None
        fields = [("origin", origin), ("access-control-request-method", "POST")]
        preflight = client.request("OPTIONS", "/echo", headers=fields)
        assert preflight.header("access-control-allow-origin") is None


def test_any_origin_is_allowed_where_configured(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(echo_settings(backend, cors={"origins": ["*"]}))
    with gateway.connect() as client:
        answer = client.request("POST", "/echo", b"x", [("origin", "https://a.test")])
    assert answer.header("access-control-allow-origin") in ("*", "https://a.test")
    assert answer.header("access-control-allow-credentials") is None


def test_without_cors_an_origin_changes_nothing(gateway: Gateway) -> None:
    with gateway.connect() as client:
        answer = client.request("OPTIONS", "/echo", headers=PREFLIGHT)
        assert answer.header("access-control-allow-origin") is None
        assert answer.header("x-echo-method") == "OPTIONS"


# Expect.


def test_continue_is_said_when_the_body_is_wanted(gateway: Gateway, backend: Backend) -> None:
    data = request_bytes("POST", "/echo", b"hello", [("expect", "100-continue")])
    with gateway.connect() as client:
        client.send(data[:-5])
        assert client.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert backend.received == []
        client.send(b"hello")
        assert client.read_response().body == b"hello"


def test_continue_is_not_said_to_a_client_that_did_not_wait(gateway: Gateway) -> None:
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/echo", b"hello", [("expect", "100-continue")]))
        answer = client.read_response()
    assert (answer.body, answer.interim) == (b"hello", [])


def test_continue_is_not_said_when_the_answer_is_a_refusal(
    gateway: Gateway, backend: Backend
) -> None:
    fields = [("expect", "100-continue"), ("content-length", str(1 << 30))]
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/echo", None, fields))
        answer = client.read_response()
        assert (answer.status, answer.interim) == (413, [])
        assert client.is_closed()
    assert backend.received == []


def test_continue_of_a_chunked_body(gateway: Gateway) -> None:
    fields = [("expect", "100-continue"), ("transfer-encoding", "chunked")]
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/echo", None, fields))
        assert client.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"5\r\nhello\r\n0\r\n\r\n")
        assert client.read_response().body == b"hello"


def test_http_10_client_gets_a_length_and_a_close(gateway: Gateway, backend: Backend) -> None:
    for made in (Answer(200, (), b"hello"), Stream((b"hel", b"lo"))):
        backend.answer = plays(always(made))
        with gateway.connect() as client:
            client.send(b"GET /echo HTTP/1.0\r\n\r\n")
            data = client.read_to_end()
        head, _, body = data.partition(b"\r\n\r\n")
        assert body == b"hello"
        assert b"transfer-encoding" not in head.lower()
