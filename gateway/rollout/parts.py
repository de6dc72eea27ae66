"""What the desk works with, as protocols: `run` passes the real parts, tests pass others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from gateway.config import Document
from gateway.config.rollouts import Rollout
from gateway.messages import Delivery
from gateway.rollout.counts import Evidence, Histogram, Period
from gateway.rollout.decisions import Entry
from gateway.rollout.verdict import Judgement
from gateway.state.rollouts import KeptState


class Changed(Protocol):
    """What became of a delivery."""

    @property
    def hash(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Planned(Protocol):
    """The plan in force, by its name."""

    @property
    def hash(self) -> str: ...


class Gateway(Protocol):
    """The configuration in force and the way to another delivery: `reload.Reload`."""

    @property
    def document(self) -> Document: ...
    @property
    def plan(self) -> Planned: ...
    @property
    def delivery(self) -> Delivery: ...
    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Changed: ...


class Witness(Protocol):
    """Who counts: the board and the log."""

    def read(self, name: str, rollout: Rollout) -> Evidence: ...  # all since the board was made
    def reference(self, rollout: Rollout) -> Mapping[str, Histogram]: ...  # the route's own times


class Judge(Protocol):
    """`gates.judge`."""

    def __call__(self, rollout: Rollout, periods: Sequence[Period], now_ms: int) -> Judgement: ...


class Store(Protocol):
    """Where states and decisions are kept: `state.rollouts.RolloutStates`."""

    def states(self) -> list[KeptState]: ...
    def last(self) -> tuple[int, str]: ...
    def decisions(self, *, rollout: str = "", after: int = 0, limit: int = 1000) -> list[Entry]: ...
    def save(self, states: Sequence[KeptState], decisions: Sequence[Entry] = ()) -> None: ...


class Figures(Struct, frozen=True, kw_only=True):
    """What metrics tell: for each its series, by label values."""

    phase: dict[tuple[str, ...], float] = field(default_factory=dict)
    step: dict[tuple[str, ...], float] = field(default_factory=dict)
    weight: dict[tuple[str, ...], float] = field(default_factory=dict)
    verdict: dict[tuple[str, ...], float] = field(default_factory=dict)
    propagation_s: dict[tuple[str, ...], float] = field(default_factory=dict)
    is_pending: dict[tuple[str, ...], float] = field(default_factory=dict)
    decisions: dict[tuple[str, ...], float] = field(default_factory=dict)
    failures: dict[tuple[str, ...], float] = field(default_factory=dict)
