"""The plan of a hash: its configuration from the history, compiled again.

The history keeps every configuration as written, with who put it in force and when; the
file of the last good one stands in where the history is gone. Environment variables are
replaced by stand-ins (`placeholders`), so no secret is needed and none is had.

Rule: a plan is only given under its own hash; where there is none, `missing` says why.
Cost: a plan is compiled once for each Plans; a big configuration takes some 100 ms.
Knows nothing of records.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gateway.compiler import AT_REST, compile_plan
from gateway.errors import ConfigError, StateError
from gateway.explanation.placeholders import parse_without_environment, undecided
from gateway.messages import Delivery
from gateway.plan import Plan
from gateway.state.database import look_into_database
from gateway.state.history import MOST_ENTRIES, ConfigHistory, Entry, delivery_of
from gateway.state.last_good import load_last_good

_MOST_PLANS = 16
# Why: workers serve from the first moment; that is written down when the controller is there.
_WRITTEN_LATE_MS = 60_000


class InForce(Struct, frozen=True):
    """A time since which a plan was in force."""

    since_ms: int  # Unix time
    author: str
    until_ms: int = 0  # 0: nothing followed


class FoundPlan(Struct, frozen=True, kw_only=True):
    """A plan, or why there is none."""

    hash: str
    plan: Plan | None = None
    missing: str = ""  # one sentence; "" there is one
    undecided: tuple[str, ...] = ()  # places that choosing looks at, filled by the environment


class Plans:
    """The plans that a state directory knows."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._found: dict[str, FoundPlan] = {}
        self._lock = threading.Lock()  # the admin port asks from threads

    def find(self, plan_hash: str) -> FoundPlan:
        """The plan of this hash; asked again where there was none, since it may come yet."""
        with self._lock:
            if plan_hash in self._found:
                return self._found[plan_hash]
            found = self._compiled(plan_hash)
            if found.plan is not None:
                self._keep(found)
            return found

    def _keep(self, found: FoundPlan) -> None:
        if len(self._found) == _MOST_PLANS:
            del self._found[next(iter(self._found))]
        self._found[found.hash] = found

    def in_force(self, plan_hash: str, at_ms: int) -> InForce | None:
        """Since when, and by whom, this plan was in force at that time."""
        later: Entry | None = None
        for entry in self._applied():
            if entry.at_ms <= at_ms + _WRITTEN_LATE_MS and entry.hash == plan_hash:
                return InForce(entry.at_ms, entry.author, later.at_ms if later else 0)
            later = entry
        return None

    def _compiled(self, plan_hash: str) -> FoundPlan:
        kept = self._kept(plan_hash)
        if kept is None:
            return FoundPlan(
                hash=plan_hash,
                missing=f"The configuration {plan_hash[:12]} is no longer in the history.",
            )
        try:
            text, delivery = kept
            plan = compile_plan(parse_without_environment(text), delivery=delivery)
        except ConfigError as error:
            return FoundPlan(
                hash=plan_hash,
                missing=f"The configuration {plan_hash[:12]} cannot be compiled any more: "
                f"{error.problems[0]}.",
            )
        return FoundPlan(hash=plan_hash, plan=plan, undecided=undecided(text))

    def _kept(self, plan_hash: str) -> tuple[str, Delivery] | None:
        # What is not there, or no hash at all, may still be the last good one.
        with suppress(StateError), self._history() as history:
            entry = history.get(plan_hash)
            return entry.text, delivery_of(entry)
        text = load_last_good(self._state)
        return (text, AT_REST) if text is not None and _hash_of(text) == plan_hash else None

    def _applied(self) -> list[Entry]:
        """What was put in force, the newest first."""
        with self._history() as history:
            entries = history.latest(MOST_ENTRIES)
        return [entry for entry in entries if entry.outcome == "applied"]

    @contextmanager
    def _history(self) -> Iterator[ConfigHistory]:
        engine = look_into_database(self._state)
        try:
            yield ConfigHistory(engine)
        finally:
            engine.dispose()


def _hash_of(text: str) -> str:
    try:
        return parse_without_environment(text).hash
    except ConfigError:
        return ""
