"""One worker process: the loop around the compiled data plane.

`serve` accepts on the listeners it is given, `apply` swaps the plan between two
requests, `drain` ends: readiness off, a lame duck's while of serving on, idle
connections closed, time for what is under way, then an end for the rest.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
from collections.abc import Sequence

from gateway._fast import Board, Downstream, Recorder, Table, Worker, monotonic_ns
from gateway.dataplane.dialer import Dialer
from gateway.dataplane.health import HealthChecks
from gateway.dataplane.shadowing import Shadowing
from gateway.dataplane.stand_in import Sibling, StandIn
from gateway.dataplane.table import build_table, retire
from gateway.errors import OUTCOMES
from gateway.log.writer import Writer
from gateway.plan import CAPABILITIES, Plan

_TICK_S = 0.01
_NS_PER_S = 1_000_000_000
_BEAT_TICKS = 20  # a heartbeat every 200 ms
_LOG_TICKS = 5  # the log's files are looked after every 50 ms
_DRAIN_LOOK_S = 0.05
_COPIES_NS = 1_000_000_000  # that a drain waits for copies of requests
_YOUNG_OBJECTS = 10_000  # before the collector looks at them


class DataPlane:
    """Everything one worker serves with."""

    def __init__(
        self,
        plan: Plan,
        *,
        board: Board,
        slot: int,
        tls: ssl.SSLContext | None,
        number: int | None = None,
        siblings: Sequence[Sibling] = (),
        backlog: int = 4096,
    ) -> None:
        """`slot` is the seat on the board; `number` which of the workers it is, for records."""
        self.plan = plan
        self._board = board
        self._slot = slot
        self._tls = tls
        self._backlog = backlog
        self._loop = asyncio.get_running_loop()
        self.worker = Worker(self._loop, board, slot)
        self._dialer = Dialer(self.worker, self._loop)
        self._health = HealthChecks(self._dialer)
        self._servers: list[asyncio.Server] = []
        self._is_accepting = True
        self.stand_in = StandIn(board, siblings, self._accept_on)
        self._ticks = 0
        self._ticker: asyncio.TimerHandle | None = None
        board.take_seat(slot, os.getpid())
        self.log = self._open_log(plan, slot if number is None else number)
        self.shadowing = Shadowing(self.worker)
        self.worker.compare_with(self.shadowing)
        self.apply(plan)

    def _open_log(self, plan: Plan, number: int) -> Writer | None:
        """Whether requests are recorded is decided at the start of the process."""
        if not plan.log.enabled:
            return None
        writer = Writer(plan.log, f"w{number}", slot=number)
        writer.start()
        reasons = [outcome.reason for outcome in OUTCOMES]
        recorder = Recorder(writer.stream, plan.log.gateway, number, reasons, CAPABILITIES)
        self.worker.record_with(recorder, writer.stream, plan.log.sheds, writer.append)
        return writer

    @property
    def table(self) -> Table:
        """The table that the next request will be served by."""
        table: Table = self.worker.table
        return table

    async def serve(self, listeners: list[socket.socket]) -> None:
        """Accept on these listeners from now on."""
        self._tick()
        self._servers += [await self._accept_on(listener) for listener in listeners]
        # Why: what is alive now lives as long as the process; the collector need not look.
        gc.collect()
        gc.freeze()
        # Why: a request makes no cycles (tests/fast/test_exchange.py), so that young garbage
        # is rare, and looking for it every 700 objects cost 6 % of a request.
        gc.set_threshold(_YOUNG_OBJECTS, 20, 20)

    async def _accept_on(self, listener: socket.socket) -> asyncio.Server:
        secure = self._tls is not None
        listener.setblocking(False)
        return await self._loop.create_server(
            lambda: Downstream(self.worker, secure),
            sock=listener,
            ssl=self._tls,
            # Why again: listening once more, as this does, sets the backlog anew.
            backlog=self._backlog,
        )

    def apply(self, plan: Plan) -> None:
        """Serve by this plan from the next request on; on an error the old one stays."""
        previous: Table | None = self.worker.table
        table = build_table(
            plan,
            board=self._board,
            slot=self._slot,
            dial=self._dialer,
            previous=previous,
            is_secure=self._tls is not None,
        )
        self.worker.apply(table, plan.limits)
        self.shadowing.forget()
        self.plan = plan
        if self.log is not None:
            self.log.follow(plan.log)
            self.worker.shed(plan.log.sheds)
        self._health.follow(table)
        if previous is not None:
            retire(previous, table)

    async def drain(self, *, has_successor: bool = False) -> None:
        """Stop without breaking anything that can still be finished in time.

        Alone, the worker accepts on while its load balancer learns that it is not ready;
        with a successor on the same listeners it stops accepting at once. Either way
        answers close their connections for a while before idle ones are closed, so that
        hardly a client sends a request into a closing connection.
        """
        drain = self.plan.drain
        self.worker.lame_duck()
        self.shadowing.stop_judging()
        if has_successor:
            self._stop_accepting()
        await asyncio.sleep(drain.lame_duck_ns / _NS_PER_S)
        self._stop_accepting()
        deadline_ns = monotonic_ns() + drain.hard_stop_ns
        while monotonic_ns() < deadline_ns:
            self.worker.close_idle()
            if not self.worker.connections:
                break
            await asyncio.sleep(_DRAIN_LOOK_S)
        self.worker.cut()
        # Why so short: nobody waits for the answers to copies.
        deadline_ns = min(deadline_ns, monotonic_ns() + _COPIES_NS)
        while monotonic_ns() < deadline_ns and not self.shadowing.is_idle:
            await asyncio.sleep(_DRAIN_LOOK_S)
        await self.close()

    def _stop_accepting(self) -> None:
        self._is_accepting = False
        self._board.beat(self._slot, 0)  # Why: so that siblings accept in its place at once
        self.stand_in.close()
        for server in self._servers:
            server.close()

    async def close(self) -> None:
        """Stop the timers and tasks; what is open is closed."""
        self._health.close()
        self._stop_accepting()
        self.shadowing.finish()
        for backend in self.table.backends:
            backend.close_idle()
        await self._dialer.close()
        # Why: transports that were closed a moment ago flush in the next turns of the loop.
        await asyncio.sleep(_DRAIN_LOOK_S)
        if self._ticker is not None:
            self._ticker.cancel()
        if self.log is not None:
            self.shadowing.finish()
            self.worker.tick()
            self.worker.record_with(None, None, False)
            self.log.close()

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(_TICK_S, self._tick)
        self.worker.tick()
        self._ticks += 1
        if self.log is not None and self._ticks % _LOG_TICKS == 0:
            self.log.look()
        if self._is_accepting and self._ticks % _BEAT_TICKS == 1:
            self._board.beat(self._slot, monotonic_ns())
