"""The flags of a configuration, compiled: names resolved, weights as buckets, values as JSON.

Rule: pure; a variant that somebody forced and that is no longer there forces nobody.
"""

from __future__ import annotations

import msgspec

from gateway.config import Config
from gateway.config.flag_relations import kind_of
from gateway.config.rollouts import Flag, SplitRule
from gateway.flags.splits import Parts, split_of
from gateway.messages import Delivery
from gateway.plan import PPM, DrawPlan, FlagPlan, SplitRulePlan
from gateway.variants import audience_plan, condition_plan


def flag_plans(config: Config, delivery: Delivery) -> tuple[FlagPlan, ...]:
    """Every flag, as the configuration and those who forced variants have it."""
    return tuple(
        _flag(key, flag, config, delivery.flags.get(key)) for key, flag in config.flags.items()
    )


def _flag(key: str, flag: Flag, config: Config, forced: str | None) -> FlagPlan:
    is_forced = forced in flag.variants
    return FlagPlan(
        key=key,
        kind=kind_of(next(iter(flag.variants.values()))),
        variants=tuple((name, msgspec.json.encode(v)) for name, v in flag.variants.items()),
        default=flag.default,
        enabled=is_forced or (flag.enabled and forced != ""),
        forced=forced or "" if is_forced else "",
        draw=DrawPlan(unit=flag.unit, salt=flag.salt or key, hash=flag.hash),
        rules=tuple(_rule(rule, config) for rule in flag.rules),
    )


def _rule(rule: SplitRule, config: Config) -> SplitRulePlan:
    return SplitRulePlan(
        audiences=tuple(audience_plan(name, config.audiences[name]) for name in rule.audiences),
        where=tuple(map(condition_plan, rule.where)),
        variants=_parts(rule),
    )


def _parts(rule: SplitRule) -> Parts:
    return ((rule.variant, PPM),) if rule.variant else split_of(list(rule.split.items()))
