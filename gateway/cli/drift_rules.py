"""`gateway drift status | report` without a reference: what the rules say of what was counted.

Reads the configuration file and the state directory, or, with `drift.consumer.source: kafka`,
what the consumer group has committed; no gateway needs to run, and one that runs is not disturbed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.cli.columns import columns
from gateway.cli.log_search import place_of
from gateway.config import Config
from gateway.config.document import load
from gateway.config.problems import meant
from gateway.errors import ConfigError, Problem

if TYPE_CHECKING:
    from gateway.drift.report_view import DriftOverview
    from gateway.watch.reports import Reports

Form = Literal["html", "json", "png"]

HEAD = ("ROUTE", "RULE", "AGAINST", "VERSION", "ARM", "ROWS", "DRIFT", "WORST")
RIGHT = "ROWS DRIFT"


def overview(config: Path, state: Path | None, *, as_json: bool) -> str:
    """Every rule on every route, a line each."""
    from gateway.watch.reports import overview_view  # noqa: PLC0415  scipy: 0.5 s

    settings = _settings(config)
    found = overview_view(settings.drift, _made(settings, list(settings.routes), config, state))
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found)).decode()
    tell_notes(found.notes)
    return table(found)


def table(found: DriftOverview) -> str:
    """The overview as text."""
    rows = [
        (
            one.route,
            one.rule,
            one.compared_with.replace("_", " "),
            one.version or "-",
            one.arm,
            f"{one.rows:,}",
            f"{one.drifted}/{one.fields}",
            _plain(", ".join(one.worst)) or "-",
        )
        for one in found.lines
    ]
    counted = ", ".join(f"{result} {count:,}" for result, count in sorted(found.counted.items()))
    until = f"data until {found.data_until}" if found.data_until else "no data yet"
    told = f"{until}; lines: {counted}" if counted else until
    return f"{columns(HEAD, rows, RIGHT)}\n\n{told}" if rows else told


def status(route: str, rule: str, config: Path, state: Path | None, *, as_json: bool) -> str:
    """A line a field, for each rule and version of a route."""
    from gateway.drift.report import as_text  # noqa: PLC0415  scipy: 0.5 s
    from gateway.watch.reports import reports_view  # noqa: PLC0415

    reports = _reports(route, rule, config, state)
    if as_json:
        found = msgspec.json.encode(reports_view(route, reports, rule))
        return msgspec.json.format(found).decode()
    parts = [as_text(one.report) for one in reports.of(route, rule, with_trend=True)]
    tell_notes(reports.notes)
    return "\n\n".join(parts)


def report(
    route: str,
    asked: dict[str, str],
    form: Form,
    config: Path,
    state: Path | None,
) -> tuple[bytes, str]:
    """The file, and a sentence about it; `asked` has rule, version and arm, "" any."""
    from gateway.drift.page import page_of  # noqa: PLC0415  scipy: 0.5 s
    from gateway.drift.picture import png_of  # noqa: PLC0415
    from gateway.watch.reports import chosen, reports_view  # noqa: PLC0415

    reports = _reports(route, asked["rule"], config, state)
    if form == "json":
        view = reports_view(route, reports, asked["rule"])
        tell_notes(reports.notes)
        return msgspec.json.encode(view) + b"\n", f"{len(view.reports)} reports"
    found = reports.of(route, asked["rule"], with_trend=True)
    tell_notes(reports.notes)
    one = chosen(found, asked["version"], asked["arm"])
    if one is None:
        raise _wrong(f"no rule of drift.rules has enough rows on `{route}` to compare")
    made = png_of(one.report) if form == "png" else page_of(one.report).encode()
    said = f"{one.report.drifted} of {len(one.report.fields)} fields drift, by {one.rule}"
    return made, said


def tell_notes(notes: list[str] | tuple[str, ...]) -> None:
    """What cannot be said, beside what is."""
    for note in notes:
        print(f"note: {_plain(note)}", file=sys.stderr)


def _reports(route: str, rule: str, config: Path, state: Path | None) -> Reports:
    settings = _settings(config)
    if route not in settings.routes:
        raise _wrong(f"there is no route `{route}`{meant(route, settings.routes)}")
    if rule and rule not in settings.drift.rules:
        raise _wrong(f"drift.rules has no `{rule}`{meant(rule, settings.drift.rules)}")
    return _made(settings, [route], config, state)


def _made(settings: Config, routes: list[str], config: Path, state: Path | None) -> Reports:
    from gateway.watch.reports import reports_in, reports_of_group  # noqa: PLC0415  scipy: 0.5 s

    place, drift = place_of(config, state), settings.drift
    if drift.consumer.source == "log" or settings.log.kafka is None:
        return reports_in(place, drift, routes)
    try:
        return asyncio.run(reports_of_group(place, drift, routes, settings.log.kafka))
    except ImportError as error:
        sentence = f"{error.name} is missing: pip install 'inference-gateway[kafka]'"
        raise _wrong(sentence) from None


def _settings(config: Path) -> Config:
    found = load(config, os.environ).config
    if not any(rule.reference for rule in found.drift.rules.values()):
        sentence = (
            "no rule of `drift.rules` has a `reference`: add one, or give a file by --reference"
        )
        raise ConfigError((Problem(sentence, "drift.rules"),))
    return found


def _wrong(sentence: str) -> ConfigError:
    return ConfigError((Problem(sentence),))


def _plain(text: str) -> str:
    """Without what could move a terminal's cursor: names come from elsewhere."""
    return "".join(character if character.isprintable() else " " for character in text)
