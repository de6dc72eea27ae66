"""The terms on which a rule looks at a route: at what, how far back, how sure it must be.

How often a rule may be wrong is a time, `false_alarm_days`. A look may be wrong with probability
every / false_alarm_days, which its routes share evenly, and of each the units that are judged;
within a unit the family of all fields is taken into account. By Boole's inequality fewer than
one false look in that time is expected, however much windows overlap; that an alert wants
several looks (`opens`) is not reckoned with. Where the route has labels, they have PART of it;
how much traffic comes, where a rule asks for that beside fields, TRAFFIC of what is left.

Rule: whoever says what a rule finds, a look or a report, says it on these.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import get_args

from msgspec import Struct

from gateway.config.watching import Drift, DriftRule
from gateway.drift.alarms import alpha_of
from gateway.drift.battery import Battery
from gateway.drift.control import Control
from gateway.drift.verdict import LEAST, NAMED, NUMERIC, Limits, Test
from gateway.profiles.fields import Field
from gateway.profiles.signals import names_of
from gateway.watch.basis import Bases, Basis
from gateway.watch.performance.looks import PART, watched
from gateway.watch.references import Pair, Pairs, Span, pairs_of
from gateway.watch.traffic import PART as TRAFFIC
from gateway.watch.traffic import is_asked
from gateway.watch.view import View

ENOUGH = 50  # rows of a unit in a window, where a rule does not say
NS_A_MINUTE = 60 * 10**9
DAY_S = 86_400.0

# Signals of the way a request took: looked at by rules that name them, and not by `*`.
OPERATIONAL = frozenset({
    "/cost_usd", "/fallback", "/outcome", "/request/bytes", "/response/bytes", "/status",
    "/timing/first_byte_us", "/timing/total_us", "/usage/cached_tokens", "llm.tokens_per_s",
})  # fmt: skip


class Terms(Struct, frozen=True, kw_only=True):
    """Of one rule on one route."""

    rule: DriftRule
    basis: Basis
    kind: str  # of its reference
    length: int  # minutes before the window, of a reference of the kind `before`
    names: tuple[str, ...]  # of fields
    every: int  # minutes between looks
    window: int  # minutes of data that are looked at together
    least: int  # rows of a unit
    alpha: float  # of a look at all units together
    traffic: float = 0.0  # of a look at how much came; 0: it is not looked at

    @property
    def control(self) -> Control:
        """Who is woken is not to be woken for one field of many."""
        return "bonferroni" if self.rule.severity == "critical" else "bh"

    def span(self, end: int) -> Span:
        """What is looked at, at a minute."""
        return Span(end - self.window, end)

    def pairs(self, view: View, now: Span) -> Pairs:
        """What is compared at a window."""
        return pairs_of(view, self.basis, self.kind, self.names, now, self.least, self.length)

    def battery(self, pair: Pair) -> Battery:
        """The tests of a unit."""
        numeric, named = tests_of(self.rule)
        limits = limits_of(self.rule)
        return Battery(pair.then, limits=limits, least=self.least, numeric=numeric, named=named)


def terms_of(drift: Drift, bases: Bases) -> Mapping[tuple[str, str], Terms]:
    """By rule and route."""
    labelled = set(watched(drift, drift.labels))
    found: dict[tuple[str, str], Terms] = {}
    for (name, route), basis in bases.of_rule.items():
        rule = drift.rules[name]
        every = minutes_of(rule.every)
        alpha = (
            alpha_of(every * 60.0, rule.false_alarm_days * DAY_S)
            * (1 - PART if (name, route) in labelled else 1.0)
            / sum(one == name for one, _route in bases.of_rule)
        )
        names = tuple(f.field.name for f in basis.reference.fields if is_meant(rule, f.field))
        share = (TRAFFIC if names else 1.0) if is_asked(rule) else 0.0
        found[name, route] = Terms(
            rule=rule,
            basis=basis,
            kind=drift.references[rule.reference].kind,
            length=minutes_of(drift.references[rule.reference].length),
            names=names,
            every=every,
            window=minutes_of(rule.window),
            least=max(rule.minimum or ENOUGH, LEAST),
            alpha=alpha * (1 - share),
            traffic=alpha * share,
        )
    return found


def is_meant(rule: DriftRule, field: Field) -> bool:
    """Whether a rule looks at a field: by its name, its text's, or its name as a signal."""
    names = {*names_of(field.name), field.of or field.name}
    asked = [one for one in rule.fields if one != "*" or field.name not in OPERATIONAL]
    return any(fnmatchcase(name, pattern) for name in names for pattern in asked)


def limits_of(rule: DriftRule) -> Limits:
    """From where a change matters, by the rule; shares of what is no value as ever."""
    if rule.effect is None:
        return Limits()
    names = set(get_args(Test)) - {"mmd"}
    asked = {"mmd"} if rule.test == "mmd" else names
    return Limits(**dict.fromkeys(asked, rule.effect))


def tests_of(rule: DriftRule) -> tuple[tuple[Test, ...], tuple[Test, ...]]:
    """Of numbers, and of categories; the usual ones where the rule's is not for these."""
    test = rule.test
    if test in {"psi", "js", "hellinger"}:
        return (test,), (test,)
    if test in {"ks", "wasserstein"}:
        return (test,), NAMED
    if test in {"chi_square", "l_infinity", "one_category"}:
        return NUMERIC, (test,)
    return NUMERIC, NAMED


def minutes_of(duration: int) -> int:
    """Of nanoseconds, begun ones counted; at least one."""
    return max(1, -(-duration // NS_A_MINUTE))
