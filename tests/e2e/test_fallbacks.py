"""When all candidates fail: the route's fallback chain, hedges, breakers and overrides."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support import faults
from tests.support.answers import plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.openai_model import OpenAIModel
from tests.support.raw_client import Response
from tests.support.settings import ONE_ATTEMPT, SHORT, Settings, chat, openai_backend, route
from tests.support.waiting import until

BAD = faults.status(500)


def ask(gateway: Gateway, model: str = "chat", text: str = "hi", **headers: str) -> Response:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    with gateway.connect(timeout_s=8) as client:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        return client.post_json("/v1/chat/completions", body, fields)


def said(response: Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"]).split(" ", 1)[0]


def with_more(settings: Settings, *backends: Backend, **routes: Settings) -> Settings:
    settings["backends"].update({each.name: openai_backend(each) for each in backends})
    settings["routes"].update(routes)
    return settings


def test_chain_falls_back_to_another_backend(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    bad, spare = make_backend("bad", BAD), make_backend("spare")
    response = ask(make_gateway(with_more(chat(bad, fallback=[{"backend": "spare"}]), spare)))
    assert said(response) == "spare"
    assert response.header("x-gateway-fallback") == "backend"
    assert response.header("x-gateway-backend") == "spare"


def test_chain_falls_back_to_another_route(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    bad, spare = make_backend("bad", BAD), make_backend("spare")
    settings = chat(bad, fallback=[{"route": "other"}])
    response = ask(make_gateway(with_more(settings, spare, other=route("spare"))))
    assert said(response) == "spare"
    assert response.header("x-gateway-fallback") == "route"


def test_chain_falls_back_to_the_last_good_answer(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """Of the very same question: another one gets no answer that is not its own."""
    turning = faults.in_turn(plays(OpenAIModel("good")), plays(OpenAIModel("other")), BAD)
    gateway = make_gateway(chat(make_backend("bad", turning), fallback=["cached", "unavailable"]))
    first = ask(gateway, text="one")
    ask(gateway, text="two")
    again = ask(gateway, text="one")
    assert (again.status, again.body) == (200, first.body)
    assert again.header("x-gateway-fallback") == "cached"
    third = ask(gateway, text="three")
    assert third.header("x-gateway-fallback") == "unavailable"


def test_chain_falls_back_to_a_rule(make_backend: MakeBackend, make_gateway: MakeGateway) -> None:
    rule = {"rule": {"status": 200, "body": {"answer": "please hold"}}}
    response = ask(make_gateway(chat(make_backend("bad", BAD), fallback=[rule])))
    assert (response.status, response.json()) == (200, {"answer": "please hold"})
    assert response.header("x-gateway-fallback") == "rule"
    assert (response.header("content-type") or "").startswith("application/json")


def test_unavailable_is_a_well_formed_error_of_the_protocol(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    response = ask(make_gateway(chat(make_backend("bad", BAD), fallback=["unavailable"])))
    assert response.status == 503
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
    assert response.header("x-gateway-fallback") == "unavailable"
    assert int(response.header("retry-after") or 0) >= 1


def test_chain_is_walked_in_its_order(make_backend: MakeBackend, make_gateway: MakeGateway) -> None:
    bad, worse = make_backend("bad", BAD), make_backend("worse", BAD)
    chain = [{"backend": "worse"}, "cached", {"rule": {"body": "sorry"}}]
    settings = chat(bad, fallback=chain, retry=ONE_ATTEMPT)
    response = ask(make_gateway(with_more(settings, worse)))
    assert (response.status, response.body) == (200, b"sorry")
    assert (len(bad.received), len(worse.received)) == (1, 1)


def test_clients_mistake_does_not_fall_back(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    rule = {"rule": {"body": "sorry"}}
    backend = make_backend("bad", faults.status(422))
    assert ask(make_gateway(chat(backend, fallback=[rule]))).status == 422


def test_without_a_chain_the_backends_last_error_is_told(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    response = ask(make_gateway(chat(make_backend("bad", BAD))))
    assert (response.status, response.json()["error"]["message"]) == (500, "stub says 500")


# Breakers.


def test_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    bad, good = make_backend("bad", BAD), make_backend("good")
    breaker = {"consecutive": 3, "open": "400ms", "open_max": "400ms"}
    gateway = make_gateway(chat(bad, good, each={"breaker": breaker}, retry={"budget": "100%"}))
    assert {said(ask(gateway)) for _ in range(10)} == {"good"}
    assert len(bad.received) == 3
    until(lambda: said(ask(gateway)) == "good" and len(bad.received) == 4, 5.0)
    bad.answer = plays(OpenAIModel("bad"))
    until(lambda: said(ask(gateway)) == "bad", 5.0)
    assert {said(ask(gateway)) for _ in range(5)} == {"bad"}


def test_dead_backend_costs_little_once_its_breaker_is_open(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """An outage of one backend must not slow every request down by its time-out."""
    silent, good = make_backend("silent", faults.never()), make_backend("good")
    each = {"timeout": SHORT, "breaker": {"consecutive": 2, "open": "30s"}}
    gateway = make_gateway(chat(silent, good, each=each, retry={"budget": "100%"}))
    for _ in range(2):
        ask(gateway)
    begun = time.monotonic()
    assert {said(ask(gateway)) for _ in range(20)} == {"good"}
    assert time.monotonic() - begun < 0.4


def test_health_checks_take_a_sick_backend_out_and_back_in(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    health = {"path": "/healthy", "interval": "50ms", "timeout": "200ms", "rise": 1, "fall": 2}
    sick, good = make_backend("sick"), make_backend("good")
    proper = sick.answer
    sick.answer = faults.by_path({"/healthy": faults.status(503)}, proper)
    settings = chat(sick, good)
    settings["backends"]["sick"]["health"] = health
    gateway = make_gateway(settings)
    until(lambda: said(ask(gateway)) == "good", 5.0)
    good_answers = {said(ask(gateway)) for _ in range(10)}
    assert good_answers == {"good"}
    sick.answer = faults.by_path({"/healthy": faults.status(200)}, proper)
    until(lambda: said(ask(gateway)) == "sick", 5.0)


# Hedges.


def test_hedge_answers_when_the_first_is_slow_and_the_loser_is_cancelled(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    slow = make_backend("slow", faults.after(3.0, plays(OpenAIModel("slow"))))
    quick = make_backend("quick")
    hedge = {"after": "100ms", "budget": "100%"}
    gateway = make_gateway(chat(slow, quick, hedge=hedge))
    begun = time.monotonic()
    assert said(ask(gateway)) == "quick"
    assert 0.09 < time.monotonic() - begun < 1.0
    until(lambda: slow.received[0].abandoned_at > 0)


def test_no_hedge_is_sent_when_the_first_is_quick(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    one, two = make_backend("one"), make_backend("two")
    gateway = make_gateway(chat(one, two, hedge={"after": "500ms", "budget": "100%"}))
    assert {said(ask(gateway)) for _ in range(10)} == {"one"}
    assert two.received == []


# Overrides and stickiness.


@pytest.fixture
def pair(make_backend: MakeBackend) -> tuple[Backend, Backend]:
    return make_backend("one"), make_backend("two")


def test_backend_is_chosen_by_a_header_where_the_route_allows_it(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(chat(*pair, overrides=["backend", "timeout"]))
    assert said(ask(gateway, x_gateway_backend="two")) == "two"
    assert said(ask(gateway)) == "one"


@pytest.mark.parametrize(
    "headers",
    [
        {"x_gateway_backend": "two"},
        {"x_gateway_timeout": "5s"},
        {"x_gateway_policy": "fastest"},
        {"x_gateway_priority": "0"},
    ],
)
def test_override_that_is_not_allowed_is_refused(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway, headers: dict[str, str]
) -> None:
    response = ask(make_gateway(chat(*pair)), **headers)
    assert response.status == 400
    assert response.json()["error"]["code"] == "bad_override"
    assert pair[0].received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"x_gateway_backend": "nobody"},
        {"x_gateway_backend": ""},
        {"x_gateway_timeout": "soon"},
        {"x_gateway_timeout": "-1s"},
        {"x_gateway_policy": "random"},
        {"x_gateway_priority": "9"},
        {"x_gateway_capabilities": "telepathy"},
    ],
)
def test_override_that_is_malformed_is_refused(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway, headers: dict[str, str]
) -> None:
    every = ["policy", "backend", "timeout", "priority", "capabilities"]
    response = ask(make_gateway(chat(*pair, overrides=every)), **headers)
    assert response.status == 400
    assert response.json()["error"]["code"] == "bad_override"


def test_timeout_of_a_request_is_its_own_where_allowed(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(chat(make_backend("mini", faults.never()), overrides=["timeout"]))
    begun = time.monotonic()
    assert ask(gateway, x_gateway_timeout="300ms").status == 504
    assert 0.25 < time.monotonic() - begun < 1.5


def test_sticky_requests_stay_where_they_were(
    pair: tuple[Backend, Backend], make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(chat(*pair, policy="weighted", sticky="header:x-session"))
    chosen: dict[str, set[str]] = {}
    for _ in range(4):
        for session in map(str, range(12)):
            chosen.setdefault(session, set()).add(said(ask(gateway, x_session=session)))
    assert {len(names) for names in chosen.values()} == {1}
    assert {name for names in chosen.values() for name in names} == {"one", "two"}


def test_weights_are_kept(pair: tuple[Backend, Backend], make_gateway: MakeGateway) -> None:
    settings = chat(*pair, policy="weighted")
    settings["routes"]["chat"]["backends"] = [
        {"backend": "one", "weight": 9},
        {"backend": "two", "weight": 1},
    ]
    gateway = make_gateway(settings)
    answers = [said(ask(gateway)) for _ in range(200)]
    assert 2 <= answers.count("two") <= 50


def test_capability_that_no_backend_has_is_told(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    plain: Any = {"capabilities": ["chat"]}
    gateway = make_gateway(chat(make_backend("mini"), each=plain))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    with gateway.connect() as client:
        body = {"model": "chat", "messages": [], "tools": tools}
        response = client.post_json("/v1/chat/completions", body)
    assert response.status == 422
    assert response.json()["error"]["code"] == "not_capable"


def test_request_goes_to_the_backend_that_can_do_what_it_asks(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    plain, able = make_backend("plain"), make_backend("able")
    settings = chat(plain, able)
    settings["backends"]["plain"]["capabilities"] = ["chat"]
    settings["backends"]["able"]["capabilities"] = ["chat", "tools", "vision"]
    gateway = make_gateway(settings)
    image = {"type": "image_url", "image_url": {"url": "https://a.test/x.png"}}
    with gateway.connect() as client:
        body = {"model": "chat", "messages": [{"role": "user", "content": [image]}]}
        response = client.post_json("/v1/chat/completions", body)
    assert response.header("x-gateway-backend") == "able"
    assert said(ask(gateway)) == "plain"
