"""The parts behind `production`: registries asked in time, figures of whoever counts."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.control.figures import BoardView
from gateway.production.figures import Span
from gateway.run.production import LiveProduction
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry
from tests.config.texts import document
from tests.control.board import FakeBoard
from tests.control.plans import make_plan
from tests.registry.mlflow_stand_in import StandIn


def live(state: Path, history: ConfigHistory, changes: dict[str, Any]) -> LiveProduction:
    found = document(changes)
    plan = make_plan({"chat": ["one", "two"], "fraud": ["score"]})
    reload = SimpleNamespace(document=found, plan=plan)
    view = BoardView(FakeBoard())
    return LiveProduction(state, history, cast("Any", reload), view, {}, started_at_s=0.0)


async def test_registries_are_asked_beside_the_work(tmp_path: Path) -> None:
    stand_in = StandIn()
    with stand_in as url:
        registry = {"mlflow": {"url": url, "name": "fraud", "alias": "champion"}}
        changes = {"backends.score.registry": registry}
        engine = open_database(tmp_path)
        history = ConfigHistory(engine)
        found = document(changes)
        history.append(
            Entry(at_ms=1, author="ada", hash=found.hash, outcome="applied", text=found.text)
        )
        production = live(tmp_path, history, changes)
        await production.warm()
        following = asyncio.create_task(production.follow())
        while not list(tmp_path.glob("registry/*.json")):
            await asyncio.sleep(0.01)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        [route] = production.in_force.at("", "fraud").routes
        engine.dispose()
    registration = route.backends[0].registration
    assert registration is not None
    assert registration.version == "7"


@pytest.mark.parametrize(
    "log,source",
    [
        ({}, "records of the local store"),
        (
            {"store": {"enabled": False}, "stdout": True},
            "attempts since the gateway started, 1970-01-01T00:00:00Z",
        ),
        ({"enabled": False}, "attempts since the gateway started, 1970-01-01T00:00:00Z"),
    ],
)
def test_figures_are_of_the_store_unless_it_is_off(
    tmp_path: Path, log: dict[str, Any], source: str
) -> None:
    engine = open_database(tmp_path)
    production = live(tmp_path, ConfigHistory(engine), {"log": log})
    figures = production.in_force._source
    engine.dispose()
    assert figures is not None
    now_s = time.time()
    assert figures.over([Span(now_s - 86_400, now_s)], ["chat"]).source == source
