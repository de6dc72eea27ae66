"""Choosing a backend. Budget: 8 candidates 300 ns, 64 candidates 1.5 µs, any policy.

Four workers' gauges, limits, context windows, prices, slow start and predictions are all
there, so no filter and no figure is skipped.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.micro.timing import compiled, report
from gateway._fast.board import Board
from gateway._fast.learned import Learning
from gateway._fast.routes import POLICIES, Candidates

NOW_NS = 10**15
SECOND_NS = 10**9
WORKERS = 4
TIMES = 50_000

SOURCE = """
from libc.stdint cimport uint64_t
from gateway._fast.board cimport Board
from gateway._fast.breaker cimport (
    BreakerTerms, VERDICT_SUCCESS, breaker_admit, breaker_observe, read_breaker
)
from gateway._fast.budget cimport Budget, budget_deposit, budget_open, budget_withdraw
from gateway._fast.learned cimport Gauges, ewma_fold, find_gauges, learned_refresh, usage_fold

cdef uint64_t NOW_NS = 1_000_000_000_000_000

def admit(Board board, plan, uint64_t operations):
    cdef BreakerTerms terms
    cdef uint64_t turn, passed = 0
    read_breaker(&terms, plan)
    for turn in range(operations):
        passed += breaker_admit(board.cell(0), &terms, NOW_NS + turn)
    return passed

def observe(Board board, plan, uint64_t operations):
    cdef BreakerTerms terms
    cdef uint64_t turn, random = 1
    read_breaker(&terms, plan)
    for turn in range(operations):
        breaker_observe(
            board.cell(0), &terms, VERDICT_SUCCESS, False, NOW_NS + turn, NOW_NS + turn, &random
        )

def fold(Board board, uint64_t operations):
    cdef uint64_t turn
    for turn in range(operations):
        ewma_fold(board.gauge(0, 0), 1_000_000 + turn % 1000, NOW_NS + turn * 1000)
        usage_fold(board.gauge(0, 0), 4000, 1000, turn % 100)

def refresh(Board board, uint64_t operations):
    cdef Gauges gauges
    cdef uint64_t turn
    find_gauges(&gauges, board, 0)
    for turn in range(operations):
        board.cell(0).learned_at_ns = 0
        learned_refresh(board.cell(0), &gauges, NOW_NS)

def budget(uint64_t operations):
    cdef Budget budget
    cdef uint64_t turn
    budget_open(&budget, 0.2, 3)
    for turn in range(operations):
        budget_deposit(&budget, NOW_NS + turn * 50_000)
        if turn % 10 == 0:
            budget_withdraw(&budget, NOW_NS + turn * 50_000)
"""


def part(board: Board, name: str) -> Any:
    place = board.layout()[name]
    return np.ndarray(place["shape"], np.dtype(place["item"]), board.buffer, offset=place["offset"])


def breaker() -> SimpleNamespace:
    return SimpleNamespace(
        consecutive=5,
        failure_share=0.5,
        slow_share=1.0,
        slow_ns=0,
        window_ns=30 * SECOND_NS,
        minimum=20,
        open_ns=10 * SECOND_NS,
        open_max_ns=300 * SECOND_NS,
        probes=1,
    )


def backend(index: int) -> SimpleNamespace:
    return SimpleNamespace(
        index=index,
        name=f"backend-{index}",
        capabilities=255,
        context_window=128_000,
        max_concurrency=256,
        slow_start_ns=30 * SECOND_NS,
        input_usd=1e-6 * (index + 1),
        cached_usd=0.0,
        output_usd=2e-6 * (index % 7 + 1),
        request_usd=0.0,
        quality=0.5 + index / 200,
        breaker=breaker(),
        adaptive=None,
        is_off=False,
    )


def busy_board(backends: int) -> Board:
    board, chance = Board.create(WORKERS, 0, backends), np.random.default_rng(1)
    cells, gauges = part(board, "cells"), part(board, "gauges")
    cells["bytes_per_token"], cells["output_tokens_mean"] = 3.9, 200
    cells["failure_share"], cells["samples"] = 0.01, 100
    cells["healthy_since_ns"] = NOW_NS - 99 * SECOND_NS
    cells["first_byte_q_ns"] = chance.integers(10**8, 10**9, (backends, 4))
    shape = (WORKERS, backends)
    gauges["in_flight"] = chance.integers(0, 20, shape)
    gauges["ewma_ns"] = chance.integers(1, 10**9, shape)
    gauges["ewma_at_ns"] = NOW_NS - chance.integers(0, 10 * SECOND_NS, shape)
    return board


def fill_windows(board: Board) -> None:
    learning, chance = Learning(board, 0), np.random.default_rng(1)
    for age_s in range(28, -1, -1):
        for worker in range(WORKERS):
            first_byte_ns = int(chance.integers(10**8, 10**9))
            learning.fold_latency(
                worker, first_byte_ns, 3 * first_byte_ns, NOW_NS - age_s * SECOND_NS
            )


def candidates(policy: str, count: int) -> Candidates:
    route = SimpleNamespace(
        candidates=tuple(range(count)),
        weights=tuple(range(1, count + 1)),
        policy=policy,
        exploration=0.01,
        panic_share=0.1,
        balance=(1.0, 1.0, 1.0),
        slo=SimpleNamespace(metric="first_byte", quantile=2, limit_ns=SECOND_NS // 2),
    )
    backends = [backend(index) for index in range(count)]
    return Candidates(route, backends, busy_board(count), range(count))


def time_policy(policy: str, count: int, sticky: int = 0) -> None:
    roster = candidates(policy, count)
    name = f"routes/{policy}{'_sticky' if sticky else ''}_{count}"
    wish = {"now_ns": NOW_NS, "capabilities": 3, "input_bytes": 4000, "sticky": sticky}
    report(name, lambda times: roster.choose_often(times, **wish), TIMES)


def time_kernels() -> None:
    module, board = compiled("bench_routes", SOURCE), busy_board(1)
    report("breaker/admit_closed", lambda n: module.admit(board, breaker(), n), 5_000_000)
    report("breaker/observe_success", lambda n: module.observe(board, breaker(), n), 2_000_000)
    report("learned/fold_ewma_and_usage", lambda n: module.fold(board, n), 2_000_000)
    fill_windows(board)
    report("learned/refresh_4_workers", lambda n: module.refresh(board, n), 2_000)
    report("budget/deposit_and_a_tenth_withdraw", module.budget, 2_000_000)


if __name__ == "__main__":
    for size in (8, 64):
        for each in POLICIES:
            time_policy(each, size)
        time_policy("weighted", size, sticky=0x9E3779B97F4A7C15)
    time_kernels()
