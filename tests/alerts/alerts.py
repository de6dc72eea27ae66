"""Findings, rules and a desk in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from gateway.alerts.actions import Arms
from gateway.alerts.desk import AlertDesk
from gateway.alerts.finding import Finding, Look
from gateway.config.units import Duration, Secret
from gateway.config.watching import Drift, DriftActions, DriftAlerts, DriftRule, DriftWebhook
from gateway.errors import IllegalTransition
from gateway.messages import Delivery
from gateway.notices.courier import Outcome, Parcel, Send
from gateway.state.alerts import AlertStates
from gateway.state.database import open_database

START_MS = 1_760_000_000_000
MINUTE_MS = 60_000
SECOND, MINUTE = 10**9, 60 * 10**9


def finding(kind: str = "data_missing", field: str = "amount", **fields: object) -> Finding:
    return Finding(kind=kind, field=field, **fields)  # type: ignore[arg-type]


def look(minute: int, *findings: Finding, rule: str = "", route: str = "scores") -> Look:
    at_ms = START_MS + minute * MINUTE_MS
    return Look(route=route, rule=rule, at_ms=at_ms, findings=findings)


class Clock:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def at(self, minute: float) -> None:
        self.ms = START_MS + int(minute * MINUTE_MS)


class OneRollout:
    """A view of a rollout that is under way."""

    def __init__(self, name: str, route: str, verbs: tuple[str, ...]) -> None:
        self.name, self.route, self.verbs = name, route, verbs


class Gateway:
    """Rollouts and kill switches that do what they are told."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.views: list[OneRollout] = []
        self.said: list[tuple[str, ...]] = []

    @property
    def off(self) -> tuple[str, ...]:
        return self.delivery.off

    def rollouts(self) -> list[OneRollout]:
        return self.views

    async def pause(self, name: str, actor: str) -> None:
        if name == "stubborn":
            raise IllegalTransition("It cannot be paused.")
        self.said.append(("pause", name, actor))

    async def abort(self, name: str, actor: str, reason: str = "") -> None:
        self.said.append(("abort", name, actor, reason))

    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> None:
        self.delivery = change(self.delivery)
        self.said.append(("deliver", author))


class Case:
    """A desk over a database in a directory; made again, it is the desk after a restart."""

    def __init__(self, directory: Path, drift: Drift, clock: Clock, gateway: Gateway) -> None:
        self.engine: sa.Engine = open_database(directory)
        self.drift, self.clock, self.gateway = drift, clock, gateway
        self.on_topic: list[tuple[str, Parcel]] = []
        self.store = AlertStates(self.engine)
        self.desk = AlertDesk(
            settings=lambda: self.drift,
            routes=lambda: ["scores", "chat"],
            store=self.store,
            arms=Arms(gateway, gateway.deliver, lambda: gateway.delivery),
            topic=self.topic,
            now_ms=clock,
        )

    def topic(self, name: str) -> Send:
        async def send(parcel: Parcel) -> Outcome:
            self.on_topic.append((name, parcel))
            return Outcome(is_told=True)

        return send

    async def look(self, minute: int, *findings: Finding, rule: str = "watch") -> None:
        self.clock.at(minute)
        await self.desk.look(look(minute, *findings, rule=rule))
        await self.desk.tick()

    async def tick(self, minute: float) -> None:
        self.clock.at(minute)
        await self.desk.tick()


def make_drift(
    *webhooks: DriftWebhook, actions: DriftActions | None = None, **alerts: object
) -> Drift:
    settings: dict[str, object] = {"attempts": 1, "group": Duration(MINUTE)}
    return Drift(
        rules={"watch": DriftRule(actions=actions or DriftActions())},
        alerts=DriftAlerts(webhooks=webhooks, **settings | alerts),  # type: ignore[arg-type]
    )


def make_webhook(port: int, form: str = "json", **fields: object) -> DriftWebhook:
    url = Secret(f"http://127.0.0.1:{port}")
    return DriftWebhook(url=url, format=form, **fields)  # type: ignore[arg-type]
