"""A small world for the desk: a configuration, workers that count, a database, a clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import replace

from gateway.config import Document, parse
from gateway.config.rollouts import Rollout
from gateway.errors import GatewayError
from gateway.messages import Delivery
from gateway.plan import PPM
from gateway.rollout.clock import Clock
from gateway.rollout.counts import CHAMPION, ArmCounts, Evidence, Histogram, Period
from gateway.rollout.decisions import Decision, Entry, opened
from gateway.rollout.desk import Desk
from gateway.rollout.parts import Store
from gateway.rollout.verdict import Judgement, Verdict
from gateway.state.database import open_database
from gateway.state.rollouts import KeptState, RolloutStates

TEXT = """
backends:
  old: {protocol: openai, url: http://127.0.0.1:1/v1}
  new: {protocol: openai, url: http://127.0.0.1:2/v1}
routes:
  chat: {backends: [old]}
"""
ONE = """
rollouts:
  next:
    route: chat
    arms: {challenger: {backends: [new]}}
    minimum: {time: 1m, samples: 100}
    gates: [{metric: errors}]
"""
MINUTE_NS = 60 * 10**9


class Killed(BaseException):
    """The controller is killed here."""


class Reloaded(Struct, frozen=True):
    hash: str
    notes: tuple[str, ...] = ()


class Named(Struct):
    hash: str


class Memory:
    """What `RolloutStates` does, without a disk."""

    def __init__(self) -> None:
        self.rows: dict[str, KeptState] = {}
        self.entries: list[Entry] = []

    def states(self) -> list[KeptState]:
        return [self.rows[name] for name in sorted(self.rows)]

    def last(self) -> tuple[int, str]:
        return (self.entries[-1].n, self.entries[-1].hash) if self.entries else (0, "")

    def decisions(self, *, rollout: str = "", after: int = 0, limit: int = 1000) -> list[Entry]:
        found = [one for one in self.entries if one.n > after and rollout in {"", one.rollout}]
        return found[:limit]

    def save(self, states: Sequence[KeptState], decisions: Sequence[Entry] = ()) -> None:
        for state in states:
            known = self.rows.get(state.name)
            assert state.version == (known.version + 1 if known else 1)
        assert [one.n for one in decisions] == [
            len(self.entries) + number for number in range(1, len(decisions) + 1)
        ]
        self.rows.update({state.name: state for state in states})
        self.entries += decisions


class World:
    """All that outlives a controller, and the controller that is there now."""

    def __init__(self, folder: Path | None, text: str = ONE) -> None:
        """Without a folder what is kept is in memory."""
        self.engine: sa.Engine | None = open_database(folder) if folder else None
        self.kept: Store = RolloutStates(self.engine) if self.engine else Memory()
        self.document: Document = parse(TEXT + text, {})
        self.delivery = Delivery()
        self.plan = Named("plan-0")
        self.delivered: list[Delivery] = []
        self.refusal = ""  # why nothing can be delivered
        self.mono_ns, self.wall_s = 10**12, 1_700_000_000.0
        self.deliver_ns = 12_000_000  # how long a delivery takes
        self.board, self.counts = "board-1", dict[str, ArmCounts]()
        self.in_flight: dict[str, int] = {}
        self.open_arms: tuple[str, ...] = ()
        self.errors: dict[str, int] = {}  # of the next requests, by arm
        self.operations, self.dies_at, self.dies_after = 0, -1, True
        self.told: list[Decision] = []
        self.desk = self.another()

    def another(self) -> Desk:
        """A controller that starts now."""
        self.dies_at = -1
        clock = Clock(wall_s=lambda: self.wall_s, monotonic_ns=lambda: self.mono_ns)
        self.desk = Desk(
            gateway=self,
            store=self,
            witness=self,
            judge=judge,
            clock=clock,
            tell=lambda decision, rollout: self.told.append(decision),
        )
        return self.desk

    # -- parts of the desk

    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Reloaded:
        with_ = change(self.delivery)
        self._step(dies_after=False)
        if self.refusal:
            raise GatewayError(self.refusal)
        if with_ != self.delivery:
            self.delivery = with_
            self.delivered.append(with_)
            self.plan = Named(f"plan-{len(self.delivered)}")
            self.pass_ns(self.deliver_ns)
        self._step(dies_after=True)
        return Reloaded(self.plan.hash)

    def states(self) -> list[KeptState]:
        return self.kept.states()

    def last(self) -> tuple[int, str]:
        return self.kept.last()

    def decisions(self, *, rollout: str = "", after: int = 0, limit: int = 1000) -> list[Entry]:
        return self.kept.decisions(rollout=rollout, after=after, limit=limit)

    def save(self, states: Sequence[KeptState], decisions: Sequence[Entry] = ()) -> None:
        self._step(dies_after=False)
        self.kept.save(states, decisions)
        self._step(dies_after=True)

    def read(self, name: str, rollout: Rollout) -> Evidence:
        arms = (CHAMPION, *rollout.arms) if name in self.delivery.rollouts else ()
        counts = {arm: self.counts.get(arm, ArmCounts()) for arm in arms}
        for arm, number in self.in_flight.items():
            counts[arm] = replace(counts[arm], assigned=counts[arm].assigned + number)
        at_ms = int(self.wall_s * 1000)
        return Evidence(at_ms=at_ms, board=self.board, arms=counts, open_breakers=self.open_arms)

    def reference(self, rollout: Rollout) -> Mapping[str, Histogram]:
        return {}

    def _step(self, *, dies_after: bool) -> None:
        if dies_after == self.dies_after:
            self.operations += 1
            if self.operations == self.dies_at:
                raise Killed

    # -- what happens

    def pass_ns(self, duration_ns: int) -> None:
        self.mono_ns += duration_ns
        self.wall_s += duration_ns / 1e9

    def serve(self, requests: int) -> None:
        """So many requests, drawn exactly as the delivery in force says."""
        for standing in self.delivery.rollouts.values():
            for arm, ppm in standing.weights.items():
                self._count(arm, requests * ppm // PPM)
            rest = PPM - sum(standing.weights.values())
            self._count(CHAMPION, requests * rest // PPM)

    def _count(self, arm: str, requests: int) -> None:
        errors = min(self.errors.get(arm, 0), requests)
        counts = ArmCounts(
            assigned=requests,
            dispatched=requests,
            answered=requests,
            recorded=requests,
            ended=requests,
            errors=errors,
        )
        before = self.counts.get(arm, ArmCounts())
        self.counts[arm] = before.plus(counts)

    async def minute(self, requests: int = 20_000) -> None:
        self.pass_ns(MINUTE_NS)
        self.serve(requests)
        await self.desk.look()
        await self.desk.look()

    def declare(self, text: str) -> None:
        self.document = parse(TEXT + text, {})

    # -- what is to be seen

    @property
    def weights(self) -> dict[str, int]:
        standing = self.delivery.rollouts.get("next")
        return dict(standing.weights) if standing else {}

    def log(self) -> list[Decision]:
        return [opened(entry) for entry in self.kept.decisions(limit=100_000)]

    def events(self) -> list[str]:
        return [one.event for one in self.log() if one.event != "delivered"]


def judge(rollout: Rollout, periods: Sequence[Period], now_ms: int) -> Judgement:
    """Fails at ten errors of a challenger, passes at a hundred answers of it."""
    whole = Evidence()
    for period in periods:
        whole = whole.plus(period.evidence)
    verdicts = tuple(verdict_on(arm, whole.arm(arm)) for arm in rollout.arms)
    fails = tuple(one for one in verdicts if one.verdict == "fail")
    return Judgement(at_ms=now_ms, verdicts=verdicts, fails=fails)


def verdict_on(arm: str, counts: ArmCounts) -> Verdict:
    said = Verdict(gate="errors", arm=arm, metric="errors", sentence=f"{counts.errors} errors.")
    if counts.errors >= 10:
        return replace(said, verdict="fail")
    return replace(said, verdict="pass") if counts.answered >= 100 else said
