"""Waiting for a backend with a free slot: order, patience, eviction, and what sets it going."""

from typing import Any

import pytest

from tests.support.messages import chat
from tests.support.stage import Client, Server, Stage, serving


def narrow(*names: str, each: dict[str, Any] | None = None, **route: Any) -> Stage:
    """Backends that take one request at a time."""
    settings = {"max_concurrency": 1, **(each or {})}
    return Stage(serving(*(names or ("a",)), each=settings, **route))


def waiting(stage: Stage, *fields: str, **members: Any) -> Client:
    client = stage.client()
    client.ask(chat(*fields, **members))
    return client


def test_who_finds_no_room_waits_and_is_served_next() -> None:
    stage = narrow(queue={"max": 10})
    first, server = stage.asked()
    second, third = waiting(stage, user="2"), waiting(stage, user="3")
    assert stage.table.waiting() == stage.row("chat")["queued"] == 2
    server.answer({"n": 1})
    assert b'"user": "2"' in server.request()[1]
    server.answer({"n": 2})
    server.answer({"n": 3})
    assert [c.answer().json["n"] for c in (first, second, third)] == [1, 2, 3]
    stage.end()


def test_the_time_in_the_queue_is_told_and_counted() -> None:
    stage = narrow()
    _, server = stage.asked()
    second = waiting(stage)
    stage.wait(0.5)
    server.answer()
    server.answer()
    timing = second.answer().fields["server-timing"]
    assert timing.startswith("queue;dur=500.")
    assert stage.row("chat")["queue_ns"]["sum"] >= 5e8


def test_whoever_ends_makes_room() -> None:
    for end in ("leave", "reset"):
        stage = narrow()
        first, server = stage.asked()
        second = waiting(stage)
        getattr(first, end)()
        assert not server.is_open
        stage.server().answer({"n": 2})
        assert second.answer().json == {"n": 2}
        stage.end()


def test_a_full_queue_refuses() -> None:
    stage = narrow(queue={"max": 1})
    stage.asked()
    waiting(stage)
    answer = waiting(stage).answer()
    assert (answer.status, answer.json["error"]["code"]) == (503, "queue_full")
    assert answer.fields["retry-after"] == "1"


def test_a_refusal_may_be_told_as_429() -> None:
    stage = narrow(queue={"max": 0, "status": 429})
    stage.asked()
    assert waiting(stage).answer().status == 429


def test_who_waited_long_enough_is_refused() -> None:
    stage = narrow(queue={"max_wait": "300ms"})
    stage.asked()
    second = waiting(stage)
    stage.wait(0.25)
    assert not second.answers()
    stage.wait(0.1)
    assert second.answer().json["error"]["code"] == "queue_timeout"
    assert stage.outcomes("chat") == {"queue_timeout": 1}


def test_the_queue_never_outlasts_the_deadline() -> None:
    stage = narrow(queue={"max_wait": "30s"}, timeout={"total": "1s"})
    stage.asked()
    second = waiting(stage)
    stage.wait(1.1)
    assert second.answer().status in (503, 504)


def test_the_more_urgent_goes_first() -> None:
    stage = narrow(overrides=["priority"])
    _, server = stage.asked()
    waiting(stage, "x-gateway-priority: 7", user="late")
    waiting(stage, "x-gateway-priority: 0", user="urgent")
    server.answer()
    assert b"urgent" in server.request()[1]


def test_the_more_urgent_takes_the_place_of_the_less() -> None:
    stage = narrow(queue={"max": 1}, overrides=["priority"])
    _, server = stage.asked()
    out = waiting(stage, "x-gateway-priority: 7")
    waiting(stage, "x-gateway-priority: 0", user="urgent")
    assert out.answer().json["error"]["code"] == "queue_full"
    server.answer()
    assert b"urgent" in server.request()[1]


def test_who_leaves_the_queue_is_forgotten() -> None:
    stage = narrow()
    _, server = stage.asked()
    second, third = waiting(stage), waiting(stage, user="3")
    second.leave()
    assert stage.table.waiting() == 1
    server.answer()
    assert b'"user": "3"' in server.request()[1]
    server.answer()
    assert third.answer().status == 200
    assert stage.outcomes("chat") == {"ok": 2, "client_closed": 1}
    stage.end()


def test_a_queue_is_no_place_for_who_can_go_at_once() -> None:
    stage = narrow("a", "b")
    stage.asked()
    waiting(stage)
    assert stage.table.waiting() == 0
    assert stage.gauge("b")["in_flight"] == 1


def test_a_breaker_that_opens_again_lets_who_waits_go() -> None:
    stage = narrow(each={"breaker": {"consecutive": 1, "open": "1s"}}, retry={"attempts": 1})
    _, server = stage.asked()
    second = waiting(stage)
    server.answer({"error": 1}, 500)
    stage.wait(1.9)
    if not second.answers():
        stage.serve()
    assert second.answers()


@pytest.mark.parametrize("count", [3, 15_000])
def test_who_is_dropped_drags_nobody_along(count: int) -> None:
    """The queue is overloaded: CoDel refuses thousands in one turn, on one stack."""
    queue = {"max": 50_000, "max_wait": "60s", "target": "10ms", "interval": "100ms"}
    stage = narrow(queue=queue)
    _, server = stage.asked()
    for _ in range(count):
        waiting(stage)
    stage.wait(0.5)
    for _ in range(12):
        if server.is_asked:
            server.answer()
        stage.wait(0.03)
    stage.serve()
    stage.assert_settled()
    refused = stage.outcomes("chat").get("queue_timeout", 0)
    assert refused + stage.outcomes("chat")["ok"] == count + 1


def test_a_plan_loaded_meanwhile_serves_who_waits_by_the_old_one() -> None:
    settings = serving("a", each={"max_concurrency": 1})
    stage = Stage(settings)
    first, server = stage.asked()
    second = waiting(stage)
    stage.apply(settings)
    server.answer({"n": 1})
    server.answer({"n": 2})
    assert [c.answer().json["n"] for c in (first, second)] == [1, 2]
    stage.end()


def test_who_waits_by_an_old_plan_is_served_when_a_newer_one_makes_room() -> None:
    settings = serving("a", each={"max_concurrency": 2})
    stage = Stage(settings)
    busy: list[Server] = [stage.asked()[1] for _ in range(2)]
    old = waiting(stage, user="old")
    stage.apply(serving("a", each={"max_concurrency": 3}))
    waiting(stage, user="new")
    newer = stage.server()
    busy[0].reset()
    newer.answer({"n": "new"})
    stage.wait(0.05)
    stage.serve()
    assert old.answer().status == 200
