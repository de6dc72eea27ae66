"""A desk with one alert, on whose field another follows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.alerts.book import Book
from gateway.alerts.desk import Taken
from gateway.alerts.finding import Look
from gateway.alerts.looked import LookFigures
from gateway.alerts.views import AlertView, view_of
from gateway.config.watching import Drift, DriftRule
from gateway.notices.receiver import ReceiverFigures
from gateway.state.alerts import KeptDeed
from tests.alerts.alerts import MINUTE, START_MS, finding, look


def one_alert() -> AlertView:
    book = Book()
    for minute in (0, 1):
        broken = finding(severity="critical")
        book.take(look(minute, broken, finding("feature_drift", "age")), DriftRule(), MINUTE)
    return view_of(next(iter(book.alerts.values())), Drift())


class FakeStanding:
    """A watch that lacks a reference."""

    watermark = 29_000_000
    rules, skipped = 2, 4
    learning: tuple[str, ...] = ("chat",)
    problems: tuple[str, ...] = ("there is no file `train.csv`",)


class FakeAlerts:
    """Shows it, and does nothing."""

    turned_away = 2

    def alerts(self, limit: int = 1, *, is_all: bool = False) -> Sequence[AlertView]:
        return [one_alert()]

    def alert(self, number: int) -> AlertView:
        return one_alert()

    def deeds(self, after: int = 0, limit: int = 1, alert: int = 0) -> Sequence[KeptDeed]:
        return []

    def looks(self) -> tuple[LookFigures, ...]:
        figures = LookFigures(route="scores", rule="inputs", at_ms=START_MS, looks=7, found=2)
        return (msgspec.structs.replace(figures, findings=2, named=("amount", "age")),)

    def receivers(self) -> tuple[ReceiverFigures, ...]:
        return ()

    async def look(self, look: Look) -> Taken:
        raise NotImplementedError

    async def silence(self, number: int, for_s: float, actor: str) -> AlertView:
        raise NotImplementedError

    async def resolve(self, number: int, actor: str) -> AlertView:
        raise NotImplementedError
