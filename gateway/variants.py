"""What rollouts make of a route: its layers, and a variant of the route for each arm.

A layer draws each unit once: `bucket = hash(salt, unit)`, 0 … 999,999. A rollout owns a
part of its layer; of that part the end is held out, and of the rest, L buckets long,
challenger i has the slot that begins at L * c_i, c_i being the shares of those before
it; at weight w_i (of all L) the first L * w_i buckets of its slot are its own. Raising
a weight therefore moves nobody who had the challenger already, lowering it only the
last ones. All else of the part is the champion's.

Several layers of one route are drawn independently; a request is served by the variant
of the route that belongs to its combination of arms.

Rule 1: pure, and the same in every process.
Rule 2: a Standing of another declaration than the one in force stands for nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from gateway.config import Config
from gateway.config.document import parse_rollout, rollout_hash
from gateway.config.rollouts import Arm, Audience, Condition, Rollout
from gateway.config.schema import Route, WeightedBackend
from gateway.errors import ConfigError, Problem
from gateway.messages import Delivery, Standing
from gateway.plan import PPM, ArmPlan, AudiencePlan, ConditionPlan, DrawPlan, LayerPlan, TargetsPlan

CHAMPION = "champion"
FORCED = "forced"  # behind an arm's name: given by header or list, no evidence
MOST_VARIANTS = 64  # of one route
MOST_LAYERS = 4


class Variant(Struct, frozen=True, kw_only=True):
    """A route as one combination of arms has it."""

    arm: str  # its arms, `rollout:arm`, joined by `+`
    route: Route
    merge: bytes = b""
    prompt: str = ""
    is_challenger: bool = False  # another than the champion serves it, which may rescue it


class Experiments(Struct, frozen=True, kw_only=True):
    """What is under way on one route."""

    layers: tuple[LayerPlan, ...] = ()
    variants: tuple[Variant, ...] = ()  # all but the first, which is the route itself


class _Standing(Struct, frozen=True, kw_only=True):
    name: str
    rollout: Rollout
    standing: Standing


def rollouts_of(config: Config, delivery: Delivery) -> dict[str, Rollout]:
    """Those of the file, and those that were started by hand."""
    started = {name: parse_rollout(text) for name, text in delivery.specs.items()}
    return started | config.rollouts


def experiments_of(route: str, config: Config, delivery: Delivery) -> Experiments:
    """The layers and variants of a route."""
    if "feature.rollouts" in delivery.off:
        return Experiments()
    standing = _standing_on(route, config, delivery)
    if not standing:
        return Experiments()
    by_layer: dict[str, list[_Standing]] = {}
    for each in standing:
        by_layer.setdefault(each.rollout.layer or each.name, []).append(each)
    layers = tuple(_layer(name, of, config) for name, of in by_layer.items())
    variants = tuple(_variants(config.routes[route], layers, {s.name: s for s in standing}))
    if len(variants) >= MOST_VARIANTS or len(layers) > MOST_LAYERS:
        message = (
            f"too many experiments at once: a route has at most {MOST_LAYERS} layers"
            f" and {MOST_VARIANTS} combinations of arms, these make {len(variants) + 1}"
        )
        raise ConfigError((Problem(message, f"routes.{route}"),))
    return Experiments(layers=layers, variants=variants)


def _standing_on(route: str, config: Config, delivery: Delivery) -> list[_Standing]:
    standing = [
        _Standing(name=name, rollout=rollout, standing=delivery.rollouts[name])
        for name, rollout in rollouts_of(config, delivery).items()
        if rollout.route == route
        and name in delivery.rollouts
        and delivery.rollouts[name].spec == rollout_hash(rollout)
    ]
    for each in standing:
        _check(each, config)
    return standing


def _check(each: _Standing, config: Config) -> None:
    """Why here: a rollout that was started by hand is checked against each new file."""
    for arm, section in each.rollout.arms.items():
        for backend in section.backends:
            if backend not in config.backends:
                message = f"backend `{backend}` is used by a rollout under way; abort it first"
                path = f"rollouts.{each.name}.arms.{arm}.backends"
                raise ConfigError((Problem(message, path),))


def _layer(name: str, standing: Sequence[_Standing], config: Config) -> LayerPlan:
    arms: list[ArmPlan] = []
    forced: list[ArmPlan] = []
    slots: list[tuple[int, int, int]] = []  # start, until, number of the arm
    holdouts: list[tuple[int, int]] = []
    for each in standing:
        step, rollout = each.standing.step, each.rollout
        first = len(arms) + 1
        owned, champions, held = slots_of(rollout, each.standing.weights)
        names = (CHAMPION, *rollout.arms)
        for number, arm in enumerate(names):
            of_arm = champions if number == 0 else owned[number - 1 : number]
            share = sum(until - start for start, until in of_arm)
            arms.append(ArmPlan(rollout=each.name, arm=arm, step=step, share_ppm=share))
            slots += [(start, until, first + number) for start, until in of_arm if until > start]
        forced += [
            ArmPlan(rollout=each.name, arm=arm, step=step, share_ppm=0)
            for arm in dict.fromkeys(_forced_arms(each))
        ]
        holdouts += [held] if held[1] > held[0] else []
    rollout = standing[0].rollout
    unit = "header:x-session-id" if rollout.unit == "session" else rollout.unit
    return LayerPlan(
        name=name,
        draw=DrawPlan(unit=unit, salt=rollout.salt or name, hash=rollout.hash),
        arms=tuple(arms),
        ranges=_ranges(slots),
        forced=tuple(forced),
        targets=tuple(_targets(each, config) for each in standing if is_targeted(each)),
        holdouts=tuple(holdouts),
    )


def slots_of(
    rollout: Rollout, weights: Mapping[str, int]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]], tuple[int, int]]:
    """Buckets [start, until) of each challenger, of the champion, and of the holdout."""
    start, end = round(rollout.start * PPM), round(rollout.end * PPM)
    held = round(rollout.holdout * (end - start))
    length = end - start - held
    held_out = (end - held, end)
    owned, champions = _slots(rollout, weights, start, length)
    if any(ppm >= PPM for ppm in weights.values()):  # promoted: the others' slots are its own too
        everything = (start, start + length)
        names = zip(rollout.arms, owned, strict=True)
        owned = [everything if weights.get(name, 0) >= PPM else (at, at) for name, (at, _) in names]
        champions = []
    return owned, champions, held_out


def _slots(
    rollout: Rollout, weights: Mapping[str, int], start: int, length: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    whole = sum(arm.share for arm in rollout.arms.values()) or 1
    owned: list[tuple[int, int]] = []
    champions: list[tuple[int, int]] = []
    before = 0
    for name, arm in rollout.arms.items():
        slot = start + length * before // whole
        before += arm.share
        slot_end = start + length * before // whole
        until = min(slot + round(length * weights.get(name, 0) / PPM), slot_end)
        owned.append((slot, until))
        if slot_end > until:
            champions.append((until, slot_end))
    return owned, champions


def _ranges(slots: list[tuple[int, int, int]]) -> tuple[tuple[int, int], ...]:
    """(until, number of the arm) for all buckets, in order; 0 is nobody's."""
    ranges: list[tuple[int, int]] = []
    at = 0
    for start, until, number in sorted(slots):
        if start > at:
            ranges.append((start, 0))
        ranges.append((until, number))
        at = until
    if at < PPM:
        ranges.append((PPM, 0))
    return tuple(ranges)


def _forced_arms(each: _Standing) -> list[str]:
    arms = [match.arm for match in each.standing.headers]
    if each.rollout.targets.allow:
        arms.append(next(iter(each.rollout.arms)))
    return arms


def is_targeted(each: _Standing) -> bool:
    targets = each.rollout.targets
    listed = targets.allow or targets.deny or targets.audiences or targets.where
    return bool(listed or each.standing.headers)


def _targets(each: _Standing, config: Config) -> TargetsPlan:
    targets = each.rollout.targets
    return TargetsPlan(
        rollout=each.name,
        headers=tuple((match.name, match.value, match.arm) for match in each.standing.headers),
        allow=frozenset(targets.allow),
        deny=frozenset(targets.deny),
        audiences=tuple(
            audience_plan(name, config.audiences[name])
            for name in targets.audiences
            if name in config.audiences
        ),
        where=tuple(map(condition_plan, targets.where)),
    )


def audience_plan(name: str, audience: Audience) -> AudiencePlan:
    return AudiencePlan(
        name=name,
        where=tuple(map(condition_plan, audience.where)),
        units=frozenset(audience.units),
        share_ppm=round(audience.share * PPM),
    )


def condition_plan(condition: Condition) -> ConditionPlan:
    return ConditionPlan(
        field=condition.field, operator=condition.is_, values=tuple(condition.values)
    )


def _variants(
    route: Route, layers: Sequence[LayerPlan], standing: Mapping[str, _Standing]
) -> list[Variant]:
    """One for each combination of arms, the first layer's turning fastest; without the first."""
    choices = [
        [None, *((arm, False) for arm in layer.arms), *((arm, True) for arm in layer.forced)]
        for layer in layers
    ]
    combinations = itertools.product(*reversed(choices))
    return [
        _variant(route, [one for one in reversed(combination) if one], standing)
        for combination in itertools.islice(combinations, 1, None)
    ]


def _variant(
    route: Route, arms: Sequence[tuple[ArmPlan, bool]], standing: Mapping[str, _Standing]
) -> Variant:
    names: list[str] = []
    merge: object = None
    prompt = ""
    is_challenger = False
    for plan, is_forced in arms:
        names.append(f"{plan.rollout}:{plan.arm}" + (f":{FORCED}" if is_forced else ""))
        if plan.arm == CHAMPION:
            continue
        is_challenger = True
        arm = standing[plan.rollout].rollout.arms[plan.arm]
        route = _changed(route, arm)
        merge = merge if arm.merge is None else _merged(merge, arm.merge)
        prompt = arm.prompt or prompt
    return Variant(
        arm="+".join(names),
        route=route,
        merge=msgspec.json.encode(merge) if merge is not None else b"",
        prompt=prompt,
        is_challenger=is_challenger,
    )


def _changed(route: Route, arm: Arm) -> Route:
    if arm.backends:
        weights = arm.weights or (1,) * len(arm.backends)
        backends = tuple(
            WeightedBackend(backend=name, weight=weight)
            for name, weight in zip(arm.backends, weights, strict=True)
        )
        route = msgspec.structs.replace(route, backends=backends)
    return msgspec.structs.replace(route, policy=arm.policy) if arm.policy else route


def _merged(under: object, over: object) -> object:
    """One patch that does what both do, `over` last (RFC 7396)."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over  # Why None too: in a patch it takes the member out
    return under | {key: _merged(under.get(key), value) for key, value in over.items()}
