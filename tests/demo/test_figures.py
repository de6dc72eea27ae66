"""The chronicle: rates, shares, seconds and breaker events from what the API said."""

import pytest
from msgspec.structs import replace

from gateway.demo.figures import (
    CLOSED,
    HALF_OPEN,
    OPEN,
    Backend,
    Chronicle,
    Latency,
    Now,
    Rollout,
    Status,
    Totals,
)


def status_of(breaker: str = CLOSED, **attempts: int) -> Status:
    return Status(
        version="1",
        health="ok",
        sentence="",
        backends=tuple(backend_of(name, count, breaker) for name, count in attempts.items()),
        routes=(),
        workers=(),
    )


def backend_of(name: str, count: int, breaker: str) -> Backend:
    return Backend(
        name=name,
        now=Now(state="up", breaker=breaker, cooldown_s=0.0, in_flight=0),
        first_byte=Latency(),
        success_share=None,
        totals=Totals(requests=count, retries=0, input_tokens=0, output_tokens=0, cost_usd=0.0),
    )


def test_shares_are_of_the_last_seconds_and_not_of_all_time() -> None:
    chronicle = Chronicle()
    for at_s, a, b in ((0, 0, 0), (10, 1000, 0), (11, 1000, 30), (13, 1010, 60)):
        chronicle.add(at_s, status_of(a=a, b=b))
    assert chronicle.shares() == {"a": pytest.approx(10 / 70), "b": pytest.approx(60 / 70)}


def test_there_are_no_shares_before_anything_happened() -> None:
    chronicle = Chronicle()
    assert chronicle.shares() == {}
    chronicle.add(0, status_of(a=3))
    assert chronicle.shares() == {"a": 0.0}


def test_ends_of_rollouts_become_events_once_each() -> None:
    chronicle = Chronicle()
    for at_s, phase in enumerate(("pending", "running", "running", "rolled_back", "rolled_back")):
        rollouts = (Rollout(name="fraud-c", phase=phase),)
        chronicle.add(at_s, replace(status_of(a=0), rollouts=rollouts))
    assert [(e.at_s, e.what) for e in chronicle.events] == [(1, "running"), (3, "rolled_back")]
    assert chronicle.events[1].sentence.startswith("fraud-c fails too often and was rolled back")


def test_breaker_changes_become_events_once_each() -> None:
    chronicle = Chronicle()
    for at_s, breaker in enumerate((CLOSED, OPEN, OPEN, HALF_OPEN, CLOSED, CLOSED)):
        chronicle.add(at_s, status_of(breaker, a=0))
    assert [(e.at_s, e.what) for e in chronicle.events] == [(1, OPEN), (3, HALF_OPEN), (4, CLOSED)]
    assert chronicle.events[0].sentence == "breaker of a opened: nobody is sent there"


def test_second_remembers_a_breaker_that_was_open_for_a_part_of_it() -> None:
    chronicle = Chronicle()
    for at_s, breaker, count in ((0, CLOSED, 0), (0.5, OPEN, 2), (1, CLOSED, 5), (2, CLOSED, 6)):
        chronicle.add(at_s, status_of(breaker, a=count))
    assert [(s.attempts, s.is_open) for s in chronicle.seconds("a", 9)] == [(5, True), (1, False)]
