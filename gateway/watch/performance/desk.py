"""Looks at labels as they live in the controller: made when due, handed to the alerts.

It runs whatever `drift.consumer.source` is: labels and answers are in the local store.

Rule: it never stops; what fails is told once, and tried again at the next look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.alerts.finding import Look
from gateway.errors import GatewayError
from gateway.threads import in_thread
from gateway.watch.performance.looks import PerformanceLooks

LOOK_S = 5.0
NS_PER_MS = 1_000_000

log = logging.getLogger(__name__)


class PerformanceDesk:
    """`run` is its life; the looks are made in a thread."""

    def __init__(
        self,
        looks: PerformanceLooks,
        tell: Callable[[Look], Awaitable[Any]],
        now_ms: Callable[[], int] = lambda: time.time_ns() // NS_PER_MS,
    ) -> None:
        self._looks, self._tell, self._now_ms = looks, tell, now_ms
        self._told: set[str] = set()

    async def run(self) -> None:
        """Looks, until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(LOOK_S)

    async def tick(self) -> None:
        """All that is due."""
        if not self._looks.is_due(self._now_ms()):
            return
        try:
            for look in await in_thread(self._due, name="performance"):
                await self._tell(look)
        except GatewayError as error:
            self._say({str(error)})
        except Exception:
            log.exception("a look at labels failed by a defect")
        else:
            self._say(set(self._looks.problems.values()))

    def _due(self) -> list[Look]:
        return self._looks.due(self._now_ms())

    def _say(self, problems: set[str]) -> None:
        for sentence in sorted(problems - self._told):
            log.warning("performance cannot be looked at: %s", sentence)
        self._told = problems
