"""`gateway production`: which model version answers each route, now or at any time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import typer

from gateway.cli.admin import DEFAULT_URL, AdminError, AdminUrl, AsJson, ask
from gateway.cli.columns import NONE, columns, latency, share, usd
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import verb_app
from gateway.config.document import state_directory
from gateway.loading import loading
from gateway.state.directory import DATABASE

app = verb_app()

HEAD = (
    "BACKEND", "MODEL", "VERSION", "SHARE", "SINCE", "BY", "REQUESTS", "ERRORS", "P50/P95",
    "COST", "FEEDBACK",
)  # fmt: skip
RIGHT = "SHARE REQUESTS ERRORS P50/P95 COST FEEDBACK"


@app.command()
def production(
    route: Annotated[str, typer.Argument(help="One route; default: all.")] = "",
    at: Annotated[
        str,
        typer.Option("--at", metavar="TIME", help="Then, not now: 2026-11-21T14:30, 3d; UTC."),
    ] = "",
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
    admin: AdminUrl = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Show which model version answers, since when and by whom it was put there, and how it does.

    Now, the running gateway is asked. With --at, or when none runs, the answer comes from
    the state directory: what was in force, and what was known of it.
    """
    if at or state:
        answer = _from_state(state or state_directory(config, os.environ), at, route)
    else:
        answer = _now(admin, state_directory(config, os.environ), route)
    print(json.dumps(answer, indent=2) if as_json else page(answer))


def _now(admin: str, state: Path, route: str) -> dict[str, Any]:
    query = f"?{urlencode({'route': route})}" if route else ""
    try:
        answer: dict[str, Any] = ask(admin, f"/api/v1/production{query}")
    except AdminError as error:
        if error.is_answer or not (state / DATABASE).exists():
            raise
        answer = _from_state(state, "", route)
        answer["notes"] = [f"{error} This is what was in force last.", *answer["notes"]]
    return answer


def _from_state(state: Path, at: str, route: str) -> dict[str, Any]:
    with loading():  # Why here: a third of a second, for those who need it
        from gateway.production.production import InForce  # noqa: PLC0415
        from gateway.production.stored import StoredFigures  # noqa: PLC0415
        from gateway.state.database import look_into_database  # noqa: PLC0415
        from gateway.state.history import ConfigHistory  # noqa: PLC0415
    engine = look_into_database(state)
    try:
        found = InForce(
            state,
            ConfigHistory(engine),
            environ=os.environ,
            figures=StoredFigures(state / "store", state / "log"),
        ).at(at, route)
    finally:
        engine.dispose()
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


def page(answer: dict[str, Any]) -> str:
    """The answer as text."""
    verb = "is" if answer["is_now"] else "was"
    lines = [
        f"{answer['at']}: plan {answer['plan'][:12]} {verb} in force, {_since(answer['since'])}",
        *(f"note: {note}" for note in answer["notes"]),
    ]
    for route in answer["routes"]:
        lines += ["", *_route(route)]
    if answer["figures"]:
        lines += ["", f"Figures: {answer['figures']}, at most the last day of each version."]
    return "\n".join(lines)


def _route(route: dict[str, Any]) -> Iterator[str]:
    yield f"{route['name']} ({route['policy']}), untouched {_since(route['since'])}"
    backends = route["backends"]
    yield from columns(HEAD, [_row(each) for each in backends], RIGHT).splitlines()
    for each in backends:
        yield from (f"  {each['backend']}: {fact}" for fact in _facts(each))


def _row(backend: dict[str, Any]) -> tuple[str, ...]:
    role = "" if backend["role"] == "candidate" else f" ({backend['role'].replace('_', ' ')})"
    return (
        f"{backend['backend']}{role}",
        backend["model"],
        backend["version"] or NONE,
        share(backend["share"]),
        f"{'<= ' if backend['since']['is_at_least'] else ''}{backend['since']['at']}",
        backend["since"]["by"],
        *_figures(backend["figures"]),
    )


def _figures(figures: dict[str, Any] | None) -> tuple[str, ...]:
    if figures is None:
        return (NONE,) * 5
    signals = figures["feedback_per_request"]
    return (
        str(figures["requests"]),
        share(figures["error_share"]),
        latency(figures),
        usd(figures["cost_usd"]),
        NONE if signals is None else f"{signals:.3g}",
    )


def _facts(backend: dict[str, Any]) -> Iterator[str]:
    """What does not fit into a row, one sentence each."""
    if backend["note"]:
        yield backend["note"]
    if backend["share"] is not None and backend["weight_since"] != backend["since"]:
        yield f"this share {_since(backend['weight_since'])}"
    if backend["registration"]:
        yield from _registration(backend["registration"])
    if backend["before"]:
        yield _before(backend["before"])
    if backend["difference"]:
        yield f"against that: {_difference(backend['difference'])}"


def _registration(found: dict[str, Any]) -> Iterator[str]:
    metrics = ", ".join(f"{name} {value:g}" for name, value in found.get("metrics", {}).items())
    facts = {
        "trained": found.get("trained_at", ""),
        "on": ", ".join(found.get("data", ())),
        "with": metrics,
        "owner": found.get("owner", ""),
    }
    if any(facts.values()):
        yield ", ".join(f"{label} {text}" for label, text in facts.items() if text)
    if found.get("version"):
        names = [name for name, of in found.get("aliases", {}).items() if of == found["version"]]
        alias = f" ({', '.join(names)})" if names else ""
        age = f", as of {found['as_of']}" if found.get("as_of") else ""
        yield f"in MLflow: {found['model']} version {found['version']}{alias}{age}"
    if found.get("problem"):
        yield f"model registry: {found['problem']}"


def _before(found: dict[str, Any]) -> str:
    name = " ".join(filter(None, (found["backend"], found["model"], found["version"])))
    until = "still there beside it" if found["is_still_there"] else f"until {found['until']}"
    figures = found["figures"]
    if figures is None:
        return f"before: {name}, {until}"
    requests, errors, times, cost, signals = _figures(figures)
    return (
        f"before: {name}, {until}: {requests} requests, {errors} errors, {times},"
        f" {cost} a request, {signals} feedback"
    )


def _difference(found: dict[str, Any]) -> str:
    points = {
        "errors": found["error_share"],
        "errors of the route": found["route_error_share"],
    }
    ratios = {"p50": found["p50"], "p95": found["p95"], "cost": found["cost"]}
    said = [
        f"{name} {100 * value:+.2f} points" for name, value in points.items() if value is not None
    ]
    said += [f"{name} {100 * value:+.1f}%" for name, value in ratios.items() if value is not None]
    if found["feedback_per_request"] is not None:
        said.append(f"feedback {found['feedback_per_request']:+.3g} a request")
    return ", ".join(said) or "nothing to compare"


def _since(since: dict[str, Any]) -> str:
    bound = "at least " if since["is_at_least"] else ""
    return f"{bound}since {since['at']}, by {since['by']}"
