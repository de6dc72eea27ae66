"""A second attempt when the first is slow: who wins, who is cancelled, what it may cost."""

from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, chat, chunk
from tests.support.stage import Stage, serving

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'


def hedging(**route: Any) -> Stage:
    hedge = {"after": "100ms", "budget": "100%"}
    return Stage(serving("a", "b", **{"hedge": hedge, **route}))


def test_a_slow_first_attempt_is_hedged_and_the_faster_answer_counts() -> None:
    stage = hedging()
    client, slow = stage.asked()
    stage.wait(0.05)
    assert not stage.dials
    stage.wait(0.1)
    fast = stage.server()
    assert fast.name == "b"
    fast.answer({"by": "b"})
    assert client.answer().json == {"by": "b"}
    assert not slow.is_open, "the loser is cancelled at once"
    assert stage.outcomes("chat", "a") == {"cancelled": 1}
    assert stage.outcomes("chat", "b") == {"ok": 1}
    assert stage.row("chat")["hedges"] == 1
    stage.end()


def test_the_first_attempt_may_still_win() -> None:
    stage = hedging()
    client, slow = stage.asked()
    stage.wait(0.15)
    hedge = stage.server()
    slow.answer({"by": "a"})
    assert client.answer().json == {"by": "a"}
    assert not hedge.is_open
    assert stage.outcomes("chat", "b") == {"cancelled": 1}
    stage.end()


def test_a_hedge_that_still_dials_is_cancelled_too() -> None:
    stage = hedging()
    client, slow = stage.asked()
    stage.wait(0.15)
    slow.answer()
    assert client.answer().status == 200
    late = stage.server()
    assert late.is_open, "nobody waits for it: it is idle"
    stage.end()


@pytest.mark.parametrize("first", ["a", "b"])
def test_when_one_of_two_fails_the_other_decides(first: str) -> None:
    stage = hedging()
    client, slow = stage.asked()
    stage.wait(0.15)
    hedge = stage.server()
    (slow if first == "a" else hedge).answer({"error": 1}, 500)
    assert not client.answers()
    (hedge if first == "a" else slow).answer({"by": "other"})
    assert client.answer().json == {"by": "other"}
    stage.end()


def test_when_both_fail_the_exchange_fails_once() -> None:
    stage = hedging(retry={"attempts": 1})
    client, slow = stage.asked()
    stage.wait(0.15)
    hedge = stage.server()
    slow.reset()
    hedge.answer({"error": 2}, 500)
    assert (client.answer().status, client.answer().json) == (500, {"error": 2})
    stage.end()


def test_a_stream_that_begins_cancels_the_other() -> None:
    stage = hedging()
    client, slow = stage.asked(chat(stream=True))
    stage.wait(0.15)
    hedge = stage.server()
    hedge.send(STREAM_HEAD, chunk(EVENT))
    assert not slow.is_open
    hedge.send(chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n")
    assert client.answer().is_whole
    stage.end()


def test_hedges_have_a_budget() -> None:
    stage = hedging(hedge={"after": "100ms", "budget": "10%"})
    for _ in range(15):
        stage.client().ask(chat())
    stage.wait(0.2)
    assert stage.row("chat")["hedges"] == 1


def test_without_a_figure_a_hedge_starts_at_the_backends_own_p95() -> None:
    stage = hedging(hedge={"budget": "100%"})
    stage.client().ask(chat())
    stage.wait(1.0)
    assert stage.row("chat")["hedges"] == 0, "nothing is known yet"


def test_who_leaves_ends_both() -> None:
    stage = hedging()
    client, slow = stage.asked()
    stage.wait(0.15)
    hedge = stage.server()
    client.leave()
    assert not slow.is_open
    assert not hedge.is_open
    assert stage.outcomes("chat") == {"client_closed": 1}
    stage.end()
