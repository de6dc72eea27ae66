"""Active health checks: one GET at intervals, so that a dead backend is known before it is asked.

Of all workers one makes each check (whoever moves the cell's due time), and all see the
result on the board. A backend is unhealthy after `fall` bad answers in a row and healthy
after `rise` good ones; only 2xx is good.
"""

from __future__ import annotations

import asyncio
import logging

from gateway._fast import Backend, Table, monotonic_ns
from gateway.dataplane.dialer import Dialer
from gateway.plan import BackendPlan

_NS_PER_S = 1_000_000_000
_LOOK_S = 0.1
_HEAD_BYTES = 16384

log = logging.getLogger(__name__)


class HealthChecks:
    """One worker's share of the checks."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._backends: list[Backend] = []
        self._runs: dict[str, int] = {}  # backend: good answers in a row, or bad ones below 0
        self._loop_task: asyncio.Task[None] | None = None
        self._checks: set[asyncio.Task[None]] = set()

    def follow(self, table: Table) -> None:
        """Check this table's backends from now on."""
        self._backends = [backend for backend in table.backends if backend.plan.health]
        self._runs = {b.name: self._runs.get(b.name, 0) for b in self._backends}
        if self._backends and self._loop_task is None:
            self._loop_task = asyncio.get_running_loop().create_task(self._look())

    def close(self) -> None:
        """Stop looking; checks under way are cancelled."""
        for task in (*self._checks, self._loop_task):
            if task is not None:
                task.cancel()
        self._loop_task = None

    async def _look(self) -> None:
        while True:
            for backend in self._backends:
                if backend.claim_check(monotonic_ns(), backend.plan.health.interval_ns):
                    task = asyncio.get_running_loop().create_task(self._check(backend))
                    self._checks.add(task)
                    task.add_done_callback(self._checks.discard)
            await asyncio.sleep(_LOOK_S)

    async def _check(self, backend: Backend) -> None:
        health = backend.plan.health
        try:
            async with asyncio.timeout(health.timeout_ns / _NS_PER_S):
                good = 200 <= await self._status(backend.plan, health.path) < 300
        except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError):
            good = False
        self._note(backend, good=good)

    def _note(self, backend: Backend, *, good: bool) -> None:
        run = self._runs.get(backend.name, 0)
        run = max(run, 0) + 1 if good else min(run, 0) - 1
        self._runs[backend.name] = run
        health = backend.plan.health
        if run in (health.rise, -health.fall):
            backend.set_health(good, monotonic_ns())
            log.info("backend %s is %s", backend.name, "healthy" if good else "unhealthy")

    async def _status(self, plan: BackendPlan, path: str) -> int:
        """The status of one GET on a connection of its own."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_HEAD_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        await self._dialer.connect(plan, lambda: protocol)
        transport = protocol._transport  # type: ignore[attr-defined]  # noqa: SLF001 asyncio has no other door
        try:
            transport.write(_question(plan, path))
            line = await reader.readuntil(b"\n")
        finally:
            transport.abort()
        return _status_of(line)


def _question(plan: BackendPlan, path: str) -> bytes:
    own = (f"GET {path} HTTP/1.1", f"host: {plan.authority}")
    fields = (f"{name}: {value}" for name, value in plan.headers)
    return "\r\n".join((*own, *fields, "connection: close", "", "")).encode("latin-1")


def _status_of(line: bytes) -> int:
    try:
        return int(line.split(b" ", 2)[1])
    except IndexError as error:
        raise ValueError(line) from error
