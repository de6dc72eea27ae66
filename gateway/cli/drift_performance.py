"""`gateway drift performance`: what labels say of a route's predictions.

Reads the state directory; no gateway needs to run.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from gateway.cli.columns import NONE, columns
from gateway.cli.log_search import store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.config.document import load
from gateway.config.units import Age
from gateway.config.watching import DriftLabels
from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from gateway.drift.performance_view import FigureView, PartView, PerformanceView

NS_PER_US, US_PER_S = 1000, 1_000_000
HEAD = ("FIGURE", "VALUE", "LOW", "HIGH", "ROWS", "INTERVAL BY")
RIGHT = "VALUE LOW HIGH ROWS"


def performance(
    route: Annotated[str, typer.Argument(help="Whose predictions.")],
    last: Annotated[str, typer.Option("--last", help="How far back: such as 12h, 30d.")] = "30d",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Print how good predictions were, by their labels, and what scores say of the latest."""
    from gateway.watch.performance.report import (  # noqa: PLC0415  scipy takes half a second
        performance_report,
    )

    labels = _labels(config, route)
    try:
        last_us = int(Age.parse(last)) // NS_PER_US
    except ValueError as error:
        raise typer.BadParameter(f"--last: {error}") from None
    now_us = int(time.time() * US_PER_S)
    found = performance_report(store_of(config, state), route, labels, now_us, last_us)
    print(msgspec.json.encode(found).decode() if as_json else page(found))


def _labels(config: Path, route: str) -> DriftLabels:
    found = load(config, os.environ).config
    if route not in found.routes:
        raise ConfigError((Problem(f"there is no route `{route}`"),))
    if route not in found.drift.labels:
        sentence = (
            f"drift.labels says nothing of `{route}`; write, for example,"
            f" `drift: {{labels: {{{route}: {{signal: label, kind: class, matured: 24h}}}}}}`"
        )
        raise ConfigError((Problem(sentence, "drift.labels"),))
    return found.drift.labels[route]


def page(found: PerformanceView) -> str:
    """The answer as text."""
    what = f"`{found.prediction or 'the prediction'}` as {found.kind} against `{found.signal}`"
    share = f"{100 * found.labelled / found.rows:.1f}%" if found.rows else NONE
    lines = [
        f"{found.route}: {what}",
        f"{found.since} to {found.matured_until}: {found.rows:,} predictions,"
        f" {found.labelled:,} with a label ({share})",
        *(f"note: {note}" for note in found.notes),
    ]
    if found.figures:
        lines += ["", *_table(found.figures)]
    if found.estimates:
        lines += ["", f"Expected of what came since {found.matured_until}, before its labels:"]
        lines += _table(found.estimates)
    if found.signals:
        lines += ["", "Other feedback:", *_table(found.signals)]
    for title, parts in (("VERSION", found.versions), ("UNTIL", found.periods)):
        if parts:
            lines += ["", *_parts(title, parts)]
    return "\n".join(lines)


def _table(figures: tuple[FigureView, ...]) -> list[str]:
    rows = [
        (each.name, *map(_number, (each.value, each.low, each.high)), f"{each.rows:,}", each.method)
        for each in figures
    ]
    return columns(HEAD, rows, RIGHT).splitlines()


def _parts(title: str, parts: tuple[PartView, ...]) -> list[str]:
    names = list(dict.fromkeys(one.name for part in parts for one in part.figures))[:5]
    head = (title, "ROWS", "LABELLED", *(name.upper() for name in names))
    rows = [
        (
            part.version or part.until or NONE,
            f"{part.rows:,}",
            f"{part.labelled:,}",
            *(_cell(part, name) for name in names),
        )
        for part in parts
    ]
    return columns(head, rows, " ".join(head[1:])).splitlines()


def _cell(part: PartView, name: str) -> str:
    """The figure and half the width of its interval."""
    one = next((each for each in part.figures if each.name == name), None)
    if one is None or one.value is None:
        return NONE
    if one.low is None or one.high is None:
        return _number(one.value)
    return f"{_number(one.value)} ±{(one.high - one.low) / 2:.2g}"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"
