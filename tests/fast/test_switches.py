"""Kill switches in the data plane: refused, passed by, and back again, all by a new plan."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import OUTCOMES
from gateway.messages import Delivery
from tests.support.messages import chat
from tests.support.stage import Settings, Stage, serving


def off(*switches: str) -> Delivery:
    return Delivery(off=switches)


def staged(settings: Settings, *switches: str) -> Stage:
    stage = Stage(settings)
    stage.apply(settings, off(*switches))
    return stage


def answered_by(stage: Stage, **statuses: int) -> tuple[int, Any]:
    client = stage.client()
    client.ask(chat())
    stage.serve(**statuses)
    return client.answer().status, client.answer().json


def test_route_that_is_off_is_refused_in_its_protocol_s_shape() -> None:
    stage = staged(serving("a", fallback=["unavailable"]), "route.chat")
    client = stage.client()
    client.ask(chat())
    answer = client.answer()
    assert (answer.status, answer.json["error"]["code"]) == (503, "switched_off")
    assert answer.json["error"]["message"] == "This model is switched off; retry later."
    assert "retry-after" in answer.fields
    assert stage.outcomes("chat") == {"switched_off": 1}
    assert stage.dials == []
    stage.end()


def test_refusal_of_a_route_that_is_off_is_recorded() -> None:
    stage = staged(serving("a"), "route.chat")
    stage.client().ask(chat())
    (record,) = stage.log.records()
    assert (record.kind, record.outcome, record.route, record.attempts) == (
        "refusal",
        "switched_off",
        "chat",
        (),
    )


def test_other_routes_are_as_they_were() -> None:
    settings = serving("a", top={"routes": {"other": {"backends": ["a"]}}})
    stage = staged(settings, "route.other")
    assert answered_by(stage) == (200, {"by": "a"})


def test_route_comes_back() -> None:
    settings = serving("a")
    stage = staged(settings, "route.chat")
    stage.apply(settings, off())
    assert answered_by(stage) == (200, {"by": "a"})


def test_request_under_way_goes_on() -> None:
    settings = serving("a")
    stage = Stage(settings)
    client, server = stage.asked()
    stage.apply(settings, off("route.chat", "backend.a"))
    server.answer({"by": "a"})
    assert client.answer().status == 200


def test_backend_that_is_off_is_no_candidate() -> None:
    stage = staged(serving("a", "b"), "backend.a")
    assert answered_by(stage) == (200, {"by": "b"})
    (record,) = stage.log.records()
    excluded = {each.backend: each.excluded for each in record.decisions[0].candidates}
    assert excluded == {"a": "disabled", "b": ""}


def test_the_only_backend_off_leaves_nobody() -> None:
    stage = staged(serving("a", panic="100%"), "backend.a")
    status, body = answered_by(stage)
    assert (status, body["error"]["code"]) == (503, "no_backend")


def test_backend_that_is_off_is_nobody_s_fallback() -> None:
    stage = staged(serving("a", fallback=["b", "c"], retry=ONCE, top=SPARES), "backend.b")
    assert answered_by(stage, a=500) == (200, {"by": "c"})


def test_route_that_is_off_is_nobody_s_fallback() -> None:
    other = {"routes": {"other": {"backends": ["b"]}}}
    settings = serving("a", fallback=[{"route": "other"}, "c"], retry=ONCE, top=SPARES | other)
    assert answered_by(staged(settings, "route.other"), a=500) == (200, {"by": "c"})
    assert answered_by(staged(settings), a=500) == (200, {"by": "b"})


def test_backend_that_is_off_takes_no_longer_contexts() -> None:
    settings = serving("a", larger_context=["b"], top=SPARES)
    too_long = {"error": {"code": "context_length_exceeded", "message": "too long"}}
    for switches, expected in ((("backend.b",), 400), ((), 200)):
        stage = staged(settings, *switches)
        client, server = stage.asked()
        server.answer(too_long, 400)
        stage.serve()
        assert client.answer().status == expected


def test_caches_that_are_off_answer_nobody() -> None:
    settings = serving("a", fallback=["cached"], retry={"attempts": 1})
    stage = Stage(settings)
    assert answered_by(stage)[0] == 200
    assert answered_by(stage, a=500)[0] == 200
    stage.apply(settings, off("feature.cache"))
    assert answered_by(stage, a=500)[0] == 500


@pytest.mark.parametrize("switch", ["route.gone", "backend.gone", "feature.unheard"])
def test_switch_of_what_is_gone_does_nothing(switch: str) -> None:
    assert answered_by(staged(serving("a"), switch)) == (200, {"by": "a"})


def test_switched_off_is_nobody_s_fault() -> None:
    """So that what is done on purpose wakes nobody."""
    (row,) = (outcome for outcome in OUTCOMES if outcome.name == "switched_off")
    assert (row.fault, row.retryable) == ("nobody", False)


ONCE = {"attempts": 1}
SPARE = {"protocol": "openai", "url": "http://spare.test/v1"}
SPARES = {"backends": {"b": SPARE, "c": SPARE}}
