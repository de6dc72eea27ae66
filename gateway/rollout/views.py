"""What is shown of a rollout.

Knows nothing of HTTP: times are milliseconds, counts are sums.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.plan import PPM
from gateway.rollout.cases import Case, Source
from gateway.rollout.counts import CHAMPION, ArmCounts
from gateway.rollout.machine import Phase, Verb, Wait, possible
from gateway.rollout.standing import edit_of
from gateway.rollout.steps import PPM_PER_PERCENT, step_in_words
from gateway.rollout.verdict import RatioVerdict, Verdict


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


def view_of(case: Case) -> View:
    state, rollout, judgement = case.state, case.rollout, case.judgement
    return View(
        name=state.name,
        route=rollout.route,
        source=case.source,
        phase=state.phase,
        revision=state.revision,
        step=state.step,
        steps=tuple(map(step_in_words, rollout.steps)),
        weight=sum(state.weights.values()) / PPM_PER_PERCENT,
        mirror=state.mirror_ppm / PPM_PER_PERCENT,
        since_ms=state.since_ms,
        step_since_ms=state.step_since_ms,
        sentence=case.sentence or state.reason,
        wait=case.wait,
        needs=judgement.next_needs if judgement and case.is_live else "",
        arms=_arms(case),
        verdicts=judgement.verdicts if judgement else (),
        srm=judgement.srm if judgement else (),
        winner=state.winner,
        edit="" if case.kept.is_gone else edit_of(state, rollout),
        failure=case.failure or case.defect,
        verbs=() if case.kept.is_gone else possible(state),
        is_dry_run=rollout.dry_run,
        spec_hash=state.spec_hash,
        spec=case.kept.spec,
        propagation_ms=case.kept.propagation_ms,
    )


def _arms(case: Case) -> tuple[ArmView, ...]:
    state, whole = case.state, case.kept.account.all_evidence()
    champion = PPM - sum(state.weights.values())
    shares = {CHAMPION: champion} | {arm: state.weights.get(arm, 0) for arm in case.rollout.arms}
    return tuple(
        ArmView(
            name=arm,
            weight=ppm / PPM_PER_PERCENT,
            is_out=arm in state.out,
            counts=whole.arm(arm),
        )
        for arm, ppm in shares.items()
    )
