"""The watch over profiles, as the controller has it.

Why imports are late: what computes with numbers takes half a second to import, and a gateway
whose rules have no reference needs none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.alerts.desk import AlertDesk
from gateway.config.watching import Drift
from gateway.log.figures import LogFigures
from gateway.reload import Reload
from gateway.threads import in_thread

if TYPE_CHECKING:
    from gateway.watch.desk import LookDesk, Standing

WAIT_S = 2.0
SINK = "watch"  # `watch.sink.WatchSink`


class LiveDrift:
    """`run` looks, where the local log is the source; `standing` says how that goes."""

    def __init__(
        self,
        state: Path,
        reload: Reload,
        alerts: AlertDesk,
        figures: Callable[[], LogFigures | None] = lambda: None,
    ) -> None:
        """`figures` are what the shipper says of itself."""
        self._state, self._reload, self._alerts = state, reload, alerts
        self._figures = figures
        self._desk: LookDesk | None = None

    @property
    def standing(self) -> Standing | None:
        """None while there is nothing to look at."""
        return self._desk.standing if self._desk else None

    @property
    def _drift(self) -> Drift:
        config = self._reload.document.config
        is_ours = config.log.enabled and config.drift.consumer.source == "log"
        return config.drift if is_ours else Drift(enabled=False)

    async def run(self) -> None:
        """Looks as soon as a rule has a reference, until cancelled."""
        while not (self._drift.enabled and any(r.reference for r in self._drift.rules.values())):
            await asyncio.sleep(WAIT_S)
        self._desk = await in_thread(self._made, name="watch")
        await self._desk.run()

    def _made(self) -> LookDesk:
        from gateway.watch.desk import LookDesk  # noqa: PLC0415

        return LookDesk(
            self._state,
            lambda: self._drift,
            lambda: list(self._reload.document.config.routes),
            self._alerts.look,
            is_counted=self._is_counted,
        )

    def _is_counted(self) -> bool:
        figures = self._figures()
        sinks = figures.sinks if figures is not None else ()
        return any(one.name == SINK and not (one.waiting or one.failures) for one in sinks)
