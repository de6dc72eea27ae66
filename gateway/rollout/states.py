"""Where a rollout is, what a look shows of it, and what follows: the machine's words.

Each function here makes one state of another, and says what there is to tell of it.

Knows nothing of steps and gates; `machine` does.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.rollouts import Rollout
from gateway.messages import HeaderMatch
from gateway.rollout.steps import NS_PER_MS
from gateway.rollout.verdict import Verdict

MOST_TOLD = 32  # holds of one step that are remembered

Phase = Literal["pending", "running", "paused", "confirming", "promoted", "rolled_back", "aborted"]
# What a decision is about; notices have the same names.
Event = Literal[
    "",  # nothing that anybody need be told
    "started",
    "advanced",
    "skipped",
    "held",
    "arm_left",
    "paused",
    "resumed",
    "needs_confirmation",
    "confirmed",
    "promoted",
    "rolled_back",
    "aborted",
    "retried",
    "undone",
    "retired",  # by the desk: promoted, and no longer declared: the route is as the file says
    "delivered",  # by the desk: every worker serves on what was decided
    "failed",  # by the desk: what was decided could not be put in force; it is tried again
]
Wait = Literal[
    "",
    "time",
    "samples",
    "no_traffic",
    "pause",
    "window",
    "gate",
    "srm",
    "confirmation",
    "switched_off",
    "delivery",
]

Verb = Literal["start", "promote", "pause", "resume", "abort", "retry", "undo", "confirm"]

LIVE: frozenset[Phase] = frozenset({"running", "paused", "confirming"})  # challengers may serve
ENDED: frozenset[Phase] = frozenset({"promoted", "rolled_back", "aborted"})
BEFORE_FIRST = -1
WAIT_OF: dict[Phase, Wait] = {"paused": "pause", "confirming": "confirmation"}


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one rollout is. Times are milliseconds since 1970, of a clock that never goes back."""

    name: str
    spec_hash: str
    revision: int = 1  # grows with each retry and each changed declaration
    phase: Phase = "pending"
    step: int = BEFORE_FIRST  # index of the step that was taken last
    begun_ms: int = 0  # of the revision; 0 not yet
    since_ms: int = 0  # of the phase
    step_since_ms: int = 0
    progress_ms: int = 0  # when it last got on; deadlines count from here
    weights: dict[str, int] = {}  # by challenger, parts per million of the rollout's units
    mirror_ppm: int = 0
    headers: tuple[HeaderMatch, ...] = ()
    out: tuple[str, ...] = ()  # challengers that left
    winner: str = ""  # who was promoted
    reason: str = ""  # why it is in this phase, as a sentence
    wait: Wait = ""  # what keeps it from going on, where that was worth telling
    told: tuple[str, ...] = ()  # what of this step was told already: each once
    paused_by: Literal["", "step", "person"] = ""
    skip: int = -2  # index of the step that a person passes by; -2 none
    approved: int = 0  # steps up to this index need no (further) confirmation
    is_compared: bool = False  # champion and challengers have served beside each other


class Seen(Struct, frozen=True, kw_only=True):
    """What one look shows."""

    now_ms: int
    verdicts: tuple[Verdict, ...] = ()
    fails: tuple[Verdict, ...] = ()  # guardrails that hold when all are looked at together
    srm: str = ""  # why the arms' shares are not as drawn; "" they are
    assigned: dict[str, int] = {}  # requests by arm, champion included, since the weight was set
    answered: dict[str, int] = {}  # of these, those that ended
    open_arms: tuple[str, ...] = ()  # none of their backends takes requests
    is_in_window: bool = True
    window: str = ""  # when it opens, as a sentence
    is_off: bool = False  # the kill switch of all rollouts
    is_in_force: bool = True  # workers serve on what was decided before


class Move(Struct, frozen=True, kw_only=True):
    """What follows: the next state, and what to tell of it."""

    state: State
    event: Event = ""
    sentence: str = ""
    wait: Wait = ""  # what is waited for now, with its sentence, where nothing happens


def left_of(state: State, rollout: Rollout) -> tuple[str, ...]:
    return tuple(arm for arm in rollout.arms if arm not in state.out)


def in_phase(state: State, phase: Phase, now_ms: int, reason: str) -> State:
    return replace(state, phase=phase, since_ms=now_ms, reason=reason, wait=WAIT_OF.get(phase, ""))


def withdrawn(state: State, phase: Phase, now_ms: int, reason: str) -> State:
    """Nothing goes to a challenger any more."""
    bare = replace(state, weights=dict.fromkeys(state.weights, 0), mirror_ppm=0, headers=())
    return replace(in_phase(bare, phase, now_ms, reason), paused_by="", skip=-2)


def moved(state: State, event: Event, sentence: str) -> Move:
    return Move(state=state, event=event, sentence=sentence, wait=state.wait)


def waits(state: State, wait: Wait, sentence: str) -> Move:
    """An ordinary wait: shown, not told."""
    return Move(
        state=replace(state, wait="") if state.wait else state, sentence=sentence, wait=wait
    )


def holds(state: State, wait: Wait, token: str, sentence: str) -> Move:
    """A wait that people should know of: told once a step."""
    held = replace(state, wait=wait) if state.wait != wait else state
    if token in state.told:
        return Move(state=held, sentence=sentence, wait=wait)
    told = replace(held, told=(*state.told, token)[-MOST_TOLD:])
    return Move(state=told, event="held", sentence=f"Held: {sentence}", wait=wait)


def since_ns(then_ms: int, now_ms: int) -> int:
    return max(0, now_ms - then_ms) * NS_PER_MS


def lasted_ns(state: State, seen: Seen) -> int:
    return since_ns(state.step_since_ms, seen.now_ms)
