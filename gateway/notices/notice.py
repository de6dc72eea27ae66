"""What can be told of a rollout.

An event happened once, in the past tense; its severity is what it usually means to those
who are told, and whoever tells may say another. The sentence is for people, the facts
for programs.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from gateway.config.notice_relations import SEVERITY_OF
from gateway.config.rollouts import Severity

# Each event, and one sentence on when it happens.
EVENTS = {
    "started": "A rollout began.",
    "advanced": "The next step began: more traffic, or copies, or a pause.",
    "skipped": "Somebody passed by the rest of a step.",
    "held": "It does not go on, and says what it waits for.",
    "arm_left": "One of several challengers was taken out; the others go on.",
    "paused": "Somebody, or a step, paused it.",
    "resumed": "It goes on after a pause or a hold.",
    "needs_confirmation": "A person has to say go on.",
    "confirmed": "A person said go on.",
    "promoted": "The challenger has all the traffic.",
    "rolled_back": "A guardrail failed: the champion has all the traffic.",
    "aborted": "Somebody, or the deadline, ended it: the champion has all the traffic.",
    "retried": "It began again after it had been rolled back or aborted.",
    "undone": "A promotion was taken back.",
    "retired": "A promoted rollout is no longer declared: the route is as the file says.",
    "failed": "A decision could not be put in force; it is tried again.",
}

Fact = str | int | float | bool | None


class Notice(Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    event: str  # one of EVENTS
    rollout: str  # its name
    sentence: str  # for people; holds no text of a request
    at_ms: int  # since 1970
    severity: Severity | None = None  # default: what the event usually means
    route: str = ""
    facts: dict[str, Fact] = {}  # step, weight, gate, requests …; few and short


def severity_of(notice: Notice) -> Severity:
    """How much it matters; of an event that is not known, `info`."""
    return notice.severity or SEVERITY_OF.get(notice.event, "info")


class Teller(Protocol):
    """Takes notices; returns at once and never raises."""

    def tell(self, notice: Notice) -> None: ...
