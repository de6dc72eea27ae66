"""Kill switches: what can be switched off at once, without the file, and what then happens.

    route.NAME         requests are refused with 503 `switched_off`, fallbacks pass it by
    backend.NAME       no candidate (`disabled`), and nobody's fallback
    feature.shadow     no copies
    feature.rollouts   every route as it is in the file
    feature.cache      no answers from caches
    feature.flags      no flag has a value: applications use their own defaults

What is on is not written anywhere; `messages.Delivery.off` holds what is off.
Rule: a switch whose route or backend is gone from the file does nothing, and is still listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from gateway.plan import BackendPlan, Plan, RoutePlan

FEATURES = ("shadow", "rollouts", "cache", "flags")
SHADOW, CACHE = "feature.shadow", "feature.cache"


def switches_of(plan: Plan) -> Iterator[str]:
    """Every switch that a plan has, in the order in which they are listed."""
    yield from (f"route.{route.name}" for route in plan.routes)
    yield from (f"backend.{name}" for name in map(_own_name, plan.backends) if name)
    yield from (f"feature.{name}" for name in FEATURES)


def switched(plan: Plan, off: Iterable[str]) -> Plan:
    """The plan with these thrown; those of rollouts and flags work where these are made."""
    thrown = frozenset(off)
    if not thrown:
        return plan
    return replace(
        plan,
        backends=tuple(
            replace(backend, is_off=f"backend.{backend.name.removeprefix('shadow:')}" in thrown)
            for backend in plan.backends
        ),
        routes=tuple(_route(route, thrown) for route in plan.routes),
        off=tuple(sorted(thrown)),
    )


def _own_name(backend: BackendPlan) -> str:
    """As configured; "" of a second entry for shadows."""
    return "" if backend.name.startswith("shadow:") else backend.name


def _route(route: RoutePlan, thrown: frozenset[str]) -> RoutePlan:
    return replace(
        route,
        is_off=f"route.{route.name}" in thrown,
        shadows=() if SHADOW in thrown else route.shadows,
        fallback=tuple(
            step for step in route.fallback if CACHE not in thrown or step.kind != "cached"
        ),
        variants=tuple(_route(variant, thrown) for variant in route.variants),
    )
