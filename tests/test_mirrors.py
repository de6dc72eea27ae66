"""Which requests are copied where, from configuration and delivery to the plan."""

from __future__ import annotations

import pytest

from gateway.compiler import compile_plan, places_of
from gateway.config import Document, parse
from gateway.config.document import rollout_hash
from gateway.messages import Delivery, Standing
from gateway.plan import PPM, Plan, ShadowPlan

TEXT = """
backends:
  old: {protocol: openai, url: http://127.0.0.1:1/v1, price: {request: 1}}
  new: {protocol: openai, url: http://127.0.0.1:2/v1, price: {request: 1}}
  next: {protocol: openai, url: http://127.0.0.1:3/v1}
routes:
  chat:
    backends: [old]
    shadow:
      - {backend: next, sample: 5%, max_concurrency: 3, max_usd_per_day: 0, timeout: 7s}
  judge: {backends: [new]}
rollouts:
  newer:
    route: chat
    arms: {challenger: {backends: [new, next], merge: {temperature: 0}, prompt: Be brief.}}
    steps: [{setMirrorRoute: {percentage: 20}}, {setWeight: 100}]
"""


def document(text: str = TEXT) -> Document:
    return parse(text, {})


def standing(text: str = TEXT, **more: object) -> Delivery:
    spec = rollout_hash(document(text).config.rollouts["newer"])
    return Delivery(rollouts={"newer": Standing(spec=spec, **more)})  # type: ignore[arg-type]


def copies(plan: Plan, arm: str = "") -> dict[str, ShadowPlan]:
    """Of `chat`, or of its variant, by the backend's name."""
    route = next(one for one in (plan.routes[0], *plan.routes[0].variants) if one.arm == arm)
    return {plan.backends[shadow.backend].name: shadow for shadow in route.shadows}


def test_backend_that_copies_go_to_has_an_entry_of_its_own() -> None:
    plan = compile_plan(document())
    [(name, shadow)] = copies(plan).items()
    assert name == "shadow:next"
    assert (shadow.name, shadow.sample_ppm, shadow.max_concurrency) == ("next", 50_000, 3)
    assert shadow.total_ns == 7_000_000_000
    configured = {backend.name: backend for backend in plan.backends}
    entry, own = configured["shadow:next"], configured["next"]
    assert (entry.host, entry.port, entry.model) == (own.host, own.port, "next")
    assert entry.cell != own.cell
    assert [backend.index for backend in plan.backends] == list(range(len(plan.backends)))


def test_places_of_copies_stay_while_they_are_declared() -> None:
    plan = compile_plan(document())
    places = places_of(plan)
    again = compile_plan(document(), places=places, delivery=standing(mirror_ppm=PPM))
    assert copies(again)["shadow:next"].row == copies(plan)["shadow:next"].row
    off = compile_plan(document(), places=places, delivery=Delivery(off=("feature.shadow",)))
    cells = {backend.name: backend.cell for backend in plan.backends}
    assert {backend.name: backend.cell for backend in off.backends} == cells


@pytest.mark.parametrize("switch", ["feature.shadow", "backend.next"])
def test_switch_ends_all_copies(switch: str) -> None:
    assert not copies(compile_plan(document(), delivery=Delivery(off=(switch,))))


def test_mirror_route_copies_to_the_first_challenger_as_it_is() -> None:
    plan = compile_plan(document(), delivery=standing(mirror_ppm=200_000))
    shadow = copies(plan)["shadow:new"]
    assert (shadow.rollout, shadow.sample_ppm) == ("newer", 200_000)
    assert (shadow.merge, shadow.prompt) == (b'{"temperature":0}', "Be brief.")
    assert shadow.max_concurrency == 16
    assert "shadow:next" in copies(plan)


def test_what_the_challenger_serves_is_not_copied_to_it() -> None:
    plan = compile_plan(document(), delivery=standing(mirror_ppm=PPM, weights={"challenger": 10}))
    assert set(copies(plan, "newer:champion")) == {"shadow:new", "shadow:next"}
    assert set(copies(plan, "newer:challenger")) == {"shadow:next"}
    [base, champion] = (copies(plan, arm)["shadow:new"].row for arm in ("", "newer:champion"))
    assert base == champion


def test_rollout_that_stands_elsewhere_or_copies_nothing_has_no_copies() -> None:
    for delivery in (
        Delivery(),
        standing(mirror_ppm=0),
        Delivery(rollouts={"newer": Standing(spec="another", mirror_ppm=PPM)}),
    ):
        assert set(copies(compile_plan(document(), delivery=delivery))) == {"shadow:next"}


def test_mirror_of_a_rollout_takes_precedence_over_the_routes_own() -> None:
    text = TEXT + "    mirror: {backend: next, max_concurrency: 5, compare: {judge: judge}}\n"
    shadow = copies(compile_plan(document(text), delivery=standing(text, mirror_ppm=PPM)))
    assert list(shadow) == ["shadow:next"]
    assert (shadow["shadow:next"].rollout, shadow["shadow:next"].max_concurrency) == ("newer", 5)
    assert shadow["shadow:next"].compare.judge == 1


def test_arm_that_changes_the_prompt_alone_is_copied_to_the_routes_own_backend() -> None:
    text = TEXT.replace("backends: [new, next], ", "") + "    mirror: {backend: old}\n"
    shadow = copies(compile_plan(document(text), delivery=standing(text, mirror_ppm=PPM)))
    assert shadow["shadow:old"].prompt == "Be brief."
