"""Which backend an exchange goes to: what it asks for, overrides, stickiness, and who can."""

import json
from typing import Any

import pytest

from tests.support.messages import chat, post
from tests.support.stage import Settings, Stage, echoing, serving

ALL = ["policy", "backend", "timeout", "priority", "capabilities"]
TOOL: dict[str, Any] = {"tools": [{"type": "function", "function": {"name": "f"}}]}
IMAGE = [{"type": "image_url", "image_url": {"url": "data:,"}}]
SOUND = [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]
SCHEMA: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}}


def chosen(stage: Stage, request: bytes) -> str:
    return places(stage, request)[0]


def code(stage: Stage, request: bytes) -> tuple[int, str]:
    client = stage.client()
    client.ask(request)
    answer = client.answer()
    return answer.status, answer.json["error"]["code"]


def able(**each: list[str]) -> Stage:
    """One backend a name, with these capabilities beside chat."""
    settings = serving(*each)
    for name, capabilities in each.items():
        settings["backends"][name]["capabilities"] = ["chat", *capabilities]
    return Stage(settings)


@pytest.mark.parametrize(
    "needed, members",
    [
        ("tools", TOOL),
        ("vision", {"messages": [{"role": "user", "content": IMAGE}]}),
        ("audio", {"messages": [{"role": "user", "content": SOUND}]}),
        ("json_schema", SCHEMA),
    ],
)
def test_who_cannot_do_what_is_asked_is_passed_over(needed: str, members: dict[str, Any]) -> None:
    stage = able(plain=[], able=[needed])
    assert chosen(stage, chat()) == "plain"
    assert chosen(stage, chat(**members)) == "able"


def test_a_request_that_nobody_can_serve_is_refused_as_such() -> None:
    stage = able(plain=[])
    assert code(stage, chat(**TOOL)) == (422, "not_capable")
    stage.end()


def test_words_in_a_message_ask_for_nothing() -> None:
    said = json.dumps({"type": "image_url"})
    assert chosen(able(plain=[], able=["vision"]), chat(messages=[{"content": said}])) == "plain"


def test_a_request_too_long_for_a_context_window_goes_to_a_longer_one() -> None:
    settings = serving("short", "long")
    settings["backends"]["short"]["context_window"] = 1000
    stage = Stage(settings)
    assert chosen(stage, chat()) == "short"
    assert chosen(stage, chat(user="x" * 50_000)) == "long"
    assert chosen(stage, chat(max_tokens=2000)) == "long"
    assert chosen(stage, chat(max_completion_tokens=2000, max_tokens=1)) == "long"


def test_the_default_route_serves_who_names_no_model() -> None:
    stage = Stage(serving("a", top={"default_route": "chat"}))
    assert chosen(stage, post("/v1/other", {"x": 1})) == "a"


def test_a_body_that_is_no_json_may_go_where_none_is_needed() -> None:
    stage = Stage(serving("a", top={"default_route": "chat"}))
    assert chosen(stage, post("/v1/files", b"\0\1")) == "a"


def test_a_model_of_another_protocol_is_no_route_here() -> None:
    stage = Stage(echoing(top={}))
    assert code(stage, chat(model="echo")) == (404, "model_not_found")


# Overrides


def overriding(**route: Any) -> Stage:
    settings = serving("a", "b", overrides=ALL, **route)
    settings["backends"]["a"]["capabilities"] = ["chat"]
    return Stage(settings)


@pytest.mark.parametrize(
    "field",
    ["x-gateway-backend: b", "X-Gateway-Backend:b", "x-gateway-capabilities: tools, vision"],
)
def test_an_override_decides_who_is_asked(field: str) -> None:
    stage = overriding()
    assert chosen(stage, chat()) == "a"
    assert chosen(stage, chat(field)) == "b"


def test_an_override_never_reaches_the_backend() -> None:
    server = overriding().asked(chat("x-gateway-backend: b"))[1]
    assert "x-gateway-backend" not in server.fields()


def test_a_required_backend_that_is_away_is_not_replaced() -> None:
    stage = overriding()
    backend = next(each for each in stage.table.backends if each.name == "b")
    backend.set_health(False, stage.now_ns)
    assert code(stage, chat("x-gateway-backend: b")) == (503, "no_backend")


def test_the_policy_may_be_overridden() -> None:
    stage = Stage(serving("a", "b", overrides=["policy"], policy="ordered"))
    names = {chosen(stage, chat("x-gateway-policy: weighted")) for _ in range(64)}
    assert names == {"a", "b"}
    assert {chosen(stage, chat()) for _ in range(64)} == {"a"}


@pytest.mark.parametrize("text", ["1500", "1500ms", "1.5s"])
def test_the_time_may_be_shortened(text: str) -> None:
    stage = overriding()
    server = stage.asked(chat(f"x-gateway-timeout: {text}"))[1]
    assert server.fields()["x-request-timeout-ms"] == "1500"


def test_the_time_may_not_be_lengthened() -> None:
    stage = overriding(timeout={"total": "3s"})
    server = stage.asked(chat("x-gateway-timeout: 60s"))[1]
    assert server.fields()["x-request-timeout-ms"] == "3000"


@pytest.mark.parametrize(
    "field",
    [
        "x-gateway-backend: c",
        "x-gateway-backend:",
        "x-gateway-policy: best",
        "x-gateway-timeout: 0",
        "x-gateway-timeout: -1s",
        "x-gateway-timeout: soon",
        "x-gateway-priority: 8",
        "x-gateway-priority: -1",
        "x-gateway-priority: high",
        "x-gateway-capabilities: flying",
        "x-gateway-unknown: 1",
        "x-gateway-timeout: \xb2s",
    ],
)
def test_an_override_that_makes_no_sense_is_refused(field: str) -> None:
    stage = overriding()
    assert code(stage, chat(field)) == (400, "bad_override")
    stage.end()


def test_an_override_that_the_route_does_not_allow_is_refused() -> None:
    stage = Stage(serving("a", "b", overrides=["policy"]))
    assert code(stage, chat("x-gateway-backend: b")) == (400, "bad_override")


# Stickiness


def places(stage: Stage, *requests: bytes, addresses: tuple[str, ...] = ()) -> list[str]:
    found = []
    for index, request in enumerate(requests):
        client = stage.client(addresses[index] if addresses else "192.0.2.7")
        client.ask(request)
        names = [each.name for each in stage.table.backends]
        (name,) = (name for name in names if stage.gauge(name)["in_flight"])
        found.append(name)
        client.reset()
    return found


NAMES = tuple("abcdefgh")


@pytest.mark.parametrize(
    "sticky, make",
    [
        ("user", lambda n: chat(user=f"user {n}")),
        ("header:x-session", lambda n: chat(f"x-session: {n}")),
        ("pointer:/metadata/session", lambda n: chat(metadata={"session": n})),
    ],
)
def test_the_same_caller_is_served_by_the_same_backend(sticky: str, make: Any) -> None:
    stage = Stage(serving(*NAMES, sticky=sticky, policy="least_loaded"))
    first = places(stage, *(make(n) for n in range(40)))
    assert places(stage, *(make(n) for n in range(40))) == first
    assert len(set(first)) > 4


def test_the_same_address_is_served_by_the_same_backend() -> None:
    stage = Stage(serving(*NAMES, sticky="client", policy="least_loaded"))
    addresses = tuple(f"192.0.2.{n}" for n in range(40))
    first = places(stage, *([chat()] * 40), addresses=addresses)
    assert places(stage, *([chat()] * 40), addresses=addresses) == first
    assert len(set(first)) > 4


def test_who_carries_no_session_is_free() -> None:
    stage = Stage(serving(*NAMES, sticky="header:x-session", policy="weighted"))
    assert len(set(places(stage, *([chat()] * 40)))) > 4


def test_a_session_moves_only_while_its_backend_is_away() -> None:
    stage = Stage(serving(*NAMES, sticky="user", policy="least_loaded"))
    requests = [chat(user=f"user {n}") for n in range(40)]
    first = places(stage, *requests)
    away = next(each for each in stage.table.backends if each.name == first[0])
    away.set_health(False, stage.now_ns)
    moved = places(stage, *requests)
    changed = [old for old, new in zip(first, moved, strict=True) if old != new]
    assert set(changed) == {first[0]}
    assert first[0] not in moved
    away.set_health(True, stage.now_ns)
    assert places(stage, *requests) == first


def test_a_sticky_pointer_of_a_body_that_is_no_json_sticks_to_nothing() -> None:
    backends: Settings = {n: {"protocol": "http", "url": f"http://{n}.test"} for n in "ab"}
    match = [{"path": "/echo", "methods": ["POST"]}]
    route = {"backends": ["a", "b"], "match": match, "sticky": "pointer:/session"}
    stage = Stage({"backends": backends, "routes": {"echo": route}})
    assert chosen(stage, post("/echo", b"nonsense")) == "a"
