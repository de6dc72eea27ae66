"""Every route of the admin port, as one table, and the functions behind most of them.

An `endpoint.Endpoint` declares method, path, role, what it takes and answers; `app` turns
the table into routes and `openapi` into a document. A function gets what was decoded and
returns a Struct; it calls one method of a part, or of the overview, and decides nothing.

Rule: what is neither here nor among the pages of `app` is not served.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from starlette.responses import PlainTextResponse, Response

from gateway.config.problems import meant
from gateway.control import (
    alerts,
    drift,
    exposition,
    feedback,
    flags,
    metric_text,
    performance,
    production,
    records,
    records_search,
    rollouts,
    switches,
)
from gateway.control.access import Role
from gateway.control.endpoint import API, Call, Endpoint, read
from gateway.control.faults import Fault
from gateway.control.log import LogView, log_view
from gateway.control.parts import Change, Explanation, Parts, Question, Version, Worker
from gateway.control.views import BackendView, RouteView, Status
from gateway.explanation.explanation import RecordExplanation
from gateway.explanation.page import page
from gateway.feedback import Accepted, GivenSignal
from gateway.production.answer import Production
from gateway.store.stats import Stats


class Health(Struct, frozen=True):
    """Whether it lives, or is ready."""

    status: str


class PlanView(Struct, frozen=True):
    """The plan in force, and the configuration it was made of, defaults filled in."""

    hash: str
    applied_at_s: float
    config: dict[str, Any]  # secrets masked


class ConfigText(Struct, frozen=True):
    """The configuration in force as it was written, secrets masked."""

    hash: str
    text: str


class Difference(Struct, frozen=True):
    """How two configurations differ, as a unified diff, secrets masked."""

    before: str
    after: str
    diff: str


class Author(Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks for a change."""

    author: str = "api"


class Rollback(Struct, frozen=True, forbid_unknown_fields=True):
    """Which configuration to go back to."""

    hash: str
    author: str = "api"


class NewConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole configuration, in the form of the file."""

    text: str
    author: str = "api"
    expected: str = ""  # hash that must be in force; "" any


class Drained(Struct, frozen=True):
    """Whether the gateway is draining."""

    is_draining: bool


async def show_status(call: Call) -> Status:
    return call.overview.status()


async def show_plan(call: Call) -> PlanView:
    configuration = call.parts.configuration
    return PlanView(
        configuration.plan.hash, configuration.applied_at_s, dict(configuration.effective)
    )


async def list_backends(call: Call) -> tuple[BackendView, ...]:
    return call.overview.backends()


async def list_routes(call: Call) -> tuple[RouteView, ...]:
    return call.overview.routes()


def find_route(parts: Parts, path: Mapping[str, str]) -> None:
    known = [route.name for route in parts.configuration.plan.routes]
    if path["name"] not in known:
        sentence = f"There is no route of this name{meant(path['name'], known)}"
        raise Fault(404, "no_route", sentence if sentence.endswith("?") else f"{sentence}.")


async def explain_route(call: Call) -> Explanation:
    return call.parts.explainer.explain(call.path["name"], call.body)


async def list_workers(call: Call) -> tuple[Worker, ...]:
    return tuple(call.parts.workers.seats())


async def show_log(call: Call) -> LogView:
    return log_view(call.parts)


async def show_config(call: Call) -> ConfigText:
    configuration = call.parts.configuration
    return ConfigText(configuration.plan.hash, configuration.text(configuration.plan.hash))


async def list_history(call: Call) -> tuple[Version, ...]:
    return tuple(call.parts.configuration.history())


async def compare_configs(call: Call) -> Difference:
    configuration = call.parts.configuration
    after = call.query.get("to") or configuration.plan.hash
    before = call.query.get("from") or _predecessor(configuration.history(), after)
    old, new = (configuration.text(name).splitlines() if name else [] for name in (before, after))
    lines = difflib.unified_diff(old, new, before[:12], after[:12], lineterm="")
    return Difference(before, after, "\n".join(lines))


async def reload_config(call: Call) -> Change:
    return await call.parts.configuration.reload(call.body.author)


async def replace_config(call: Call) -> Change:
    configuration = call.parts.configuration
    if call.body.expected not in {"", configuration.plan.hash}:
        raise Fault(409, "stale_version", "Another configuration is in force than was expected.")
    return await configuration.replace(call.body.text, call.body.author)


async def rollback_config(call: Call) -> Change:
    return await call.parts.configuration.rollback(call.body.hash, call.body.author)


async def start_drain(call: Call) -> Drained:
    call.parts.workers.drain()
    return Drained(call.parts.workers.is_draining)


async def show_production(call: Call) -> Production:
    return await production.show(call.parts, call.query)


async def take_feedback(call: Call) -> Accepted:
    return feedback.take(call.parts, call.body, call.headers)


async def search_records(call: Call) -> records_search.FoundRecords:
    return await records_search.search(call.parts, call.query)


async def count_records(call: Call) -> Stats:
    return await records_search.stats(call.parts, call.query)


async def show_record(call: Call) -> Response:
    found = await records.show(call.parts, call.path["id"], call.query)
    return Response(found, media_type="application/json")


async def explain_record(call: Call) -> RecordExplanation | Response:
    found = await records.explain(call.parts, call.path["id"])
    is_text = call.query.get("format") == "text"
    return PlainTextResponse(page(found) + "\n") if is_text else found


async def show_metrics(call: Call) -> Response:
    is_openmetrics = metric_text.is_openmetrics_wanted(call.headers.get("accept", ""))
    text = exposition.render(call.parts, is_openmetrics=is_openmetrics)
    media_type = metric_text.OPENMETRICS if is_openmetrics else metric_text.PROMETHEUS
    return Response(text, headers={"content-type": media_type})


async def say_alive(_call: Call) -> Health:
    return Health("ok")


async def say_ready(call: Call) -> Health:
    """Ready when a worker serves the plan in force and none is asked to stop."""
    is_served = any(w.is_up and w.is_current for w in call.parts.workers.seats())
    if call.parts.workers.is_draining or not is_served:
        raise Fault(503, "not_ready", "No worker serves the plan in force.")
    return Health("ready")


def _predecessor(history: Sequence[Version], plan_hash: str) -> str:
    """The configuration that was applied before this one; "" if none is known."""
    applied = [version.hash for version in history if version.outcome == "applied"]
    if plan_hash not in applied:
        return ""
    older = [name for name in applied[applied.index(plan_hash) :] if name != plan_hash]
    return older[0] if older else ""


ENDPOINTS: tuple[Endpoint, ...] = (
    read("/status", show_status, Status, "Everything at a glance; what the status page shows."),
    read("/plan", show_plan, PlanView, "The plan in force and its configuration, masked."),
    read(
        "/backends",
        list_backends,
        tuple[BackendView, ...],
        "Every backend: state, breaker, limits, latency, cost.",
    ),
    read(
        "/routes",
        list_routes,
        tuple[RouteView, ...],
        "Every route: policy, candidates, traffic, outcomes, latency.",
    ),
    Endpoint(
        method="POST",
        path=f"{API}/routes/{{name}}/explain",
        role=Role.READ,
        call=explain_route,
        find=find_route,
        says="Who would answer this request now, who would not and why; nothing is sent.",
        takes=Question,
        answers=Explanation,
    ),
    read("/workers", list_workers, tuple[Worker, ...], "Every worker process and its plan."),
    read(
        "/log",
        show_log,
        LogView,
        "How the prediction log is: each sink's balance, its lag, its last error.",
    ),
    read("/config", show_config, ConfigText, "The configuration in force, as written, masked."),
    Endpoint(
        method="PUT",
        path=f"{API}/config",
        role=Role.OPERATE,
        call=replace_config,
        says="Check, compile and put in force a new configuration.",
        takes=NewConfig,
        answers=Change,
    ),
    read("/config/history", list_history, tuple[Version, ...], "What was offered, newest first."),
    read(
        "/config/diff",
        compare_configs,
        Difference,
        "How two configurations differ.",
        query={
            "from": "hash of the older; default: the one applied before the other",
            "to": "hash of the newer; default: the one in force",
        },
    ),
    Endpoint(
        method="POST",
        path=f"{API}/config/reload",
        role=Role.OPERATE,
        call=reload_config,
        says="Read the file again; a wrong file changes nothing.",
        takes=Author,
        answers=Change,
    ),
    Endpoint(
        method="POST",
        path=f"{API}/config/rollback",
        role=Role.OPERATE,
        call=rollback_config,
        says="Put a configuration of the history back in force.",
        takes=Rollback,
        answers=Change,
    ),
    read(
        "/production",
        show_production,
        Production,
        "Which model version answers each route, since when, by whom, and how it does.",
        query={
            "route": "one route; default: all",
            "at": "a time, such as 2026-01-31T12:00:00Z or 3d; default: now",
        },
    ),
    *rollouts.ENDPOINTS,
    *alerts.ENDPOINTS,
    *drift.ENDPOINTS,
    *performance.ENDPOINTS,
    *flags.ENDPOINTS,
    *switches.ENDPOINTS,
    Endpoint(
        method="POST",
        path=f"{API}/feedback",
        role=Role.OPERATE,
        call=take_feedback,
        says="Signals on earlier requests, as on the data port: one, a list, or one a line.",
        takes=GivenSignal | tuple[GivenSignal, ...],
        answers=Accepted,
        status=202,
        media_types=("application/json", "application/x-ndjson"),
        is_raw=True,
    ),
    read(
        "/records",
        search_records,
        records_search.FoundRecords,
        "The newest records that match every filter.",
        query=records_search.SEARCH_QUERY,
    ),
    read(
        "/records/stats",
        count_records,
        Stats,
        "Counts, outcomes, latency, tokens and cost of the records that match, by group.",
        query=records_search.STATS_QUERY,
    ),
    read(
        "/records/{id}",
        show_record,
        records.LoggedRecord,
        "The record of a request, by its id or the answer's x-request-id.",
        query={"payload": "`true`: with the bodies, as far as they are kept"},
    ),
    read(
        "/records/{id}/explanation",
        explain_record,
        RecordExplanation,
        "Why a request was answered as it was: choices, attempts, cost, and whether they add up.",
        query={"format": "`text`: the page that `gateway explain` prints"},
    ),
    Endpoint(
        method="POST",
        path=f"{API}/drain",
        role=Role.OPERATE,
        call=start_drain,
        says="Finish what is under way, take nothing new, then stop.",
        answers=Drained,
        status=202,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        role=Role.READ,
        call=show_metrics,
        says="Metrics for Prometheus.",
    ),
    Endpoint(
        method="GET",
        path="/healthz",
        role=Role.PUBLIC,
        call=say_alive,
        answers=Health,
        says="200 while the control plane lives.",
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        role=Role.PUBLIC,
        call=say_ready,
        answers=Health,
        says="200 while a worker serves the plan in force, else 503.",
    ),
)
