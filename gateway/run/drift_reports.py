"""Reports of drift while the controller runs: of what is kept, by the rules in force.

Why imports are late: what computes with numbers takes half a second to import, and a gateway
without rules needs none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from gateway.config.watching import Drift
from gateway.drift.report_view import DriftOverview, RouteReports
from gateway.reload import Reload
from gateway.threads import in_thread

T = TypeVar("T")


class LiveReports:
    """Answers in a thread."""

    def __init__(self, state: Path, reload: Reload) -> None:
        self._state, self._reload = state, reload

    async def overview(self) -> DriftOverview:
        """All rules on all routes."""

        def asked(drift: Drift, routes: list[str]) -> DriftOverview:
            from gateway.watch.reports import overview_view, reports_in  # noqa: PLC0415

            return overview_view(drift, reports_in(self._state, drift, routes))

        return await self._asked(asked)

    async def reports(self, route: str) -> RouteReports:
        """All rules on one route."""

        def asked(drift: Drift, _routes: list[str]) -> RouteReports:
            from gateway.watch.reports import reports_in, reports_view  # noqa: PLC0415

            return reports_view(route, reports_in(self._state, drift, [route]))

        return await self._asked(asked)

    async def drawn(self, route: str, asked: Mapping[str, str], form: str) -> bytes | None:
        """A page or a picture; None: there is nothing to draw."""

        def made(drift: Drift, _routes: list[str]) -> bytes | None:
            from gateway.drift.page import page_of  # noqa: PLC0415
            from gateway.drift.picture import png_of  # noqa: PLC0415
            from gateway.watch.reports import chosen, reports_in  # noqa: PLC0415

            reports = reports_in(self._state, drift, [route])
            found = reports.of(route, asked["rule"], with_trend=True)
            one = chosen(found, asked["version"], asked["arm"])
            if one is None:
                return None
            return png_of(one.report) if form == "png" else page_of(one.report).encode()

        return await self._asked(made)

    async def _asked(self, call: Callable[[Drift, list[str]], T]) -> T:
        config = self._reload.document.config
        return await in_thread(lambda: call(config.drift, list(config.routes)), name="drift")
