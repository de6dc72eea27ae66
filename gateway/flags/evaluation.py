"""What a flag's value is for a context, and why, in OpenFeature's words.

    DISABLED          off, or all flags are; there is no value, the application has its own
    STATIC            forced for everybody, or the flag has no rule that asks for anything
    TARGETING_MATCH   a rule applies
    SPLIT             a rule applies, and the unit's bucket decided which of its variants
    DEFAULT           no rule applies
    ERROR             see `error`: FLAG_NOT_FOUND, TARGETING_KEY_MISSING, INVALID_CONTEXT

Rule 1: one draw a flag: a unit has the same bucket in all of its rules.
Rule 2: nothing in a context raises.
https://openfeature.dev/specification/types#resolution-reason
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from gateway.bucketing import bucket_of
from gateway.config.problems import meant
from gateway.flags.splits import part_at
from gateway.plan import FlagPlan, SplitRulePlan
from gateway.targeting import matches

SWITCH = "feature.flags"
TARGETING_KEY = "targetingKey"
LONGEST_UNIT = 4096

Context = Mapping[str, Any]


class Evaluation(Struct, frozen=True, kw_only=True):
    """One flag for one context."""

    key: str
    reason: str
    variant: str = ""  # "" none: an error, or off
    value: bytes | None = None  # JSON; None: the application's own default
    error: str = ""  # OpenFeature's code; "" none
    details: str = ""  # of the error, a sentence


class Flags:
    """The flags of one plan."""

    def __init__(self, flags: Sequence[FlagPlan], off: Iterable[str] = ()) -> None:
        self._flags = {flag.key: _Flag(flag) for flag in flags}
        self._are_off = SWITCH in off

    def __len__(self) -> int:
        return len(self._flags)

    def evaluate(self, key: str, context: Context) -> Evaluation:
        """The flag of this key."""
        flag = self._flags.get(key)
        if flag is None:
            return failure(key, "FLAG_NOT_FOUND", f"There is no flag{_hint(key, self._flags)}")
        return self._disabled(key) if self._are_off else flag.evaluate(context)

    def all(self, context: Context) -> list[Evaluation]:
        """Every flag, in the configuration's order."""
        return [self.evaluate(key, context) for key in self._flags]

    @staticmethod
    def _disabled(key: str) -> Evaluation:
        return Evaluation(key=key, reason="DISABLED")


class _Flag:
    """One flag, its values by name."""

    def __init__(self, plan: FlagPlan) -> None:
        self._plan = plan
        self._values = dict(plan.variants)
        self._served: dict[tuple[str, str], Evaluation] = {}  # at most variants × reasons

    def evaluate(self, context: Context) -> Evaluation:
        plan = self._plan
        if not plan.enabled:
            return Evaluation(key=plan.key, reason="DISABLED")
        if plan.forced:
            return self._serve(plan.forced, "STATIC")
        if not plan.rules:
            return self._serve(plan.default, "STATIC")
        look = look_in(context)
        unit = unit_of(look(plan.draw.unit))
        for rule in plan.rules:
            if matches(rule.audiences, rule.where, look, unit):
                return self._by(rule, unit)
        return self._serve(plan.default, "DEFAULT")

    def _by(self, rule: SplitRulePlan, unit: str) -> Evaluation:
        if len(rule.variants) == 1:
            is_for_some = rule.audiences or rule.where
            return self._serve(rule.variants[0][0], "TARGETING_MATCH" if is_for_some else "STATIC")
        draw = self._plan.draw
        if not unit:
            details = f"The split is drawn by `{draw.unit}`, which the context does not have."
            return failure(self._plan.key, "TARGETING_KEY_MISSING", details)
        bucket = bucket_of(unit.encode("utf-8", "surrogatepass"), draw.salt, draw.hash)
        return self._serve(part_at(rule.variants, bucket), "SPLIT")

    def _serve(self, variant: str, reason: str) -> Evaluation:
        found = self._served.get((variant, reason))
        if found is None:
            value = self._values[variant]
            found = Evaluation(key=self._plan.key, reason=reason, variant=variant, value=value)
            self._served[variant, reason] = found
        return found


def failure(key: str, error: str, details: str) -> Evaluation:
    return Evaluation(key=key, reason="ERROR", error=error, details=details)


def _hint(key: str, known: Iterable[str]) -> str:
    # Why: a long key is not repeated, and all keys are not told to who has none of them.
    hint = meant(key[:200], known)
    return f" of this key{hint if 'did you mean' in hint else '.'}"


def look_in(context: Context) -> Callable[[str], object]:
    """What stands in an attribute of a context; `pointer:/a/b` looks deeper."""

    def look(field: str) -> object:
        if not field.startswith("pointer:/"):
            return context.get(field)
        found: object = context
        for token in field.removeprefix("pointer:/").split("/"):
            name = token.replace("~1", "/").replace("~0", "~")
            found = _member(found, name)
        return found

    return look


def _member(of: object, name: str) -> object:
    if isinstance(of, Mapping):
        return of.get(name)
    if isinstance(of, list) and name.isdecimal() and int(name) < len(of):
        return of[int(name)]
    return None


def unit_of(value: object) -> str:
    """The text that is hashed; "" where there is none."""
    if isinstance(value, str):
        return value[:LONGEST_UNIT]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else ""
