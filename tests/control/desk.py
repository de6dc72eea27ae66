"""A desk that knows two rollouts and does what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from gateway.errors import ConfigError, IllegalTransition, Problem, UnknownRollout
from gateway.rollout.counts import ArmCounts, Evidence, Period, SignalCounts
from gateway.rollout.decisions import Decision, Entry
from gateway.rollout.desk import ArmView, View
from gateway.rollout.machine import Phase
from gateway.rollout.parts import Figures
from gateway.rollout.verdict import Judgement, RatioVerdict, Verdict

AT_MS = 1_760_000_000_000

CHAMPION = ArmCounts(
    assigned=3_000,
    dispatched=3_000,
    answered=2_990,
    ended=3_000,
    errors=10,
    timeouts=2,
    cost_nano_usd=3_000_000_000,
    output_tokens=300_000,
    total_ns={3000: 2_900, 3400: 100},
    feedback={"accept": SignalCounts(n=100, positive=80, total=80.0, squares=80.0)},
)
CHALLENGER = ArmCounts(
    assigned=160, dispatched=160, answered=150, ended=160, errors=8, total_ns={3100: 160}
)
ERRORS = Verdict(
    gate="errors",
    arm="v2",
    metric="errors",
    verdict="not_enough_data",
    sentence="errors: 8 of 160 against 10 of 3,000; 1,840 more requests, about 12 min.",
    log_e=1.5,
    needs_requests=1_840,
    needs_s=720.0,
    detectable=0.02,
)
LATENCY = Verdict(
    gate="latency",
    arm="v2",
    metric="latency",
    verdict="pass",
    sentence="latency: p99 80 ms against 82 ms.",
    log_e=-2.0,
    estimate=0.98,
    low=0.9,
    high=1.1,
)
SHARES = RatioVerdict(
    hop="answered",
    verdict="fail",
    sentence="150 of 3,140 answers are the challenger's, where 5% were drawn.",
    log_e=9.0,
    counts={"champion": 2_990, "v2": 150},
    expected={"champion": 0.95, "v2": 0.05},
)
EVIDENCE = Period(
    weights={"v2": 50_000},
    evidence=Evidence(at_ms=AT_MS, arms={"champion": CHAMPION, "v2": CHALLENGER}),
    step=1,
    since_ms=AT_MS - 60_000,
    until_ms=AT_MS,
)


def make_view(name: str = "chat-v2", **fields: object) -> View:
    view = View(
        name=name,
        route="chat",
        source="file",
        phase="running",
        revision=1,
        step=1,
        steps=("setWeight 1", "setWeight 5", "setWeight 100"),
        weight=5.0,
        mirror=0.0,
        since_ms=AT_MS - 400_000,
        step_since_ms=AT_MS - 60_000,
        sentence="1,840 more requests, about 12 min at this rate",
        wait="samples",
        needs="errors needs 1,840 more requests",
        arms=(
            ArmView(name="champion", weight=95.0, counts=CHAMPION),
            ArmView(name="v2", weight=5.0, counts=CHALLENGER),
        ),
        verdicts=(ERRORS, LATENCY),
        srm=(SHARES,),
        verbs=("promote", "pause", "abort"),
        spec_hash="f" * 64,
        spec='{"route": "chat"}',
        propagation_ms=42.0,
    )
    return msgspec.structs.replace(view, **fields)


def make_decision(n: int = 1, **fields: object) -> Decision:
    decision = Decision(
        n=n,
        rollout="chat-v2",
        revision=1,
        at_ms=AT_MS,
        actor="desk",
        event="advanced",
        sentence="setWeight 5: every gate passes.",
        phase="running",
        step=1,
        weights={"v2": 50_000},
        judgement=Judgement(at_ms=AT_MS, verdicts=(ERRORS, LATENCY), srm=(SHARES,)),
        periods=(EVIDENCE,),
        spec_hash="f" * 64,
        spec='{"route": "chat", "arms": {"v2": {"backends": ["local"]}}}',
        plan_before="a" * 64,
        versions={"gateway": "0.1.0", "v2": "2024-07"},
    )
    return msgspec.structs.replace(decision, **fields)


def make_entries(count: int) -> list[Entry]:
    return [
        Entry(n=n, rollout="chat-v2", at_ms=AT_MS, event="held", text=f"{n}", hash="0" * 64)
        for n in range(1, count + 1)
    ]


@dataclass
class FakeDesk:
    """Keeps what it was told; a promoted rollout cannot be paused."""

    views: dict[str, View] = field(
        default_factory=lambda: {"chat-v2": make_view(), "old": make_view("old", phase="promoted")}
    )
    log: list[Decision] = field(
        default_factory=lambda: [
            make_decision(),
            make_decision(2, event="paused", actor="api:ada", judgement=None, periods=()),
        ]
    )
    entries: list[Entry] = field(default_factory=lambda: make_entries(250))
    told: list[tuple[object, ...]] = field(default_factory=list)

    def figures(self) -> Figures:
        """One series of each."""
        return Figures(
            phase={("chat-v2", "running"): 1},
            step={("chat-v2",): 2},
            weight={("chat-v2", "challenger"): 0.05},
            verdict={("chat-v2", "challenger", "errors", "pass"): 1},
            propagation_s={("chat-v2",): 0.012},
            is_pending={("chat-v2",): 0},
            decisions={("advanced",): 2},
            failures={(): 0},
        )

    def rollouts(self) -> list[View]:
        return list(self.views.values())

    def view(self, name: str) -> View:
        if name not in self.views:
            raise UnknownRollout(f"there is no rollout `{name}`")
        return self.views[name]

    def history(self, name: str) -> list[Decision]:
        self.view(name)
        return [decision for decision in self.log if decision.rollout == name]

    def decisions(self, after: int = 0, limit: int = 1000) -> list[Entry]:
        return [entry for entry in self.entries if entry.n > after][:limit]

    async def start(self, name: str, actor: str, text: str = "") -> View:
        if "wrong" in text:
            raise ConfigError((Problem("no backend `wrong`", "arms.v2.backends[0]", 3),))
        if text:
            self.views[name] = make_view(name, source="hand")
        return self._turn("start", name, "running", actor, text)

    async def promote(self, name: str, actor: str, *, full: bool = False) -> View:
        return self._turn("promote", name, "promoted" if full else "running", actor, full)

    async def pause(self, name: str, actor: str) -> View:
        return self._turn("pause", name, "paused", actor)

    async def resume(self, name: str, actor: str) -> View:
        return self._turn("resume", name, "running", actor)

    async def abort(self, name: str, actor: str, reason: str = "") -> View:
        return self._turn("abort", name, "aborted", actor, reason)

    async def retry(self, name: str, actor: str) -> View:
        return self._turn("retry", name, "running", actor)

    async def undo(self, name: str, actor: str) -> View:
        return self._turn("undo", name, "rolled_back", actor)

    async def confirm(self, name: str, actor: str) -> View:
        return self._turn("confirm", name, "running", actor)

    def _turn(self, verb: str, name: str, phase: Phase, actor: str, *said: object) -> View:
        if self.view(name).phase == "promoted" and verb == "pause":
            raise IllegalTransition(f"`{name}` is promoted; `undo` takes that back")
        self.told.append((verb, name, actor, *said))
        self.views[name] = msgspec.structs.replace(self.views[name], phase=phase)
        return self.views[name]
