"""The rollout's state machine: what follows from what is seen, and from what people say.

    pending ──start──> running ──last step──> promoted ──undo──> rolled_back
                        │  ↑                                        ↑
                 paused, confirming ──guardrail, open breakers──────┘
                        └──abort, deadline, changed declaration──> aborted
    rolled_back, aborted ──retry──> running, as a new revision

Steps have Argo's meaning. `setWeight` gives the challengers their part and lasts until the
rollout's minimum of time and samples was seen and no gate objects; `pause` waits for its
time, or for somebody; `analysis` waits until its gates pass; `setMirrorRoute` and
`setHeaderRoute` are done at once and last until they are set again. After the last step
the best challenger whose gates pass is promoted: it gets everything.

Rule 1: pure; decides nothing about statistics, and reads no clock.
Rule 2: weight rises only by steps, inside the windows, and past the last step by a
        promotion; `promote --full` alone passes by all of that, and says so.
Rule 3: whatever is bad for users acts in every phase that serves challengers; whatever
        holds, holds only the next rise.
Rule 4: a challenger that left never comes back in the same revision.

Knows nothing of Delivery's transport, of the board and of the database.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gateway.messages import HeaderMatch
from gateway.rollout.verdict import Verdict

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
]

LIVE: frozenset[Phase] = frozenset({"running", "paused", "confirming"})  # challengers may serve
ENDED: frozenset[Phase] = frozenset({"promoted", "rolled_back", "aborted"})
BEFORE_FIRST = -1


class State(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one rollout is. Times are milliseconds since 1970, of a clock that never goes back."""

    name: str
    spec_hash: str
    revision: int = 1  # grows with each retry and each changed declaration
    phase: Phase = "pending"
    step: int = BEFORE_FIRST  # index of the step that was taken last
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


class Move(Struct, frozen=True, kw_only=True):
    """What follows: the next state, and what to tell of it."""

    state: State
    event: Event = ""
    sentence: str = ""
    wait: Wait = ""  # what is waited for now, with its sentence, where nothing happens
