import json
from typing import Any

import pytest

from gateway._fast import Backend
from tests.support.messages import chat, post
from tests.support.stage import Settings, Stage, serving


def backend(stage: Stage, name: str = "a") -> Backend:
    return next(each for each in stage.table.backends if each.name == name)


def told(**each: Any) -> tuple[bytes, dict[str, str]]:
    """Target line and fields that a backend so described is sent."""
    stage = Stage(serving("a", each=each))
    server = stage.asked()[1]
    return server.request()[0].split(b"\r\n")[0], server.fields()


def test_its_credentials_are_sent_and_the_clients_are_not() -> None:
    stage = Stage(serving("a", each={"api_key": "sk-1"}))
    server = stage.asked(chat("authorization: Bearer client"))[1]
    assert server.fields()["authorization"] == "Bearer sk-1"


def test_its_own_fields_are_sent_with_every_request() -> None:
    fields = told(headers={"x-team": "risk", "api-version": "2"})[1]
    assert (fields["x-team"], fields["api-version"]) == ("risk", "2")


def test_a_client_cannot_add_to_what_the_configuration_sets() -> None:
    stage = Stage(serving("a", each={"headers": {"x-team": "risk"}}))
    head = stage.asked(chat("X-Team: mine"))[1].request()[0]
    assert head.lower().count(b"x-team") == 1
    assert b"risk" in head


def test_a_secret_is_not_in_its_text() -> None:
    stage = Stage(serving("a", each={"api_key": "sk-1", "headers": {"x-k": "sk-2"}}))
    assert "sk-" not in repr(backend(stage)) + repr(backend(stage).plan) + repr(stage.table)


@pytest.mark.parametrize(
    "url, target, host",
    [
        ("http://a.test/v1", "/v1/chat/completions", "a.test"),
        ("http://a.test:81/x/v1/", "/x/v1/chat/completions", "a.test:81"),
        ("http://[::1]:81/v1", "/v1/chat/completions", "[::1]:81"),
        ("https://a.test/v1", "/v1/chat/completions", "a.test"),
        ("unix:///run/a.sock:/v1", "/v1/chat/completions", "localhost"),
    ],
)
def test_its_url_says_where_and_how_it_is_addressed(url: str, target: str, host: str) -> None:
    settings = serving("a")
    settings["backends"]["a"]["url"] = url
    server = Stage(settings).asked()[1]
    assert server.request()[0].split(b" ")[1].decode() == target
    assert server.fields()["host"] == host


def test_a_path_of_its_own_replaces_the_operations() -> None:
    http = {"protocol": "http", "url": "http://h.test/base", "http": {"path": "/score"}}
    stage = Stage({"backends": {"h": http}, "routes": {"m": {"backends": ["h"]}}})
    server = stage.asked(post("/v1/models/m:predict?x=1", {"instances": []}))[1]
    assert server.request()[0].startswith(b"POST /base/score?x=1 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "pointer, body, expected",
    [
        ("/model", {"x": 1}, {"x": 1, "model": "big"}),
        ("/model", {"model": "m", "x": 1}, {"model": "big", "x": 1}),
        ("/params/model", {"params": {"model": "m"}}, {"params": {"model": "big"}}),
    ],
)
def test_its_models_name_is_written_where_it_wants_it(
    pointer: str, body: Settings, expected: Settings
) -> None:
    http = {"protocol": "http", "url": "http://h.test", "model": "big", "http": {"model": pointer}}
    stage = Stage({"backends": {"h": http}, "routes": {"m": {"backends": ["h"]}}})
    server = stage.asked(post("/v1/models/m:predict", body))[1]
    assert json.loads(server.request()[1]) == expected


# Health


def test_one_worker_makes_each_check() -> None:
    stage = Stage(serving("a"))
    own, other = backend(stage), backend(Stage(serving("a")))
    assert own.claim_check(1000, 500)
    assert not own.claim_check(1400, 500)
    assert own.claim_check(1500, 500)
    assert other.claim_check(1000, 500), "another board, another due time"


def test_a_backend_that_is_ill_is_not_chosen() -> None:
    stage = Stage(serving("a", "b"))
    backend(stage).set_health(False, stage.now_ns)
    assert stage.cell("a")["unhealthy"] == 1
    assert stage.asked()[1].name == "b"
    backend(stage).set_health(True, stage.now_ns)
    assert stage.cell("a")["healthy_since_ns"] == stage.now_ns
    assert stage.asked()[1].name == "a"


def test_health_that_did_not_change_is_no_recovery() -> None:
    stage = Stage(serving("a"))
    backend(stage).set_health(True, stage.now_ns)
    assert stage.cell("a")["healthy_since_ns"] == 0


# Leaving


def test_idle_connections_are_closed_on_demand() -> None:
    stage = Stage(serving("a"))
    for _ in range(3):
        stage.client().ask(chat())
    stage.serve()
    backend(stage).close_idle()
    stage.event()
    assert not any(server.is_open for server in stage.servers)
    assert stage.gauge("a")["connections"] == 0
    stage.end()


def test_a_backend_that_was_replaced_keeps_no_connection() -> None:
    stage = Stage(serving("a"))
    _, server = stage.asked()
    backend(stage).retire()
    assert not backend(stage).is_current
    server.answer()
    assert not server.is_open
    assert stage.gauge("a")["connections"] == 0


def test_a_backend_out_of_the_plan_finishes_what_it_began() -> None:
    stage = Stage(serving("a", "b"))
    client, server = stage.asked()
    stage.apply(serving("b"))
    server.answer({"by": "a"})
    assert client.answer().json == {"by": "a"}
    assert not server.is_open
