from http import HTTPStatus
from typing import Any

import pytest

from gateway._fast import Table
from gateway._fast.table import status_line
from tests.support.stage import Settings, Stage, serving

KSERVE: Settings = {"backends": {"k": {"protocol": "kserve", "url": "http://k.test"}}}


def table(*, top: Settings | None = None, **route: Any) -> Table:
    more = {"routes": {"fraud": {"backends": ["k"]}}, **KSERVE, **(top or {})}
    return Stage(serving("a", top=more, **route)).table


def found(paths: Table, method: str, path: str) -> tuple[str, str, str] | None:
    """Operation, route by path, model by path."""
    made = paths.find_path(method.encode(), path.encode())
    if made is None:
        return None
    operation, route, model = made
    return operation.name, route.name if route else "", (model or b"").decode()


@pytest.mark.parametrize(
    "method, path, expected",
    [
        ("POST", "/v1/chat/completions", ("chat", "", "")),
        ("POST", "/v1/embeddings", ("embeddings", "", "")),
        ("POST", "/v1/anything", ("other", "", "")),
        ("GET", "/v1/files/1", ("other", "", "")),
        ("POST", "/v2/models/fraud/infer", ("infer", "fraud", "fraud")),
        ("POST", "/v2/models/fr%61ud/versions/2/infer", ("infer", "fraud", "fraud")),
        ("GET", "/v2/models/fraud/ready", ("ready", "fraud", "fraud")),
        ("GET", "/v2/models/fraud", ("metadata", "fraud", "fraud")),
        ("GET", "/v2/models/fraud/infer", None),
        ("POST", "/v2/models/none/infer", ("infer", "", "none")),
        ("POST", "/v1/models/fraud:predict", ("predict", "fraud", "fraud")),
        ("POST", "/fraud/invocations", ("invocations", "fraud", "fraud")),
        ("GET", "/nowhere", None),
        ("BREW", "/v1/chat/completions", None),
        ("BREW", "/v1/coffee", ("other", "", "")),
    ],
)
def test_a_path_means_the_same_each_time(
    method: str, path: str, expected: tuple[str, str, str] | None
) -> None:
    paths = table()
    for _ in range(3):
        assert found(paths, method, path) == expected


def test_the_memory_of_paths_is_bounded() -> None:
    paths = table()
    for n in range(10_000):
        assert paths.find_path(b"GET", b"/none/%d" % n) is None
        assert found(paths, "POST", "/v1/chat/completions") == ("chat", "", "")


@pytest.mark.parametrize("path, matches", [("/score", True), ("/score/x", False), ("/", False)])
def test_a_routes_own_path_is_exact(path: str, matches: bool) -> None:
    match = [{"path": "/score", "methods": ["POST"]}]
    http = {"protocol": "http", "url": "http://h.test"}
    stage = Stage({"backends": {"h": http}, "routes": {"m": {"backends": ["h"], "match": match}}})
    assert (found(stage.table, "POST", path) == ("predict", "m", "")) is matches
    assert found(stage.table, "GET", path) is None


def test_a_routes_own_path_may_be_a_beginning_or_hold_the_model() -> None:
    http = {"protocol": "http", "url": "http://h.test"}
    routes = {
        "m": {"backends": ["h"], "match": [{"path": "/any/*", "methods": ["GET"]}]},
        "n": {"backends": ["h"], "match": [{"path": "/run/{model}/now"}]},
    }
    paths = Stage({"backends": {"h": http}, "routes": routes}).table
    assert found(paths, "GET", "/any/thing") == ("predict", "m", "")
    assert found(paths, "GET", "/any/") == ("predict", "m", "")
    made = found(paths, "POST", "/run/n/now")
    assert made is not None
    assert made[1] == "n"


def test_its_own_answers_are_there() -> None:
    paths = table()
    for path in (b"/healthz", b"/readyz", b"/v2", b"/v2/health/live", b"/v1/models"):
        assert paths.answers[path][0] == 200
    assert b'"chat"' in paths.answers[b"/v1/models"][2]
    assert b'"fraud"' not in paths.answers[b"/v1/models"][2], "that is no OpenAI model"


def test_it_is_named_by_its_plan() -> None:
    paths = table(top={"default_route": "chat"})
    assert paths.hash == paths.plan.hash
    assert paths.default_route is not None
    assert paths.default_route.name == "chat"
    assert table().default_route is None
    assert repr(paths) == f"<Table {paths.hash[:12]} routes=2>"
    assert [route.name for route in paths.routes_by_index] == ["chat", "fraud"]
    assert set(paths.routes) == {b"chat", b"fraud"}
    assert not paths.has_cors
    assert table(top={"cors": {"origins": ["*"]}}).has_cors
    assert table(top={"forwarded": {"forwarded": True}}).has_forwarded


def test_spare_backends_stand_behind_the_candidates() -> None:
    more = {"backends": {n: {"protocol": "openai", "url": f"http://{n}.test/v1"} for n in "bcd"}}
    stage = Stage(
        serving(
            "a",
            top=more,
            larger_context=["b"],
            content_filter=["c", "b"],
            fallback=[{"backend": "d"}, {"backend": "a"}],
        )
    )
    route = stage.table.routes[b"chat"]
    assert [backend.name for backend in route.backends] == ["a", "b", "c", "d"]
    assert (route.larger_context, route.content_filter) == ((1,), (2, 1))
    assert len(route.candidates) == 1


@pytest.mark.parametrize("status", [200, 404, 418, 503, 599, 299])
def test_a_status_line_has_its_phrase(status: int) -> None:
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    assert status_line(status) == f"HTTP/1.1 {status} {phrase}\r\n".encode()
