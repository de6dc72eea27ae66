"""Decisions of the compiled candidates, decided again; then the same decisions forged."""

import os
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.explanation.redecide import Verdict, chances_of, redecide, runner_up
from gateway.messages import RECORD_VERSION, Decision, Record
from gateway.plan import CAPABILITIES, Plan
from tests.control.plans import blank
from tests.explanation.decisions import PLAN, decide, plan_of
from tests.fast.test_routes import MS, SECOND_NS, named, needs, offers, rules
from tests.reference.routes import Chooser, Need, Offer, Rules

MANY = 10 if os.environ.get("RUN_SLOW") else 1
PLAIN = Rules()

seeds = st.integers(0, 2**64 - 1)
crowds = st.lists(offers, min_size=2, max_size=8)


def record_of(*decisions: Decision, **values: Any) -> Record:
    return blank(Record, **({"v": RECORD_VERSION, "plan": PLAN, "decisions": decisions} | values))


def verdict_on(decision: Decision, plan: Plan) -> Verdict:
    return redecide(record_of(decision), plan)[0]


def decided(
    *crowd: Offer, rules: Rules = PLAIN, seed: int = 7, **need: Any
) -> tuple[Decision, Plan]:
    drawn, asked = named(*crowd), Need(**need)
    plan = plan_of(drawn, asked, rules)
    return decide(plan, drawn, asked, seed), plan


# Against the compiled candidates


@settings(max_examples=150 * MANY)
@given(st.lists(offers, min_size=1, max_size=8), needs, rules, seeds)
def test_what_the_data_plane_decided_is_agreed_to(
    crowd: list[Offer], need: Need, rules: Rules, seed: int
) -> None:
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    verdict = verdict_on(decide(plan, crowd, need, seed), plan)
    assert verdict.result == "agrees", verdict


@settings(max_examples=60 * MANY)
@given(crowds, needs, rules, seeds)
def test_chances_are_those_of_the_definition(
    crowd: list[Offer], need: Need, rules: Rules, seed: int
) -> None:
    # Why: the data plane scores weight 1 apart, which the definition does not.
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    found = chances_of(decide(plan, crowd, need, seed), plan)
    expected = Chooser(crowd, need, rules).probabilities()
    for offer, chance in zip(crowd, expected, strict=True):
        assert found.get(offer.name, 0.0) == pytest.approx(chance, abs=1e-5)


@settings(max_examples=60 * MANY)
@given(crowds, needs, rules, seeds, st.data())
def test_another_choice_is_not_agreed_to(
    crowd: list[Offer], need: Need, rules: Rules, seed: int, data: st.DataObject
) -> None:
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    decision = decide(plan, crowd, need, seed)
    others = {"", *(offer.name for offer in crowd)} - {decision.chosen}
    forged = replace(decision, chosen=data.draw(st.sampled_from(sorted(others))))
    assert verdict_on(forged, plan).result != "agrees"


@settings(max_examples=60 * MANY)
@given(crowds, needs, rules, seeds, st.sampled_from([0.5, 0.99, 1.001, 2.0]))
def test_another_probability_is_not_agreed_to(
    crowd: list[Offer], need: Need, rules: Rules, seed: int, factor: float
) -> None:
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    decision = decide(plan, crowd, need, seed)
    assume(decision.chosen)
    forged = replace(decision, probability=decision.probability * factor)
    assert verdict_on(forged, plan).result != "agrees"


@settings(max_examples=60 * MANY)
@given(crowds, needs, rules, seeds)
def test_exploring_is_not_taken_for_policy_nor_policy_for_exploring(
    crowd: list[Offer], need: Need, rules: Rules, seed: int
) -> None:
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    decision = decide(plan, crowd, need, seed)
    forged = replace(decision, exploring=not decision.exploring)
    assert verdict_on(forged, plan).result != "agrees"


@settings(max_examples=60 * MANY)
@given(crowds, needs, rules, seeds, st.data())
def test_a_reason_that_plan_and_request_give_is_not_left_out(
    crowd: list[Offer], need: Need, rules: Rules, seed: int, data: st.DataObject
) -> None:
    crowd = named(*crowd)
    plan = plan_of(crowd, need, rules)
    decision = decide(plan, crowd, need, seed)
    due = [
        position
        for position, each in enumerate(decision.candidates)
        if each.excluded in {"not_wanted", "capability", "tried"}
    ]
    assume(due)
    forged = with_reason(decision, data.draw(st.sampled_from(due)), "")
    verdict = verdict_on(forged, plan)
    assert verdict.result == "disagrees"
    assert "had to be excluded" in verdict.reason


def with_reason(decision: Decision, position: int, reason: str) -> Decision:
    candidates = list(decision.candidates)
    candidates[position] = replace(candidates[position], excluded=reason)
    return replace(decision, candidates=tuple(candidates))


# By example


@pytest.mark.parametrize(
    "reason", ["not_wanted", "capability", "tried", "at_limit", "context", "tired"]
)
def test_a_reason_that_cannot_have_been_is_found(reason: str) -> None:
    decision, plan = decided(Offer(), Offer(), policy="ordered")
    verdict = verdict_on(with_reason(decision, 1, reason), plan)
    assert verdict.result == "disagrees"
    assert "backend-1" in verdict.reason


@pytest.mark.parametrize("reason", ["cooling_down", "breaker_open", "unhealthy", "disabled"])
def test_a_reason_of_state_is_taken_as_recorded(reason: str) -> None:
    decision, plan = decided(Offer(), Offer(), policy="ordered")
    assert verdict_on(with_reason(decision, 1, reason), plan).result == "agrees"


def test_a_weight_that_the_plan_does_not_give_is_found() -> None:
    decision, plan = decided(Offer(weight=1), Offer(weight=3), policy="weighted")
    forged = list(decision.candidates)
    forged[0] = replace(forged[0], weight=2.0)
    verdict = verdict_on(replace(decision, candidates=tuple(forged)), plan)
    assert verdict.reason == "The weight of backend-0 is not the plan's."


def test_a_score_that_does_not_follow_is_found() -> None:
    decision, plan = decided(Offer(), Offer(), Offer(), policy="ordered", sticky=99)
    forged = list(decision.candidates)
    forged[2] = replace(forged[2], score=0.0)
    verdict = verdict_on(replace(decision, candidates=tuple(forged)), plan)
    assert verdict.reason == "The score of backend-2 does not follow from the other figures."


def test_nobody_eligible_and_nobody_chosen_agrees() -> None:
    vision = CAPABILITIES["vision"]
    decision, plan = decided(Offer(), Offer(), policy="ordered", capabilities=vision)
    assert [each.excluded for each in decision.candidates] == ["capability", "capability"]
    assert verdict_on(decision, plan).result == "agrees"


def test_panic_that_the_plan_does_not_know_is_found() -> None:
    decision, plan = decided(Offer(), Offer(), policy="ordered")
    assert "never does" in verdict_on(replace(decision, panic=True), plan).reason


def test_panic_that_was_due_is_missed() -> None:
    decision, plan = decided(
        Offer(), Offer(opens_in_ns=SECOND_NS), policy="ordered", rules=Rules(panic_share=0.5)
    )
    assert verdict_on(decision, plan).result == "agrees"
    forged = replace(with_reason(decision, 0, "unhealthy"), chosen="", probability=0.0, draw="")
    assert "too few candidates were usable" in verdict_on(forged, plan).reason


def test_loads_too_near_to_tell_cannot_be_decided() -> None:
    # Both are 0.000 µs in the record; one was lower.
    idle = Offer(ewma_ns=10 * MS, ewma_age_ns=400 * SECOND_NS)
    idler = Offer(ewma_ns=10 * MS, ewma_age_ns=600 * SECOND_NS)
    results = {
        verdict_on(*decided(idle, idler, policy="least_loaded", seed=seed)).result
        for seed in range(20)
    }
    assert results == {"cannot_say"}


def test_sixty_four_candidates_are_decided_again() -> None:
    crowd = [Offer(weight=n + 1, ewma_ns=(n + 1) * MS) for n in range(64)]
    for policy in ("ordered", "weighted", "least_loaded", "cheapest", "balanced"):
        for seed in range(5):
            assert verdict_on(*decided(*crowd, policy=policy, seed=seed)).result == "agrees"


def test_without_a_state_of_the_generator_only_a_certain_choice_is_agreed_to() -> None:
    certain, plan = decided(Offer(), Offer(), policy="ordered")
    assert verdict_on(replace(certain, draw=""), plan).result == "agrees"
    drawn, plan = decided(Offer(), Offer(), policy="weighted")
    assert verdict_on(replace(drawn, draw=""), plan).result == "cannot_say"
    wrong = replace(drawn, draw="", probability=0.4)
    assert verdict_on(wrong, plan).result == "disagrees"


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"draw": "xyz"}, "`xyz` is no hexadecimal number."),
        ({"policy": "newest"}, "There is no policy `newest` in this version."),
        ({"policy": "cheapest"}, "The record lacks `expected_usd` of backend-0."),
    ],
)
def test_what_a_record_lacks_cannot_be_decided(change: dict[str, str], sentence: str) -> None:
    decision, plan = decided(Offer(), Offer(), policy="weighted")
    route = replace(plan.routes[0], overrides=("x-gateway-policy",))
    verdict = verdict_on(replace(decision, **change), replace(plan, routes=(route,)))
    assert (verdict.result, verdict.reason) == ("cannot_say", sentence)


@pytest.mark.parametrize(
    "change,sentence",
    [
        ({"route": "other"}, "The plan has no route other."),
        ({"policy": "cheapest"}, "The policy is `cheapest`; the plan's is `ordered`."),
        ({"required": "nobody"}, "nobody was asked for by name, and is no candidate."),
        ({"candidates": ()}, "The candidates are not those of the plan's route."),
        ({"capabilities": ("magic",)}, "`magic` is asked for, and is no capability."),
    ],
)
def test_what_the_plan_does_not_have_is_found(change: dict[str, Any], sentence: str) -> None:
    decision, plan = decided(Offer(), Offer(), policy="ordered")
    verdict = verdict_on(replace(decision, **change), plan)
    assert (verdict.result, verdict.reason) == ("disagrees", sentence)


def test_nothing_is_said_of_an_unknown_version_or_plan() -> None:
    decision, plan = decided(Offer(), policy="ordered")
    newer = redecide(record_of(decision, v=RECORD_VERSION + 1), plan)[0]
    assert newer.result == "cannot_say"
    assert f"version {RECORD_VERSION + 1}" in newer.reason
    gone = redecide(record_of(decision), None, "It is gone.")[0]
    assert (gone.result, gone.reason) == ("cannot_say", "It is gone.")
    other = redecide(record_of(decision, plan="ffff"), plan)[0]
    assert (other.result, other.reason) == (
        "cannot_say",
        "The plan is not the one that it was decided on.",
    )


# Who would have been next


def test_the_runner_up_is_who_the_policy_takes_without_the_chosen() -> None:
    crowd = [Offer(request_usd=usd) for usd in (0.003, 0.001, 0.002)]
    decision, plan = decided(*crowd, policy="cheapest")
    assert decision.chosen == "backend-1"
    assert runner_up(decision, plan) == "backend-2"


def test_there_is_no_runner_up_to_the_only_one() -> None:
    decision, plan = decided(Offer(), Offer(opens_in_ns=1), policy="ordered")
    assert runner_up(decision, plan) == ""
