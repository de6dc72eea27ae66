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

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from gateway.config.rollouts import Analysis, Pause, Rollout
from gateway.errors import IllegalTransition
from gateway.plan import PPM
from gateway.rollout.counts import CHAMPION
from gateway.rollout.states import BEFORE_FIRST as BEFORE_FIRST
from gateway.rollout.states import ENDED as ENDED
from gateway.rollout.states import LIVE as LIVE
from gateway.rollout.states import (
    WAIT_OF,
    holds,
    in_phase,
    lasted_ns,
    left_of,
    moved,
    since_ns,
    waits,
    withdrawn,
)
from gateway.rollout.states import Event as Event
from gateway.rollout.states import Move as Move
from gateway.rollout.states import Phase as Phase
from gateway.rollout.states import Seen as Seen
from gateway.rollout.states import State as State
from gateway.rollout.states import Verb as Verb
from gateway.rollout.states import Wait as Wait
from gateway.rollout.steps import (
    PPM_PER_PERCENT,
    SECOND_NS,
    headers_of,
    percent,
    span,
    spans,
    step_in_words,
    weights_at,
)
from gateway.rollout.verdict import Verdict

SILENCE_NS = 60 * SECOND_NS  # without a single request, until that is told

_OPEN = "none of its backends takes requests, their breakers are open."
_POSSIBLE: dict[Phase, tuple[Verb, ...]] = {
    "pending": ("start", "abort"),
    "running": ("promote", "pause", "abort"),
    "paused": ("promote", "resume", "abort"),
    "confirming": ("confirm", "promote", "pause", "abort"),
    "promoted": ("undo",),
    "rolled_back": ("retry",),
    "aborted": ("retry",),
}


# -- what people and the file say


def declared(name: str, spec_hash: str, now_ms: int, *, revision: int = 1) -> State:
    """A rollout that nobody has begun yet."""
    return State(
        name=name, spec_hash=spec_hash, revision=revision, since_ms=now_ms, step_since_ms=now_ms
    )


def start(state: State, now_ms: int, actor: str) -> Move:
    """Begin: the first step is taken by the next look."""
    _allowed(state, "start", "pending", remedy="`retry` begins one again that has ended")
    return moved(_begun(state, now_ms), "started", f"Started by {actor}.")


def promote(
    state: State,
    rollout: Rollout,
    now_ms: int,
    actor: str,
    *,
    full: bool = False,
    verdicts: Sequence[Verdict] = (),
) -> Move:
    """Pass by the present step; in full: by all of them, by windows and gates too."""
    _allowed(state, "promote", *LIVE, remedy="`start` or `retry` begins it")
    if full:
        winner = _best(left_of(state, rollout), verdicts)
        return _promoted(state, winner, now_ms, f"Promoted in full by {actor}.")
    passed = replace(
        in_phase(state, "running", now_ms, f"{actor} passed by {_step_name(state, rollout)}."),
        skip=state.step,
        approved=state.step + 1,
        progress_ms=now_ms,
        paused_by="",
    )
    return moved(passed, "skipped", passed.reason)


def pause(state: State, now_ms: int, actor: str) -> Move:
    _allowed(state, "pause", "running", "confirming", remedy="only one that runs can be paused")
    paused = in_phase(state, "paused", now_ms, f"Paused by {actor}.")
    return moved(replace(paused, paused_by="person"), "paused", paused.reason)


def resume(state: State, now_ms: int, actor: str) -> Move:
    """Go on; where a step paused it, past that step."""
    _allowed(state, "resume", "paused", remedy="only one that is paused can be resumed")
    resumed = replace(
        in_phase(state, "running", now_ms, f"Resumed by {actor}."),
        progress_ms=now_ms,
        skip=state.step if state.paused_by == "step" else state.skip,
        paused_by="",
    )
    return moved(resumed, "resumed", resumed.reason)


def confirm(state: State, now_ms: int, actor: str) -> Move:
    _allowed(state, "confirm", "confirming", remedy="it asks for no confirmation now")
    confirmed = replace(
        in_phase(state, "running", now_ms, f"Confirmed by {actor}."),
        approved=state.step + 1,
        progress_ms=now_ms,
    )
    return moved(confirmed, "confirmed", confirmed.reason)


def abort(state: State, now_ms: int, sentence: str) -> Move:
    """End it: the champion serves all."""
    _allowed(state, "abort", "pending", *LIVE, remedy="`undo` takes a promotion back")
    return moved(withdrawn(state, "aborted", now_ms, sentence), "aborted", sentence)


def retry(state: State, now_ms: int, actor: str) -> Move:
    """Begin again from the first step, as a new revision."""
    _allowed(
        state, "retry", "rolled_back", "aborted", remedy="only one that was ended can be retried"
    )
    fresh = declared(state.name, state.spec_hash, now_ms, revision=state.revision + 1)
    return moved(_begun(fresh, now_ms), "retried", f"Begun again by {actor}.")


def undo(state: State, now_ms: int, actor: str) -> Move:
    """Switch back at once."""
    _allowed(state, "undo", "promoted", remedy="`abort` ends one that is under way")
    sentence = f"The promotion was taken back by {actor}."
    return moved(withdrawn(state, "rolled_back", now_ms, sentence), "undone", sentence)


def possible(state: State) -> tuple[Verb, ...]:
    """What people may say now."""
    return _POSSIBLE[state.phase]


# -- what a look leads to


def look(state: State, rollout: Rollout, seen: Seen) -> Move:
    """What follows from what is seen now; at most one thing."""
    if state.phase not in LIVE:
        return Move(state=state, sentence=state.reason)
    for bad in (_broken, _worse):
        if move := bad(state, rollout, seen):
            return move
    if not seen.is_in_force:
        return waits(state, "delivery", "What was decided last is on its way to the workers.")
    if seen.is_off:
        return waits(state, "switched_off", "All rollouts are switched off by feature.rollouts.")
    if seen.srm and (move := _misdrawn(state, rollout, seen)):
        return move
    if state.phase != "running":
        return Move(state=state, sentence=state.reason, wait=WAIT_OF[state.phase])
    return _on_step(state, rollout, seen)


def _broken(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """No backend of a challenger takes requests: no statistics are needed."""
    if CHAMPION in seen.open_arms:
        return None  # Why: then it is not the challenger's fault, and nobody is better
    arms = [
        arm for arm in left_of(state, rollout) if arm in seen.open_arms and state.weights.get(arm)
    ]
    return _without(state, rollout, arms[0], seen, _OPEN) if arms else None


def _worse(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    for verdict in seen.fails:
        if verdict.kind == "guardrail" and verdict.arm in left_of(state, rollout):
            return _without(state, rollout, verdict.arm, seen, _told(verdict))
    return None


def _without(state: State, rollout: Rollout, arm: str, seen: Seen, why: str) -> Move:
    """The arm leaves and the champion gets its part; the last one takes the rollout along."""
    if left_of(state, rollout) == (arm,):
        sentence = f"Rolled back: {arm}: {why}"
        gone = withdrawn(state, "rolled_back", seen.now_ms, sentence)
        return moved(replace(gone, out=(*state.out, arm)), "rolled_back", sentence)
    is_mirrored = arm == next(iter(rollout.arms))  # copies go to the first challenger
    left = replace(
        state,
        out=(*state.out, arm),
        weights={**state.weights, arm: 0},
        mirror_ppm=0 if is_mirrored else state.mirror_ppm,
        headers=tuple(match for match in state.headers if match.arm != arm),
    )
    return moved(left, "arm_left", f"{arm} left, its part is the champion's again: {why}")


def _misdrawn(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """The shares are not as drawn, so that no other figure can be trusted."""
    if rollout.on_srm == "rollback":
        sentence = f"Rolled back: {seen.srm}"
        return moved(
            withdrawn(state, "rolled_back", seen.now_ms, sentence), "rolled_back", sentence
        )
    if rollout.on_srm == "hold" and state.skip != state.step:
        if state.phase != "running":
            return None
        return _late(state, rollout, seen) or holds(state, "srm", "srm", seen.srm)
    move = holds(state, "srm", "srm", seen.srm)
    return replace(move, state=replace(move.state, wait=state.wait)) if move.event else None


def _on_step(state: State, rollout: Rollout, seen: Seen) -> Move:
    """The step that was taken last: over, and what is next; or what it waits for."""
    if state.skip != state.step:
        waiting = _unfinished(state, rollout, seen)
        if waiting is not None:
            return _late(state, rollout, seen) or waiting
    following = state.step + 1
    if following < len(rollout.steps):
        return _next_step(state, rollout, seen, following)
    return _past_last(state, rollout, seen)


def _unfinished(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """What the present step still waits for; None: nothing."""
    if state.step == BEFORE_FIRST:
        return None
    step = rollout.steps[state.step]
    if step.set_weight:
        return _weighing(state, rollout, seen)
    if step.pause is not None:
        return _pausing(state, step.pause, seen)
    if step.analysis is not None:
        return _analysing(state, rollout, step.analysis, seen)
    return None


def _weighing(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """The minimum of time and samples, and no gate that objects."""
    minimum, at = rollout.minimum, percent(sum(state.weights.values()))
    if (lasted := lasted_ns(state, seen)) < int(minimum.time):
        return waits(state, "time", f"At {at}: {spans(lasted, int(minimum.time))}.")
    if rollout.dry_run:
        return None  # Why: nothing is moved, so nothing can be counted
    left = left_of(state, rollout)
    answered = min(seen.answered.get(arm, 0) for arm in left)
    if answered < minimum.samples:
        if not any(seen.assigned.values()) and lasted >= SILENCE_NS:
            sentence = f"No request has come to route {rollout.route} at this step."
            return holds(state, "no_traffic", "no_traffic", sentence)
        return waits(
            state, "samples", f"At {at}: {answered:,} of {minimum.samples:,} answers have come."
        )
    return _objection(state, rollout, seen)


def _objection(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """A gate that keeps every challenger from more weight."""
    if _is_champion_idle(state, rollout):
        bad: tuple[str, ...] = ("fail",)  # Why: there is nothing to compare with any more
    else:
        bad = ("fail", "not_enough_data")
    objections = [
        next((one for one in seen.verdicts if one.arm == arm and one.verdict in bad), None)
        for arm in left_of(state, rollout)
    ]
    return _held_by(state, objections, told=bad)


def _held_by(
    state: State, objections: Sequence[Verdict | None], told: Sequence[str] = ("fail",)
) -> Move | None:
    """Held, unless there is an arm to which nothing objects; which verdicts people are told."""
    if not objections or None in objections:
        return None
    verdict = next(one for one in objections if one is not None)
    if verdict.verdict not in told:
        return waits(state, "gate", _told(verdict))
    return holds(state, "gate", f"gate:{verdict.gate}:{verdict.verdict}", _told(verdict))


def _pausing(state: State, step: Pause, seen: Seen) -> Move | None:
    if not step.duration:  # entered as a pause; whoever resumes it passes it by
        return None
    if (lasted := lasted_ns(state, seen)) < int(step.duration):
        return waits(state, "pause", f"Pauses: {spans(lasted, int(step.duration))}.")
    return None


def _analysing(state: State, rollout: Rollout, step: Analysis, seen: Seen) -> Move | None:
    if (lasted := lasted_ns(state, seen)) < int(step.duration):
        return waits(state, "time", f"Analyses: {spans(lasted, int(step.duration))}.")
    if rollout.dry_run:
        return None
    return _held_by(state, [_short_of(seen, arm, step.gates) for arm in left_of(state, rollout)])


def _short_of(seen: Seen, arm: str, gates: Sequence[str] = ()) -> Verdict | None:
    """The first of these gates that does not pass for the arm; None: they all do."""
    wanted = [one for one in seen.verdicts if one.arm == arm and (not gates or one.gate in gates)]
    missing = [name for name in gates if name not in {one.gate for one in wanted}]
    if missing:
        return Verdict(gate=missing[0], arm=arm, metric="", sentence="There is no verdict yet.")
    return next((one for one in wanted if one.verdict != "pass"), None)


def _next_step(state: State, rollout: Rollout, seen: Seen, following: int) -> Move:
    step = rollout.steps[following]
    if step.set_weight is None:
        return _taken(state, rollout, seen, following, {})
    weights = weights_at(rollout, step.set_weight, state.out)
    is_rising = sum(weights.values()) > sum(state.weights.values())
    if is_rising and (blocked := _barred(state, rollout, seen, following, weights)):
        return (_late(state, rollout, seen) if blocked.wait == "gate" else None) or blocked
    return _taken(state, rollout, seen, following, {"weights": weights})


def _barred(
    state: State, rollout: Rollout, seen: Seen, following: int, weights: Mapping[str, int]
) -> Move | None:
    """What keeps weight from rising, though the step before is over."""
    after = replace(state, weights=dict(weights))
    is_last_comparison = state.is_compared and _is_champion_idle(after, rollout)
    if is_last_comparison and not rollout.dry_run and state.skip != state.step:
        short = [_short_of(seen, arm) for arm in left_of(state, rollout)]
        if held := _held_by(state, short):
            return held
    if not seen.is_in_window:
        return holds(state, "window", "window", seen.window or "Outside of its windows.")
    if rollout.confirm == "every_step" and 0 < following > state.approved:
        return _asks(state, seen, f"Asks to go on to {percent(sum(weights.values()))}.")
    return None


def _taken(
    state: State, rollout: Rollout, seen: Seen, index: int, changes: Mapping[str, Any]
) -> Move:
    """The step is taken: what it changes holds from now on."""
    step = rollout.steps[index]
    now = seen.now_ms
    new = replace(
        state,
        step=index,
        step_since_ms=now,
        progress_ms=now,
        wait="",
        told=(),
        skip=-2,
        reason="",
        **changes,
    )
    if step.set_mirror_route is not None:
        is_there = next(iter(rollout.arms)) not in state.out
        ppm = round(step.set_mirror_route.percentage * PPM_PER_PERCENT)
        new = replace(new, mirror_ppm=ppm if is_there else 0)
    if step.set_header_route is not None:
        new = replace(new, headers=headers_of(step.set_header_route, rollout, state.out))
    if step.pause is not None and not step.pause.duration:
        sentence = "Pauses until somebody promotes or resumes it."
        paused = in_phase(new, "paused", now, sentence)
        return moved(replace(paused, paused_by="step"), "paused", sentence)
    new = replace(new, is_compared=new.is_compared or _is_comparing(new, rollout))
    sentence = f"Step {index + 1} of {len(rollout.steps)}: {step_in_words(step)}."
    return moved(new, "advanced", sentence)


def _past_last(state: State, rollout: Rollout, seen: Seen) -> Move:
    """Every step is over: who is promoted, or why nobody is yet."""
    left = left_of(state, rollout)
    passing = left if state.skip == state.step else _promotable(state, rollout, seen)
    if not passing:
        told = ("fail",) if rollout.standing else ("fail", "inconclusive", "not_enough_data")
        held = _held_by(state, [_missing(rollout, seen, arm) for arm in left], told)
        return _late(state, rollout, seen) or held or Move(state=state)
    winner = _best(passing, seen.verdicts)
    is_rising = state.weights.get(winner, 0) < PPM
    if is_rising and not seen.is_in_window:
        return holds(state, "window", "window", seen.window or "Outside of its windows.")
    if rollout.confirm != "never" and state.approved <= state.step:
        return _asks(state, seen, f"Asks to promote {winner}.")
    return _promoted(state, winner, seen.now_ms, f"Promoted: {winner} has all the traffic.")


def _promotable(state: State, rollout: Rollout, seen: Seen) -> tuple[str, ...]:
    """The challengers that may have everything."""
    left = left_of(state, rollout)
    if rollout.dry_run:
        return left
    if _is_champion_idle(state, rollout) and not rollout.standing:
        failing = {one.arm for one in seen.verdicts if one.verdict == "fail"}
        return tuple(arm for arm in left if arm not in failing)
    return tuple(arm for arm in left if _missing(rollout, seen, arm) is None)


def _missing(rollout: Rollout, seen: Seen, arm: str) -> Verdict | None:
    """The gate that the arm still lacks for a promotion."""
    short = _short_of(seen, arm)
    if short is not None or not rollout.standing:
        return short
    better = {gate.name or gate.metric for gate in rollout.gates if gate.needs == "better"}
    if any(one.gate in better for one in seen.verdicts if one.arm == arm):
        return None  # they all pass
    return Verdict(gate="", arm=arm, metric="", sentence="No gate asks for `needs: better`.")


def _late(state: State, rollout: Rollout, seen: Seen) -> Move | None:
    """Aborted, where it has not got on for too long; a pause that was asked for is no delay."""
    step = rollout.steps[state.step] if state.step >= 0 else None
    if not rollout.deadline or (step is not None and step.pause is not None):
        return None
    if since_ns(state.progress_ms, seen.now_ms) < int(rollout.deadline):
        return None
    sentence = f"Aborted: no progress for {span(int(rollout.deadline))}, its deadline."
    return moved(withdrawn(state, "aborted", seen.now_ms, sentence), "aborted", sentence)


def _asks(state: State, seen: Seen, sentence: str) -> Move:
    return moved(
        in_phase(state, "confirming", seen.now_ms, sentence), "needs_confirmation", sentence
    )


# -- states and moves


def _best(arms: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """The arm with the most evidence for it; the first where they are alike."""

    def merit(arm: str) -> float:
        mine = [one for one in verdicts if one.arm == arm]
        return sum(one.log_e_better if one.kind == "signal" else -one.log_e for one in mine)

    return max(arms, key=merit)


def _is_champion_idle(state: State, rollout: Rollout) -> bool:
    return sum(state.weights.values()) > PPM - len(rollout.arms)


def _is_comparing(state: State, rollout: Rollout) -> bool:
    is_serving = any(state.weights.values()) or state.mirror_ppm > 0
    return is_serving and not _is_champion_idle(state, rollout)


def _begun(state: State, now_ms: int) -> State:
    running = in_phase(state, "running", now_ms, "")
    return replace(running, begun_ms=now_ms, step_since_ms=now_ms, progress_ms=now_ms)


def _promoted(state: State, winner: str, now_ms: int, sentence: str) -> Move:
    weights = dict.fromkeys(state.weights, 0) | {winner: PPM}
    everything = replace(
        in_phase(state, "promoted", now_ms, sentence),
        weights=weights,
        winner=winner,
        mirror_ppm=0,
        headers=(),
        paused_by="",
        skip=-2,
    )
    return moved(everything, "promoted", sentence)


def _allowed(state: State, verb: str, *phases: Phase, remedy: str) -> None:
    if state.phase not in phases:
        phase = state.phase.replace("_", " ")
        raise IllegalTransition(f"Rollout {state.name} is {phase}: it cannot {verb}; {remedy}.")


def _told(verdict: Verdict) -> str:
    return verdict.sentence or f"{verdict.gate} says {verdict.verdict.replace('_', ' ')}."


def _step_name(state: State, rollout: Rollout) -> str:
    if state.step == BEFORE_FIRST:
        return "the beginning"
    return f"step {state.step + 1}, {step_in_words(rollout.steps[state.step])}"
