"""A gateway of fakes around the control plane; tests change its parts and look at answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

from gateway.control.app import create_app
from gateway.control.figures import BoardView
from gateway.control.parts import (
    Candidate,
    Change,
    Explanation,
    Parts,
    Question,
    Version,
    Worker,
)
from gateway.errors import ConfigError, Problem, StateError
from gateway.log.figures import LogFigures
from gateway.messages import Delivery
from gateway.plan import Plan
from tests.control.board import FakeBoard
from tests.control.log import make_figures, make_sink
from tests.control.plans import make_plan

NOW_NS = 4_000_000_000_000
NOW_S = 1_760_000_000.0


@dataclass
class FakeConfiguration:
    """Accepts any text that does not hold the word `wrong`."""

    plan: Plan
    effective: dict[str, object] = field(default_factory=lambda: {"workers": 2})
    failure: Version | None = None
    reloads: dict[str, int] = field(default_factory=lambda: {"applied": 1})
    applied_at_s: float = NOW_S - 60
    propagation_s: float = 0.012
    delivery: Delivery = field(default_factory=Delivery)
    texts: dict[str, str] = field(default_factory=dict)
    authors: list[str] = field(default_factory=list)

    def history(self) -> Sequence[Version]:
        return [
            Version(
                hash=name,
                author="file",
                at="2026-01-01T00:00:00Z",
                outcome="applied",
                is_current=name == self.plan.hash,
            )
            for name in self.texts
        ]

    def text(self, plan_hash: str) -> str:
        if plan_hash not in self.texts:
            raise StateError(f"no configuration has the hash {plan_hash}")
        return self.texts[plan_hash]

    async def reload(self, author: str) -> Change:
        self.authors.append(author)
        return Change(hash=self.plan.hash, previous=self.plan.hash, is_changed=False)

    async def replace(self, text: str, author: str) -> Change:
        self.authors.append(author)
        if "wrong" in text:
            raise ConfigError((Problem("unknown key `wrong`", "routes.wrong", 3),))
        return Change(hash="new", previous=self.plan.hash, is_changed=True)

    async def rollback(self, plan_hash: str, author: str) -> Change:
        self.authors.append(author)
        return Change(hash=plan_hash, previous=self.plan.hash, is_changed=True)

    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Change:
        self.authors.append(author)
        before, self.delivery = self.delivery, change(self.delivery)
        is_changed = before != self.delivery
        return Change("new", self.plan.hash, is_changed, propagation_s=self.propagation_s)


@dataclass
class FakeWorkers:
    plan: Plan
    is_draining: bool = False
    count: int = 2
    up: int = 2

    def seats(self) -> Sequence[Worker]:
        return [
            Worker(
                slot=slot,
                pid=4000 + slot,
                is_up=slot < self.up,
                plan=self.plan.hash,
                is_current=True,
                heartbeat_age_s=0.2,
            )
            for slot in range(self.count)
        ]

    def processes(self) -> Mapping[str, int]:
        return {"controller": os.getpid()}

    def drain(self) -> None:
        self.is_draining = True


class FakeExplainer:
    asked: Question | None = None

    def explain(self, route: str, question: Question) -> Explanation:
        self.asked = question
        return Explanation(
            route=route,
            policy="ordered",
            choice="mini",
            candidates=(
                Candidate(backend="mini", is_eligible=True, score=0.0, probability=1.0),
                Candidate(
                    backend="local",
                    is_eligible=False,
                    reason="breaker_open",
                    sentence="Its breaker is open.",
                ),
            ),
        )


@dataclass
class FakeGateway:
    """One gateway's fakes and the parts made of them."""

    plan: Plan = field(
        default_factory=lambda: make_plan({"chat": ["mini", "local"], "fraud": ["fraud-v3"]})
    )
    board: FakeBoard = field(default_factory=FakeBoard)
    host: str = "127.0.0.1"
    token: str = ""
    now_ns: int = NOW_NS

    def __post_init__(self) -> None:
        self.configuration = FakeConfiguration(self.plan)
        self.workers = FakeWorkers(self.plan)
        self.explainer = FakeExplainer()
        self.drift_lines = {"counted": 90, "duplicate": 2}
        self.log_figures: LogFigures | None = make_figures(make_sink("store"))
        self.parts = Parts(
            configuration=self.configuration,
            workers=self.workers,
            explainer=self.explainer,
            board=BoardView(self.board),
            host=self.host,
            token=self.token,
            now_ns=lambda: self.now_ns,
            now_s=lambda: NOW_S + (self.now_ns - NOW_NS) / 1e9,
            started_ns=NOW_NS - 3_600_000_000_000,
            drift_lines=lambda: self.drift_lines,
            log_figures=lambda: self.log_figures,
        )

    def client(self, **options: Any) -> TestClient:
        return TestClient(create_app(self.parts), base_url="http://127.0.0.1:8081", **options)
