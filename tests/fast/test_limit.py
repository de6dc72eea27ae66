from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.board import Board
from gateway._fast.learned import Learning
from gateway._fast.limit import AdaptiveLimit
from gateway.plan import AdaptivePlan

MS = 1_000_000
START_NS = 1_000_000_000_000_000
INTERVAL_NS = 100 * MS
LONG_SHARE = 2 / 601


def make_plan(**changes: Any) -> AdaptivePlan:
    values: dict[str, Any] = {
        "initial": 20,
        "floor": 4,
        "ceiling": 200,
        "queue": 4,
        "tolerance": 1.5,
        "smoothing": 0.2,
    }
    return AdaptivePlan(**(values | changes))


def make_limit(board: Board | None = None, **changes: Any) -> AdaptiveLimit:
    return AdaptiveLimit(board or Board.create(2, 0, 1), 0, make_plan(**changes))


def answer(board: Board, rtt_ns: int, now_ns: int, times: int = 10, worker: int = 0) -> None:
    learning = Learning(board, 0)
    for _ in range(times):
        learning.fold_latency(worker, rtt_ns, rtt_ns, now_ns)


def cell_of(board: Board) -> Any:
    """The first cell as a numpy record that writes through."""
    place = board.layout()["cells"]
    cells: Any = np.ndarray(
        place["shape"], np.dtype(place["item"]), board.buffer, offset=place["offset"]
    )
    return cells[0]


# Gradient2, worked by hand.


@pytest.mark.parametrize(
    "limit, long_ms, short_ms, in_flight, next_limit, next_long_ms",
    [
        # No queue: 20 + 0.2 · 4.
        (20, 100, 100, 20, 20.8, 100),
        # long 100.0998, g = 1.5 · 100.0998 / 130 > 1, so it still grows by 0.8.
        (20, 100, 130, 20, 20.8, 100 + 30 * LONG_SHARE),
        # long 100 + 100 · 2/601 = 100.33278, g = 150.49917 / 200 = 0.75250,
        # 20 + 0.2 · (15.04992 + 4 - 20) = 19.80998.
        (20, 100, 200, 20, 19.809983, 100.332779),
        # Ten times slower: g is held at 0.5, 100 + 0.2 · (50 + 4 - 100) = 90.8.
        (100, 100, 1000, 100, 90.8, 100 + 900 * LONG_SHARE),
        # Less than half in use: nothing moves but the average.
        (20, 100, 200, 9, 20, 100.332779),
        # Exactly half in use: it does.
        (20, 100, 100, 10, 20.8, 100),
        # The long average is 2.5 times too high: 249.50083 · 0.95.
        (20, 250, 100, 20, 20.8, (250 - 150 * LONG_SHARE) * 0.95),
        # Held at the ceiling.
        (200, 100, 100, 200, 200, 100),
        # The first sample is its own average.
        (20, 0, 130, 20, 20.8, 130),
        # No sample: nothing moves.
        (20, 100, 0, 20, 20, 100),
    ],
)
def test_gradient(
    limit: float,
    long_ms: float,
    short_ms: float,
    in_flight: int,
    next_limit: float,
    next_long_ms: float,
) -> None:
    found, long_rtt = make_limit().next(limit, long_ms * MS, short_ms * MS, in_flight)
    assert found == pytest.approx(next_limit, rel=1e-6)
    assert long_rtt == pytest.approx(next_long_ms * MS, rel=1e-6)


def test_gradient_stops_at_the_floor() -> None:
    # 4.2 + 0.2 · (2.1 + 0 - 4.2) = 3.78
    assert make_limit(queue=0).next(4.2, 100 * MS, 1000 * MS, 4)[0] == 4


@given(
    limit=st.floats(4, 200),
    long_ms=st.floats(0.1, 1e5),
    short_ms=st.floats(0.1, 1e5),
    in_flight=st.integers(0, 400),
)
def test_gradient_never_leaves_its_bounds_nor_moves_by_more_than_it_may(
    limit: float, long_ms: float, short_ms: float, in_flight: int
) -> None:
    found, long_rtt = make_limit().next(limit, long_ms * MS, short_ms * MS, in_flight)
    assert 4 <= found <= 200
    assert limit * 0.9 - 1e-9 <= found <= limit + 0.8 + 1e-9 or found == 4
    least_ms, most_ms = min(long_ms, short_ms), max(long_ms, short_ms)
    assert least_ms * MS * 0.95 <= long_rtt * 1.001
    assert long_rtt <= most_ms * MS * 1.001


# The limit of a cell.


def test_the_limit_is_the_smaller_of_fixed_and_adaptive() -> None:
    limit = make_limit()
    assert limit.limit() == 20
    assert limit.limit(maximum=8) == 8
    assert limit.limit(maximum=50) == 20


def test_without_an_adaptive_plan_only_the_fixed_limit_counts() -> None:
    board = Board.create(1, 0, 1)
    cell_of(board)["limit"] = 7  # of an earlier plan
    limit = AdaptiveLimit(board, 0, None)
    assert limit.limit() is None
    assert limit.limit(maximum=8) == 8
    assert not limit.update(START_NS)
    assert not limit.decrease(START_NS)


def test_one_update_an_interval() -> None:
    limit = make_limit()
    assert limit.update(START_NS)
    assert not limit.update(START_NS + INTERVAL_NS - 1)
    assert limit.update(START_NS + INTERVAL_NS)


def test_the_limit_grows_while_it_is_pressed_on_and_latency_stays() -> None:
    board = Board.create(2, 0, 1)
    limit = make_limit(board)
    Learning(board, 0).begin(0, 8)
    Learning(board, 0).begin(1, 12)
    answer(board, 50 * MS, START_NS, times=5, worker=0)
    answer(board, 50 * MS, START_NS, times=5, worker=1)
    for turn in range(5):
        limit.update(START_NS + turn * INTERVAL_NS)
    assert limit.limit() == 24
    assert cell_of(board)["limit_exact"] == pytest.approx(24.0)


def test_the_limit_does_not_move_on_few_samples_or_old_ones() -> None:
    board = Board.create(1, 0, 1)
    limit = make_limit(board)
    Learning(board, 0).begin(0, 20)
    answer(board, 50 * MS, START_NS, times=9)
    limit.update(START_NS)
    assert limit.limit() == 20
    answer(board, 50 * MS, START_NS, times=1)
    for slots in (1, 8):
        # One slot on, and the same slot of the ring one turn later.
        limit.update(START_NS + slots * 4_000 * MS)
    assert cell_of(board)["limit_exact"] == 20
    assert cell_of(board)["long_rtt_ns"] == 0


def test_the_limit_shrinks_when_answers_become_slow() -> None:
    board = Board.create(1, 0, 1)
    limit = make_limit(board, initial=100)
    Learning(board, 0).begin(0, 100)
    answer(board, 50 * MS, START_NS)
    limit.update(START_NS)
    later_ns = START_NS + 4_000 * MS
    answer(board, 1000 * MS, later_ns)
    for turn in range(10):
        limit.update(later_ns + turn * INTERVAL_NS)
    found = limit.limit()
    assert found is not None
    assert 35 <= found <= 50


def test_a_refusal_takes_a_tenth_off_once_an_interval() -> None:
    limit = make_limit(initial=100)
    assert limit.decrease(START_NS)
    assert not limit.decrease(START_NS + 1)
    assert limit.limit() == 90
    assert limit.decrease(START_NS + INTERVAL_NS)
    assert limit.limit() == 81


def test_refusals_never_go_below_the_floor() -> None:
    limit = make_limit(initial=5)
    for turn in range(10):
        limit.decrease(START_NS + turn * INTERVAL_NS)
    assert limit.limit() == 4
