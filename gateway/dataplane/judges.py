"""Asking a judge: a request to one of our own routes, from inside the worker.

It goes through a Downstream like any client's, over a transport that is a list of bytes: it
is admitted, routed, limited, priced and recorded by the route that it asks.

Rule 1: whoever asks hears exactly once, be it that nothing was said.
Rule 2: at most MOST_AT_ONCE are asked at a time, of whose answers so many bytes are read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gateway._fast import Downstream, Shadow, Worker
from gateway.comparison.judgement import Verdict, case_of, verdict_of

MOST_AT_ONCE = 16
ANSWER_BYTES = 256 * 1024
_NS = 1_000_000_000
_DAY_S = 86_400

Heard = Callable[[Verdict, int], None]  # what was said, and its cost in nano-USD


class Judges:
    """The requests to judges that are under way in one worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.under_way: set[Case] = set()

    def ask(self, shadow: Shadow, client: str, own: str, heard: Heard) -> bool:
        """Whether the judge was asked; then `heard` is called."""
        plan = shadow.mirror.plan
        if len(self.under_way) >= MOST_AT_ONCE or self.worker.draining:
            return False
        if plan.day_nano_usd and shadow.mirror.spent(int(time.time()) // _DAY_S) >= (
            plan.day_nano_usd
        ):
            return False
        swaps = shadow.record_id[-1] % 2 == 1
        route = self.worker.table.routes_by_index[plan.compare.judge].name
        told = plan.compare.judge_prompt
        body = case_of(route, told, shadow.asked, client, own, swaps=swaps)
        Case(self, body, swaps=swaps, timeout_s=plan.total_ns / _NS, heard=heard)
        return True

    def cancel(self) -> None:
        """Nobody waits any longer."""
        for case in list(self.under_way):
            case.abort()


class Case(asyncio.Transport):
    """One request and its answer; the transport of a Downstream."""

    def __init__(
        self, judges: Judges, body: bytes, *, swaps: bool, timeout_s: float, heard: Heard
    ) -> None:
        super().__init__()
        worker = judges.worker
        self._judges, self._swaps, self._heard = judges, swaps, heard
        self._loop: asyncio.AbstractEventLoop = worker.loop
        self._said = bytearray()
        self._is_over = self._is_closed = False
        judges.under_way.add(self)
        self._timer = self._loop.call_later(timeout_s, self.abort)
        self._protocol = Downstream(worker)
        self._protocol.connection_made(self)
        self._protocol.data_received(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: judge\r\nconnection: close\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )

    def _end(self) -> None:
        """Rule 1."""
        if self._is_over:
            return
        self._is_over = True
        self._timer.cancel()
        self._judges.under_way.discard(self)
        head, _, body = bytes(self._said).partition(b"\r\n\r\n")
        status, nano_usd = _read(head)
        self._heard(verdict_of(body, swaps=self._swaps) if status == 200 else "", nano_usd)

    # -- a transport, as a Downstream knows it

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._said += data
        if len(self._said) > ANSWER_BYTES:
            self.abort()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._loop.call_soon(self._lose)

    def abort(self) -> None:
        """What was said so far is not looked at."""
        self._said.clear()
        self.close()

    def _lose(self) -> None:
        self._protocol.connection_lost(None)
        self._end()

    def pause_reading(self) -> None:
        """Nothing more comes anyway."""

    def resume_reading(self) -> None:
        """The same."""

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self._is_closed


def _read(head: bytes) -> tuple[int, int]:
    """Status and cost of an answer of the gateway."""
    first, *fields = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    costs = [line.partition(":")[2] for line in fields if line.startswith("x-gateway-cost-usd:")]
    status = int(words[1]) if len(words) > 1 else 0
    return status, round(float(costs[0]) * _NS) if costs else 0
