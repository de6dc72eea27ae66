"""A worker without sockets and with a clock of the test's own: clients, servers, nothing between.

The compiled protocols are driven as an event loop would drive them, one callback at a
time; a transport here is a list of what was written. Time stands still but for `wait`.

Rule 1: like asyncio's, a closing transport reads no more, and its connection_lost comes
        in a later turn of the loop (`turn`, which every event ends with unless held).
Rule 2: what a client was sent is read by h11, never by code of ours.
Rule 3: `settled` is the oracle: everything counted once, nothing left over.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway._fast import Backend, Board, Downstream, Table, Upstream, Worker
from gateway.compiler import AT_REST, NOWHERE, compile_plan, places_of
from gateway.config import parse
from gateway.dataplane.table import build_table, retire
from gateway.errors import OUTCOMES
from gateway.messages import Delivery, Feedback
from gateway.plan import Plan, RoutePlan
from tests.support.messages import (
    STREAM_HEAD,
    Answer,
    answer,
    chat,
    chunk,
    read_answers,
    read_requests,
)
from tests.support.records import TestLog

START_NS = 10**15
LOG_BYTES = 1 << 23
ROWS, CELLS = 32, 16
STEP_NS = 1_000  # each event takes a microsecond
OUTCOME = {outcome.name: number for number, outcome in enumerate(OUTCOMES)}
Settings = dict[str, Any]


class Transport:
    """One end of a connection as asyncio shows it to a protocol."""

    def __init__(self, stage: Stage, protocol: Any, address: str) -> None:
        self.stage, self.protocol, self.address = stage, protocol, address
        self.written = bytearray()
        self.writes: list[bytes] = []
        self.is_reading = True
        self.is_closed = self.is_aborted = self.has_ended = self.is_lost = False
        self.late: list[bytes] = []  # written after the end: nothing may be

    def write(self, data: bytes) -> None:
        if self.is_closed or self.has_ended:
            self.late.append(bytes(data))
            return
        self.writes.append(bytes(data))
        self.written += data

    def close(self) -> None:
        self.is_closed = True
        self.is_reading = False
        self.stage.losing.append(self)

    def abort(self) -> None:
        self.is_aborted = True
        self.close()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        assert self.is_reading, "paused twice"
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading, "resumed twice"
        self.is_reading = True

    def get_extra_info(self, name: str) -> Any:
        return (self.address, 40000) if name == "peername" else None

    def lose(self, error: Exception | None = None) -> None:
        if not self.is_lost:
            self.is_lost = self.is_closed = True
            self.protocol.connection_lost(error)


class End:
    """Whoever is at the other end of one connection of the worker."""

    def __init__(self, stage: Stage, protocol: Any, address: str = "192.0.2.7") -> None:
        self.stage = stage
        self.peer = protocol
        self.transport = Transport(stage, protocol, address)
        protocol.connection_made(self.transport)
        stage.event()

    @property
    def is_open(self) -> bool:
        return not self.transport.is_closed

    def reads(self) -> bool:
        """Whether the worker reads what comes from here."""
        return self.transport.is_reading

    @property
    def heard(self) -> bytes:
        return bytes(self.transport.written)

    def send(self, *pieces: bytes) -> None:
        """Deliver bytes, a read for each piece; what a paused transport would hold is kept."""
        for piece in pieces:
            if self.is_open:
                self.peer.data_received(piece)
                self.stage.event()

    def leave(self) -> None:
        """Close the sending side."""
        if self.is_open:
            self.peer.eof_received()
            if self.is_open:
                self.transport.close()
            self.stage.event()

    def reset(self) -> None:
        if not self.transport.is_lost:
            self.transport.lose(ConnectionResetError())
            self.stage.event()

    def stall(self) -> None:
        """Take nothing more: the transport's buffer crosses its mark."""
        self.peer.pause_writing()

    def drink(self) -> None:
        self.peer.resume_writing()
        self.stage.event()


class Client(End):
    """A client's connection; `ask` remembers the methods, so that answers can be read."""

    def __init__(self, stage: Stage, address: str = "192.0.2.7") -> None:
        self.methods: list[str] = []
        super().__init__(stage, Downstream(stage.worker), address)

    def ask(self, data: bytes, *rest: bytes) -> None:
        self.methods.append(data.split(b" ", 1)[0].decode())
        self.send(data, *rest)

    def answers(self) -> list[Answer]:
        return read_answers(self.heard, self.methods, has_ended=not self.is_open or self.is_ended)

    @property
    def is_ended(self) -> bool:
        return self.transport.has_ended

    def answer(self) -> Answer:
        """The only one."""
        (answer,) = self.answers()
        return answer


class Server(End):
    """A backend's side of one connection of a pool."""

    def __init__(self, stage: Stage, backend: Backend) -> None:
        self.name = backend.name
        super().__init__(stage, Upstream(stage.worker, backend))

    def requests(self, *, begun: bool = False) -> list[tuple[bytes, bytes]]:
        """(head, body) of each whole request that came, and of one that is coming."""
        return list(read_requests(self.heard, begun=begun))

    @property
    def is_asked(self) -> bool:
        """Whether a request waits for its answer."""
        return len(self.requests()) > int(self.peer.served)

    def request(self) -> tuple[bytes, bytes]:
        """The latest."""
        return self.requests()[-1]

    def fields(self) -> dict[str, str]:
        """Of the latest request, be its body whole or not; names in lower case."""
        lines = self.requests(begun=True)[-1][0].decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}

    def answer(self, body: Any = None, status: int = 200, *fields: str) -> None:
        """A whole answer in one piece."""
        self.send(answer(body, status, *fields))

    def stream(self, *events: bytes, ends: bool = True) -> None:
        """An event stream, each event a chunk and a read of its own."""
        self.send(STREAM_HEAD, *(chunk(each) for each in events), *([b"0\r\n\r\n"] if ends else []))


@dataclass
class Loop:
    """What a Worker wants of its event loop."""

    errors: list[Any] = field(default_factory=list)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context["exception"])


@functools.cache
def _plan(text: str, previous: Plan | None, delivery: bytes) -> Plan:
    """Why cached: tests set thousands of stages up, by a few configurations."""
    return compile_plan(
        parse(text, {}),
        places=places_of(previous) if previous else NOWHERE,
        delivery=msgspec.json.decode(delivery, type=Delivery),
    )


def _attempt_rows(route: RoutePlan) -> Iterator[int]:
    yield from (*route.rows, *route.larger_context_rows, *route.content_filter_rows)
    yield from (step.row for step in route.fallback if step.kind == "backend")
    yield from (shadow.row for shadow in route.shadows)


class Stage:
    """A worker, its table, and whoever is connected to it."""

    def __init__(
        self,
        settings: Settings,
        *,
        seed: int = 1,
        rows: int = ROWS,
        cells: int = CELLS,
        delivery: Delivery = AT_REST,
    ) -> None:
        self.now_ns = START_NS
        self.loop = Loop()
        self.losing: list[Transport] = []
        self.dials: list[Backend] = []
        self.clients: list[Client] = []
        self.servers: list[Server] = []
        self.is_holding = False  # nobody hears of a connection's end until it is False again
        self.board = Board.create(1, rows, cells)
        self.worker = Worker(self.loop, self.board, 0, now_ns=START_NS, seed=seed)
        self.log = TestLog(size=LOG_BYTES)
        self.worker.record_with(self.log.recorder, self.log.stream, False)
        self.plans = 0
        self.apply(settings, delivery)

    @property
    def table(self) -> Table:
        table: Table = self.worker.table
        return table

    def take_feedback(self) -> None:
        """Feedback goes into the log, as the writer would have it."""

        def append(entry: Feedback) -> int:
            seq = self.log.stream.seq + 1
            self.log.stream.add(msgspec.json.encode(replace(entry, seq=seq)), self.now_ns)
            return seq

        self.worker.record_with(self.log.recorder, self.log.stream, False, append)

    def shed(self) -> None:
        """Requests are refused while there is no room for records, which there is not."""
        self.log.stream.close()
        self.worker.record_with(self.log.recorder, self.log.stream, True)

    def apply(self, settings: Settings, delivery: Delivery = AT_REST) -> None:
        previous: Table | None = self.worker.table
        text = json.dumps({"workers": 1, **settings})
        self.plans += 1
        kept = msgspec.json.encode(delivery)
        self.plan: Plan = _plan(text, self.plan if previous else None, kept)
        table = build_table(
            self.plan, board=self.board, slot=0, dial=self.dials.append, previous=previous
        )
        self.worker.apply(table, self.plan.limits)
        if previous is not None:
            retire(previous, table)
        self.event()

    # -- events

    def event(self) -> None:
        """Something happened: a little time has passed, and what was closed is gone."""
        self.now_ns += STEP_NS
        self.worker.set_clock(self.now_ns)
        if not self.is_holding:
            self.turn()

    def turn(self) -> None:
        while self.losing:
            self.losing.pop(0).lose()

    def wait(self, seconds: float) -> None:
        """Let time pass, in ticks as the loop would."""
        end_ns = self.now_ns + round(seconds * 1e9)
        while self.now_ns < end_ns:
            self.now_ns = min(end_ns, self.now_ns + max(10_000_000, (end_ns - self.now_ns) // 20))
            self.worker.set_clock(self.now_ns)
            self.worker.tick()
            self.event()

    def client(self, address: str = "192.0.2.7") -> Client:
        self.clients.append(Client(self, address))
        return self.clients[-1]

    def server(self, name: str = "") -> Server:
        """The connection that was dialled first, or first for this backend, is there."""
        at = next(i for i, backend in enumerate(self.dials) if name in ("", backend.name))
        self.servers.append(Server(self, self.dials.pop(at)))
        return self.servers[-1]

    def no_server(self, outcome: str = "connect_failed") -> None:
        """The oldest dial fails."""
        self.dials.pop(0).dial_failed(OUTCOME[outcome])
        self.event()

    def asked(self, data: bytes | None = None) -> tuple[Client, Server]:
        """A new client whose request has come to a new server."""
        client = self.client()
        client.ask(data or chat())
        return client, self.server()

    def serve(self, **statuses: int) -> None:
        """Every dial succeeds and every request is answered, until nobody waits any more."""
        while True:
            while self.dials:
                self.server()
            waiting = [each for each in self.servers if each.is_open and each.is_asked]
            if not waiting:
                return
            waiting[0].answer({"by": waiting[0].name}, statuses.get(waiting[0].name, 200))

    # -- looking

    def row(self, route: str, backend: str = "") -> dict[str, Any]:
        plan = next(each for each in self.plan.routes if each.name == route)
        if not backend:
            return self.board.read_row(plan.row)
        names = [self.plan.backends[index].name for index in plan.candidates]
        return self.board.read_row(plan.rows[names.index(backend)])

    def outcomes(self, route: str, backend: str = "") -> dict[str, int]:
        counts = self.row(route, backend)["outcomes"]
        return {OUTCOMES[n].name: count for n, count in enumerate(counts) if count}

    def refusals(self) -> dict[str, int]:
        """Of requests that found no route."""
        refused = self.worker.board.read_seat(self.worker.slot)["refused"]
        return {OUTCOMES[n].name: count for n, count in enumerate(refused) if count}

    def gauge(self, backend: str) -> dict[str, int]:
        cell = next(each.cell for each in self.plan.backends if each.name == backend)
        return self.board.read_gauge(0, cell)

    def cell(self, backend: str) -> dict[str, Any]:
        return self.board.read_cell(next(b.cell for b in self.plan.backends if b.name == backend))

    # -- the oracle

    def assert_sound(self) -> None:
        """What must hold after each event."""
        assert not self.loop.errors, self.loop.errors
        assert self.worker.wheel.errors == 0
        for end in (*self.clients, *self.servers):
            assert not end.transport.late, f"written after its end: {end.transport.late}"

    def assert_settled(self) -> None:
        """Nothing is under way any more, and everything was counted exactly once."""
        self.assert_sound()
        assert self.worker.in_flight == 0
        assert self.worker.buffered_bytes == 0
        assert self.table.waiting() == 0
        for index in range(self.board.rows):
            row = self.board.read_row(index)
            assert row["requests"] == sum(row["outcomes"]), f"row {index}"
            assert (row["in_flight"], row["queued"]) == (0, 0), f"row {index}"
        for backend in self.plan.backends:
            gauge = self.board.read_gauge(0, backend.cell)
            open_ = sum(s.is_open for s in self.servers if s.name == backend.name)
            assert (gauge["in_flight"], gauge["connections"]) == (0, open_), backend.name
            assert gauge["held_bytes"] == 0, backend.name
            assert gauge["idle"] == open_, f"{backend.name}: {gauge}, open {open_}"

    def assert_recorded(self) -> None:
        """One record for each request, one attempt in them for each attempt."""
        records = self.log.records()
        dropped = self.log.stream.dropped  # by long series of tests on one stage
        assert dropped or [each.seq for each in records] == list(range(1, len(records) + 1))
        assert len({record.id for record in records}) == len(records)
        if self.plans > 1:  # Why: rows of what a plan dropped are gone
            return
        hops = sum(
            before.route != after.route
            for record in records
            for before, after in pairwise(record.decisions)
        )
        variants = [each for route in self.plan.routes for each in route.variants]
        own = [self.board.read_row(each.row) for each in (*self.plan.routes, *variants)]
        # Whom the champion rescued has been counted twice, under the same name.
        hops += sum(self.board.read_row(each.row)["fallbacks"] for each in variants)
        refused = sum(self.refusals().values())
        copies = sum(record.kind == "shadow" for record in records)
        clients = len(records) + dropped - copies
        assert clients + hops == sum(row["requests"] for row in own) + refused
        if dropped:
            return
        tried = Counter(each.backend for record in records for each in record.attempts)
        every = (*self.plan.routes, *variants)
        rows = {row for route in every for row in _attempt_rows(route)}
        counted = sum(self.board.read_row(row)["requests"] for row in rows)
        assert tried.total() == counted, tried

    def end(self) -> None:
        """Everybody leaves; then nothing may be armed, lent or dialled for."""
        self.assert_settled()
        self.assert_recorded()
        for end in (*self.clients, *self.servers):
            end.reset()
        self.turn()
        self.assert_settled()
        self.assert_recorded()
        assert self.worker.connections == 0
        assert self.worker.wheel.armed == 0


def serving(
    *names: str, each: Settings | None = None, top: Settings | None = None, **route: Any
) -> Settings:
    """A route `chat` over these backends in that order; `each` describes every one."""
    backends = {
        name: {"protocol": "openai", "url": f"http://{name}.test/v1", **(each or {})}
        for name in names
    }
    more = dict(top or {})
    backends |= more.pop("backends", {})
    routes = {"chat": {"backends": list(names), **route}, **more.pop("routes", {})}
    return {"backends": backends, "routes": routes, **more}


def echoing(*, each: Settings | None = None, top: Settings | None = None, **route: Any) -> Settings:
    """A route `echo` for any method at /echo*, over one `http` backend that is tried once."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    made = {
        "backends": ["echo"],
        "match": [{"path": "/echo*", "methods": methods}],
        "retry": {"attempts": 1},
        **route,
    }
    backend = {"protocol": "http", "url": "http://echo.test", **(each or {})}
    return {"backends": {"echo": backend}, "routes": {"echo": made}, **(top or {})}
