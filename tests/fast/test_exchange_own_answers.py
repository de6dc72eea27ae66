"""What the gateway answers itself: health, lists of models, preflights, refusals."""

import pytest

from tests.support.messages import chat, chunk, post
from tests.support.stage import Client, Stage, echoing, serving


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/health/live", "/v1/models", "/v2"])
def test_some_paths_the_gateway_answers_itself(method: str, path: str) -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(f"{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    found = client.answer()
    assert (found.status, bool(found.body)) == (200, method == "GET")
    assert int(found.fields["content-length"]) > 0
    stage.end()


@pytest.mark.parametrize("framing", ["content-length: 35", "transfer-encoding: chunked"])
@pytest.mark.parametrize("cut", [0, 10])
def test_a_body_that_nobody_reads_is_not_the_next_request(framing: str, cut: int) -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    client.methods.append("GET")
    body = b"GET /readyz HTTP/1.1\r\nhost: evil\r\n\r\n"
    body = chunk(body) + b"0\r\n\r\n" if "chunked" in framing else body
    head = f"GET /healthz HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n".encode()
    client.send(head + body[:cut], body[cut:])
    assert client.heard.count(b"HTTP/1.1") == 1
    assert client.answer().fields["connection"] == "close"
    stage.wait(3)
    stage.end()


def test_readiness_ends_when_the_worker_drains() -> None:
    stage = Stage(serving("a"))
    stage.worker.lame_duck()
    for path, status in (("/readyz", 503), ("/healthz", 200)):
        client = stage.client()
        client.ask(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert client.answer().status == status
        assert client.answer().fields["connection"] == "close"


def preflight(origin: str, *fields: str) -> Client:
    stage = Stage(serving("a", top={"cors": {"origins": ["https://app.test"]}}))
    client = stage.client()
    lines = ["OPTIONS /v1/chat/completions HTTP/1.1", "host: a", f"origin: {origin}", *fields]
    client.ask("\r\n".join([*lines, "", ""]).encode())
    return client


def test_a_preflight_of_a_known_origin_is_answered() -> None:
    found = preflight("https://app.test", "access-control-request-method: POST").answer()
    assert found.status == 204
    assert found.fields["access-control-allow-origin"] == "https://app.test"
    assert found.fields["vary"] == "origin"


def test_a_preflight_of_another_origin_is_told_nothing() -> None:
    found = preflight("https://evil.test", "access-control-request-method: POST").answer()
    assert "access-control-allow-origin" not in found.fields


def test_an_answer_to_a_known_origin_may_be_read_there() -> None:
    stage = Stage(serving("a", top={"cors": {"origins": ["*"]}}))
    client, server = stage.asked(chat("origin: https://app.test"))
    server.answer()
    assert client.answer().fields["access-control-allow-origin"] == "*"
    assert "x-gateway-backend" in client.answer().fields["access-control-expose-headers"]


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_a_method_that_is_no_ordinary_request_is_refused_and_closed(method: str) -> None:
    stage = Stage(echoing())
    client = stage.client()
    target = "a:443" if method == "CONNECT" else "/echo"
    client.ask(f"{method} {target} HTTP/1.1\r\nhost: a:443\r\n\r\nGET /echo".encode())
    assert client.answer().status == 405
    assert client.is_ended
    assert not stage.dials


def test_a_refusal_in_each_protocols_shape() -> None:
    backends = {"k": {"protocol": "kserve", "url": "http://k.test"}}
    stage = Stage(serving("a", top={"backends": backends, "routes": {"m": {"backends": ["k"]}}}))
    shapes = []
    for path in ("/v1/chat/completions", "/v2/models/none/infer", "/v1/models/none:predict"):
        client = stage.client()
        client.ask(post(path, {"model": "none"}))
        shapes.append((client.answer().status, client.answer().json))
    assert shapes == [
        (
            404,
            {
                "error": {
                    "message": "The model `none` does not exist.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "model_not_found",
                }
            },
        ),
        (404, {"error": "The model `none` does not exist."}),
        (404, {"error": "The model `none` does not exist."}),
    ]
