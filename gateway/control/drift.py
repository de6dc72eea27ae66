"""`/api/v1/drift…`: what the rules say of what was counted, as JSON, as a page, as a picture.

Rule: one question at a time, since each reads hours of profiles; who comes meanwhile waits,
      WAITING of them, and the others are told to come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from starlette.responses import Response

from gateway.config.problems import meant
from gateway.control.endpoint import Call, read
from gateway.control.faults import Fault
from gateway.control.parts import DriftReports
from gateway.drift.report_view import DriftOverview, RouteReports
from gateway.errors import ConfigError, GatewayError

WAITING = 8
T = TypeVar("T")

_CHOICE = {
    "rule": "of `drift.rules`; default: the one that found most",
    "version": "of the model; default: the one that drifts most",
    "arm": "of a rollout; default: as above",
}


class _Turn:
    """One at a time."""

    def __init__(self) -> None:
        self._lock, self._waiting = asyncio.Lock(), 0

    async def __call__(self, asked: Callable[[], Awaitable[T]]) -> T:
        if self._waiting >= WAITING:
            raise Fault(503, "busy", "Other reports are being made; ask again.")
        self._waiting += 1
        try:
            async with self._lock:
                return await asked()
        except ConfigError as error:
            raise Fault(503, error.reason, f"{error.problems[0].message}.") from None
        except GatewayError as error:
            raise Fault(503, error.reason, f"{str(error).rstrip('.')}.") from None
        finally:
            self._waiting -= 1


_turn = _Turn()


async def show_overview(call: Call) -> DriftOverview:
    return await _turn(_part(call).overview)


async def show_reports(call: Call) -> RouteReports:
    part, route = _part(call), _route(call)
    return await _turn(lambda: part.reports(route))


async def show_page(call: Call) -> Response:
    page = await _drawn(call, "html")
    # Why: a page that holds names of fields runs and fetches nothing, whoever opens it.
    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    headers = {"content-security-policy": policy}
    return Response(page, media_type="text/html", headers=headers)


async def show_picture(call: Call) -> Response:
    return Response(await _drawn(call, "png"), media_type="image/png")


async def _drawn(call: Call, form: str) -> bytes:
    route, asked = _route(call), {name: call.query.get(name, "") for name in _CHOICE}
    part = _part(call)
    found = await _turn(lambda: part.drawn(route, asked, form))
    if found is None:
        sentence = "No rule of `drift.rules` has enough rows of this to compare."
        raise Fault(404, "no_report", sentence)
    return found


def _part(call: Call) -> DriftReports:
    if call.parts.drift is None:
        raise Fault(503, "no_drift", "There is no state directory to read profiles from.")
    return call.parts.drift


def _route(call: Call) -> str:
    known = [route.name for route in call.parts.configuration.plan.routes]
    return _known(call.path, known)


def _known(path: Mapping[str, str], known: list[str]) -> str:
    if path["route"] not in known:
        hint = meant(path["route"], known)
        sentence = f"There is no route of this name{hint}"
        raise Fault(404, "no_route", sentence if sentence.endswith("?") else f"{sentence}.")
    return path["route"]


ENDPOINTS = (
    read(
        "/drift",
        show_overview,
        DriftOverview,
        "What each rule of `drift.rules` says now of each route and version, in a line.",
    ),
    read(
        "/drift/{route}",
        show_reports,
        RouteReports,
        "Every rule on a route: distributions, tests, effects and trends, by Evidently's names.",
    ),
    read(
        "/drift/{route}/report.html",
        show_page,
        None,
        "One rule on one version as a page of its own, without scripts.",
        query=_CHOICE,
    ),
    read(
        "/drift/{route}/report.png",
        show_picture,
        None,
        "The same as a picture, for chats.",
        query=_CHOICE,
    ),
)
