"""`GET /api/v1/production`, over fakes of the history; and figures from the board."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.control.counted import BoardFigures
from gateway.control.figures import BoardView
from gateway.production.figures import DAY_S, Span
from tests.control.parts import NOW_S, FakeGateway
from tests.production.line import FakeFigures, Line, figures

PATH = "/api/v1/production"


def client_of(line: Line | None) -> TestClient:
    gateway = FakeGateway()
    found = line.in_force() if line else None
    gateway.parts = msgspec.structs.replace(gateway.parts, production=found)
    return gateway.client()


@pytest.fixture
def line(tmp_path: Path) -> Line:
    line = Line(tmp_path)
    line.change({"backends.one.version": "1"}, by="ada")
    line.change({"backends.one.version": "2"}, by="bob")
    return line


def test_every_route_is_told(line: Line) -> None:
    line.figures = FakeFigures({("chat", "one"): figures(7)})
    answer = client_of(line).get(PATH).json()
    assert [route["name"] for route in answer["routes"]] == ["chat", "fraud"]
    first = answer["routes"][0]["backends"][0]
    assert (first["version"], first["since"]["by"], first["figures"]["requests"]) == ("2", "bob", 7)
    assert first["before"]["version"] == "1"
    assert first["registration"] is None


def test_route_and_time_are_asked_for(line: Line) -> None:
    answer = client_of(line).get(PATH, params={"route": "chat", "at": "2026-09-21T14:14:30Z"})
    [route] = answer.json()["routes"]
    assert (route["name"], route["backends"][0]["version"]) == ("chat", "1")
    assert not answer.json()["is_now"]


@pytest.mark.parametrize(
    "query,status,code,said",
    [
        ({"route": "chatt"}, 404, "not_known", "did you mean `chat`"),
        ({"at": "2020-01-01"}, 404, "not_known", "the first configuration in the history"),
        ({"at": "soon"}, 400, "bad_time", "`soon` is no time"),
    ],
)
def test_what_is_not_known_is_one_sentence(
    line: Line, query: dict[str, str], status: int, code: str, said: str
) -> None:
    answer = client_of(line).get(PATH, params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert said in answer.json()["error"]["message"]


def test_without_a_history_it_is_503() -> None:
    assert client_of(None).get(PATH).json()["error"]["code"] == "no_history"


# -- figures from the board


def board_figures(gateway: FakeGateway, started_at_s: float = NOW_S - 100) -> BoardFigures:
    return BoardFigures(
        BoardView(gateway.board),
        lambda: gateway.plan,
        started_at_s=lambda: started_at_s,
        now_s=lambda: NOW_S,
    )


NOW = Span(NOW_S - 200, NOW_S)


def test_board_counts_attempts_since_the_start() -> None:
    gateway = FakeGateway()
    route = gateway.plan.routes[0]
    rows = gateway.board.rows
    rows["requests"][0, route.row] = 5
    rows["outcomes"][0, route.row, 0] = 5
    rows["requests"][:, route.rows[0]] = 2
    rows["outcomes"][:, route.rows[0], 0] = 1
    rows["outcomes"][:, route.rows[0], 22] = 1
    rows["cost_nano_usd"][0, route.rows[0]] = 2_000_000_000
    gateway.board.observe(0, route.rows[0], "total_ns", 1_000_000, 1_000_000, 1_000_000, 9_000_000)
    tally = board_figures(gateway).over([NOW], ["chat"])
    counted = tally.by_span[NOW]
    assert set(counted) == {("chat", ""), ("chat", "mini")}
    own = counted["chat", "mini"]
    assert (own.requests, own.error_share, own.cost_usd) == (4, 0.5, 0.5)
    assert own.p50_s == pytest.approx(0.001, rel=0.01)
    assert own.p95_s == pytest.approx(0.009, rel=0.01)
    assert counted["chat", ""].error_share == 0
    assert tally.source.startswith("attempts since the gateway started, 2025-10-09T08:51:40Z")


def test_board_is_silent_on_the_past_and_on_versions_younger_than_it() -> None:
    figures_ = board_figures(FakeGateway())
    past = Span(NOW_S - 2 * DAY_S, NOW_S - DAY_S)
    younger = Span(NOW_S - 50, NOW_S)
    tally = figures_.over([past, younger], ["chat"])
    assert not tally.by_span
    assert tally.notes == ("there are no figures of the past: the local store is off",)


def test_version_that_is_older_than_a_day_counts_whenever_the_gateway_started() -> None:
    day = Span(NOW_S - DAY_S, NOW_S)
    assert day in board_figures(FakeGateway(), NOW_S - 2 * DAY_S).over([day], ["chat"]).by_span
