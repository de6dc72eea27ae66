"""The answer to "what is in production": shapes and units.

Times are RFC 3339 in UTC, latencies seconds, money USD, shares 0 to 1; null is not known.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.production.figures import Difference, Figures
from gateway.registry.registration import Registration


class Since(Struct, frozen=True, kw_only=True):
    """The change that made something so."""

    at: str
    by: str  # `file`, `signal`, `api`, a name, …
    plan: str  # hash of the configuration that began it
    is_at_least: bool = False  # the history begins later than it


class Window(Struct, frozen=True):
    """What figures are counted over."""

    since: str
    until: str


class Before(Struct, frozen=True, kw_only=True):
    """What answered before, and how it did in its last day."""

    backend: str
    model: str
    version: str
    since: Since
    until: str
    is_still_there: bool  # beside its successor
    window: Window
    figures: Figures | None = None
    route_error_share: float | None = None


class InProduction(Struct, frozen=True, kw_only=True):
    """A backend in one route: which model answers, since when, and how it does."""

    backend: str
    role: str  # candidate, challenger, fallback, larger_context, content_filter
    protocol: str
    model: str  # the backend's own name for it
    version: str  # as answers say; else as configured
    configured_version: str
    note: str = ""  # where both differ
    weight: int = 1
    share: float | None = None  # of the requests, where weights decide
    since: Since  # this model in this route
    weight_since: Since  # with this weight
    registration: Registration | None = None
    window: Window
    figures: Figures | None = None
    route_error_share: float | None = None  # meanwhile, unanswered requests included
    before: Before | None = None
    difference: Difference | None = None


class RouteInProduction(Struct, frozen=True, kw_only=True):
    """One route."""

    name: str
    policy: str
    since: Since  # nothing of it or its backends was touched
    backends: tuple[InProduction, ...]


class Production(Struct, frozen=True, kw_only=True):
    """What is in production, or was."""

    at: str
    is_now: bool
    plan: str  # hash
    since: Since  # of the configuration as a whole
    figures: str  # what they are; "" there are none
    notes: tuple[str, ...] = ()
    routes: tuple[RouteInProduction, ...]
