import os
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.board import Board
from gateway._fast.breaker import CircuitBreaker
from gateway.plan import BreakerPlan

SECOND_NS = 1_000_000_000
START_NS = 1_000_000 * SECOND_NS
OPEN_NS = 10 * SECOND_NS
EXPIRY_NS = 30 * SECOND_NS
SUCCESS, FAILURE, RATE_LIMITED, NEUTRAL = range(4)


def make_plan(**changes: Any) -> BreakerPlan:
    values: dict[str, Any] = {
        "consecutive": 5,
        "failure_share": 1.0,
        "slow_share": 1.0,
        "slow_ns": 0,
        "window_ns": 30 * SECOND_NS,
        "minimum": 20,
        "open_ns": OPEN_NS,
        "open_max_ns": 60 * SECOND_NS,
        "probes": 1,
    }
    return BreakerPlan(**(values | changes))


def make_breaker(**changes: Any) -> CircuitBreaker:
    return CircuitBreaker(Board.create(1, 0, 1), 0, make_plan(**changes), seed=7)


def cell_of(board: Board) -> Any:
    """The first cell as a numpy record that writes through."""
    place = board.layout()["cells"]
    cells: Any = np.ndarray(
        place["shape"], np.dtype(place["item"]), board.buffer, offset=place["offset"]
    )
    return cells[0]


def fail(breaker: CircuitBreaker, times: int, now_ns: int = START_NS) -> None:
    for _ in range(times):
        breaker.observe(FAILURE, now_ns)


def opened_for_ns(breaker: CircuitBreaker, now_ns: int) -> int:
    """How long after `now_ns` the breaker stays open, to the nanosecond."""
    low, high = 0, 2**40
    while low < high:
        middle = (low + high) // 2
        low, high = (
            (middle + 1, high) if breaker.state(now_ns + middle) == "open" else (low, middle)
        )
    return low


def closed(breaker: CircuitBreaker) -> int:
    return START_NS


def opened(breaker: CircuitBreaker) -> int:
    fail(breaker, 5)
    return START_NS + SECOND_NS


def half_open(breaker: CircuitBreaker) -> int:
    fail(breaker, 5)
    return START_NS + 2 * OPEN_NS


def probing(breaker: CircuitBreaker) -> int:
    now_ns = half_open(breaker)
    assert breaker.admit(now_ns)
    return now_ns


# What each event does in each state: (state after it, whether the next attempt passes).
# "old" is the verdict on an attempt begun before the breaker opened.
TABLE: dict[Callable[[CircuitBreaker], int], dict[str, tuple[str, bool]]] = {
    closed: {
        "success": ("closed", True),
        "failure": ("closed", True),
        "fifth failure": ("open", False),
        "rate limited": ("closed", True),
        "neutral": ("closed", True),
        "time": ("closed", True),
    },
    opened: {
        "success": ("open", False),
        "failure": ("open", False),
        "fifth failure": ("open", False),
        "rate limited": ("open", False),
        "neutral": ("open", False),
        "time": ("half_open", True),
    },
    half_open: {
        "old success": ("half_open", True),
        "old failure": ("half_open", True),
        "old rate limited": ("half_open", True),
        "old neutral": ("half_open", True),
        "time": ("half_open", True),
    },
    probing: {
        "success": ("closed", True),
        "failure": ("open", False),
        "rate limited": ("open", False),
        "neutral": ("half_open", True),
        "old success": ("half_open", False),
        "old failure": ("half_open", False),
        "old rate limited": ("half_open", False),
        "old neutral": ("half_open", False),
        "time": ("half_open", True),
    },
}
VERDICTS = {"success": 0, "failure": 1, "fifth failure": 1, "rate limited": 2, "neutral": 3}


def happen(breaker: CircuitBreaker, event: str, now_ns: int) -> int:
    if event == "time":
        return now_ns + EXPIRY_NS
    begun_ns = START_NS - 1 if event.startswith("old ") else now_ns
    for _ in range(5 if event == "fifth failure" else 1):
        breaker.observe(VERDICTS[event.removeprefix("old ")], now_ns, begun_ns=begun_ns)
    return now_ns


@pytest.mark.parametrize(
    "before, event", [(state, event) for state, events in TABLE.items() for event in events]
)
def test_every_event_in_every_state(before: Callable[[CircuitBreaker], int], event: str) -> None:
    breaker = make_breaker()
    now_ns = happen(breaker, event, before(breaker))
    state, passes = TABLE[before][event]
    assert breaker.state(now_ns) == state
    assert breaker.is_passable(now_ns) is passes
    assert breaker.admit(now_ns) is passes


def test_failures_in_a_row_open_it_and_a_success_between_does_not() -> None:
    breaker = make_breaker()
    for _ in range(3):
        fail(breaker, 4)
        breaker.observe(SUCCESS, START_NS)
    assert breaker.state(START_NS) == "closed"
    fail(breaker, 5)
    assert breaker.state(START_NS) == "open"


def test_rate_limited_answers_are_not_in_the_row_and_do_not_end_it() -> None:
    breaker = make_breaker()
    fail(breaker, 4)
    for _ in range(10):
        breaker.observe(RATE_LIMITED, START_NS)
    assert breaker.state(START_NS) == "closed"
    fail(breaker, 1)
    assert breaker.state(START_NS) == "open"


@pytest.mark.parametrize("verdict", [FAILURE, RATE_LIMITED])
def test_a_share_of_failures_above_the_limit_opens_it(verdict: int) -> None:
    breaker = make_breaker(consecutive=0, failure_share=0.5, minimum=20)
    for second in range(10):
        now_ns = START_NS + second * SECOND_NS
        breaker.observe(SUCCESS, now_ns)
        breaker.observe(verdict, now_ns)
    assert breaker.state(START_NS + 9 * SECOND_NS) == "closed", "a half is not more than a half"
    breaker.observe(verdict, START_NS + 9 * SECOND_NS)
    assert breaker.state(START_NS + 9 * SECOND_NS) == "open"


def test_a_share_does_not_count_below_the_minimum() -> None:
    breaker = make_breaker(consecutive=0, failure_share=0.1, minimum=20)
    fail(breaker, 19)
    assert breaker.state(START_NS) == "closed"
    fail(breaker, 1)
    assert breaker.state(START_NS) == "open"


def test_failures_leave_the_window() -> None:
    breaker = make_breaker(consecutive=0, failure_share=0.5, minimum=5, window_ns=10 * SECOND_NS)
    fail(breaker, 4, START_NS)
    assert breaker.failure_share(10, START_NS + 9 * SECOND_NS) == 1.0
    assert breaker.failure_share(10, START_NS + 10 * SECOND_NS) == 0.0
    fail(breaker, 4, START_NS + 10 * SECOND_NS)
    assert breaker.state(START_NS + 10 * SECOND_NS) == "closed"


def test_a_slot_of_an_earlier_turn_of_the_ring_is_begun_anew() -> None:
    breaker = make_breaker(consecutive=0)
    fail(breaker, 4, START_NS)
    breaker.observe(SUCCESS, START_NS + 32 * SECOND_NS)
    assert breaker.failure_share(32, START_NS + 32 * SECOND_NS) == 0.0


def test_an_observation_from_long_ago_is_not_counted() -> None:
    breaker = make_breaker(consecutive=0)
    breaker.observe(SUCCESS, START_NS + 32 * SECOND_NS)
    breaker.observe(FAILURE, START_NS)
    assert breaker.failure_share(32, START_NS + 32 * SECOND_NS) == 0.0


def test_a_share_of_slow_answers_opens_it() -> None:
    breaker = make_breaker(slow_share=0.5, slow_ns=SECOND_NS, minimum=4)
    for _ in range(3):
        breaker.observe(SUCCESS, START_NS, slow=True)
    assert breaker.state(START_NS) == "closed"
    breaker.observe(SUCCESS, START_NS, slow=True)
    assert breaker.state(START_NS) == "open"


def test_slow_answers_mean_nothing_when_slow_is_not_defined() -> None:
    breaker = make_breaker(slow_share=0.1, slow_ns=0, minimum=1)
    for _ in range(30):
        breaker.observe(SUCCESS, START_NS, slow=True)
    assert breaker.state(START_NS) == "closed"


@pytest.mark.parametrize("slow_share, state", [(0.5, "open"), (1.0, "closed")])
def test_a_slow_probe_fails_where_slow_counts(slow_share: float, state: str) -> None:
    breaker = make_breaker(slow_share=slow_share, slow_ns=SECOND_NS)
    now_ns = probing(breaker)
    breaker.observe(SUCCESS, now_ns, slow=True)
    assert breaker.state(now_ns) == state


def test_open_time_grows_with_each_failed_probe_to_its_maximum() -> None:
    breaker = make_breaker(open_max_ns=35 * SECOND_NS)
    now_ns = START_NS
    fail(breaker, 5, now_ns)
    for expected_s in (10, 20, 30, 35, 35):
        open_ns = opened_for_ns(breaker, now_ns)
        assert 0.8 * expected_s <= open_ns / SECOND_NS <= 1.2 * expected_s
        now_ns += open_ns
        assert breaker.admit(now_ns)
        breaker.observe(FAILURE, now_ns)


def test_open_times_are_spread() -> None:
    times = set()
    for seed in range(200):
        breaker = CircuitBreaker(Board.create(1, 0, 1), 0, make_plan(), seed=seed)
        fail(breaker, 5)
        times.add(opened_for_ns(breaker, START_NS) / OPEN_NS)
    assert len(times) == 200
    assert 0.8 <= min(times) < 0.82
    assert 1.18 < max(times) <= 1.2


def test_ejections_are_forgotten_one_per_open_time_of_health() -> None:
    breaker = make_breaker(open_max_ns=1000 * SECOND_NS)
    now_ns = START_NS
    fail(breaker, 5, now_ns)
    for _ in range(3):
        now_ns += opened_for_ns(breaker, now_ns)
        breaker.admit(now_ns)
        breaker.observe(FAILURE, now_ns)
    now_ns += opened_for_ns(breaker, now_ns)
    breaker.admit(now_ns)
    breaker.observe(SUCCESS, now_ns)
    now_ns += 2 * OPEN_NS + SECOND_NS
    fail(breaker, 5, now_ns)
    # Four ejections, two forgotten, and this one.
    assert 24 <= opened_for_ns(breaker, now_ns) / SECOND_NS <= 36


def test_only_so_many_probes_pass_at_a_time() -> None:
    breaker = make_breaker(probes=3)
    now_ns = half_open(breaker)
    assert [breaker.admit(now_ns) for _ in range(5)] == [True, True, True, False, False]
    breaker.observe(NEUTRAL, now_ns)
    assert [breaker.admit(now_ns) for _ in range(2)] == [True, False]


def test_asking_whether_it_passes_takes_no_probe() -> None:
    breaker = make_breaker()
    now_ns = half_open(breaker)
    assert all(breaker.is_passable(now_ns) for _ in range(5))
    assert breaker.admit(now_ns)
    assert not breaker.is_passable(now_ns)


def test_a_lost_probe_expires() -> None:
    breaker = make_breaker(probes=2)
    now_ns = half_open(breaker)
    assert breaker.admit(now_ns)
    assert breaker.admit(now_ns + 1)
    assert not breaker.admit(now_ns + EXPIRY_NS)
    later_ns = now_ns + EXPIRY_NS + 1
    assert [breaker.admit(later_ns) for _ in range(3)] == [True, True, False]


def test_probes_of_the_last_half_open_period_are_forgotten() -> None:
    breaker = make_breaker(probes=2)
    now_ns = half_open(breaker)
    assert [breaker.admit(now_ns) for _ in range(2)] == [True, True]
    breaker.observe(FAILURE, now_ns)
    now_ns += opened_for_ns(breaker, now_ns)
    assert [breaker.admit(now_ns) for _ in range(3)] == [True, True, False]


def test_recovery_forgets_the_failures_before_it() -> None:
    breaker = make_breaker(consecutive=3, failure_share=0.3, minimum=3)
    fail(breaker, 3)
    now_ns = START_NS + 12 * SECOND_NS
    assert breaker.admit(now_ns)
    breaker.observe(SUCCESS, now_ns)
    later_ns = now_ns + SECOND_NS
    fail(breaker, 2, later_ns)
    assert breaker.state(later_ns) == "closed"
    breaker.observe(FAILURE, later_ns, begun_ns=now_ns - 1)
    assert breaker.state(later_ns) == "closed", "begun before the recovery"
    fail(breaker, 1, later_ns)
    assert breaker.state(later_ns) == "open"


def test_what_was_under_way_does_not_decide_a_later_half_open_period() -> None:
    breaker = make_breaker()
    now_ns = probing(breaker)
    again_ns = now_ns + EXPIRY_NS
    assert breaker.admit(again_ns)
    breaker.observe(FAILURE, again_ns)
    open_ns = opened_for_ns(breaker, again_ns)
    breaker.observe(SUCCESS, again_ns + open_ns, begun_ns=now_ns)
    assert breaker.state(again_ns + open_ns) == "half_open"


def test_the_mirror_on_the_board_follows_at_the_next_call() -> None:
    board = Board.create(1, 0, 1)
    breaker, cell = CircuitBreaker(board, 0, make_plan()), cell_of(board)
    fail(breaker, 5)
    assert cell["state"] == 1
    breaker.admit(START_NS + 2 * OPEN_NS)
    assert cell["state"] == 2
    breaker.observe(SUCCESS, START_NS + 2 * OPEN_NS)
    assert cell["state"] == 0


def test_a_cooldown_is_never_shortened() -> None:
    breaker = make_breaker()
    breaker.cooldown(START_NS + 60)
    breaker.cooldown(START_NS + 20)
    assert breaker.is_cooling(START_NS + 59)
    assert not breaker.is_cooling(START_NS + 60)
    breaker.cooldown(START_NS + 90)
    assert breaker.is_cooling(START_NS + 89)


def test_a_cell_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        CircuitBreaker(Board.create(1, 0, 1), 1, make_plan())


@pytest.mark.parametrize("state", ["CLOSED", "OPEN", "HALF_OPEN"])
@pytest.mark.parametrize("written", range(7))
def test_a_worker_killed_inside_a_transition_leaves_nothing_stuck(state: str, written: int) -> None:
    """The cell with only some of a transition's words stored still opens, probes and closes."""
    board = Board.create(1, 0, 1)
    breaker, cell = CircuitBreaker(board, 0, make_plan()), cell_of(board)
    until_ns = {"CLOSED": 0, "OPEN": START_NS + OPEN_NS, "HALF_OPEN": START_NS - 1}[state]
    words = [
        ("open_until_ns", until_ns),
        ("probes", 1),
        ("probed_at_ns", START_NS),
        ("consecutive", 9),
        ("ejections", 3),
        ("state", 1),
    ]
    for name, value in words[:written]:
        cell[name] = value
    now_ns = START_NS + 2 * EXPIRY_NS
    assert breaker.admit(now_ns)
    breaker.observe(SUCCESS, now_ns)
    fail(breaker, 4, now_ns)
    assert breaker.state(now_ns) == "closed"
    fail(breaker, 1, now_ns)
    assert breaker.state(now_ns) == "open"


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["admit", "observe", "sleep"]),
            st.integers(0, 3),
            st.integers(0, 40 * SECOND_NS),
        ),
        max_size=60,
    )
)
def test_whatever_happened_it_recovers_with_time_and_successes(
    steps: list[tuple[str, int, int]],
) -> None:
    breaker = make_breaker(failure_share=0.5, minimum=3)
    now_ns, begun = START_NS, list[int]()
    for what, verdict, ns in steps:
        if what == "sleep":
            now_ns += ns
        elif what == "admit" and breaker.admit(now_ns):
            begun.append(now_ns)
        elif what == "observe" and begun:
            breaker.observe(verdict, now_ns, begun_ns=begun.pop(ns % len(begun)))
    now_ns += 200 * SECOND_NS
    assert breaker.admit(now_ns)
    breaker.observe(SUCCESS, now_ns)
    assert breaker.state(now_ns) == "closed"


# Several processes on one cell.

HAMMER_S = 1.0
# Numpy keeps threads, of which a child that only hammers needs none (Python 3.12 and later).
forking = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def hammer(board: Board, seed: int) -> None:
    """Admit and observe as fast as one process can, losing one probe in fifty."""
    plan = make_plan(
        failure_share=0.6,
        minimum=10,
        open_ns=2_000_000,
        open_max_ns=4_000_000,
        window_ns=SECOND_NS,
        probes=2,
    )
    breaker = CircuitBreaker(board, 0, plan, seed=seed)
    chance = random.Random(seed)
    ends_ns = time.monotonic_ns() + int(HAMMER_S * SECOND_NS)
    while (begun_ns := time.monotonic_ns()) < ends_ns:
        if not breaker.admit(begun_ns) or chance.random() < 0.02:
            continue
        is_bad = begun_ns // 20_000_000 % 2
        verdict = chance.choice([FAILURE, RATE_LIMITED, FAILURE, SUCCESS] if is_bad else [SUCCESS])
        breaker.observe(verdict, time.monotonic_ns(), begun_ns=begun_ns)


def in_processes(count: int, work: Callable[[int], None]) -> None:
    """Run `work(number)` in forked processes and wait for all of them."""
    children = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                work(number)
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * count


@forking
def test_processes_hammering_one_cell_never_wedge_it() -> None:
    board = Board.create(1, 0, 1)
    in_processes(4, lambda number: hammer(board, number))
    cell = cell_of(board)
    assert cell["ejections"] >= 1
    assert cell["healthy_since_ns"] > 0, "it closed again at least once"
    breaker = CircuitBreaker(board, 0, make_plan())
    now_ns = time.monotonic_ns() + 2 * EXPIRY_NS
    assert breaker.admit(now_ns)
    breaker.observe(SUCCESS, now_ns)
    assert breaker.state(now_ns) == "closed"


@forking
def test_processes_lose_hardly_any_count() -> None:
    board, times = Board.create(1, 0, 1), 20_000

    def count(number: int) -> None:
        breaker = CircuitBreaker(board, 0, make_plan(consecutive=0))
        for turn in range(times):
            # A new slot every 500 turns, begun by whoever gets there first.
            breaker.observe(SUCCESS, START_NS + turn // 500 * SECOND_NS)

    in_processes(3, count)
    # The newest 32 of 40 slots are there.
    total = int(cell_of(board)["rate_total"].sum())
    assert 3 * times * 32 // 40 * 0.9 <= total <= 3 * times * 32 // 40


@forking
def test_of_processes_that_cool_a_backend_down_the_latest_deadline_holds() -> None:
    board = Board.create(1, 0, 1)

    def cool(number: int) -> None:
        breaker = CircuitBreaker(board, 0, make_plan())
        chance = random.Random(number)
        for _ in range(5000):
            breaker.cooldown(START_NS + chance.randrange(10**9))
        breaker.cooldown(START_NS + 10**9 + number)

    in_processes(4, cool)
    assert cell_of(board)["cooldown_until_ns"] == START_NS + 10**9 + 3
