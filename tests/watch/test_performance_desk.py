"""The desk of looks at labels: what is due is told, what fails is told once and tried again."""

from __future__ import annotations

import logging

import pytest

from gateway.alerts.finding import Look
from gateway.config.units import Duration
from gateway.config.watching import DriftRule
from gateway.errors import ControlError
from gateway.store.database import StoreError
from gateway.store.labelled import Labelled, LabelQuestion
from gateway.watch.performance.desk import PerformanceDesk
from gateway.watch.performance.looks import PerformanceLooks
from tests.watch.labels import DAY_US, HOUR_NS, HOUR_US, NOW_US, FakeStore, drift, scored


class Ear:
    """Takes looks, or refuses them."""

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.error: Exception | None = None

    async def __call__(self, look: Look) -> None:
        if self.error is not None:
            raise self.error
        self.looks.append(look)


class Case:
    def __init__(self, store: FakeStore) -> None:
        rule = DriftRule(window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS))
        looks = PerformanceLooks(store, lambda: drift(rule), lambda: ["fraud"])
        self.ear, self.now_us = Ear(), NOW_US
        self.desk = PerformanceDesk(looks, self.ear, lambda: self.now_us // 1000)


def usual() -> FakeStore:
    return FakeStore(scored(NOW_US - 15 * DAY_US, NOW_US - DAY_US, 2000))


async def test_looks_are_told_when_they_are_due() -> None:
    case = Case(usual())
    await case.desk.tick()
    await case.desk.tick()
    case.now_us += HOUR_US
    await case.desk.tick()
    assert [look.at_ms for look in case.ear.looks] == [NOW_US // 1000, case.now_us // 1000]


async def test_between_looks_nothing_is_asked() -> None:
    store = usual()
    case = Case(store)
    await case.desk.tick()
    asked = len(store.asked)
    case.now_us += HOUR_US - 1_000_000
    await case.desk.tick()
    assert len(store.asked) == asked


async def test_what_fails_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeStore):
        def labelled(self, question: LabelQuestion) -> Labelled:
            self.asked.append(question)
            raise StoreError("the store is on fire")

    store = Broken()
    case = Case(store)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await case.desk.tick()
            case.now_us += HOUR_US
    assert [one.getMessage() for one in caplog.records] == [
        "performance cannot be looked at: the store is on fire"
    ]
    assert len(store.asked) == 3


async def test_refused_look_and_defect_do_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    case = Case(usual())
    for error in (ControlError("no such rule"), RuntimeError("defect")):
        case.ear.error = error
        with caplog.at_level(logging.WARNING):
            await case.desk.tick()
        case.now_us += HOUR_US
    case.ear.error = None
    await case.desk.tick()
    assert len(case.ear.looks) == 1
    assert [one.levelname for one in caplog.records] == ["WARNING", "ERROR"]
