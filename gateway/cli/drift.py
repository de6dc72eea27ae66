"""`gateway drift infer`: a contract proposed from recorded traffic; `drift_report` has the rest.

Reads the state directory; no gateway needs to run, and one that runs is not disturbed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.drift_backfill import backfill
from gateway.cli.drift_domain import domain
from gateway.cli.drift_performance import performance
from gateway.cli.drift_report import pin, report, status
from gateway.cli.drift_watch import watch
from gateway.cli.log_search import Since, filter_of, store_of
from gateway.cli.places import DEFAULT_FILE, ConfigFile, StateDirectory
from gateway.cli.verbs import FAILED, verb_app
from gateway.config import Config
from gateway.config.document import load
from gateway.contracts.draft import Draft, learn, yaml_of
from gateway.errors import ConfigError

app = verb_app()
for each in (backfill, pin, status, report, watch, performance, domain):
    app.command()(each)

SIDES = ("input", "output")


@app.callback()
def drift() -> None:
    """Watch what models are asked, and whether it changes."""


@app.command()
def infer(
    route: Annotated[str, typer.Argument(help="Whose requests and answers.")],
    since: Since = "7d",
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Records to learn from, the newest.")
    ] = 10_000,
    config: ConfigFile = DEFAULT_FILE,
    state: StateDirectory = None,
) -> None:
    """Propose a contract for a route, as YAML: read it, edit it, put it into the configuration.

    It needs records that hold inputs: `record.features`, or `record.payload: sampled`; answers are
    learnt from `record.predictions`, or likewise.
    """
    wanted: dict[str, object] = {"route": [route], "kind": ["prediction"], "since": since}
    found = store_of(config, state).search(filter_of(**_everything(wanted)), limit=limit)
    at = _recorded_at(config, route)
    lines = [match.line for match in found.matches]
    drafts = {
        which: draft
        for which in SIDES
        if (draft := learn(lines, which, at[which])) and _rows_of(draft)
    }
    for note in found.notes:
        print(f"note: {note}", file=sys.stderr)
    if not drafts:
        print(_why_nothing(route, len(lines)), file=sys.stderr)
        raise typer.Exit(FAILED)
    today = datetime.fromtimestamp(time.time(), UTC).date().isoformat()
    print(yaml_of(route, drafts, today), end="")


def _everything(wanted: Mapping[str, object]) -> dict[str, object]:
    lists = ("backend", "model", "version", "user", "outcome", "status", "feedback")
    nothing = {"until": "", "min_cost": None, "min_latency": "", "text": ""}
    return {**dict.fromkeys(lists), **nothing, **wanted}


def _rows_of(draft: Draft) -> int:
    return draft.inference.rows


def _recorded_at(path: Path, name: str) -> dict[str, str]:
    """Where recorded features and predictions stood in bodies, if the configuration tells."""
    try:
        config: Config = load(path, os.environ).config
    except ConfigError:
        return dict.fromkeys(SIDES, "")
    route = config.routes.get(name)
    if route is None:
        return dict.fromkeys(SIDES, "")
    return {"input": route.record.features, "output": route.record.predictions}


def _why_nothing(route: str, records: int) -> str:
    if not records:
        return f"gateway: no record of the route `{route}` is in the store; try --since 30d"
    return (
        f"gateway: none of {records} records of `{route}` holds inputs or answers;"
        " record them with `record: {features: /instances}` or `record: {payload: sampled}`"
    )
