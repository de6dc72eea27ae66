"""The desk: looks at every rollout twice a second, and does what follows.

    read evidence → judge → machine → write down → deliver → tell

Rule 1: state and decision are in one transaction, before anything is delivered; what is
        delivered is worked out of the state, so that it can be delivered again.
Rule 2: a defect in one rollout's look is logged and leaves the others alone.

Knows nothing of HTTP, of SQL and of workers: its parts are the protocols below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from gateway.config import Document
from gateway.config.rollouts import Rollout
from gateway.messages import Delivery
from gateway.plan import Plan
from gateway.rollout.counts import ArmCounts, Evidence, Segment
from gateway.rollout.decisions import Decision, Entry
from gateway.rollout.machine import Phase, Verb, Wait
from gateway.rollout.verdict import Judgement, RatioVerdict, Verdict

Source = Literal["file", "hand"]


class ArmView(Struct, frozen=True, kw_only=True):
    """One arm, as it is shown; counts are of this revision."""

    name: str
    weight: float  # percent of the rollout's units
    is_out: bool = False
    counts: ArmCounts


class View(Struct, frozen=True, kw_only=True):
    """One rollout, as it is shown."""

    name: str
    route: str
    source: Source
    phase: Phase
    revision: int
    step: int  # index of the step that was taken last; -1 none yet
    steps: tuple[str, ...]  # each in words: `setWeight 5`
    weight: float  # percent of the units that get a challenger
    mirror: float  # percent of the requests that are copied
    since_ms: int  # of the phase
    step_since_ms: int
    sentence: str  # what it waits for, or why it ended
    wait: Wait = ""
    needs: str = ""  # what its gates still need, as a sentence
    arms: tuple[ArmView, ...] = ()  # the champion first
    verdicts: tuple[Verdict, ...] = ()
    srm: tuple[RatioVerdict, ...] = ()
    winner: str = ""
    edit: str = ""  # of a promoted one: what to write into the file to make it permanent
    failure: str = ""  # why what was decided is not in force yet
    verbs: tuple[Verb, ...] = ()  # that are possible now
    is_dry_run: bool = False
    spec_hash: str = ""
    spec: str = ""  # as declared, with defaults, JSON
    propagation_ms: float | None = None  # of the last decision that moved something


class Changed(Protocol):
    """What became of a delivery."""

    @property
    def hash(self) -> str: ...
    @property
    def previous(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


class Gateway(Protocol):
    """The configuration in force and the way to another delivery: `reload.Reload`."""

    @property
    def document(self) -> Document: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def delivery(self) -> Delivery: ...
    async def deliver(self, change: Callable[[Delivery], Delivery], author: str) -> Changed: ...


class Witness(Protocol):
    """Who counts: the board and the log."""

    @property
    def board(self) -> str: ...  # names this board; another one counts from nothing
    def read(self, name: str, rollout: Rollout) -> Evidence: ...  # all since the board was made


class Judge(Protocol):
    """`gates.judge`."""

    def __call__(self, rollout: Rollout, segments: Sequence[Segment], now_ms: int) -> Judgement: ...


class Desk:
    """Every rollout of one gateway."""

    # -- what is shown

    def rollouts(self) -> list[View]:
        """All that are declared or were, the file's first."""
        raise NotImplementedError

    def view(self, name: str) -> View:
        """UnknownRollout if there is none of this name."""
        raise NotImplementedError

    def history(self, name: str) -> list[Decision]:
        """What was decided of one rollout, the oldest first."""
        raise NotImplementedError

    def decisions(self, after: int = 0, limit: int = 1000) -> list[Entry]:
        """The whole log as it is kept, to be exported and verified."""
        raise NotImplementedError

    # -- what people say; IllegalTransition where the phase does not allow it

    async def start(self, name: str, actor: str, text: str = "") -> View:
        """Begin one that is declared in the file, or with `text` (YAML) one that is not."""
        raise NotImplementedError

    async def promote(self, name: str, actor: str, *, full: bool = False) -> View:
        """Pass by the present step; with `full` go to the end at once."""
        raise NotImplementedError

    async def pause(self, name: str, actor: str) -> View:
        """Stay where it is; guardrails go on."""
        raise NotImplementedError

    async def resume(self, name: str, actor: str) -> View:
        """Go on after a pause."""
        raise NotImplementedError

    async def abort(self, name: str, actor: str, reason: str = "") -> View:
        """End it: the champion serves all."""
        raise NotImplementedError

    async def retry(self, name: str, actor: str) -> View:
        """Begin again from the first step, as a new revision."""
        raise NotImplementedError

    async def undo(self, name: str, actor: str) -> View:
        """Take a promotion back at once."""
        raise NotImplementedError

    async def confirm(self, name: str, actor: str) -> View:
        """Say go on where it asks."""
        raise NotImplementedError
