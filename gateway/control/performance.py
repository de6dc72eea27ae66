"""`/api/v1/drift/{route}/performance`: what labels say of a route's predictions."""

from __future__ import annotations

import asyncio

from gateway.config.problems import meant
from gateway.config.units import Age
from gateway.control.endpoint import Call, read
from gateway.control.faults import Fault
from gateway.drift.performance_view import PerformanceView
from gateway.store.database import StoreError

DEFAULT = "30d"
NANO = 1e-9

_turn = asyncio.Semaphore(1)  # Why one: each reads up to 200,000 records


async def show_performance(call: Call) -> PerformanceView:
    parts, route = call.parts, call.path["route"]
    known = [each.name for each in parts.configuration.plan.routes]
    if route not in known:
        raise Fault(404, "no_route", f"There is no route `{route}`{meant(route, known)}")
    if parts.performance is None:
        raise Fault(503, "store_off", "The local store is off, so there is nothing to look in.")
    if parts.performance.labels_of(route) is None:
        sentence = f"drift.labels says nothing of `{route}`, or the local store is off."
        raise Fault(409, "no_labels", sentence)
    if _turn.locked():
        raise Fault(503, "busy", "Another question of performance is being answered; ask again.")
    async with _turn:
        try:
            return await parts.performance.show(route, _last_s(call.query.get("last", DEFAULT)))
        except StoreError as error:
            raise Fault(503, error.reason, f"{error}.") from None


def _last_s(text: str) -> float:
    try:
        return int(Age.parse(text)) * NANO
    except ValueError as error:
        raise Fault(400, "bad_query", f"`last`: {error}.") from None


ENDPOINTS = (
    read(
        "/drift/{route}/performance",
        show_performance,
        PerformanceView,
        "How good a route's predictions were, by the labels that came, each figure with its"
        " interval; and what scores say of answers whose labels are still to come.",
        query={"last": f"how far back, such as 7d; default {DEFAULT}"},
    ),
)
