"""What open alerts change on routes: weights shifted, more bodies kept, and all as it was again."""

from __future__ import annotations

import random

import pytest

from gateway.compiler import compile_plan, places_of
from gateway.config import Document, parse
from gateway.config.document import rollout_hash
from gateway.holds import PPM, payload_ppm, payload_text, refusal, weights_of, weights_text
from gateway.messages import Delivery, Hold, Standing
from gateway.plan import RoutePlan

TEXT = """
backends:
  old: {protocol: kserve, url: http://127.0.0.1:1}
  new: {protocol: kserve, url: http://127.0.0.1:2}
  third: {protocol: kserve, url: http://127.0.0.1:3}
routes:
  fraud:
    policy: weighted
    backends: [{backend: new, weight: 8}, {backend: old, weight: 3}, {backend: third, weight: 1}]
    record: {payload: sampled, sample: 20%}
  alone: {backends: [new], policy: weighted, record: {payload: none}}
  ordered: {backends: [new, old]}
rollouts:
  next:
    route: fraud
    arms: {challenger: {backends: [new, old], weights: [1, 1]}}
    steps: [{setWeight: 50}]
"""


def document() -> Document:
    return parse(TEXT, {})


def routes(*holds: Hold, **more: object) -> dict[str, RoutePlan]:
    laid = {f"alert:{number}": hold for number, hold in enumerate(holds)}
    plan = compile_plan(document(), delivery=Delivery(holds=laid, **more))  # type: ignore[arg-type]
    return {route.name: route for route in plan.routes}


def shift(route: str = "fraud", /, **shares: float) -> Hold:
    return Hold(route=route, weights={name: round(share * PPM) for name, share in shares.items()})


@pytest.mark.parametrize(
    "shares, expected",
    [
        ({"new": 0.1}, (100_000, 675_000, 225_000)),  # the others divide the rest as 3 to 1
        ({"new": 0.0}, (0, 750_000, 250_000)),
        ({"old": 1.0}, (0, 1_000_000, 0)),
        ({"old": 0.6, "third": 0.4}, (0, 600_000, 400_000)),
        ({}, (8, 3, 1)),
    ],
)
def test_shares_are_of_the_whole_route(shares: dict[str, float], expected: tuple[int, ...]) -> None:
    assert routes(shift(**shares))["fraud"].weights == expected


def test_other_routes_stay_as_they_are() -> None:
    found, usual = routes(shift(new=0.1)), routes()
    assert found["ordered"] == usual["ordered"]
    assert found["alone"] == usual["alone"]


def test_what_would_leave_nobody_changes_nothing() -> None:
    assert routes(shift("alone", new=0.0))["alone"].weights == (1,)
    everybody = shift(new=0.0, old=0.0, third=0.0)
    assert routes(everybody)["fraud"].weights == (8, 3, 1)


def test_of_several_alerts_the_most_careful_counts_in_any_order() -> None:
    holds = [
        shift(new=0.5),
        shift(new=0.1),
        Hold(route="fraud", payload_ppm=500_000),
        Hold(route="fraud", payload_ppm=300_000, weights={"third": 0}),
    ]
    found = routes(*holds)["fraud"]
    assert found.weights == (100_000, 900_000, 0)
    assert (found.record.payload, found.record.sample_ppm) == ("sampled", 500_000)
    for _ in range(5):
        random.shuffle(holds)
        assert routes(*holds)["fraud"] == found


@pytest.mark.parametrize(
    "route, ppm, payload, sample",
    [
        ("fraud", 100_000, "sampled", 200_000),  # never fewer than configured
        ("fraud", 700_000, "sampled", 700_000),
        ("fraud", PPM, "full", 200_000),
        ("alone", 250_000, "sampled", 250_000),
        ("alone", PPM, "full", 100_000),
    ],
)
def test_more_bodies_are_kept(route: str, ppm: int, payload: str, sample: int) -> None:
    record = routes(Hold(route=route, payload_ppm=ppm))[route].record
    assert (record.payload, record.sample_ppm) == (payload, sample)


def test_arms_of_a_rollout_are_held_too() -> None:
    spec = rollout_hash(document().config.rollouts["next"])
    standing = Standing(spec=spec, weights={"challenger": 500_000})
    hold = Hold(route="fraud", weights={"new": 100_000}, payload_ppm=PPM)
    found = routes(hold, rollouts={"next": standing})["fraud"]
    challengers = [each for each in found.variants if "challenger" in each.arm]
    assert challengers
    for each in (found, *found.variants):
        assert each.record.payload == "full"
        assert each.weights[0] == 100_000


def test_counters_keep_their_places_and_the_plan_comes_back() -> None:
    usual = compile_plan(document())
    delivery = Delivery(holds={"alert:1": shift(new=0.1)})
    plan = compile_plan(document(), places=places_of(usual), delivery=delivery)
    assert places_of(plan) == places_of(usual)
    assert plan.hash != usual.hash
    assert compile_plan(document(), places=places_of(plan)) == usual


@pytest.mark.parametrize(
    "route, shares, says",
    [
        ("fraud", {"new": 0.1}, ""),
        ("ordered", {"new": 0.1}, "is ordered: it does not look at weights"),
        ("alone", {"new": 0.0}, "nobody on alone would be left"),
        ("alone", {"old": 0.5}, "no candidate of alone is meant"),
        ("gone", {"new": 0.5}, "there is no route gone"),
    ],
)
def test_refusal_says_why_nothing_would_change(
    route: str, shares: dict[str, float], says: str
) -> None:
    section = document().config.routes.get(route)
    said = refusal(route, section, {name: round(share * PPM) for name, share in shares.items()})
    assert said == says or (says and says in said)


def test_what_the_log_says_is_what_is_done() -> None:
    text = weights_text({"old": 0.9, "new": 0.1, "a/b:c": 1 / 3})
    assert text.startswith("a/b:c=0.333")
    assert weights_of(text) == {"old": 900_000, "new": 100_000, "a/b:c": 333_333}
    assert weights_of("new=0%") == {"new": 0}
    assert [payload_ppm(payload_text(each)) for each in ("full", 0.25, 1 / 3)] == [
        PPM,
        250_000,
        333_333,
    ]
