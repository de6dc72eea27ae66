"""The decision log: what was decided, by whom, on what evidence; chained by hashes.

An entry is one JSON text with sorted keys; its hash is SHA-256 over the hash before it and
that text, so that an entry that was changed, taken out or put in shows. Entries are
added, and never changed or deleted.

    hash(n) = SHA-256(hash(n - 1) ‖ "\n" ‖ text(n)),   hash(0) = 64 zeros

Rule: a figure that JSON has no number for is written as the nearest that it has.

Knows nothing of where entries are kept; `state.rollouts` keeps them.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.rollout.counts import Segment
from gateway.rollout.machine import Event, Phase
from gateway.rollout.verdict import Judgement


class Decision(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry: enough to find the same verdict again."""

    n: int = 0  # from 1, without gaps, over all rollouts
    rollout: str
    revision: int
    at_ms: int  # what `judge` was told; milliseconds since 1970
    actor: str  # `desk`, `file`, `api:…`, a name
    event: Event
    sentence: str
    phase: Phase
    step: int
    weights: dict[str, int] = {}  # from now on
    judgement: Judgement | None = None  # of a look; None: a person's word, or the file's
    segments: tuple[Segment, ...] = ()  # the evidence it is made of
    spec_hash: str = ""
    spec: str = ""  # the rollout as declared, with defaults: `parse_rollout` reads it
    plan_before: str = ""  # hash of the plan in force when it was decided
    versions: dict[str, str] = {}  # of the gateway, and of the backends of the arms
    # of `delivered` alone
    of: int = 0  # n of the decision that is in force now
    plan_after: str = ""
    propagation_ms: float | None = None  # from the verdict to the last worker's word


class Entry(Struct, frozen=True, kw_only=True):
    """A decision as it is kept."""

    n: int
    rollout: str
    at_ms: int
    event: str
    text: str
    hash: str
