"""Who may call the admin port: roles, token, Host, Origin, headers."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from gateway.control.access import SECURITY_HEADERS, Role, is_loopback
from gateway.control.app import DeclaredRoute, create_app
from gateway.errors import ConfigError
from tests.control.parts import FakeGateway

READ = "/api/v1/status"


def routes() -> list[DeclaredRoute]:
    app = create_app(FakeGateway().parts).app
    assert isinstance(app, Starlette)
    assert all(isinstance(route, DeclaredRoute) for route in app.routes)
    return [route for route in app.routes if isinstance(route, DeclaredRoute)]


def calls() -> Iterator[tuple[str, str, Role]]:
    for route in routes():
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, route.path.replace("{name}", "chat"), route.role


def locked(host: str = "127.0.0.1") -> TestClient:
    return FakeGateway(token="right", host=host).client()


def test_every_route_declares_its_role() -> None:
    assert all(isinstance(route.role, Role) for route in routes())


def test_only_health_and_pages_without_data_are_public() -> None:
    assert {path for _, path, role in calls() if role is Role.PUBLIC} == {
        "/",
        "/healthz",
        "/readyz",
        "/static/icon.svg",
        "/static/status.css",
        "/static/status.js",
    }


def test_whatever_changes_something_is_for_operators() -> None:
    changing = {path for method, path, _ in calls() if method != "GET"}
    operating = {path for _, path, role in calls() if role is Role.OPERATE}
    assert changing - operating == {
        "/api/v1/routes/chat/explain",
        "/ofrep/v1/evaluate/flags",
        "/ofrep/v1/evaluate/flags/{key}",
    }


@pytest.mark.parametrize("method,path,role", list(calls()))
def test_route_wants_the_token_unless_it_is_public(method: str, path: str, role: Role) -> None:
    for client in (locked(), locked(host="0.0.0.0")):
        status = client.request(method, path).status_code
        assert (status == 401) == (role is not Role.PUBLIC)


@pytest.mark.parametrize(
    "authorization,status",
    [
        ("Bearer right", 200),
        ("bearer right", 200),
        ("Bearer wrong", 401),
        ("Bearer righ", 401),
        ("Bearer right2", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic right", 401),
        ("right", 401),
        ("", 401),
        ("Bearer \xff", 401),
    ],
)
def test_only_the_right_token_opens(authorization: str, status: int) -> None:
    headers = {b"authorization": authorization.encode("latin-1")}
    answer = locked().get(READ, headers=headers)
    assert answer.status_code == status
    assert status == 200 or answer.headers["www-authenticate"] == "Bearer"


def test_refusal_does_not_say_what_was_given() -> None:
    answer = locked().get(READ, headers={"authorization": "Bearer guess-1234"})
    assert "guess" not in answer.text
    assert answer.json()["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway.internal"])
def test_listener_open_to_the_network_must_have_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match=r"token is required .* at admin.token"):
        FakeGateway(host=host).client()
    FakeGateway(host=host, token="right").client()


@pytest.mark.parametrize(
    "host,is_local",
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback_is_recognised(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


@pytest.mark.parametrize(
    "host,status",
    [
        ("127.0.0.1:8081", 200),
        ("127.0.0.1", 200),
        ("localhost:8081", 200),
        ("LOCALHOST", 200),
        ("[::1]:8081", 200),
        ("evil.example.com", 421),
        ("evil.example.com:8081", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.", 421),
        ("127.0.0.1?x", 400),
        ("127.0.0.1/x", 400),
        ("a@127.0.0.1", 400),
        ("127.0.0.1:80:80", 400),
        ("127.0.0.1:x", 400),
        ("", 400),
    ],
)
def test_loopback_listener_answers_to_local_names_only(host: str, status: int) -> None:
    client = FakeGateway().client()
    for path in (READ, "/", "/healthz", "/nothing"):
        expected = 404 if (path, status) == ("/nothing", 200) else status
        assert client.get(path, headers={"host": host}).status_code == expected


def test_configured_name_is_accepted_too() -> None:
    client = FakeGateway(host="127.0.0.5").client()
    assert client.get(READ, headers={"host": "127.0.0.5:8081"}).status_code == 200


def test_listener_with_a_token_on_the_network_answers_to_any_name() -> None:
    client = locked(host="0.0.0.0")
    headers = {"host": "gateway.internal:8081", "authorization": "Bearer right"}
    assert client.get(READ, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers,status",
    [
        ({}, 202),
        ({"origin": "http://127.0.0.1:8081"}, 202),
        ({"origin": "http://127.0.0.1:8081", "sec-fetch-site": "same-origin"}, 202),
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_page_of_another_origin_changes_nothing(headers: dict[str, str], status: int) -> None:
    gateway = FakeGateway()
    headers = {"content-type": "application/json"} | headers
    assert gateway.client().post("/api/v1/drain", headers=headers).status_code == status
    assert gateway.workers.is_draining == (status == 202)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_form_of_another_site_changes_nothing(content_type: str) -> None:
    gateway = FakeGateway()
    headers = {"content-type": content_type}
    assert gateway.client().post("/api/v1/drain", headers=headers).status_code == 415
    assert not gateway.workers.is_draining


@pytest.mark.parametrize("path", [READ, "/", "/static/status.js", "/metrics", "/nothing"])
def test_every_answer_has_the_security_headers(path: str) -> None:
    answer = FakeGateway().client().get(path, headers={"origin": "http://evil.example.com"})
    for name in SECURITY_HEADERS.keys() - {"cache-control"}:
        assert answer.headers[name] == SECURITY_HEADERS[name]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_answers_with_data_are_not_stored() -> None:
    client = FakeGateway().client()
    assert client.get(READ).headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-cache"


def test_refusals_of_the_walls_have_the_security_headers_too() -> None:
    answer = FakeGateway().client().get("/", headers={"host": "evil.example.com"})
    assert answer.headers["x-content-type-options"] == "nosniff"
