"""Every webhook of the configuration in force.

`tell` looks at the configuration each time, so a reload needs no call of its own: a webhook
that stayed as it was keeps its queue, one that is gone loses it.

Rule: what is not told within `LAST_S` of the end of the process is not told by it, and a
      webhook that fails is not waited for; the decision log has everything that was decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from gateway.config.rollouts import Notices as Settings
from gateway.config.rollouts import Webhook
from gateway.notices.notice import Notice
from gateway.notices.receiver import Receiver, ReceiverFigures, receiver_of

LAST_S = 2.0
LOOK_S = 0.05

log = logging.getLogger(__name__)


class Notices:
    """Tells all webhooks; `run` is its life. Of one event loop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        make: Callable[[Webhook, int, int], Receiver] = receiver_of,
    ) -> None:
        self._settings, self._make = settings, make
        self._in_force: Settings | None = None
        self._receivers: list[Receiver] = []
        self._tasks: dict[Receiver, asyncio.Task[None]] = {}
        self._is_running = False

    def tell(self, notice: Notice) -> None:
        """Queue it for all that want to know; returns at once and never raises."""
        try:
            self._follow_settings()
            for receiver in self._receivers:
                receiver.tell(notice)
        except Exception:  # Why: whoever tells has decided already, and goes on
            log.exception("a notice could not be queued", extra={"rollout": notice.rollout})

    async def run(self) -> None:
        """Until it is cancelled; then what is queued gets a last chance."""
        self._is_running = True
        try:
            self._follow_settings()
            self._start()
            await asyncio.Event().wait()
        finally:
            self._is_running = False
            with contextlib.suppress(asyncio.CancelledError):
                await self._finish()

    def figures(self) -> tuple[ReceiverFigures, ...]:
        self._follow_settings()
        return tuple(receiver.figures() for receiver in self._receivers)

    def _follow_settings(self) -> None:
        wanted = self._settings()
        if wanted is self._in_force:
            return
        kept = list(self._receivers) if self._is_like_before(wanted) else []
        self._receivers = [
            _taken(kept, each) or self._made(wanted, each) for each in wanted.webhooks
        ]
        self._in_force = wanted
        for gone in self._tasks.keys() - set(self._receivers):
            self._tasks.pop(gone).cancel()
        if self._is_running:
            self._start()

    def _is_like_before(self, wanted: Settings) -> bool:
        before = self._in_force
        return before is not None and (before.timeout, before.attempts) == (
            wanted.timeout,
            wanted.attempts,
        )

    def _made(self, wanted: Settings, webhook: Webhook) -> Receiver:
        return self._make(webhook, wanted.timeout, wanted.attempts)

    def _start(self) -> None:
        for receiver in self._receivers:
            if receiver not in self._tasks:
                self._tasks[receiver] = asyncio.create_task(receiver.run())

    async def _finish(self) -> None:
        deadline_s = asyncio.get_running_loop().time() + LAST_S
        while any(not (each.is_idle or each.is_failing) for each in self._tasks):
            if asyncio.get_running_loop().time() > deadline_s:
                break
            await asyncio.sleep(LOOK_S)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()


def _taken(kept: list[Receiver], webhook: Webhook) -> Receiver | None:
    """The receiver of a webhook that is as it was, taken out of those that are kept."""
    for receiver in kept:
        if receiver.webhook == webhook:
            kept.remove(receiver)
            return receiver
    return None
