"""The ledger: cases and decisions, in memory as they are in the database.

Rule 1: what is in memory changes only after the transaction that writes it; where that
        fails, everything is read again, since somebody else may have been faster.
Rule 2: a row that another version of the program wrote, and this one cannot read, begins anew.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from gateway.config.document import parse_rollout
from gateway.config.rollouts import Rollout
from gateway.errors import ConfigError, GatewayError
from gateway.rollout.cases import Case, Kept
from gateway.rollout.clock import Clock
from gateway.rollout.decisions import NOTHING, Decision, Entry, sealed
from gateway.rollout.machine import Event, State
from gateway.rollout.parts import Store
from gateway.rollout.standing import spec_text
from gateway.state.rollouts import KeptState

log = logging.getLogger(__name__)

Tell = Callable[[Decision, Rollout], None]


class Ledger:
    """Reads once, then writes."""

    def __init__(self, store: Store, clock: Clock, tell: Tell | None) -> None:
        self.cases: dict[str, Case] = {}
        self.is_read = False
        self.decided: dict[Event, int] = {}  # since the controller started
        self._store, self._clock, self._tell = store, clock, tell
        self._tail = (0, NOTHING)
        self._unreadable: dict[str, int] = {}  # versions of rows, by name

    @property
    def following(self) -> int:
        """The number that the next decision gets."""
        return self._tail[0] + 1

    def read(self) -> bool:
        """All that was written down; False: it was read already."""
        if self.is_read:
            return False
        n, hash_ = self._store.last()
        self._tail = (n, hash_ or NOTHING)
        self.cases, self._unreadable = {}, {}
        for row in self._store.states():
            try:
                kept = Kept.decoded(row.text)
                rollout = parse_rollout(kept.spec, f"rollouts.{row.name}")
            except (ConfigError, msgspec.DecodeError) as error:
                log.error("rollout cannot be read and begins anew: %s: %s", row.name, error)
                self._unreadable[row.name] = row.version
                continue
            self._clock.not_before(kept.at_ms)
            self.cases[row.name] = Case(kept=kept, version=row.version, rollout=rollout)
        self.is_read = True
        return True

    def open(self, rollout: Rollout, state: State, text: str = "") -> Case:
        """A new case, in the place of the one that was known by this name."""
        known = self.cases.get(state.name)
        kept = Kept(state=state, spec=spec_text(rollout), text=text)
        version = self._unreadable.pop(state.name, 0)
        if known is not None:
            version = known.version
            kept = replace(kept, undelivered=known.kept.undelivered)
        case = Case(kept=kept, version=version, rollout=rollout)
        self.save([case])
        self.cases[state.name] = case
        return case

    def save(
        self,
        cases: Sequence[Case],
        kept: Mapping[str, Kept] | None = None,
        decisions: Sequence[Decision] = (),
    ) -> None:
        """These cases, with what is kept of them from now on, in one transaction."""
        now_ms = self._clock.now_ms()
        changed = kept or {}
        new = [replace(changed.get(one.state.name, one.kept), at_ms=now_ms) for one in cases]
        rows = [
            KeptState(case.state.name, case.version + 1, each.encoded())
            for case, each in zip(cases, new, strict=True)
        ]
        n, prev = self._tail
        entries: list[Entry] = []
        for decision in decisions:
            entries.append(sealed(decision, n + 1, prev))
            n, prev = n + 1, entries[-1].hash
        try:
            self._store.save(rows, entries)
        except GatewayError:
            self.is_read = False
            raise
        self._tail = (n, prev)
        for case, each in zip(cases, new, strict=True):
            case.kept, case.version = each, case.version + 1
        for decision, entry in zip(decisions, entries, strict=True):
            self._told(replace(decision, n=entry.n), cases)

    def _told(self, decision: Decision, cases: Sequence[Case]) -> None:
        self.decided[decision.event] = self.decided.get(decision.event, 0) + 1
        if decision.event == "delivered":
            return
        facts = {"rollout": decision.rollout, "event": decision.event, "actor": decision.actor}
        log.info("rollout: %s", decision.sentence, extra=facts)
        if self._tell is not None:
            rollout = next(one.rollout for one in cases if one.state.name == decision.rollout)
            self._tell(decision, rollout)
