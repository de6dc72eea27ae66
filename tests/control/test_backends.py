"""A backend's state in a word, and its latency."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.control.backends import figures, latency, limit_of
from gateway.control.figures import BackendRaw, BoardView
from gateway.plan import AdaptivePlan, BackendPlan
from tests.control.board import FakeBoard
from tests.control.plans import blank

NOW_NS = 1_000_000_000_000
SECOND = 1_000_000_000
BACKEND = blank(BackendPlan, name="mini", max_concurrency=4, slow_start_ns=10 * SECOND)


@pytest.mark.parametrize(
    "raw,state,is_up",
    [
        ({}, "up", True),
        ({"in_flight": 3}, "up", True),
        ({"in_flight": 4}, "full", True),
        ({"healthy_since_ns": NOW_NS - SECOND}, "warming_up", True),
        ({"healthy_since_ns": NOW_NS - 11 * SECOND}, "up", True),
        ({"open_until_ns": NOW_NS - SECOND}, "probing", False),
        ({"cooldown_until_ns": NOW_NS + SECOND}, "cooling_down", False),
        ({"cooldown_until_ns": NOW_NS - SECOND}, "up", True),
        ({"open_until_ns": NOW_NS + SECOND}, "open", False),
        ({"open_until_ns": NOW_NS + SECOND, "unhealthy": 1}, "unhealthy", False),
    ],
)
def test_worst_of_the_states_is_shown(raw: dict[str, Any], state: str, is_up: bool) -> None:
    found = figures(BACKEND, BackendRaw(**raw), NOW_NS)
    assert (found.state, found.is_up) == (state, is_up)
    assert found.sentence.endswith(".")


@pytest.mark.parametrize(
    "open_until_ns,breaker",
    [(0, "closed"), (NOW_NS + 1, "open"), (NOW_NS, "half_open"), (NOW_NS - 1, "half_open")],
)
def test_open_time_alone_says_what_the_breaker_is(open_until_ns: int, breaker: str) -> None:
    raw = BackendRaw(open_until_ns=open_until_ns)
    assert figures(BACKEND, raw, NOW_NS).breaker == breaker


def test_cooldown_is_the_later_of_breaker_and_retry_after() -> None:
    raw = BackendRaw(open_until_ns=NOW_NS + 9 * SECOND, cooldown_until_ns=NOW_NS + 4 * SECOND)
    assert figures(BACKEND, raw, NOW_NS).cooldown_s == pytest.approx(9)


def test_remaining_capacity_is_never_below_zero() -> None:
    assert figures(BACKEND, BackendRaw(in_flight=6), NOW_NS).remaining == 0


def test_unlimited_backend_has_no_limit_and_is_never_full() -> None:
    backend = replace(BACKEND, max_concurrency=0)
    found = figures(backend, BackendRaw(in_flight=600), NOW_NS)
    assert (found.limit, found.remaining, found.state) == (None, None, "up")


@pytest.mark.parametrize(
    "maximum,adaptive,limit",
    [(0, 0, 20), (0, 35, 35), (30, 35, 30), (30, 25, 25), (10, 0, 10)],
)
def test_adaptive_limit_stays_below_the_fixed_one(maximum: int, adaptive: int, limit: int) -> None:
    backend = replace(BACKEND, max_concurrency=maximum, adaptive=blank(AdaptivePlan, initial=20))
    assert limit_of(backend, BackendRaw(limit=adaptive)) == limit


def test_what_was_never_learned_is_absent() -> None:
    found = figures(BACKEND, BackendRaw(), NOW_NS)
    assert (found.bytes_per_token, found.output_tokens_mean) == (None, None)


def test_latency_is_of_the_recent_window() -> None:
    board = FakeBoard()
    board.observe_recent(0, 0, "first_byte", NOW_NS, *range(1_000_000, 101_000_000, 1_000_000))
    view = BoardView(board)
    found = latency(view, BACKEND, "first_byte", NOW_NS)
    assert found.p50_s == pytest.approx(0.050, rel=0.04)
    assert found.p99_s == pytest.approx(0.099, rel=0.04)
    assert latency(view, BACKEND, "total", NOW_NS).p50_s is None
