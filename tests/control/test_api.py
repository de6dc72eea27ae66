"""Each route of the admin API, over fakes of what stands behind it."""

import logging

import pytest
from starlette.testclient import TestClient

from gateway.control.endpoint import MAX_BODY_BYTES
from gateway.control.parts import Version
from gateway.errors import GatewayError, StaleVersion
from tests.control.parts import FakeGateway

PLAN = "a1b2c3d4e5f60718"


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(gateway: FakeGateway) -> TestClient:
    return gateway.client()


def error_of(answer: object) -> dict[str, object]:
    body = answer.json()  # type: ignore[attr-defined]
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "problems"}
    error: dict[str, object] = body["error"]
    return error


def test_status_is_what_the_overview_says(client: TestClient) -> None:
    answer = client.get("/api/v1/status").json()
    assert answer["health"] == "ok"
    assert [route["name"] for route in answer["routes"]] == ["chat", "fraud"]
    assert answer["plan"]["hash"] == PLAN


def test_plan_shows_the_configuration_in_force(client: TestClient) -> None:
    assert client.get("/api/v1/plan").json() == {
        "hash": PLAN,
        "applied_at_s": 1_759_999_940.0,
        "config": {"workers": 2},
    }


def test_backends_and_routes_are_lists_by_name(client: TestClient) -> None:
    backends = client.get("/api/v1/backends").json()
    assert [backend["name"] for backend in backends] == ["mini", "local", "fraud-v3"]
    assert client.get("/api/v1/routes").json()[1]["candidates"][0]["backend"] == "fraud-v3"


def test_workers_say_which_plan_they_serve(client: TestClient) -> None:
    workers = client.get("/api/v1/workers").json()
    assert [(worker["slot"], worker["plan"]) for worker in workers] == [(0, PLAN), (1, PLAN)]


def test_explain_passes_the_request_on(gateway: FakeGateway, client: TestClient) -> None:
    question = {"path": "/v1/chat/completions", "headers": {"a": "b"}, "body": {"model": "chat"}}
    answer = client.post("/api/v1/routes/chat/explain", json=question).json()
    assert answer["choice"] == "mini"
    assert answer["candidates"][1]["reason"] == "breaker_open"
    asked = gateway.explainer.asked
    assert asked is not None
    assert (asked.path, asked.headers, asked.body) == (
        "/v1/chat/completions",
        {"a": "b"},
        {"model": "chat"},
    )


@pytest.mark.parametrize(
    "name,hint", [("chatt", "did you mean `chat`?"), ("zzz", "known: chat, fraud.")]
)
def test_unknown_route_is_404_with_the_word_that_was_meant(
    client: TestClient, name: str, hint: str
) -> None:
    answer = client.post(f"/api/v1/routes/{name}/explain", json={})
    assert answer.status_code == 404
    assert str(error_of(answer)["message"]).endswith(hint)


def test_what_is_not_there_is_said_before_how_to_ask_for_it(client: TestClient) -> None:
    answer = client.post("/api/v1/routes/zzz/explain", content=b"a=b")
    assert (answer.status_code, error_of(answer)["code"]) == (404, "no_route")
    answer = client.post("/api/v1/routes/chat/explain", content=b"a=b")
    assert (answer.status_code, error_of(answer)["code"]) == (415, "not_json")


@pytest.mark.parametrize(
    "method,path",
    [
        ("POST", "/routes/chat/explain"),
        ("PUT", "/config"),
        ("POST", "/config/reload"),
        ("POST", "/config/rollback"),
    ],
)
def test_unknown_key_of_a_body_is_refused_by_its_name(
    client: TestClient, method: str, path: str
) -> None:
    good = {"/config": {"text": ""}, "/config/rollback": {"hash": "older"}}.get(path, {})
    answer = client.request(method, f"/api/v1{path}", json={**good, "modle": "chat"})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "bad_body")
    assert "`modle`" in str(error_of(answer)["message"])
    long = client.request(method, f"/api/v1{path}", json={**good, "x" * 5000: 1})
    assert len(str(error_of(long)["message"])) < 300


def test_text_of_the_configuration_in_force(gateway: FakeGateway, client: TestClient) -> None:
    gateway.configuration.texts[PLAN] = "routes: {}\n"
    assert client.get("/api/v1/config").json() == {"hash": PLAN, "text": "routes: {}\n"}


def test_history_is_listed(gateway: FakeGateway, client: TestClient) -> None:
    gateway.configuration.texts = {PLAN: "", "older": ""}
    found = client.get("/api/v1/config/history").json()
    assert [(v["hash"], v["is_current"]) for v in found] == [(PLAN, True), ("older", False)]


@pytest.mark.parametrize("query", ["", f"?to={PLAN}", f"?from=older&to={PLAN}"])
def test_difference_is_to_the_one_before_unless_named(
    gateway: FakeGateway, client: TestClient, query: str
) -> None:
    gateway.configuration.texts = {PLAN: "a: 1\nb: 2\n", "older": "a: 1\nb: 1\n"}
    found = client.get(f"/api/v1/config/diff{query}").json()
    assert (found["before"], found["after"]) == ("older", PLAN)
    assert "-b: 1\n+b: 2" in found["diff"]


def test_difference_to_nothing_is_the_whole_text(gateway: FakeGateway, client: TestClient) -> None:
    gateway.configuration.texts = {PLAN: "a: 1\n"}
    found = client.get("/api/v1/config/diff").json()
    assert found["before"] == ""
    assert "+a: 1" in found["diff"]


def test_predecessor_of_what_was_never_applied_is_unknown(
    gateway: FakeGateway, client: TestClient
) -> None:
    gateway.configuration.texts = {"other": "x: 1\n"}
    answer = client.get("/api/v1/config/diff")
    assert answer.status_code == 409
    assert PLAN in str(error_of(answer)["message"])


@pytest.mark.parametrize("content,author", [({}, "api"), ({"author": "ada"}, "ada")])
def test_reload_names_its_author(
    gateway: FakeGateway, client: TestClient, content: dict[str, str], author: str
) -> None:
    answer = client.post("/api/v1/config/reload", json=content)
    assert answer.json()["is_changed"] is False
    assert gateway.configuration.authors == [author]


def test_new_configuration_is_put_in_force(client: TestClient) -> None:
    answer = client.put("/api/v1/config", json={"text": "routes: {}", "expected": PLAN}).json()
    assert (answer["hash"], answer["previous"], answer["is_changed"]) == ("new", PLAN, True)


def test_wrong_configuration_is_refused_with_every_problem(client: TestClient) -> None:
    answer = client.put("/api/v1/config", json={"text": "wrong"})
    assert answer.status_code == 422
    assert error_of(answer)["problems"] == [
        {"message": "unknown key `wrong`", "path": "routes.wrong", "line": 3}
    ]


def test_configuration_made_for_another_one_is_refused(
    gateway: FakeGateway, client: TestClient
) -> None:
    answer = client.put("/api/v1/config", json={"text": "", "expected": "another"})
    assert answer.status_code == 409
    assert error_of(answer)["code"] == "stale_version"
    assert not gateway.configuration.authors


def test_rollback_goes_to_the_hash_that_is_named(client: TestClient) -> None:
    answer = client.post("/api/v1/config/rollback", json={"hash": "older"}).json()
    assert answer["hash"] == "older"


def test_control_errors_keep_their_status(
    gateway: FakeGateway, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stale(_hash: str, _author: str) -> None:
        raise StaleVersion("Somebody else was faster.")

    monkeypatch.setattr(gateway.configuration, "rollback", stale)
    answer = client.post("/api/v1/config/rollback", json={"hash": "older"})
    assert (answer.status_code, error_of(answer)["code"]) == (409, "stale_version")


def test_other_errors_of_ours_are_told_in_their_sentence(
    gateway: FakeGateway, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise GatewayError("The supervisor is gone.")

    monkeypatch.setattr(gateway.workers, "drain", fail)
    answer = client.post("/api/v1/drain", json={})
    assert answer.status_code == 500
    assert error_of(answer)["message"] == "The supervisor is gone."


def test_drain_begins_at_once(gateway: FakeGateway, client: TestClient) -> None:
    answer = client.post("/api/v1/drain", json={})
    assert (answer.status_code, answer.json()) == (202, {"is_draining": True})
    assert gateway.workers.is_draining


def test_metrics_are_in_the_form_that_is_asked_for(client: TestClient) -> None:
    plain = client.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    strict = client.get("/metrics", headers=accept)
    assert strict.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert strict.text.endswith("# EOF\n")


def test_ready_while_a_worker_serves_the_plan(gateway: FakeGateway, client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    gateway.workers.up = 0
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


def test_not_ready_while_draining(gateway: FakeGateway, client: TestClient) -> None:
    gateway.workers.drain()
    assert error_of(client.get("/readyz"))["code"] == "not_ready"


@pytest.mark.parametrize(
    "content,code",
    [
        (b"{", "bad_body"),
        (b"[]", "bad_body"),
        (b'{"headers": 3}', "bad_body"),
        (b"[" * 100_000, "bad_body"),
        (b"\xff", "bad_body"),
        (b" " * (MAX_BODY_BYTES + 1), "body_too_large"),
    ],
    ids=["cut", "list", "type", "deep", "bytes", "large"],
)
def test_bad_bodies_are_refused_in_one_sentence(
    client: TestClient, content: bytes, code: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/v1/routes/chat/explain", content=content, headers=headers)
    assert answer.status_code in {400, 413}
    assert error_of(answer)["code"] == code


@pytest.mark.parametrize(
    "method,path,status",
    [("GET", "/nothing", 404), ("DELETE", "/api/v1/status", 405), ("OPTIONS", "/metrics", 405)],
)
def test_what_is_not_served_is_said_as_json(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert error_of(answer)["code"] in {"no_path", "method_not_allowed"}


def test_failure_of_ours_tells_the_client_nothing(
    gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("sk-secret-123456")

    monkeypatch.setattr(gateway.workers, "seats", fail)
    with caplog.at_level(logging.ERROR):
        answer = gateway.client(raise_server_exceptions=False).get("/api/v1/workers")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal"
    assert "secret" not in answer.text


def test_refused_configuration_is_shown_until_one_is_accepted(
    gateway: FakeGateway, client: TestClient
) -> None:
    gateway.configuration.failure = Version(
        hash="bad", author="file", at="2026-01-01T00:00:00Z", outcome="refused", detail="line 3"
    )
    assert client.get("/api/v1/status").json()["failure"]["detail"] == "line 3"
