"""A change of switches or flags on its way to every worker, and how long that took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from gateway.control.parts import Change, Parts
from gateway.messages import Delivery

WAIT_S = 2.0  # for workers that start or connect just now; others answer in milliseconds
LOOK_S = 0.01


async def deliver(parts: Parts, change: Callable[[Delivery], Delivery], author: str) -> Change:
    """What became of the change; its time is until the last worker served on it.

    Why looked at: whoever is not connected at that moment takes the change when it is, and
    who has thrown a kill switch must know whether it is thrown.
    """
    started_s = time.monotonic()
    done = await parts.configuration.deliver(change, author)
    if not done.is_changed or not _behind(parts):
        return done
    while _behind(parts) and time.monotonic() - started_s < WAIT_S:
        await asyncio.sleep(LOOK_S)
    took_s = time.monotonic() - started_s
    behind, workers = _behind(parts), len(parts.workers.seats())
    notes = (f"{behind} of {workers} workers do not serve on it yet",) if behind else ()
    return replace(done, propagation_s=took_s, notes=(*done.notes, *notes))


def _behind(parts: Parts) -> int:
    """How many workers do not serve on the plan in force."""
    return sum(not (worker.is_up and worker.is_current) for worker in parts.workers.seats())
