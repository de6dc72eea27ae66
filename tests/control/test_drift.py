"""`/api/v1/drift…` over a fake of what makes reports."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.control import drift
from gateway.control.faults import Fault
from gateway.drift.report_view import DriftOverview, DriftReport, RouteReports, Rows, RuleReport
from gateway.errors import ConfigError, GatewayError, Problem
from tests.control.parts import FakeGateway

REPORT = DriftReport(
    timestamp="2026-11-21T12:00:00Z",
    drift_share=0.5,
    number_of_columns=0,
    number_of_drifted_columns=0,
    share_of_drifted_columns=0.0,
    dataset_drift=False,
    drift_by_columns={},
    reference=Rows(source="train.csv", rows=9),
    current=Rows(source="now", rows=7),
    alpha=0.01,
)


class FakeReports:
    """One rule on `chat`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, str], str]] = []
        self.error: GatewayError | None = None
        self.pause_s = 0.0

    async def overview(self) -> DriftOverview:
        await asyncio.sleep(self.pause_s)
        return DriftOverview(source="log", data_until="", counted={"counted": 3}, lines=())

    async def reports(self, route: str) -> RouteReports:
        if self.error:
            raise self.error
        one = RuleReport(rule="inputs", compared_with="training", version="7", arm="champion",
                         since="", until="", report=REPORT)  # fmt: skip
        return RouteReports(route=route, data_until="", reports=(one,))

    async def drawn(self, route: str, asked: Mapping[str, str], form: str) -> bytes | None:
        self.asked.append((route, asked, form))
        return f"a {form}".encode() if asked["version"] != "8" else None


@pytest.fixture
def fake() -> FakeReports:
    return FakeReports()


@pytest.fixture
def client(fake: FakeReports) -> TestClient:
    gateway = FakeGateway()
    gateway.parts = msgspec.structs.replace(gateway.parts, drift=fake)
    return gateway.client()


def test_overview_and_reports_are_json(client: TestClient) -> None:
    assert client.get("/api/v1/drift").json()["counted"] == {"counted": 3}
    (one,) = client.get("/api/v1/drift/chat").json()["reports"]
    assert (one["rule"], one["report"]["number_of_drifted_columns"]) == ("inputs", 0)


def test_page_runs_and_fetches_nothing(client: TestClient, fake: FakeReports) -> None:
    answer = client.get("/api/v1/drift/chat/report.html", params={"rule": "inputs", "arm": "b"})
    assert answer.text == "a html"
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert fake.asked == [("chat", {"rule": "inputs", "version": "", "arm": "b"}, "html")]


def test_picture_is_a_png(client: TestClient) -> None:
    answer = client.get("/api/v1/drift/chat/report.png")
    assert (answer.content, answer.headers["content-type"]) == (b"a png", "image/png")


@pytest.mark.parametrize("path", ["", "/report.html", "/report.png", "?x=1"])
def test_unknown_route_is_told(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/drift/chatt{path}")
    assert answer.status_code == 404
    assert "did you mean `chat`" in answer.json()["error"]["message"]


def test_nothing_to_draw_is_told(client: TestClient) -> None:
    answer = client.get("/api/v1/drift/chat/report.png", params={"version": "8"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_report")


def test_what_cannot_be_made_is_one_sentence(client: TestClient, fake: FakeReports) -> None:
    fake.error = ConfigError((Problem("pictures need Pillow"),))
    answer = client.get("/api/v1/drift/chat")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "pictures need Pillow."


def test_without_a_state_directory_that_is_told() -> None:
    answer = FakeGateway().client().get("/api/v1/drift")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_drift")


async def test_those_who_wait_are_few(fake: FakeReports) -> None:
    turn = drift._Turn()
    fake.pause_s = 0.01
    asked = [turn(fake.overview) for _ in range(drift.WAITING + 3)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in found if isinstance(one, Fault)]
    assert len(refused) == 3
    assert {one.status for one in refused} == {503}
