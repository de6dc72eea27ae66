"""How the verbs reach the admin API, and what they say when they do not."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.cli.admin import AdminError, ask
from tests.cli.admin_port import AdminPort


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_ADMIN_TOKEN", raising=False)


@contextlib.contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that is no gateway."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_answer_is_decoded() -> None:
    with AdminPort() as url:
        assert ask(url, "/healthz") == {"status": "ok"}
        assert ask(f"{url}/", "/healthz") == {"status": "ok"}


def test_body_makes_it_a_post() -> None:
    with AdminPort() as url:
        assert ask(url, "/api/v1/routes/chat/explain", {})["choice"] == "mini"


def test_nobody_there_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(AdminError, match=r"no gateway answers at .* \(Connection refused\); is it"):
        ask(f"http://127.0.0.1:{port}", "/healthz")


def test_name_that_does_not_resolve_is_one_sentence() -> None:
    with pytest.raises(AdminError, match="no gateway answers at"):
        ask("http://name.invalid:1", "/healthz")


def test_port_without_tls_is_no_https_gateway() -> None:
    with AdminPort() as url, pytest.raises(AdminError, match="no gateway answers at https"):
        ask(url.replace("http:", "https:"), "/healthz")


@pytest.mark.parametrize("url", ["127.0.0.1:8081", "ftp://127.0.0.1", "http://", "nonsense"])
def test_url_that_is_none_is_one_sentence(url: str) -> None:
    with pytest.raises(AdminError, match="--admin wants a URL"):
        ask(url, "/healthz")


@pytest.mark.parametrize("status", [200, 502])
def test_something_else_is_no_gateway(status: int) -> None:
    with (
        answering(status, b"<html>") as url,
        pytest.raises(AdminError, match="not a gateway's admin port"),
    ):
        ask(url, "/healthz")


def test_refusal_without_a_sentence_names_the_status() -> None:
    with answering(503, b"[]") as url, pytest.raises(AdminError, match="answered 503"):
        ask(url, "/healthz")


def test_refusal_is_told_in_its_own_sentence() -> None:
    with AdminPort() as url, pytest.raises(AdminError, match="There is nothing at this path"):
        ask(url, "/nothing")


def test_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with AdminPort(token="right") as url:
        with pytest.raises(AdminError, match="set GATEWAY_ADMIN_TOKEN"):
            ask(url, "/api/v1/workers")
        monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", "right")
        assert ask(url, "/api/v1/workers")
