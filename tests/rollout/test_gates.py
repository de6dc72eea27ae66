"""Verdicts: what fails, what passes, what waits, and how it is said."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from gateway.config.rollouts import Arm, Gate
from gateway.config.units import Share
from gateway.rollout.counts import CHAMPION, Frozen, PairCounts, Period, SignalCounts
from gateway.rollout.gates import family_of, judge, told_s
from gateway.rollout.verdict import Verdict
from tests.rollout.cases import costs, counts, period, rollout_of

ERRORS = Gate(metric="errors")


def verdict_of(gate: Gate, *periods: Period, **more: Any) -> Verdict:
    [verdict] = judge(rollout_of(gate, **more), periods, 0).verdicts
    return verdict


def test_many_more_errors_fail_and_the_sentence_says_why() -> None:
    verdict = verdict_of(ERRORS, period(counts(990, errors=20), counts(10, errors=5), 0.01))
    assert verdict.verdict == "fail"
    assert "`new` fails: errors 50 % against 2.02 %" in verdict.sentence
    assert verdict.log_e > math.log(20)


def test_two_failures_prove_nothing_whatever_the_arithmetic() -> None:
    few = period(counts(999_990), counts(10, errors=2), 0.00001)
    assert verdict_of(ERRORS, few).verdict == "not_enough_data"
    enough = period(counts(999_990), counts(10, errors=3), 0.00001)
    assert verdict_of(ERRORS, enough).verdict == "fail"


def test_equal_arms_pass_only_after_the_minimum_of_both() -> None:
    small = period(counts(9900, errors=198), counts(60, errors=1), 0.01)
    verdict = verdict_of(ERRORS, small)
    assert verdict.verdict == "not_enough_data"
    assert (verdict.needs_requests, verdict.needs_s) == (40, 40.0)
    assert verdict.sentence.startswith("Not enough data: 40 more requests, about 40 s at this rate")
    large = period(counts(9900, errors=198), counts(100, errors=2), 0.01)
    assert verdict_of(ERRORS, large).verdict == "pass"


def test_the_champions_own_minimum_is_waited_for_at_large_weights() -> None:
    verdict = verdict_of(ERRORS, period(counts(10), counts(90), 0.9))
    assert verdict.needs_requests == math.ceil(90 * 0.9 / 0.1)


def test_what_is_suspicious_does_not_pass() -> None:
    verdict = verdict_of(ERRORS, period(counts(5000, errors=100), counts(5000, errors=145)))
    assert verdict.verdict == "inconclusive"
    assert math.log(20) / 2 <= verdict.log_e < math.log(20)
    assert verdict.sentence.startswith("Suspicious")


@pytest.mark.parametrize("errors, expected", [(800, "pass"), (1240, "fail")])
def test_not_worse_needs_proof_within_the_margin(errors: int, expected: str) -> None:
    gate = Gate(metric="errors", needs="not_worse", margin=Share(0.3))
    both = period(counts(40_000, errors=800), counts(40_000, errors=errors))
    assert verdict_of(gate, both).verdict == expected


def test_not_worse_says_how_many_requests_it_lacks() -> None:
    gate = Gate(metric="errors", needs="not_worse", margin=Share(0.3))
    verdict = verdict_of(gate, period(counts(1000, errors=20), counts(1000, errors=20)))
    assert verdict.verdict == "not_enough_data"
    assert 1000 < verdict.needs_requests < 100_000
    assert verdict.detectable is not None
    assert verdict.detectable > 0.3


def test_better_is_for_the_better_one() -> None:
    gate = Gate(metric="errors", needs="better")
    better = period(counts(5000, errors=200), counts(5000, errors=100))
    assert verdict_of(gate, better).verdict == "pass"
    alike = period(counts(5000, errors=200), counts(5000, errors=200))
    assert verdict_of(gate, alike).verdict == "not_enough_data"


def test_after_the_maximum_it_is_inconclusive() -> None:
    gate = Gate(metric="errors", needs="better", maximum=5000)
    alike = period(counts(5000, errors=200), counts(5000, errors=200))
    assert verdict_of(gate, alike).verdict == "inconclusive"


def test_periods_are_compared_each_within_itself() -> None:
    """A ramp from a bad hour into a good one fools nobody (Simpson)."""
    night = period(counts(9900, errors=990), counts(100, errors=10), 0.01)
    day = period(counts(5000, errors=50), counts(5000, errors=50), 0.5)
    verdict = verdict_of(Gate(metric="errors", needs="better"), night, day)
    assert verdict.verdict == "not_enough_data"


def test_evidence_of_periods_multiplies() -> None:
    one = period(counts(9900, errors=198), counts(100, errors=6), 0.01)
    single, double = verdict_of(ERRORS, one), verdict_of(ERRORS, one, one)
    assert double.log_e == pytest.approx(2 * single.log_e, rel=0.05)


def test_a_good_beginning_does_not_hide_harm_at_a_later_step() -> None:
    early = period(counts(20_000, errors=400), counts(20_000, errors=400))
    assert verdict_of(ERRORS, early).log_e < -2
    later = period(counts(2000, errors=40), counts(2000, errors=90))
    alone, after = verdict_of(ERRORS, later), verdict_of(ERRORS, early, later)
    assert alone.verdict == after.verdict == "fail"
    assert alone.log_e - after.log_e < math.log(1 / 0.025) + 0.1


def test_a_challenger_that_was_switched_to_has_nobody_beside_it() -> None:
    verdict = verdict_of(ERRORS, period(counts(0), counts(500, errors=10), 1.0))
    assert verdict.verdict == "pass"
    assert "nothing to compare" in verdict.sentence


def test_all_guardrails_are_looked_at_together() -> None:
    gates = [Gate(metric="timeouts"), *(Gate(metric="latency", name=f"l{n}") for n in range(9))]
    rollout = rollout_of(*gates)
    seen = [period(counts(1000), counts(1000, timeouts=9))]
    judgement = judge(rollout, seen, 0)
    alone = verdict_of(Gate(metric="timeouts"), *seen)
    assert alone.verdict == "fail"
    assert judgement.verdicts[0].verdict == "inconclusive"
    assert "would fail by itself, of 10 guardrails not yet" in judgement.verdicts[0].sentence
    assert judgement.fails == ()


def test_weights_of_the_family_average_one() -> None:
    rollout = rollout_of()
    weights = [math.exp(by) for by in family_of(rollout).values()]
    assert weights == pytest.approx([1.5, 0.75, 0.75])


def test_a_signal_that_fails_is_no_reason_to_roll_back() -> None:
    rollout = rollout_of(Gate(metric="errors", kind="signal"))
    judgement = judge(rollout, [period(counts(1000), counts(1000, errors=50))], 0)
    assert [one.verdict for one in judgement.fails] == ["fail"]
    assert judgement.failing_guardrails() == ()
    assert not judgement.may_advance()


def test_each_challenger_is_judged_for_itself() -> None:
    arms = {"a": Arm(backends=("x",)), "b": Arm(backends=("y",))}
    both = period(counts(600), counts(0), a=counts(200, errors=30), b=counts(200))
    both.weights = {"a": 200_000, "b": 200_000}
    judgement = judge(rollout_of(ERRORS, arms=arms), [both], 0)
    assert [(one.arm, one.verdict) for one in judgement.verdicts] == [("a", "fail"), ("b", "pass")]


def test_doubled_cost_is_caught_and_equal_cost_passes() -> None:
    gate = Gate(metric="cost")
    dear = period(costs(500, 0.001, 0.001), costs(500, 0.002, 0.002))
    assert verdict_of(gate, dear).verdict == "fail"
    alike = period(costs(500, 0.001, 0.001), costs(500, 0.001, 0.001))
    verdict = verdict_of(gate, alike)
    assert verdict.verdict == "pass"
    assert verdict.estimate == pytest.approx(0.0)
    assert verdict.low is not None
    assert verdict.low < 0


def rated(n: int, positive: int) -> dict[str, SignalCounts]:
    return {"accept": SignalCounts(n=n, positive=positive, total=positive, squares=positive)}


def test_five_points_lower_acceptance_is_caught() -> None:
    gate = Gate(metric="feedback.accept")
    lower = period(
        counts(9000, feedback=rated(4000, 2400)), counts(9000, feedback=rated(4000, 2200))
    )
    verdict = verdict_of(gate, lower)
    assert verdict.verdict == "fail"
    assert "acceptance 55 % against 60 %" in verdict.sentence


def test_feedback_that_nobody_sends_holds_with_the_reason() -> None:
    verdict = verdict_of(Gate(metric="feedback.accept"), period(counts(900), counts(900)))
    assert verdict.verdict == "not_enough_data"
    assert "100 more signals, and none are coming" in verdict.sentence


def test_scores_from_0_to_1_are_bet_on() -> None:
    def scored(n: int, mean: float) -> dict[str, SignalCounts]:
        return {"score": SignalCounts(n=n, total=n * mean, squares=n * mean * mean + n * 0.01)}

    gate = Gate(metric="feedback.score", margin=Share(0.01))
    lower = period(
        counts(3000, feedback=scored(2000, 0.7)), counts(3000, feedback=scored(2000, 0.6))
    )
    assert verdict_of(gate, lower).verdict == "fail"
    alike = period(
        counts(3000, feedback=scored(2000, 0.7)), counts(3000, feedback=scored(2000, 0.7))
    )
    assert verdict_of(gate, alike).verdict == "pass"


def test_cost_of_an_accepted_answer_is_the_quotient() -> None:
    champion, challenger = costs(4000, 0.001, 0.001), costs(4000, 0.001, 0.001)
    champion.feedback, challenger.feedback = rated(2000, 1500), rated(2000, 900)
    verdict = verdict_of(Gate(metric="cost_per_accept"), period(champion, challenger))
    assert verdict.verdict == "fail"
    assert "$0.00444 against $0.00267" in verdict.sentence


LIMIT = {"latency": Frozen(bucket=900, value_ns=10**9, margin_bucket=910)}


def test_latency_is_judged_by_exceedances_of_the_frozen_quantile() -> None:
    gate = Gate(metric="latency", margin=Share(0.1))
    usual = counts(1000, total_ns={800: 990, 905: 10})
    slower = counts(1000, total_ns={800: 960, 915: 40})
    verdict = verdict_of(gate, period(usual, slower, frozen=LIMIT))
    assert verdict.verdict == "fail"
    assert "latency above 1 s (the champion's p99 before) in 4 % of the answers" in verdict.sentence
    within = counts(1000, total_ns={800: 960, 905: 40})
    assert verdict_of(gate, period(usual, within, frozen=LIMIT)).verdict == "pass"


def test_what_was_counted_before_the_quantile_was_found_is_no_evidence() -> None:
    before = {CHAMPION: (900, 5, 4), "new": (900, 40, 40)}
    frozen = {"latency": Frozen(bucket=900, value_ns=10**9, margin_bucket=910, before=before)}
    usual = counts(1000, total_ns={800: 995, 905: 5})
    slower = counts(1000, total_ns={800: 960, 915: 40})
    verdict = verdict_of(Gate(metric="latency"), period(usual, slower, frozen=frozen))
    assert verdict.verdict == "pass"
    assert verdict.log_e < 1e-9


def test_without_a_frozen_quantile_latency_waits() -> None:
    verdict = verdict_of(Gate(metric="latency"), period(counts(500), counts(500)))
    assert verdict.verdict == "not_enough_data"
    assert "the champion's p99 is not known yet" in verdict.sentence


def test_quantiles_are_shown_only_from_2000_requests_on() -> None:
    def shown(n: int) -> float | None:
        times = {800 + at: n // 100 for at in range(100)}
        both = period(counts(n, total_ns=times), counts(n, total_ns=times), frozen=LIMIT)
        return verdict_of(Gate(metric="latency"), both).low

    assert shown(2000) is not None
    few = period(
        counts(1900, total_ns={800: 1900}), counts(1900, total_ns={800: 1900}), frozen=LIMIT
    )
    assert verdict_of(Gate(metric="latency"), few).estimate is None


def pairs(**more: Any) -> PairCounts:
    return PairCounts(**more)


def test_disagreement_is_held_against_its_limit() -> None:
    gate = Gate(metric="disagreement", margin=Share(0.05))
    bad = pairs(pairs=200, compared=200, agreeing=160)
    verdict = verdict_of(gate, period(counts(0), counts(0), 0.0, pairs=bad))
    assert verdict.verdict == "fail"
    assert (
        "disagreement with the champion in 20 % of 200 pairs, 5 % are allowed" in verdict.sentence
    )
    good = pairs(pairs=200, compared=200, agreeing=197)
    assert verdict_of(gate, period(counts(0), counts(0), 0.0, pairs=good)).verdict == "pass"
    none = verdict_of(gate, period(counts(0), counts(0), 0.0))
    assert none.verdict == "not_enough_data"
    assert "100 more pairs" in none.sentence


def test_a_shadow_that_fails_is_caught_before_it_serves_anybody() -> None:
    dead = pairs(pairs=50, both_ok=40, only_champion_ok=10)
    verdict = verdict_of(ERRORS, period(counts(500), counts(0), 0.0, pairs=dead))
    assert verdict.verdict == "fail"
    fine = pairs(pairs=150, both_ok=148, only_champion_ok=1, only_challenger_ok=1)
    assert verdict_of(ERRORS, period(counts(500), counts(0), 0.0, pairs=fine)).verdict == "pass"


def test_a_margin_on_paired_failures_counts_those_that_both_share() -> None:
    gate = Gate(metric="errors", margin=Share(0.2))
    shared = pairs(pairs=4000, both_ok=3580, neither_ok=400, only_champion_ok=20)
    assert verdict_of(gate, period(counts(0), counts(0), 0.0, pairs=shared)).verdict == "pass"
    alone = pairs(pairs=4000, both_ok=3780, neither_ok=200, only_champion_ok=120)
    assert verdict_of(gate, period(counts(0), counts(0), 0.0, pairs=alone)).verdict == "fail"


def test_paired_costs_need_few_requests() -> None:
    dear = pairs(pairs=120, both_ok=120)
    for at in range(120):
        champion = 0.001 * (1 + at % 10)
        dear.cost_usd.add(champion, champion * 1.2)
    verdict = verdict_of(Gate(metric="cost"), period(counts(0), counts(0), 0.0, pairs=dear))
    assert verdict.verdict == "fail"
    assert verdict.estimate == pytest.approx(0.2)


def test_units_that_bring_many_requests_are_compared_by_the_requests_that_came() -> None:
    """One user with a thousand requests landed on the challenger: its errors are no surprise."""
    heavy = period(counts(1000, errors=20), counts(1010, errors=20), 0.01)
    assert verdict_of(ERRORS, heavy).verdict == "fail"
    assert verdict_of(ERRORS, heavy, unit="user").verdict == "pass"


def test_drift_is_both_significant_and_large() -> None:
    gate = Gate(metric="drift")
    stop = counts(1000, finishes=(0, 950, 50, 0, 0, 0))
    cut = counts(1000, finishes=(0, 600, 400, 0, 0, 0))
    verdict = verdict_of(gate, period(stop, cut))
    assert verdict.verdict == "fail"
    assert "reasons to finish" in verdict.sentence
    alike = counts(1000, finishes=(0, 945, 55, 0, 0, 0))
    assert verdict_of(gate, period(stop, alike)).verdict == "pass"
    few = verdict_of(gate, period(counts(50, finishes=(0, 50, 0, 0, 0, 0)), counts(50)))
    assert few.verdict == "not_enough_data"
    assert few.needs_requests == 150


def test_a_ramp_is_no_drift() -> None:
    """The champion is weighed as the challenger's requests came."""
    night = period(
        counts(9900, finishes=(0, 9900, 0, 0, 0, 0)),
        counts(300, finishes=(0, 300, 0, 0, 0, 0)),
        0.03,
    )
    day = period(
        counts(3000, finishes=(0, 0, 3000, 0, 0, 0)), counts(3000, finishes=(0, 0, 3000, 0, 0, 0))
    )
    assert verdict_of(Gate(metric="drift"), night, day).verdict == "pass"


# -- other tests by name


def test_group_sequential_waits_for_its_plan_and_fails_over_its_boundary() -> None:
    gate = Gate(metric="errors", test="group_sequential", maximum=4000)
    alike = period(counts(1000, errors=20), counts(1000, errors=20))
    verdict = verdict_of(gate, alike)
    assert (verdict.verdict, verdict.needs_requests) == ("not_enough_data", 3000)
    worse = period(counts(1000, errors=20), counts(1000, errors=80))
    assert verdict_of(gate, worse).verdict == "fail"
    over = period(counts(4000, errors=80), counts(4000, errors=80))
    assert verdict_of(gate, over).verdict == "pass"


def test_bayesian_says_that_it_is_a_belief() -> None:
    gate = Gate(metric="errors", test="bayesian")
    worse = verdict_of(gate, period(counts(1000, errors=20), counts(1000, errors=60)))
    assert worse.verdict == "fail"
    assert "a belief, not an error rate" in worse.sentence
    better = Gate(metric="errors", test="bayesian", needs="better")
    fewer = period(counts(1000, errors=60), counts(1000, errors=20))
    assert verdict_of(better, fewer).verdict == "pass"


def minutes(champion: float, challenger: float, count: int = 60) -> Period:
    both = period(counts(1000), counts(1000))
    wave = [1 + 0.1 * math.sin(at) for at in range(count)]
    both.points["errors"] = {
        CHAMPION: [champion * one for one in wave],
        "new": [challenger * one for one in wave],
    }
    return both


def test_kayenta_judges_minutes() -> None:
    gate = Gate(metric="errors", test="kayenta")
    assert verdict_of(gate, minutes(0.02, 0.02)).verdict == "pass"
    worse = verdict_of(gate, minutes(0.02, 0.06))
    assert worse.verdict == "fail"
    assert "score 0 of 100; this metric: High" in worse.sentence
    few = verdict_of(gate, minutes(0.02, 0.02, count=4))
    assert (few.verdict, few.needs_s) == ("not_enough_data", 360.0)


def test_a_failing_option_is_not_weighed_against_the_others() -> None:
    rollout = rollout_of(Gate(metric="errors", test="kayenta"), Gate(metric="timeouts"))
    judgement = judge(rollout, [minutes(0.02, 0.06)], 0)
    assert [one.gate for one in judgement.failing_guardrails()] == ["errors"]


# -- ratios


def test_shares_that_are_not_as_drawn_hold_it_at_the_hop_where_they_are_lost() -> None:
    lost = counts(10_000, answered=9_000, recorded=9_000)
    judgement = judge(rollout_of(), [period(counts(10_000), lost)], 0)
    verdicts = {one.hop: one.verdict for one in judgement.srm}
    assert verdicts == {
        "assigned": "pass",
        "dispatched": "pass",
        "answered": "fail",
        "recorded": "fail",
        "feedback": "not_enough_data",
    }
    assert judgement.is_suspicious()
    assert "at the hop `answered` are not as drawn: new has 47.4 %" in judgement.next_needs


def test_ratios_of_sticky_units_are_held_against_those_that_were_assigned() -> None:
    uneven = period(counts(9_000), counts(1_000), 0.5)
    judgement = judge(rollout_of(unit="user"), [uneven], 0)
    assert not judgement.is_suspicious()
    lost = period(counts(9_000), counts(1_000, answered=500), 0.5)
    assert judge(rollout_of(unit="user"), [lost], 0).is_suspicious()


def test_a_ramp_is_as_drawn_in_each_period() -> None:
    one = period(counts(9_900), counts(100), 0.01)
    other = period(counts(5_000), counts(5_000), 0.5)
    assert not judge(rollout_of(), [one, other], 0).is_suspicious()


# -- purity


def test_the_same_evidence_gives_the_same_judgement_through_json() -> None:
    seen = [period(counts(990, errors=20), counts(10, errors=2), 0.01, frozen=LIMIT)]
    again = msgspec.json.decode(msgspec.json.encode(seen), type=list[Period])
    assert judge(rollout_of(), again, 5) == judge(rollout_of(), seen, 5)


def test_nothing_yet_waits_for_everything() -> None:
    judgement = judge(rollout_of(), [], 0)
    assert {one.verdict for one in judgement.verdicts} == {"not_enough_data"}
    assert judgement.next_needs.startswith("Not enough data")


@pytest.mark.parametrize(
    "seconds, said",
    [(0.2, "1 s"), (89, "89 s"), (720, "12 min"), (7200, "2 h"), (1e6, "12 days")],
)
def test_waiting_is_told_as_people_say_it(seconds: float, said: str) -> None:
    assert told_s(seconds) == said
