"""Differences between the board now and a while ago."""

import pytest

from gateway.control.figures import BoardView
from gateway.control.recent import EVERY_NS, SHORT_NS, WINDOW_NS, Recent
from tests.control.board import FakeBoard
from tests.control.plans import make_plan

MS = 1_000_000
START_NS = 1_000_000_000_000
PLAN = make_plan({"chat": ["mini"]})


def make_recent() -> tuple[FakeBoard, Recent]:
    board = FakeBoard()
    board.rows["key"] = 1
    return board, Recent(BoardView(board))


def run(board: FakeBoard, recent: Recent, per_s: int, seconds: int, at_ns: int = START_NS) -> int:
    """Traffic at this rate, sampled as the app does; the time at its end."""
    step_s = EVERY_NS // 10**9
    for _ in range(seconds // step_s):
        recent.take(PLAN, at_ns)
        board.rows["requests"][0, 0] += per_s * step_s
        at_ns += EVERY_NS
    return at_ns


def test_rate_is_what_was_counted_over_the_time_it_took() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 20, 60)
    found = recent.moment(PLAN, now_ns).difference(0, SHORT_NS)
    assert found.per_s(found.row.requests) == pytest.approx(20)


def test_short_span_follows_a_change_that_the_long_one_averages() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 0, 50)
    now_ns = run(board, recent, 60, 10, now_ns)
    moment = recent.moment(PLAN, now_ns)
    short, long = moment.difference(0, SHORT_NS), moment.difference(0, WINDOW_NS)
    assert short.per_s(short.row.requests) == pytest.approx(60)
    assert long.per_s(long.row.requests) == pytest.approx(10)


def test_before_the_first_sample_there_is_no_rate() -> None:
    board, recent = make_recent()
    board.rows["requests"][0, 0] = 1000
    found = recent.moment(PLAN, START_NS).difference(0, SHORT_NS)
    assert found.per_s(found.row.requests) == 0


def test_samples_are_bounded() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 1, 600)
    moment = recent.moment(PLAN, now_ns)
    assert moment.difference(0, 10 * WINDOW_NS).span_s == pytest.approx(65)
    assert len(moment.rates_per_s(0)) == 13


def test_row_given_to_another_counts_from_zero() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 100, 60)
    board.rows["key"][:, 0] = 2
    board.rows["requests"][:, 0] = [3, 0]
    assert recent.moment(PLAN, now_ns).difference(0, WINDOW_NS).row.requests == 3


def test_row_that_was_cleared_is_never_negative() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 100, 60)
    board.rows["requests"][:, 0] = 0
    assert recent.moment(PLAN, now_ns).difference(0, WINDOW_NS).row.requests == 0


def test_row_of_a_route_that_is_new_counts_from_zero() -> None:
    board, recent = make_recent()
    recent.take(make_plan({"chat": ["mini"]}), START_NS)
    board.rows["requests"][0, 2] = 9
    wider = make_plan({"chat": ["mini"], "new": ["mini"]})
    found = recent.moment(wider, START_NS + EVERY_NS).difference(2, WINDOW_NS)
    assert found.row.requests == 9


def test_latency_is_of_the_last_minute_only() -> None:
    board, recent = make_recent()
    board.rows["requests"][0, 0] = 1
    board.observe(0, 0, "total_ns", *[900 * MS] * 50)
    now_ns = run(board, recent, 1, 65)
    board.observe(0, 0, "total_ns", *[10 * MS] * 5)
    found = recent.moment(PLAN, now_ns).latency_ns(0, "total_ns", [0.5])[0]
    assert found == pytest.approx(10 * MS, rel=0.06)


def test_latency_of_nothing_is_none() -> None:
    _, recent = make_recent()
    assert recent.moment(PLAN, START_NS).latency_ns(0, "total_ns", [0.5, 0.9]) == [None, None]


def test_rates_are_one_for_each_interval_between_samples() -> None:
    board, recent = make_recent()
    now_ns = run(board, recent, 10, 10)
    now_ns = run(board, recent, 30, 10, now_ns)
    assert recent.moment(PLAN, now_ns).rates_per_s(0) == pytest.approx((10, 10, 30, 30))
