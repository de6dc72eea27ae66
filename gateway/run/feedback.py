"""The controller's own stream of the log: feedback that comes by the admin API.

It is opened with the first signal, since most gateways get theirs on the data port, and
with small segments, since it will never be much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec.structs import replace

from gateway.errors import GatewayError
from gateway.feedback import LogOff
from gateway.log.writer import Writer
from gateway.messages import Feedback
from gateway.payloads import Redactor
from gateway.plan import Plan

LOOK_S = 0.05
SEGMENT_BYTES = 1 << 20


class ControllerLog:
    """Appends feedback under the plan in force; `follow` must run beside it."""

    def __init__(self, plan: Callable[[], Plan]) -> None:
        self._plan = plan
        self._writer: Writer | None = None
        self._redactor = Redactor.of_texts()

    def append(self, feedback: Feedback) -> int:
        """Writes it down; its `seq`. GatewayError where that cannot be."""
        plan = self._plan().log
        if not plan.enabled:
            raise LogOff
        if self._writer is None:
            small = replace(plan, segment_bytes=min(plan.segment_bytes, SEGMENT_BYTES))
            self._writer = Writer(small, "c")
            self._writer.start()
        if self._writer.stream.current is None:
            raise GatewayError(f"Feedback cannot be kept: {self._writer.fault}.")
        return self._writer.append(feedback)

    def redact(self, text: str) -> str:
        """The text without what looks like a secret or like personal data."""
        return self._redactor.text(text)

    async def follow(self) -> None:
        """Segments come and go in time; the stream is closed at the end."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                if self._writer is not None:
                    self._writer.look()
        finally:
            if self._writer is not None:
                self._writer.close()
