"""A kept decision, judged again: the same evidence must give the same verdict.

    replay(decision).agrees

A Decision has the rollout as it was declared and the evidence that was judged. `judge` is
pure, so a verdict that comes out otherwise means that the entry was changed, or that it was
written by another version whose judge is another one; `versions` of the entry tell.

Knows nothing of where decisions are kept; `gateway rollout explain` and the API call it.
"""

from __future__ import annotations

import math

from msgspec import Struct

from gateway.config.document import parse_rollout
from gateway.config.rollouts import Rollout
from gateway.errors import ConfigError
from gateway.rollout.decisions import Decision
from gateway.rollout.gates import judge
from gateway.rollout.verdict import Judgement, Verdict

# Of logarithms of evidence: other processors and libraries round the last digits otherwise.
TOLERANCE = 1e-6


class Replayed(Struct, frozen=True, kw_only=True):
    """What a decision's evidence says now."""

    judgement: Judgement | None  # None: there was nothing to judge
    differences: tuple[str, ...] = ()  # a sentence each; none: the same verdict
    sentence: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is the same verdict."""
        return not self.differences


def replay(decision: Decision) -> Replayed:
    """Judges the decision's evidence again and compares."""
    if decision.judgement is None:
        sentence = f"Decided by {decision.actor}; no gate was asked, so nothing is judged again."
        return Replayed(judgement=None, sentence=sentence)
    rollout = rollout_of(decision)
    if rollout is None:
        sentence = "Its declaration cannot be read by this version, so it cannot be judged again."
        return Replayed(judgement=None, differences=(sentence,), sentence=sentence)
    again = judge(rollout, decision.periods, decision.judgement.at_ms)
    differences = tuple(differences_of(decision.judgement, again))
    count = len(again.verdicts) + len(again.srm)
    sentence = (
        f"Judged again: {len(differences)} of {count} verdicts differ."
        if differences
        else f"Judged again: all {count} verdicts are the same."
    )
    return Replayed(judgement=again, differences=differences, sentence=sentence)


def rollout_of(decision: Decision) -> Rollout | None:
    """The rollout as it was declared; None where it cannot be read any more."""
    try:
        return parse_rollout(decision.spec)
    except ConfigError:
        return None


def differences_of(before: Judgement, again: Judgement) -> list[str]:
    """What one says and the other does not."""
    found = [
        f"{key} was {_said(old)}, and is {_said(new)}."
        for key, (old, new) in _paired(before, again).items()
        if not _is_same(old, new)
    ]
    old_fails = [(one.arm, one.gate) for one in before.fails]
    new_fails = [(one.arm, one.gate) for one in again.fails]
    if old_fails != new_fails:
        found.append(f"Failing were {_listed(old_fails)}, and are {_listed(new_fails)}.")
    old_hops = {one.hop: one.verdict for one in before.srm}
    new_hops = {one.hop: one.verdict for one in again.srm}
    found += [
        f"The hop {hop} was {_words(old_hops.get(hop, 'not judged'))}, and is {_words(verdict)}."
        for hop, verdict in new_hops.items()
        if old_hops.get(hop) != verdict
    ]
    return found


def _paired(
    before: Judgement, again: Judgement
) -> dict[str, tuple[Verdict | None, Verdict | None]]:
    old = {f"The gate {one.gate} of {one.arm}": one for one in before.verdicts}
    new = {f"The gate {one.gate} of {one.arm}": one for one in again.verdicts}
    return {key: (old.get(key), new.get(key)) for key in {**old, **new}}


def _is_same(old: Verdict | None, new: Verdict | None) -> bool:
    if old is None or new is None:
        return False
    is_near = math.isclose(old.log_e, new.log_e, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return old.verdict == new.verdict and is_near


def _said(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not judged"
    return f"{_words(verdict.verdict)} (evidence {verdict.log_e:.3f})"


def _words(verdict: str) -> str:
    return verdict.replace("_", " ")


def _listed(names: list[tuple[str, str]]) -> str:
    return ", ".join(f"{gate} of {arm}" for arm, gate in names) or "none"
