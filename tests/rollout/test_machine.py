"""The machine: every transition by example, then walks of looks and words in any order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.config.document import parse_rollout
from gateway.config.rollouts import Rollout
from gateway.errors import IllegalTransition
from gateway.messages import Delivery, HeaderMatch
from gateway.plan import PPM
from gateway.rollout import machine
from gateway.rollout.machine import ENDED, LIVE, Move, Phase, Seen, State
from gateway.rollout.standing import Case, delivery_of, standing_of
from gateway.rollout.verdict import Value, Verdict

MINUTE_MS = 60_000


def make_rollout(**keys: str) -> Rollout:
    """One challenger `new`, minimum of a minute and ten answers, one gate on errors."""
    lines = [
        "route: chat",
        *([] if "arms" in keys else ["arms: {new: {backends: [b]}}"]),
        *([] if "minimum" in keys else ["minimum: {time: 1m, samples: 10}"]),
        *([] if "gates" in keys else ["gates: [{metric: errors}]"]),
        *(f"{name}: {value}" for name, value in keys.items()),
    ]
    return parse_rollout("\n".join(lines))


TWO_ARMS = "{a: {backends: [x]}, b: {backends: [y], share: 3}}"


class Walk:
    """A rollout that is looked at and spoken to, with a clock of its own."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout, self.now_ms = rollout, 1_000_000
        self.state = machine.start(
            machine.declared("r", "h", self.now_ms), self.now_ms, "ann"
        ).state
        self.events = ["started"]
        self.sentence = ""

    def look(self, verdict: Value = "pass", *, later: int = 0, **seen: Any) -> Move:
        self.now_ms += later
        arms = list(self.rollout.arms)
        verdicts = tuple(
            Verdict(gate=gate.name or gate.metric, arm=arm, metric=gate.metric, verdict=verdict)
            for gate in self.rollout.gates
            for arm in arms
        )
        plenty = dict.fromkeys(("champion", *arms), 1000)
        facts: dict[str, Any] = {"verdicts": verdicts, "assigned": plenty, "answered": plenty}
        shown = Seen(now_ms=self.now_ms, **(facts | seen))
        return self.take(machine.look(self.state, self.rollout, shown))

    def take(self, move: Move) -> Move:
        self.state, self.sentence = move.state, move.sentence
        self.events += [move.event] if move.event else []
        return move

    def run(self, looks: int = 30) -> None:
        """Everything is well, for as long as it takes."""
        for _ in range(looks):
            self.look(later=MINUTE_MS)

    @property
    def weight(self) -> int:
        return sum(self.state.weights.values())


def failing(arm: str, sentence: str = "more errors.") -> dict[str, Any]:
    verdict = Verdict(gate="errors", arm=arm, metric="errors", verdict="fail", sentence=sentence)
    return {"fails": (verdict,)}


def test_default_ramp_reaches_everything() -> None:
    walk = Walk(make_rollout())
    weights = []
    for _ in range(7):
        walk.look(later=MINUTE_MS)
        weights.append(walk.weight // 10_000)
    assert weights == [1, 5, 25, 50, 100, 100, 100]
    assert (walk.state.phase, walk.state.winner) == ("promoted", "new")
    assert walk.events == ["started", *["advanced"] * 5, "promoted"]


def test_weight_waits_for_the_minimum_of_time_and_samples() -> None:
    walk = Walk(make_rollout())
    walk.look()
    assert walk.weight == 10_000
    move = walk.look(later=MINUTE_MS - 1)
    assert (move.event, move.wait, move.sentence) == (
        "",
        "time",
        "At 1 %: 59 s of 1 m have passed.",
    )
    move = walk.look(later=1, answered={"new": 9})
    assert (move.wait, move.sentence) == ("samples", "At 1 %: 9 of 10 answers have come.")
    assert walk.look(answered={"new": 10}).event == "advanced"


def test_clock_that_goes_back_makes_no_step_shorter() -> None:
    walk = Walk(make_rollout())
    walk.look()
    assert walk.look(later=-500_000).wait == "time"


def test_no_traffic_is_told_once() -> None:
    walk = Walk(make_rollout())
    walk.look()
    silent: dict[str, Any] = {"assigned": {"champion": 0, "new": 0}, "answered": {}}
    assert walk.look(later=MINUTE_MS, **silent).sentence == (
        "Held: No request has come to route chat at this step."
    )
    move = walk.look(later=MINUTE_MS, **silent)
    assert (move.event, move.wait) == ("", "no_traffic")
    assert walk.look().event == "advanced"


def test_gate_that_nobody_feeds_holds_and_says_so() -> None:
    walk = Walk(make_rollout())
    walk.look()
    unfed = Verdict(gate="errors", arm="new", metric="errors", sentence="Nobody sends it.")
    move = walk.look(later=MINUTE_MS, verdicts=(unfed,))
    assert (move.event, move.sentence) == ("held", "Held: Nobody sends it.")
    assert walk.weight == 10_000
    assert walk.look(later=MINUTE_MS, verdicts=(unfed,)).event == ""
    assert walk.look().event == "advanced"


def test_signal_that_fails_holds() -> None:
    walk = Walk(make_rollout(gates="[{metric: cost, kind: signal}]"))
    walk.look()
    assert walk.look("fail", later=MINUTE_MS).event == "held"
    assert walk.look("inconclusive").event == "advanced"


def test_guardrail_rolls_back_in_every_live_phase() -> None:
    for word in (None, machine.pause):
        walk = Walk(make_rollout())
        walk.look()
        if word is not None:
            walk.take(word(walk.state, walk.now_ms, "ann"))
        move = walk.look(**failing("new"))
        assert (move.event, move.state.phase) == ("rolled_back", "rolled_back")
        assert move.sentence == "Rolled back: new: more errors."
        assert (walk.weight, walk.state.mirror_ppm, walk.state.headers) == (0, 0, ())


def test_open_breakers_roll_back_without_statistics() -> None:
    walk = Walk(make_rollout())
    walk.look()
    assert walk.look(open_arms=("champion", "new"), verdicts=()).event == ""
    assert walk.look(open_arms=("new",), verdicts=()).event == "rolled_back"


def test_open_breakers_of_a_challenger_that_serves_nobody_do_nothing() -> None:
    steps = "[setMirrorRoute: {percentage: 10}, pause: {}, setWeight: 100]"
    walk = Walk(make_rollout(steps=steps))
    walk.look()
    assert walk.look(open_arms=("new",)).event == "paused"


def test_one_bad_arm_leaves_and_the_last_one_ends_it() -> None:
    walk = Walk(make_rollout(arms=TWO_ARMS, steps="[setWeight: 40, setWeight: 100]"))
    walk.look()
    assert walk.state.weights == {"a": 100_000, "b": 300_000}
    assert walk.look(**failing("b")).event == "arm_left"
    assert walk.state.weights == {"a": 100_000, "b": 0}
    assert walk.look(**failing("b")).event == ""
    walk.look(later=MINUTE_MS)
    assert walk.state.weights == {"a": 250_000, "b": 0}
    assert walk.look(**failing("a")).event == "rolled_back"
    assert walk.state.out == ("b", "a")


def test_arm_that_left_is_promoted_never() -> None:
    walk = Walk(make_rollout(arms=TWO_ARMS, steps="[setWeight: 40]"))
    walk.look()
    walk.look(**failing("b"))
    walk.run(3)
    assert walk.state.weights == {"a": PPM, "b": 0}
    assert walk.state.winner == "a"


def test_best_arm_whose_gates_pass_is_promoted() -> None:
    rollout = make_rollout(
        arms="{a: {}, b: {}, c: {}}",
        gates="[{metric: feedback.accept, kind: signal, needs: better}]",
        steps="[setWeight: 30]",
    )
    walk = Walk(rollout)
    walk.look()

    def said(arm: str, verdict: Value, log_e: float) -> Verdict:
        name = "feedback.accept"
        return Verdict(
            gate=name, arm=arm, metric=name, kind="signal", verdict=verdict, log_e_better=log_e
        )

    verdicts = (said("a", "pass", 4.0), said("b", "pass", 9.0), said("c", "inconclusive", 99.0))
    walk.look(later=MINUTE_MS, verdicts=verdicts)
    assert (walk.state.phase, walk.state.winner) == ("promoted", "b")


def test_pause_without_duration_waits_for_somebody() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10, pause: {}, setWeight: 20]"))
    walk.look()
    assert walk.look(later=MINUTE_MS).event == "paused"
    walk.run(3)
    assert (walk.state.phase, walk.weight) == ("paused", 100_000)
    walk.take(machine.promote(walk.state, walk.rollout, walk.now_ms, "ann"))
    walk.look()
    assert (walk.state.step, walk.weight) == (2, 200_000)


def test_resume_goes_past_a_step_that_pauses() -> None:
    walk = Walk(make_rollout(steps="[pause: {}, setWeight: 20]"))
    walk.look()
    walk.take(machine.resume(walk.state, walk.now_ms, "ann"))
    assert walk.look().event == "advanced"


def test_pause_with_duration_ends_by_itself() -> None:
    walk = Walk(make_rollout(steps="[pause: {duration: 2m}, setWeight: 20]"))
    walk.look()
    assert walk.look(later=MINUTE_MS).wait == "pause"
    assert walk.look(later=MINUTE_MS).event == "advanced"


def test_analysis_waits_until_its_gates_pass() -> None:
    gates = "[{metric: errors}, {metric: cost, kind: signal}]"
    steps = "[setWeight: 10, analysis: {gates: [errors], duration: 2m}, setWeight: 20]"
    walk = Walk(make_rollout(gates=gates, steps=steps))
    walk.look()
    walk.look(later=MINUTE_MS)
    assert walk.state.step == 1
    assert walk.look(later=MINUTE_MS).wait == "time"
    assert walk.look("inconclusive", later=MINUTE_MS).wait == "gate"
    assert walk.look(verdicts=()).wait == "gate"
    only_errors = Verdict(gate="errors", arm="new", metric="errors", verdict="pass")
    assert walk.look(verdicts=(only_errors,)).event == "advanced"


def test_mirror_and_headers_last_until_they_are_set_again() -> None:
    steps = """
  - setMirrorRoute: {percentage: 25}
  - setHeaderRoute: {match: [{headerName: X-Try, headerValue: "1"}]}
  - pause: {duration: 1m}
  - setMirrorRoute: {percentage: 0}
  - setHeaderRoute: {}
  - setWeight: 100
"""
    walk = Walk(make_rollout(steps=steps))
    walk.look()
    assert walk.state.mirror_ppm == 250_000
    walk.look()
    assert walk.state.headers == (HeaderMatch("x-try", "1", "new"),)
    walk.look()
    walk.look(later=MINUTE_MS)
    walk.look()
    assert walk.state.mirror_ppm == 0
    assert not walk.state.headers


def test_copies_and_headers_end_with_their_arm() -> None:
    header = "{match: [{headerName: x, headerValue: y}]}"
    steps = f"[setMirrorRoute: {{}}, setHeaderRoute: {header}, setWeight: 9]"
    walk = Walk(make_rollout(arms=TWO_ARMS, steps=steps))
    for _ in range(3):
        walk.look()
    walk.look(**failing("a"))
    assert walk.state.mirror_ppm == 0
    assert not walk.state.headers


def test_weight_rises_inside_windows_only() -> None:
    walk = Walk(
        make_rollout(windows="['Mon 09:00-10:00']", steps="[setWeight: 10, setWeight: 100]")
    )
    shut: dict[str, Any] = {"is_in_window": False, "window": "Opens on Monday."}
    assert walk.look(**shut).sentence == "Held: Opens on Monday."
    assert walk.weight == 0
    walk.look()
    assert walk.look(later=MINUTE_MS, **shut).wait == "window"
    assert walk.weight == 100_000
    assert walk.look(**shut, **failing("new")).event == "rolled_back"


def test_promotion_that_raises_weight_waits_for_the_window() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10]"))
    walk.look()
    assert walk.look(later=MINUTE_MS, is_in_window=False).wait == "window"
    assert walk.look().event == "promoted"


def test_full_promotion_passes_by_everything() -> None:
    walk = Walk(make_rollout(windows="['Mon 09:00-10:00']", confirm="promotion"))
    walk.take(machine.promote(walk.state, walk.rollout, walk.now_ms, "ann", full=True))
    assert (walk.state.phase, walk.weight) == ("promoted", PPM)
    assert walk.sentence == "Promoted in full by ann."


def test_promotion_asks_for_confirmation() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10]", confirm="promotion"))
    walk.look()
    move = walk.look(later=MINUTE_MS)
    assert (move.event, move.state.phase) == ("needs_confirmation", "confirming")
    walk.run(3)
    assert walk.weight == 100_000
    walk.take(machine.confirm(walk.state, walk.now_ms, "ann"))
    assert walk.look().event == "promoted"


def test_every_step_asks_but_the_first() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10, setWeight: 20]", confirm="every_step"))
    walk.look()
    assert walk.weight == 100_000
    assert walk.look(later=MINUTE_MS).event == "needs_confirmation"
    walk.take(machine.confirm(walk.state, walk.now_ms, "ann"))
    assert walk.look("fail").event == "held"
    assert walk.look().event == "advanced"
    assert walk.look(later=MINUTE_MS).event == "needs_confirmation"


def test_confirmation_does_not_outlive_a_guardrail() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10]", confirm="promotion"))
    walk.look()
    walk.look(later=MINUTE_MS)
    assert walk.look(**failing("new")).event == "rolled_back"
    with pytest.raises(IllegalTransition, match="it cannot confirm"):
        machine.confirm(walk.state, walk.now_ms, "ann")


def test_deadline_without_progress_aborts() -> None:
    walk = Walk(make_rollout(deadline="10m"))
    walk.look()
    for _ in range(9):
        assert walk.look(later=MINUTE_MS, answered={}).event == ""
    assert walk.look(later=MINUTE_MS, answered={}).sentence == (
        "Aborted: no progress for 10 m, its deadline."
    )


def test_deadline_does_not_run_while_somebody_paused_it() -> None:
    walk = Walk(make_rollout(deadline="10m"))
    walk.look()
    walk.take(machine.pause(walk.state, walk.now_ms, "ann"))
    walk.look(later=60 * MINUTE_MS, answered={})
    walk.take(machine.resume(walk.state, walk.now_ms, "ann"))
    assert walk.look(answered={}).event == ""


@pytest.mark.parametrize(
    "on_srm,event,phase",
    [
        ("hold", "held", "running"),
        ("rollback", "rolled_back", "rolled_back"),
        ("warn", "held", "running"),
    ],
)
def test_shares_that_are_not_as_drawn(on_srm: str, event: str, phase: Phase) -> None:
    walk = Walk(make_rollout(on_srm=on_srm))
    walk.look()
    move = walk.look(later=MINUTE_MS, srm="5.5 % instead of 5 %.")
    assert (move.event, move.state.phase) == (event, phase)
    move = walk.look(srm="5.5 % instead of 5 %.")
    assert (walk.weight > 10_000) is (on_srm == "warn")


def test_standing_experiment_stays_until_one_is_better() -> None:
    gates = "[{metric: errors}, {metric: cost, kind: signal, needs: better}]"
    walk = Walk(make_rollout(steps="[setWeight: 10]", gates=gates, standing="true"))
    walk.look()
    errors = Verdict(gate="errors", arm="new", metric="errors", verdict="pass")
    cost = Verdict(gate="cost", arm="new", metric="cost", kind="signal", verdict="inconclusive")
    for _ in range(9):
        assert walk.look(later=MINUTE_MS, verdicts=(errors, cost)).event == ""
    assert walk.look(verdicts=(errors, replace(cost, verdict="pass"))).event == "promoted"


def test_standing_experiment_without_a_better_gate_is_never_promoted_by_itself() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 10]", standing="true"))
    walk.run(5)
    assert walk.state.phase == "running"
    assert "needs: better" in walk.sentence


def test_blue_green_switches_at_once_and_back_at_once() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 100]"))
    walk.look("not_enough_data")
    assert walk.weight == PPM
    assert walk.look("not_enough_data", later=MINUTE_MS).event == "promoted"
    walk.take(machine.undo(walk.state, walk.now_ms, "ann"))
    assert (walk.state.phase, walk.weight, walk.events[-1]) == ("rolled_back", 0, "undone")


def test_last_comparison_must_pass_before_the_champion_is_left_without_traffic() -> None:
    walk = Walk(make_rollout(steps="[setWeight: 50, setWeight: 100]"))
    walk.look()
    assert walk.look("inconclusive", later=MINUTE_MS).wait == "gate"
    assert walk.weight == 500_000
    walk.look()
    assert walk.weight == PPM


def test_shadow_alone_is_promoted_when_its_gates_pass() -> None:
    steps = "[setMirrorRoute: {percentage: 100}, analysis: {}]"
    walk = Walk(make_rollout(steps=steps, gates="[{metric: disagreement}]"))
    walk.look()
    walk.look()
    assert walk.look("not_enough_data").wait == "gate"
    assert walk.look().event == "promoted"


def test_retry_begins_again_as_a_new_revision() -> None:
    walk = Walk(make_rollout(arms=TWO_ARMS))
    walk.look()
    walk.look(**failing("b"))
    walk.take(machine.abort(walk.state, walk.now_ms, "Enough."))
    assert (walk.state.phase, walk.weight) == ("aborted", 0)
    walk.take(machine.retry(walk.state, walk.now_ms, "ann"))
    assert (walk.state.revision, walk.state.phase, walk.state.out) == (2, "running", ())
    walk.look()
    assert walk.weight == 10_000


def test_switch_of_all_rollouts_holds_but_still_rolls_back() -> None:
    walk = Walk(make_rollout())
    walk.look()
    assert walk.look(later=MINUTE_MS, is_off=True).wait == "switched_off"
    assert walk.weight == 10_000
    assert walk.look(is_off=True, **failing("new")).event == "rolled_back"


def test_rehearsal_walks_through_and_moves_nothing() -> None:
    walk = Walk(make_rollout(dry_run="true"))
    for _ in range(8):
        walk.look("not_enough_data", later=MINUTE_MS, assigned={}, answered={})
        assert standing_of(walk.state, walk.rollout) is None
    assert walk.state.phase == "promoted"


WORDS: dict[str, Callable[[State, Rollout, int], Move]] = {
    "start": lambda state, rollout, now: machine.start(state, now, "ann"),
    "promote": lambda state, rollout, now: machine.promote(state, rollout, now, "ann"),
    "promote --full": lambda state, rollout, now: machine.promote(
        state, rollout, now, "ann", full=True
    ),
    "pause": lambda state, rollout, now: machine.pause(state, now, "ann"),
    "resume": lambda state, rollout, now: machine.resume(state, now, "ann"),
    "abort": lambda state, rollout, now: machine.abort(state, now, "Enough."),
    "retry": lambda state, rollout, now: machine.retry(state, now, "ann"),
    "undo": lambda state, rollout, now: machine.undo(state, now, "ann"),
    "confirm": lambda state, rollout, now: machine.confirm(state, now, "ann"),
}


@pytest.mark.parametrize("phase", [*LIVE, *ENDED, "pending"])
@pytest.mark.parametrize("word", WORDS)
def test_word_is_possible_exactly_where_it_is_offered(word: str, phase: Phase) -> None:
    rollout = make_rollout()
    state = State(name="r", spec_hash="h", phase=phase, weights={"new": 0})
    if word.split(maxsplit=1)[0] in machine.possible(state):
        assert WORDS[word](state, rollout, 5).event
    else:
        with pytest.raises(IllegalTransition, match=r"^Rollout r is .*; .*\.$"):
            WORDS[word](state, rollout, 5)


ROLLOUTS = (
    make_rollout(),
    make_rollout(arms=TWO_ARMS, steps="[setWeight: 20, analysis: {}, setWeight: 100]"),
    make_rollout(steps="[setWeight: 100]", confirm="promotion", windows="['Mon 01:00-02:00']"),
    make_rollout(
        arms=TWO_ARMS,
        steps="[setMirrorRoute: {}, setWeight: 30, pause: {}, setWeight: 5, setWeight: 60]",
        confirm="every_step",
        deadline="30m",
    ),
    make_rollout(steps="[setWeight: 10, setWeight: 50]", standing="true", on_srm="rollback"),
    make_rollout(dry_run="true", steps="[setWeight: 3, pause: {duration: 2m}, setWeight: 70]"),
)


@given(st.sampled_from(ROLLOUTS), st.integers(0, 2**32 - 1))
def test_no_walk_leads_to_an_illegal_state(rollout: Rollout, seed: int) -> None:
    """Looks at anything, and words in any order."""
    chance = random.Random(seed)
    walk = Walk(rollout)
    for _ in range(60):
        before = walk.state
        word = chance.choice([*WORDS, *[""] * 12])
        if word:
            try:
                walk.take(WORDS[word](walk.state, rollout, walk.now_ms))
            except IllegalTransition:
                assert walk.state == before
        else:
            look_at_anything(walk, chance)
        check(before, walk.state, rollout, word)


def look_at_anything(walk: Walk, chance: random.Random) -> None:
    arms = list(walk.rollout.arms)
    values: list[Value] = ["pass", "pass", "pass", "fail", "inconclusive", "not_enough_data"]
    seen: dict[str, Any] = {
        "is_in_window": chance.random() < 0.7,
        "is_off": chance.random() < 0.1,
        "srm": "not as drawn" if chance.random() < 0.1 else "",
        "open_arms": tuple(arm for arm in ("champion", *arms) if chance.random() < 0.05),
    }
    if chance.random() < 0.1:
        seen |= failing(chance.choice(arms))
    if chance.random() < 0.2:
        seen |= {"assigned": {}, "answered": {}}
    later = chance.choice([-5_000, 0, 1, MINUTE_MS, 10 * MINUTE_MS])
    before = walk.state
    move = walk.look(chance.choice(values), later=later, **seen)
    if not seen["is_in_window"]:
        assert sum(move.state.weights.values()) <= sum(before.weights.values())
    again = machine.look(move.state, walk.rollout, Seen(now_ms=walk.now_ms))
    assert again.state.revision == move.state.revision


def check(before: State, after: State, rollout: Rollout, word: str) -> None:
    """What holds of every state, and of every change of one."""
    total = sum(after.weights.values())
    assert set(after.weights) <= set(rollout.arms)
    assert all(0 <= ppm <= PPM for ppm in after.weights.values())
    assert total <= PPM
    taken = [
        step.set_weight for step in rollout.steps[: after.step + 1] if step.set_weight is not None
    ]
    allowed = round(taken[-1] * 10_000) if taken else 0
    if after.phase == "promoted":
        assert after.weights[after.winner] == total == PPM
        assert after.winner not in after.out
    elif after.phase in LIVE:
        assert total <= allowed
        assert all(after.weights.get(arm, 0) == 0 for arm in after.out)
        assert set(after.out) < set(rollout.arms)
    else:
        assert total == after.mirror_ppm == 0
        assert not after.headers
    assert -1 <= after.step < len(rollout.steps)
    if after.revision == before.revision:
        assert after.step in {before.step, before.step + 1}
        assert set(before.out) <= set(after.out)
    else:
        assert (word, after.revision) == ("retry", before.revision + 1)
    if before.phase in ENDED and after.phase != before.phase:
        assert word in {"retry", "undo"}
    delivered = delivery_of([Case(state=after, rollout=rollout)], Delivery(off=("a",)))
    assert delivered.off == ("a",)
    assert not (rollout.dry_run and delivered.rollouts)
