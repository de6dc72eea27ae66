"""Figures of versions from the board, for when the local store is off.

The board counts attempts since the gateway started and does not know which version a
backend had. So it speaks of what is in production now, and only of backends that had the
same version all that time; `Tally.source` says since when it counts.

Rule: it has a BoardView of its own, since it is asked in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gateway.control.buckets import midpoints, quantiles
from gateway.control.figures import BoardView, RowFigures, attempt_rows, parts_of
from gateway.control.overview import timestamp
from gateway.edges import FINE_SHIFT
from gateway.errors import OUTCOMES
from gateway.plan import Plan, RoutePlan
from gateway.production.figures import DAY_S, Counted, Figures, Span, Tally
from gateway.telemetry import NANO

_FRESH_S = 5.0  # a span that ended so long ago ends now
_QUANTILES = (0.5, 0.95)
_FAULTS = ("gateway", "upstream")


class BoardFigures:
    """What the board has counted since the gateway started."""

    def __init__(
        self,
        view: BoardView,
        plan: Callable[[], Plan],
        *,
        started_at_s: Callable[[], float],
        now_s: Callable[[], float],
    ) -> None:
        self._view, self._plan = view, plan
        self._started_at_s, self._now_s = started_at_s, now_s
        self._values = midpoints(view.fine_buckets, FINE_SHIFT)

    def over(self, spans: Sequence[Span], routes: Sequence[str]) -> Tally:
        """The same figures for each span that they hold for."""
        good = [span for span in spans if self._holds_for(span)]
        if not good:
            return Tally({}, "", ("there are no figures of the past: the local store is off",))
        counted: dict[tuple[str, str], Figures] = {}
        plan = self._plan()
        for route in plan.routes:
            if route.name in routes:
                counted |= self._counted(plan, route)
        source = f"attempts since the gateway started, {timestamp(self._started_at_s())}"
        return Tally(dict.fromkeys(good, counted), source)

    def _holds_for(self, span: Span) -> bool:
        is_old = span.until_s - span.since_s >= DAY_S or span.since_s <= self._started_at_s()
        return is_old and span.until_s >= self._now_s() - _FRESH_S

    def _counted(self, plan: Plan, route: RoutePlan) -> Counted:
        parts = parts_of(route)
        sums = dict(zip(parts, self._view.sums(list(parts.values())), strict=True))
        found = {(route.name, ""): self._figures(parts[route.row], sums[route.row])}
        for index, row in attempt_rows(route).items():
            found[route.name, plan.backends[index].name] = self._figures(parts[row], sums[row])
        return {key: figures for key, figures in found.items() if figures.requests}

    def _figures(self, rows: Sequence[int], figures: RowFigures) -> Figures:
        requests = figures.requests
        failed = sum(
            count
            for outcome, count in zip(OUTCOMES, figures.outcomes, strict=False)
            if outcome.fault in _FAULTS
        )
        found = (self._view.histograms(row, ("total_ns",)).get("total_ns") for row in rows)
        counts = sum(histogram.counts for histogram in found if histogram)
        p50, p95 = (
            quantiles(counts, self._values, _QUANTILES)
            if isinstance(counts, np.ndarray)
            else (None, None)
        )
        return Figures(
            requests=requests,
            error_share=failed / requests if requests else None,
            p50_s=None if p50 is None else round(p50 * NANO, 6),
            p95_s=None if p95 is None else round(p95 * NANO, 6),
            cost_usd=figures.cost_nano_usd * NANO / requests if requests else None,
        )
