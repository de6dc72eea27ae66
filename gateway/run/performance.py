"""Performance of the routes with labels: watched while the controller runs, told when asked.

Why imports are late: what computes with numbers takes half a second to import, and a gateway
without `drift.labels` needs none of it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.alerts.desk import AlertDesk
from gateway.config.watching import Drift, DriftLabels
from gateway.drift.performance_view import PerformanceView
from gateway.log.names import DIRECTORY as LOG
from gateway.reload import Reload
from gateway.store import Store
from gateway.store.store import DIRECTORY as STORE
from gateway.threads import in_thread

if TYPE_CHECKING:
    from gateway.watch.performance.desk import PerformanceDesk

LOOK_S = 5.0
US_PER_S = 1_000_000


class LivePerformance:
    """`run` watches; `show` answers."""

    def __init__(self, state: Path, reload: Reload, alerts: AlertDesk) -> None:
        self._store = Store(state / STORE, state / LOG)
        self._reload, self._alerts = reload, alerts

    @property
    def _drift(self) -> Drift:
        config = self._reload.document.config
        is_there = config.log.enabled and config.log.store.enabled
        return config.drift if is_there else Drift(enabled=False)

    def labels_of(self, route: str) -> DriftLabels | None:
        """What feedback says of this route's predictions."""
        return self._drift.labels.get(route)

    async def show(self, route: str, last_s: float) -> PerformanceView:
        """Of a route that has labels."""
        labels = self._drift.labels[route]

        def asked() -> PerformanceView:
            from gateway.watch.performance.report import performance_report  # noqa: PLC0415

            now_us = int(time.time() * US_PER_S)
            last_us = int(last_s * US_PER_S)
            return performance_report(self._store, route, labels, now_us, last_us)

        return await in_thread(asked, name="performance")

    async def run(self) -> None:
        """Looks at labels as soon as there are any, until cancelled."""
        while not (self._drift.enabled and self._drift.labels and self._drift.rules):
            await asyncio.sleep(LOOK_S)
        desk = await in_thread(self._desk, name="performance")
        await desk.run()

    def _desk(self) -> PerformanceDesk:
        from gateway.watch.performance.desk import PerformanceDesk  # noqa: PLC0415
        from gateway.watch.performance.looks import PerformanceLooks  # noqa: PLC0415

        looks = PerformanceLooks(
            self._store,
            lambda: self._drift,
            lambda: list(self._reload.document.config.routes),
        )
        return PerformanceDesk(looks, self._alerts.look)
