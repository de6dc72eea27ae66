import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.board import Board
from gateway._fast.breaker import CircuitBreaker
from gateway._fast.learned import Learning
from gateway.plan import BreakerPlan

MS = 1_000_000
SECOND_NS = 1_000_000_000
START_NS = 1_000_000 * SECOND_NS
TAU_NS = 10 * SECOND_NS
COARSE_ERROR = 1 / 32


def cell_of(board: Board) -> Any:
    """The first cell as a numpy record that writes through."""
    place = board.layout()["cells"]
    cells: Any = np.ndarray(
        place["shape"], np.dtype(place["item"]), board.buffer, offset=place["offset"]
    )
    return cells[0]


def make_breaker(board: Board) -> CircuitBreaker:
    plan = BreakerPlan(
        consecutive=0,
        failure_share=1.0,
        slow_share=1.0,
        slow_ns=0,
        window_ns=30 * SECOND_NS,
        minimum=20,
        open_ns=SECOND_NS,
        open_max_ns=SECOND_NS,
        probes=1,
    )
    return CircuitBreaker(board, 0, plan)


# Peak-EWMA


def test_the_average_jumps_to_a_peak_and_comes_down_by_its_time_constant() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    learning.fold_latency(0, 100 * MS, 0, START_NS)
    learning.fold_latency(0, 900 * MS, 0, START_NS + 1)
    assert learning.ewma(0, START_NS + 1) == 900 * MS
    learning.fold_latency(0, 100 * MS, 0, START_NS + 1 + TAU_NS)
    expected = 100 + 800 / math.e
    assert learning.ewma(0, START_NS + 1 + TAU_NS) == pytest.approx(expected * MS, rel=1e-6)


def test_the_average_comes_down_while_nothing_is_sent() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    learning.fold_latency(0, 100 * MS, 0, START_NS)
    found = learning.ewma(0, START_NS + 3 * TAU_NS)
    assert found == pytest.approx(100 * MS / math.e**3, rel=1e-9)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    learning.fold_latency(0, 100 * MS, 0, START_NS)
    learning.fold_latency(0, 50 * MS, 0, START_NS - SECOND_NS)
    assert learning.ewma(0, START_NS - SECOND_NS) == 100 * MS


@given(st.integers(0, 10_000 * SECOND_NS) | st.integers(0, SECOND_NS // 100))
def test_what_is_left_of_an_average_is_an_exponential(age_ns: int) -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    learning.fold_latency(0, 100 * MS, 0, START_NS)
    expected = 100 * MS * math.exp(-age_ns / TAU_NS)
    assert learning.ewma(0, START_NS + age_ns) == pytest.approx(expected, rel=3e-15)


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 10_000)), min_size=1))
def test_the_average_is_finagles_peak_ewma(samples: list[tuple[int, int]]) -> None:
    learning, now_ns, at_ns, cost = Learning(Board.create(1, 0, 1), 0), START_NS, START_NS, 0.0
    for wait_ms, rtt_ms in samples:
        now_ns += wait_ms * MS
        rtt_ns = rtt_ms * MS
        learning.fold_latency(0, rtt_ns, 0, now_ns)
        share = math.exp(-(now_ns - at_ns) / TAU_NS)
        cost = rtt_ns if rtt_ns > cost else cost * share + rtt_ns * (1 - share)
        at_ns = now_ns
        assert learning.ewma(0, now_ns) == pytest.approx(cost, rel=1e-6)


def test_the_load_grows_with_attempts_under_way() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    learning.fold_latency(0, 100 * MS, 0, START_NS)
    learning.begin(0, 3)
    assert learning.load_of_worker(0, START_NS) == 400 * MS
    learning.begin(0, -3)
    assert learning.load(START_NS) == 100 * MS


def test_an_unknown_backend_is_tried_first_and_then_waits_for_its_probe() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    assert learning.load(START_NS) == 0
    learning.begin(0)
    assert learning.load(START_NS) > 1000 * 3600 * SECOND_NS


def test_workers_learn_from_each_other_and_their_attempts_add_up() -> None:
    learning = Learning(Board.create(3, 0, 1), 0)
    learning.fold_latency(2, 100 * MS, 0, START_NS)
    learning.fold_latency(0, 300 * MS, 0, START_NS + 1)
    for worker in range(3):
        learning.begin(worker, worker + 1)
    assert learning.latest(START_NS + 1) == 300 * MS
    assert learning.in_flight() == 6
    assert learning.load(START_NS + 1) == 7 * 300 * MS


def test_a_fast_failure_counts_as_slow() -> None:
    board = Board.create(1, 0, 1)
    learning = Learning(board, 0)
    learning.fold_failure(0, 1 * MS, START_NS)
    assert learning.ewma(0, START_NS) == 100 * MS, "nothing is known"
    cell_of(board)["first_byte_q_ns"][2] = 200 * MS
    learning.fold_failure(0, 1 * MS, START_NS)
    assert learning.ewma(0, START_NS) == 600 * MS, "three times p95"
    learning.fold_failure(0, 2000 * MS, START_NS)
    assert learning.ewma(0, START_NS) == 2000 * MS, "as slow as it was"


# What is refreshed


def test_one_refresh_an_interval() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    assert learning.refresh(START_NS)
    assert not learning.refresh(START_NS + 249 * MS)
    assert learning.refresh(START_NS + 250 * MS)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 10**11), st.integers(1, 10**12)), min_size=1
    )
)
def test_quantiles_are_of_all_workers_values(samples: list[tuple[int, int, int]]) -> None:
    board = Board.create(3, 0, 1)
    learning, cell = Learning(board, 0), cell_of(board)
    for worker, first_byte_ns, total_ns in samples:
        learning.fold_latency(worker, first_byte_ns, total_ns, START_NS)
    learning.refresh(START_NS)
    assert cell["samples"] == len(samples)
    for column, name in ((1, "first_byte_q_ns"), (2, "total_q_ns")):
        values = sorted(sample[column] for sample in samples)
        for index, share in enumerate((0.5, 0.9, 0.95, 0.99)):
            exact = values[max(math.ceil(share * len(values)), 1) - 1]
            assert int(cell[name][index]) == pytest.approx(exact, rel=COARSE_ERROR, abs=1)


def test_quantiles_outlive_their_window_and_samples_do_not() -> None:
    board = Board.create(1, 0, 1)
    learning, cell = Learning(board, 0), cell_of(board)
    learning.fold_latency(0, 100 * MS, 100 * MS, START_NS)
    learning.refresh(START_NS)
    before = list(cell["first_byte_q_ns"])
    learning.refresh(START_NS + 60 * SECOND_NS)
    assert list(cell["first_byte_q_ns"]) == before
    assert before[0] > 0
    assert cell["samples"] == 0


def test_ratios_wait_for_twenty_answers() -> None:
    board = Board.create(2, 0, 1)
    learning, cell = Learning(board, 0), cell_of(board)
    assert learning.bytes_per_token() == 4.0
    for turn in range(19):
        learning.fold_usage(turn % 2, 3000, 1000, 500)
    learning.refresh(START_NS)
    assert learning.bytes_per_token() == 4.0
    assert cell["output_tokens_mean"] == 0
    learning.fold_usage(0, 3000, 1000, 500)
    learning.refresh(START_NS + SECOND_NS)
    assert learning.bytes_per_token() == 3.0
    assert cell["output_tokens_mean"] == 500


def test_answers_without_input_tokens_leave_the_default_ratio() -> None:
    learning = Learning(Board.create(1, 0, 1), 0)
    for _ in range(30):
        learning.fold_usage(0, 3000, 0, 7)
    learning.refresh(START_NS)
    assert learning.bytes_per_token() == 4.0


def test_ratios_follow_the_traffic_and_keep_their_precision() -> None:
    board = Board.create(1, 0, 1)
    learning, cell = Learning(board, 0), cell_of(board)
    lengths = [100 + 7 * (turn % 40) for turn in range(2000)]
    for length in lengths:
        learning.fold_usage(0, 4 * length, length, length)
    learning.refresh(START_NS)
    assert cell["output_tokens_mean"] == pytest.approx(statistics.mean(lengths), rel=0.02)
    assert learning.bytes_per_token() == pytest.approx(4.0, rel=0.005)
    for _ in range(2000):
        learning.fold_usage(0, 600, 300, 10)
    learning.refresh(START_NS + SECOND_NS)
    assert cell["output_tokens_mean"] == pytest.approx(10, rel=0.1)
    assert learning.bytes_per_token() == pytest.approx(2.0, rel=0.01)


def test_the_failure_share_is_of_the_last_thirty_seconds() -> None:
    board = Board.create(1, 0, 1)
    learning, cell, breaker = Learning(board, 0), cell_of(board), make_breaker(board)
    for turn in range(10):
        breaker.observe(1 if turn < 3 else 0, START_NS)
    learning.refresh(START_NS)
    assert cell["failure_share"] == pytest.approx(0.3)
    learning.refresh(START_NS + 30 * SECOND_NS)
    assert cell["failure_share"] == 0


def test_the_most_attempts_ever_under_way_are_kept() -> None:
    board = Board.create(2, 0, 1)
    learning, cell = Learning(board, 0), cell_of(board)
    learning.begin(0, 5)
    learning.begin(1, 4)
    learning.refresh(START_NS)
    learning.begin(0, -5)
    learning.refresh(START_NS + SECOND_NS)
    assert cell["max_in_flight"] == 9


@pytest.mark.parametrize("backend", [-1, 1])
def test_a_backend_that_is_not_there_is_refused(backend: int) -> None:
    with pytest.raises(IndexError):
        Learning(Board.create(1, 0, 1), backend)


def test_a_worker_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        Learning(Board.create(1, 0, 1), 0).begin(1)
