"""How a version did over a span of time, and how two of them compare.

Who counts is behind `FigureSource`: the records in the local store (`stored`), or, with
the store off, the board of the running gateway. Knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

DAY_S = 86_400.0


class Span(Struct, frozen=True):
    """From one time to another, in Unix seconds."""

    since_s: float
    until_s: float


class Figures(Struct, frozen=True, kw_only=True):
    """Counted over a span; null where there was nothing to count."""

    requests: int = 0  # answered by this backend; of a route: all
    error_share: float | None = None  # of these, by fault of the gateway or the backend
    p50_s: float | None = None
    p95_s: float | None = None
    cost_usd: float | None = None  # of a request, on average
    feedback_per_request: float | None = None  # signals
    versions: dict[str, int] = {}  # as answers said, else as configured


class Difference(Struct, frozen=True, kw_only=True):
    """This version against the one before; shares are subtracted, the rest is a ratio - 1."""

    error_share: float | None = None
    route_error_share: float | None = None
    p50: float | None = None
    p95: float | None = None
    cost: float | None = None
    feedback_per_request: float | None = None


# By route and backend; no backend: the route as a whole, unanswered requests included.
Counted = Mapping[tuple[str, str], Figures]


class Tally(Struct, frozen=True):
    """What was counted over each of the spans that were asked for."""

    by_span: Mapping[Span, Counted]
    source: str  # what the figures are, in a few words
    notes: tuple[str, ...] = ()  # what is left out, in sentences
    shorter: Mapping[Span, Span] = {}  # spans of which only the last part was counted

    def of(self, span: Span, route: str, backend: str) -> tuple[Figures | None, float | None]:
        """The backend's own figures, and the share of the route's requests that failed."""
        counted = self.by_span.get(span, {})
        whole = counted.get((route, ""))
        return counted.get((route, backend)), whole.error_share if whole else None


NOTHING = Tally({}, "")


class FigureSource(Protocol):
    """Whoever has counted; GatewayError where it cannot say."""

    def over(self, spans: Sequence[Span], routes: Sequence[str]) -> Tally: ...


def last_day(since_s: float, until_s: float) -> Span:
    """The last day of something that was so from one time to another."""
    return Span(max(since_s, until_s - DAY_S), until_s)


def difference(
    now: Figures, before: Figures, route_now: float | None, route_before: float | None
) -> Difference:
    """How the first compares with the second; of the routes, the shares that failed."""
    return Difference(
        error_share=_minus(now.error_share, before.error_share),
        route_error_share=_minus(route_now, route_before),
        p50=_ratio(now.p50_s, before.p50_s),
        p95=_ratio(now.p95_s, before.p95_s),
        cost=_ratio(now.cost_usd, before.cost_usd),
        feedback_per_request=_minus(now.feedback_per_request, before.feedback_per_request),
    )


def _minus(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else round(now - before, 6)


def _ratio(now: float | None, before: float | None) -> float | None:
    return None if now is None or not before else round(now / before - 1, 4)
