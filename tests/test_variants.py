"""Layers and variants: who gets which arm, and what each arm is served by."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.compiler import compile_plan, plan_hash
from gateway.config import Document, parse
from gateway.config.document import parse_rollout, rollout_hash
from gateway.config.rollouts import Arm, Rollout
from gateway.config.units import Share
from gateway.errors import ConfigError
from gateway.messages import Delivery, HeaderMatch, Standing
from gateway.plan import PPM, RoutePlan
from gateway.variants import slots_of

TEXT = """
backends:
  old: {protocol: openai, url: http://127.0.0.1:1/v1}
  new: {protocol: openai, url: http://127.0.0.1:2/v1}
routes:
  chat: {backends: [old], fallback: [unavailable]}
rollouts:
  next:
    route: chat
    arms: {challenger: {backends: [new]}}
    unit: user
  prompt:
    route: chat
    arms: {terse: {prompt: Be brief., merge: {temperature: 0}}}
"""


def document() -> Document:
    return parse(TEXT, {})


def standing(rollout: str, weight: int, **more: object) -> Standing:
    [challenger] = document().config.rollouts[rollout].arms
    spec = rollout_hash(document().config.rollouts[rollout])
    return Standing(spec=spec, weights={challenger: weight}, **more)  # type: ignore[arg-type]


def route_at(**rollouts: Standing) -> RoutePlan:
    return compile_plan(document(), delivery=Delivery(rollouts=rollouts)).routes[0]


def test_rollout_that_has_not_begun_changes_nothing() -> None:
    assert compile_plan(document()) == compile_plan(document(), delivery=Delivery())
    assert not compile_plan(document()).routes[0].variants


def test_challenger_has_the_first_buckets_and_the_champion_the_rest() -> None:
    route = route_at(next=standing("next", 50_000))
    [layer] = route.layers
    assert layer.ranges == ((50_000, 2), (PPM, 1))
    assert [arm.arm for arm in layer.arms] == ["champion", "challenger"]
    assert [arm.share_ppm for arm in layer.arms] == [950_000, 50_000]
    assert (layer.draw.unit, layer.draw.salt) == ("user", "next")
    champion, challenger = route.variants
    assert (champion.arm, challenger.arm) == ("next:champion", "next:challenger")
    assert champion.candidates == route.candidates
    assert champion.row != route.row
    assert len({route.row, champion.row, challenger.row, *route.rows, *challenger.rows}) == 5


def test_challenger_that_cannot_answer_is_rescued_by_the_route_itself() -> None:
    _, challenger = route_at(next=standing("next", 0)).variants
    assert [(step.kind, step.index) for step in challenger.fallback] == [
        ("route", 0),
        ("unavailable", -1),
    ]


def test_two_layers_make_a_variant_for_each_combination() -> None:
    route = route_at(next=standing("next", 10_000), prompt=standing("prompt", 500_000))
    assert [variant.arm for variant in route.variants] == [
        "next:champion",
        "next:challenger",
        "prompt:champion",
        "next:champion+prompt:champion",
        "next:challenger+prompt:champion",
        "prompt:terse",
        "next:champion+prompt:terse",
        "next:challenger+prompt:terse",
    ]
    assert route.variants[-1].prompt == "Be brief."
    assert route.variants[-1].merge == b'{"temperature":0}'
    assert route.variants[-1].candidates == route.variants[1].candidates


def test_header_route_leads_to_an_arm_outside_the_evidence() -> None:
    match = HeaderMatch(name="x-canary", value="1", arm="challenger")
    route = route_at(next=standing("next", 0, headers=(match,)))
    [layer] = route.layers
    assert [arm.arm for arm in layer.forced] == ["challenger"]
    assert route.variants[-1].arm == "next:challenger:forced"
    assert layer.targets[0].headers == (("x-canary", "1", "challenger"),)


def test_standing_of_another_declaration_stands_for_nothing() -> None:
    assert not route_at(next=Standing(spec="0" * 64, weights={"challenger": PPM})).variants


def test_kill_switch_of_rollouts_leaves_the_champion_alone() -> None:
    delivery = Delivery(rollouts={"next": standing("next", PPM)}, off=("feature.rollouts",))
    assert not compile_plan(document(), delivery=delivery).routes[0].variants


def test_plan_is_named_by_configuration_and_delivery() -> None:
    at_rest = compile_plan(document())
    at_one = compile_plan(
        document(), delivery=Delivery(rollouts={"next": standing("next", 10_000)})
    )
    assert at_rest.hash == document().hash == plan_hash(document().hash, Delivery())
    assert at_one.hash != at_rest.hash


def test_rollout_started_by_hand_keeps_its_backend_from_being_removed() -> None:
    text = "{route: chat, arms: {challenger: {backends: [gone]}}}"
    spec = rollout_hash(parse_rollout(text))
    delivery = Delivery(specs={"other": text}, rollouts={"other": Standing(spec=spec)})
    with pytest.raises(ConfigError, match=r"abort it first - at rollouts\.other\.arms\.challenger"):
        compile_plan(document(), delivery=delivery)


shares = st.integers(0, 100).map(lambda percent: Share(percent / 100))


@st.composite
def rollouts(draw: st.DrawFn) -> Rollout:
    start, end = sorted(draw(st.tuples(shares, shares)))
    arms = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    return Rollout(
        route="chat",
        arms={f"arm{i}": Arm(share=share) for i, share in enumerate(arms)},
        start=start,
        end=end,
        holdout=draw(shares),
    )


def test_winner_of_several_has_the_others_slots_too() -> None:
    arms = {"a": Arm(), "b": Arm(share=3), "c": Arm()}
    rollout = Rollout(route="chat", arms=arms, holdout=Share(0.1))
    owned, champions, held = slots_of(rollout, {"a": 0, "b": PPM, "c": 0})
    assert [until - start for start, until in owned] == [0, 900_000, 0]
    assert owned[1] == (0, 900_000)
    assert champions == []
    assert held == (900_000, PPM)


@given(rollouts(), st.lists(st.integers(0, PPM), min_size=2, max_size=2))
def test_raising_a_weight_moves_nobody_out_and_nothing_overlaps(
    rollout: Rollout, weights: list[int]
) -> None:
    low, high = sorted(weights)
    whole = sum(arm.share for arm in rollout.arms.values())

    def at(weight: int) -> dict[str, int]:
        return {name: weight * arm.share // whole for name, arm in rollout.arms.items()}

    before, _, held = slots_of(rollout, at(low))
    after, champions, also_held = slots_of(rollout, at(high))
    assert held == also_held
    for (start, until), (start_after, until_after) in zip(before, after, strict=True):
        assert start == start_after
        assert until <= until_after
    pieces = sorted([*after, *champions, held])
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(pieces))
    covered = sum(until - start for start, until in pieces)
    assert covered == round(rollout.end * PPM) - round(rollout.start * PPM)
