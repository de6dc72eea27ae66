"""A backend's state in one word and one sentence, and its latency now, from the board's figures.

States, the worst first: `unhealthy` active checks fail; `open` the breaker rests it;
`cooling_down` it asked for time itself (Retry-After); `probing` the breaker lets a few
attempts through; `full` every allowed attempt is under way; `warming_up` it came back a
moment ago and gets a growing share; `up` none of these.

Rule: `is_up` exactly when requests are offered to it without reserve, so not while probing.
Knows nothing of HTTP; pure functions of figures and a time.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from gateway.control.buckets import quantiles
from gateway.control.figures import BackendRaw, BoardView
from gateway.plan import BackendPlan, Plan
from gateway.telemetry import BREAKER_STATES, NANO

CLOSED, OPEN, HALF_OPEN = BREAKER_STATES
QUANTILES = (0.5, 0.95, 0.99)


class Latency(Struct, frozen=True):
    """Quantiles in seconds; null where nothing was measured."""

    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


class BackendFigures(Struct, frozen=True):
    """One backend now, as `/metrics` and the API show it."""

    name: str
    state: str
    sentence: str
    is_up: bool
    is_healthy: bool
    breaker: str
    cooldown_s: float
    ejections: int
    failure_share: float
    in_flight: int
    limit: int | None
    remaining: int | None
    connections: int
    idle_connections: int
    bytes_per_token: float | None
    output_tokens_mean: float | None


def backend_figures(view: BoardView, plan: Plan, now_ns: int) -> list[BackendFigures]:
    """Every backend of the plan, in its order."""
    raws = view.backends(plan.backends)
    return [figures(b, raw, now_ns) for b, raw in zip(plan.backends, raws, strict=True)]


def figures(backend: BackendPlan, raw: BackendRaw, now_ns: int) -> BackendFigures:
    """The backend as one state."""
    breaker = breaker_of(raw, now_ns)
    limit = limit_of(backend, raw) or None
    remaining = None if limit is None else max(limit - raw.in_flight, 0)
    cooldown_s = cooldown_of(raw, now_ns)
    state, sentence = state_of(backend, raw, now_ns)
    return BackendFigures(
        name=backend.name,
        state=state,
        sentence=sentence,
        is_up=state in {"up", "warming_up", "full"},
        is_healthy=not raw.unhealthy,
        breaker=breaker,
        cooldown_s=cooldown_s,
        ejections=raw.ejections,
        failure_share=raw.failure_share,
        in_flight=raw.in_flight,
        limit=limit,
        remaining=remaining,
        connections=raw.connections,
        idle_connections=raw.idle,
        bytes_per_token=raw.bytes_per_token or None,
        output_tokens_mean=raw.output_tokens_mean or None,
    )


def breaker_of(raw: BackendRaw, now_ns: int) -> str:
    """The breaker's state, which its open time alone decides."""
    if not raw.open_until_ns:
        return CLOSED
    return OPEN if now_ns < raw.open_until_ns else HALF_OPEN


def cooldown_of(raw: BackendRaw, now_ns: int) -> float:
    """Seconds until the backend is asked again."""
    return max(raw.cooldown_until_ns - now_ns, raw.open_until_ns - now_ns, 0) * NANO


def limit_of(backend: BackendPlan, raw: BackendRaw) -> int:
    """Attempts at once: the adaptive limit, the fixed one, or the lower of both; 0 none."""
    limits = [backend.max_concurrency]
    if backend.adaptive is not None:
        limits.append(raw.limit or backend.adaptive.initial)
    return min((limit for limit in limits if limit), default=0)


def state_of(backend: BackendPlan, raw: BackendRaw, now_ns: int) -> tuple[str, str]:
    """One word, and one sentence for people."""
    breaker = breaker_of(raw, now_ns)
    limit = limit_of(backend, raw)
    if raw.unhealthy:
        return "unhealthy", "Its health check fails, so it gets no requests."
    if breaker == OPEN:
        return "open", "It failed too often and is resting; then it is tried again."
    if raw.cooldown_until_ns > now_ns:
        return "cooling_down", "It asked to be left alone for a while (Retry-After)."
    if breaker == HALF_OPEN:
        return "probing", "It failed before; a few requests test whether it is back."
    if limit and raw.in_flight >= limit:
        return "full", "All its places are taken; further requests wait or go elsewhere."
    if raw.healthy_since_ns and now_ns < raw.healthy_since_ns + backend.slow_start_ns:
        return "warming_up", "It came back a moment ago and gets a growing share of requests."
    return "up", "It serves."


def latency(view: BoardView, backend: BackendPlan, name: str, now_ns: int) -> Latency:
    """Of the last half minute: `first_byte` or `total`."""
    counts = view.window(backend, name, now_ns)
    return latency_of(quantiles(counts, view.coarse_values, QUANTILES))


def latency_of(values_ns: Sequence[int | None]) -> Latency:
    """p50, p95 and p99 in nanoseconds, as a Struct in seconds."""
    return Latency(*(None if ns is None else round(ns * NANO, 6) for ns in values_ns))
