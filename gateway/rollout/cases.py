"""A rollout at the desk: what is kept of it, and what is known beside that.

`Kept` survives the controller; everything else of a `Case` is found again by looking.

Rule: evidence is kept as an Account, whose readings are compared with the board's own
      counters, so that what was counted while nobody looked is not lost; what of it was
      counted while weights were changing is nobody's (`is_settling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from gateway.config.rollouts import Rollout
from gateway.rollout.counts import CHAMPION, Evidence, Period
from gateway.rollout.evidence import Account
from gateway.rollout.machine import LIVE, Seen, State, Wait
from gateway.rollout.standing import Case as StandingCase
from gateway.rollout.verdict import Judgement

Source = Literal["file", "hand"]


class Kept(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the database has of a rollout."""

    state: State
    spec: str  # as declared, with defaults, JSON
    text: str = ""  # YAML as it was given by hand; "" it is in the file
    account: Account = field(default_factory=Account)
    is_settling: bool = False  # weights are changing: what is counted now belongs to no period
    undelivered: int = 0  # number of the last decision that is not in force yet
    is_gone: bool = False  # no longer declared
    propagation_ms: float | None = None  # of the last decision that moved something
    at_ms: int = 0  # when it was written down

    def encoded(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def decoded(cls, text: str) -> Kept:
        return msgspec.json.decode(text, type=cls)


class Settling(Struct):
    """Requests that were under way when the weights changed: they are drawn by the old ones."""

    since_ms: int
    in_flight: dict[str, int]  # by arm
    ended: dict[str, int]

    @classmethod
    def of(cls, reading: Evidence) -> Settling:
        arms = reading.arms.items()
        return cls(
            reading.at_ms,
            {arm: max(0, counts.assigned - counts.ended) for arm, counts in arms},
            {arm: counts.ended for arm, counts in arms},
        )

    def is_over(self, reading: Evidence, longest_ms: int) -> bool:
        """Whether as many have ended since; Why enough: most end in the order they came."""
        if reading.at_ms - self.since_ms >= longest_ms:
            return True
        return all(
            reading.arm(arm).ended - self.ended[arm] >= count
            for arm, count in self.in_flight.items()
        )


class Case(Struct, eq=False, kw_only=True):
    """One rollout, as the desk has it before it."""

    kept: Kept
    version: int  # of its row in the database
    rollout: Rollout
    judgement: Judgement | None = None
    judged: tuple[Period, ...] = ()  # what it is about
    sentence: str = ""  # of the last look: what it waits for
    wait: Wait = ""
    settling: Settling | None = None  # from when the weights are in force
    decided_ns: int = 0  # monotonic: when the verdict was there that is being delivered
    harm: int = 0  # what challengers had done wrong, by the reading that was judged last
    defect: str = ""  # why it cannot be looked at
    failure: str = ""  # why the last decision is not in force yet

    @property
    def state(self) -> State:
        return self.kept.state

    @property
    def is_live(self) -> bool:
        return self.state.phase in LIVE and not self.kept.is_gone

    @property
    def source(self) -> Source:
        return "hand" if self.kept.text else "file"

    def standing(self) -> StandingCase:
        return StandingCase(state=self.state, rollout=self.rollout, text=self.kept.text)

    def credit(self, reading: Evidence, longest_ms: int) -> None:
        """What a reading adds goes to the period under way, if there is one."""
        account = self.kept.account
        if not self.kept.is_settling:
            account.take(reading)
            return
        skip(account, reading)
        if self.kept.undelivered:
            return
        self.settling = self.settling or Settling.of(reading)
        if self.settling.is_over(reading, longest_ms):
            self.begin_period(reading)

    def begin_period(self, reading: Evidence) -> None:
        skip(self.kept.account, reading)
        self.begin(self.kept.account, self.state, reading)
        self.kept, self.settling = replace(self.kept, is_settling=False), None

    def begin(self, account: Account, state: State, reading: Evidence) -> None:
        weights = {arm: state.weights.get(arm, 0) for arm in self.rollout.arms}
        account.begin(weights, max(state.step, 0), reading)

    def seen(self, now_ms: int, judgement: Judgement | None, reading: Evidence) -> Seen:
        """What the machine is shown; the rest is for the desk to add."""
        gained = self._since_weights()
        return Seen(
            now_ms=now_ms,
            verdicts=judgement.verdicts if judgement else (),
            fails=judgement.failing_guardrails() if judgement else (),
            srm=_suspicion(judgement),
            assigned={arm: counts.assigned for arm, counts in gained.arms.items()},
            answered={arm: counts.answered for arm, counts in gained.arms.items()},
            open_arms=reading.open_breakers,
            is_in_force=not self.kept.undelivered,
        )

    def _since_weights(self) -> Evidence:
        """What was gained since these weights began, over steps that kept them."""
        whole = Evidence()
        if self.kept.is_settling:
            return whole
        for period in reversed(self.kept.account.periods):
            if not _is_alike(period.weights, self.state.weights):
                break
            whole = whole.plus(period.evidence)
        return whole


def skip(account: Account, reading: Evidence) -> None:
    """Takes a reading as seen, but credits nothing of the arms to anybody."""
    account.take(replace(reading, arms={}))
    account.seen = replace(account.seen, arms={**account.seen.arms, **reading.arms})


def harm_in(reading: Evidence) -> int:
    """What challengers have done wrong, all together: when it grows it is time to judge."""
    return sum(
        counts.errors + counts.timeouts + counts.truncated + counts.schema_violations
        for arm, counts in reading.arms.items()
        if arm != CHAMPION
    )


def _suspicion(judgement: Judgement | None) -> str:
    if judgement is None:
        return ""
    bad = next((one for one in judgement.srm if one.verdict == "fail"), None)
    if bad is None:
        return ""
    return bad.sentence or f"the arms' shares are not as drawn at {bad.hop}."


def _is_alike(one: Mapping[str, int], other: Mapping[str, int]) -> bool:
    names = ({*one} | {*other}) - {CHAMPION}
    return all(one.get(name, 0) == other.get(name, 0) for name in names)
