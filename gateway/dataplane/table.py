"""From a plan to the compiled objects a worker serves by.

What a backend has learned and connected survives a reload: its board entries by number,
its pool when the place is still the same.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway._fast import Backend, Board, Layer, Marks, Route, Table, hash_of, monotonic_ns
from gateway.bucketing import bucket_of
from gateway.dataplane.answers import LastGoodAnswers
from gateway.dataplane.slow import SlowPaths
from gateway.plan import BackendPlan, LayerPlan, Plan, RoutePlan, row_name
from gateway.protocols import WIRE_FORMATS

_PLACE = ("scheme", "host", "port", "tls")  # what a pooled connection is bound to


def build_table(
    plan: Plan,
    *,
    board: Board,
    slot: int,
    dial: Callable[[Backend], None],
    previous: Table | None = None,
    is_secure: bool = False,
) -> Table:
    """The table of a plan; `previous` stays as it was, whatever happens.

    `is_secure` says whether clients speak TLS with this worker.
    """
    old = {backend.name: backend for backend in previous.backends} if previous else {}
    backends = [_backend(entry, board, slot, dial, old.get(entry.name)) for entry in plan.backends]
    user_header = plan.log.user_header.encode()
    routes = [_route(entry, board, slot, backends, user_header) for entry in plan.routes]
    slow = SlowPaths(plan, is_secure=is_secure)
    return Table(plan, backends, routes, _own_answers(plan), slow)


def retire(previous: Table, table: Table) -> None:
    """Close the connections of backends that the new table does not use any more."""
    kept = {id(backend.pool) for backend in table.backends}
    for backend in previous.backends:
        if id(backend.pool) not in kept:
            backend.retire()
            backend.close_idle()


def _backend(
    plan: BackendPlan,
    board: Board,
    slot: int,
    dial: Callable[[Backend], None],
    old: Backend | None,
) -> Backend:
    board.claim_cell(plan.cell, hash_of(plan.name.encode()))
    same_place = old is not None and all(
        getattr(old.plan, name) == getattr(plan, name) for name in _PLACE
    )
    return Backend(
        plan, board, slot, dial, marks=_marks(plan), previous=old if same_place else None
    )


def _marks(plan: BackendPlan) -> Marks | None:
    """Where this backend's usage stands, when its configuration says so."""
    if not (plan.input_tokens_pointer or plan.output_tokens_pointer):
        return None
    return Marks(
        done="",
        usage=("",),
        input_tokens=tuple(filter(None, (plan.input_tokens_pointer,))),
        output_tokens=tuple(filter(None, (plan.output_tokens_pointer,))),
        cached_tokens=(),
        finish_reason=False,
    )


def _route(
    plan: RoutePlan, board: Board, slot: int, backends: list[Backend], user_header: bytes
) -> Route:
    own = row_name(plan.name, plan.arm)
    board.claim_row(slot, plan.row, hash_of(own.encode()))
    for index, row in _rows(plan):
        board.claim_row(slot, row, hash_of(f"{own}\0{backends[index].name}".encode()))
    for shadow in plan.shadows:  # Why by the route's name: its variants share these rows
        name = backends[shadow.backend].name
        board.claim_row(slot, shadow.row, hash_of(f"{plan.name}\0{name}".encode()))
    answers = None
    if any(step.kind == "cached" for step in plan.fallback):
        answers = LastGoodAnswers(
            entries=plan.cache_entries,
            size_bytes=plan.cache_bytes,
            ttl_ns=plan.cache_ttl_ns,
            clock=monotonic_ns,
        )
    return Route(
        plan,
        board,
        slot,
        backends,
        answers,
        layers=[_layer(layer, user_header) for layer in plan.layers],
        variants=[_route(each, board, slot, backends, user_header) for each in plan.variants],
        user_header=user_header,
    )


def _layer(plan: LayerPlan, user_header: bytes) -> Layer:
    draw = plan.draw
    if draw.hash == "xxh3":
        return Layer(plan, user_header)
    return Layer(plan, user_header, lambda unit: bucket_of(unit, draw.salt, draw.hash))


def _rows(plan: RoutePlan) -> list[tuple[int, int]]:
    """(backend, board row) of every backend the route may use."""
    return [
        *zip(plan.candidates, plan.rows, strict=True),
        *zip(plan.larger_context, plan.larger_context_rows, strict=True),
        *zip(plan.content_filter, plan.content_filter_rows, strict=True),
        *((step.index, step.row) for step in plan.fallback if step.kind == "backend"),
    ]


def _own_answers(plan: Plan) -> dict[bytes, tuple[int, bytes, bytes]]:
    """Paths the gateway answers itself: health, and each protocol's list of models."""
    answers = {
        b"/healthz": (200, b"application/json", b'{"live":true}'),
        b"/readyz": (200, b"application/json", b'{"ready":true}'),
    }
    for wire_format in WIRE_FORMATS:
        names = [route.name for route in plan.routes if route.protocol == wire_format.name]
        for path, (status, body) in wire_format.own_answers(names).items():
            answers[path.encode()] = (status, wire_format.content_type, body)
    return answers
