"""`GET /api/v1/drift/{route}/performance`, over a fake of what measures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.config.watching import DriftLabels
from gateway.drift.performance_view import FigureView, PerformanceView
from gateway.store.database import StoreError
from tests.control.parts import FakeGateway


class FakePerformance:
    """Shows one view, or fails."""

    def __init__(self, route: str) -> None:
        self.route, self.asked_s = route, 0.0
        self.error: Exception | None = None

    def labels_of(self, route: str) -> DriftLabels | None:
        return DriftLabels() if route == self.route else None

    async def show(self, route: str, last_s: float) -> PerformanceView:
        self.asked_s = last_s
        if self.error is not None:
            raise self.error
        figure = FigureView(
            name="accuracy", value=0.9, low=0.88, high=0.92, rows=900, method="Wilson"
        )
        return PerformanceView(
            route=route,
            kind="class",
            signal="label",
            prediction="",
            since="",
            until="",
            matured_until="",
            rows=1000,
            labelled=900,
            late=0,
            figures=(figure,),
        )


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


def client_of(gateway: FakeGateway, performance: Any) -> TestClient:
    gateway.parts = msgspec.structs.replace(gateway.parts, performance=performance)
    return gateway.client()


def test_figures_of_a_route_are_shown(gateway: FakeGateway) -> None:
    names = [route.name for route in gateway.parts.configuration.plan.routes]
    fake = FakePerformance(names[0])
    answer = client_of(gateway, fake).get(
        f"/api/v1/drift/{names[0]}/performance", params={"last": "7d"}
    )
    assert answer.status_code == 200
    assert fake.asked_s == pytest.approx(7 * 86_400)
    assert answer.json()["figures"][0]["value"] == 0.9


def test_what_cannot_be_shown_is_one_sentence(gateway: FakeGateway) -> None:
    name = next(route.name for route in gateway.parts.configuration.plan.routes)
    fake = FakePerformance("another")
    client, path = client_of(gateway, fake), f"/api/v1/drift/{name}/performance"
    assert client.get("/api/v1/drift/nobody/performance").json()["error"]["code"] == "no_route"
    assert client.get(path).json()["error"]["code"] == "no_labels"
    fake.route, fake.error = name, StoreError("the disk is gone")
    assert client.get(path, params={"last": "soon"}).json()["error"]["code"] == "bad_query"
    answer = client.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store")
    off = client_of(FakeGateway(), None).get(path)
    assert off.json()["error"]["code"] == "store_off"
