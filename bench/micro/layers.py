"""Experiments. Budget: 150 ns for a request's assignment and what the board keeps of its arm."""

from types import SimpleNamespace
from typing import Any

from bench.micro.timing import compiled, report
from gateway._fast.board import Board
from gateway._fast.layers import Layer
from gateway._fast.request import Request

SOURCE = """
from libc.stdint cimport uint64_t
from libc.string cimport memcpy
from gateway._fast.board cimport Board, Row
from gateway._fast.layers cimport Assignments, assign
from gateway._fast.request cimport Request

cdef bytes ID = b"01975c1e-7d3e-7000-8000-0123456789ab"

def request_of(bytes body):
    cdef Request request = Request.__new__(Request)
    memcpy(request.id, <const char*>ID, 36)
    request.id_length = 36
    request.body = body
    return request

def assigning(Request request, tuple layers, uint64_t operations):
    cdef uint64_t turn, sum = 0
    for turn in range(operations):
        request.id[turn & 31] = 48 + (turn & 7)
        sum += assign(layers, request, None, None).variant
    return sum

def counting(Board board, uint64_t operations):
    # What Exchange.settle_arm and record() do for an arm, beside what every route's row gets.
    cdef Row* row = board.row(0, 0)
    cdef uint64_t turn
    cdef double usd, tokens
    for turn in range(operations):
        usd = (turn & 1023) * 1e-9
        tokens = turn & 255
        row.input_tokens += <uint64_t>tokens
        row.output_tokens += <uint64_t>tokens
        row.cost_squares += usd * usd
        row.input_squares += tokens * tokens
        row.output_squares += tokens * tokens
        row.finishes[turn & 3] += 1
        row.recorded += 1
"""


def layer(unit: str) -> Any:
    arms = [SimpleNamespace(arm=name, rollout="next", step=1) for name in ("champion", "new")]
    plan = SimpleNamespace(
        name="next",
        draw=SimpleNamespace(unit=unit, salt="next", hash="xxh3"),
        arms=arms,
        forced=(),
        targets=(),
        holdouts=(),
        ranges=((50_000, 2), (1_000_000, 1)),
    )
    return Layer(plan)


if __name__ == "__main__":
    module = compiled("bench_layers", SOURCE)
    request: Request = module.request_of(b'{"user": "somebody", "session": "0123456789abcdef"}')
    pointer = layer("pointer:/session")
    for name, layers in {
        "by_request": (layer("request"),),
        "by_pointer": (pointer,),
        "two_layers": (layer("request"), layer("request")),
    }.items():
        report(
            f"layers/{name}",
            lambda n, layers=layers: module.assigning(request, layers, n),  # type: ignore[misc]
            1_000_000,
        )
    report("layers/counted", lambda n: module.counting(Board.create(1, 1, 1), n), 5_000_000)
