"""Who is meant: conditions on a request or a context, and audiences, which are kinds of callers.

`matches` asks for a field by `look`, which knows where things are: in headers and the body
of a request, or among the attributes of a flag's context. Used by the slow path of the data
plane, by flags and by the command line, which so agree.

    in, not_in                  equal to one of the values, to none of them
    prefix, suffix, contains    a text that begins with, ends with, holds one of them
    matches                     a text in which one of these patterns of RE2 is found
    above, below                a number, or a text that is one, beyond one of them
    exists, absent              whether there is anything at all

Rule 1: where nothing is, only `absent` and `not_in` hold.
Rule 2: of a list, one element that fits will do; `not_in` means none of them.
Rule 3: a text equals a number or a boolean that is written like it, since headers are texts.
Rule 4: an audience's share is drawn with a salt of its own, so that being in it says nothing
        about the arm or variant that is drawn afterwards, and its members are the same everywhere.
Cost: patterns are compiled once (RE2: linear time, whatever they are).
Knows nothing of rollouts and flags.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]  # no stubs exist

from gateway.bucketing import bucket_of
from gateway.plan import PPM, AudiencePlan, ConditionPlan

Look = Callable[[str], object]
Value = str | float | bool

MOST_PATTERNS = 4096  # compiled ones that are kept
LONGEST_TEXT = 8192  # of a field, that patterns look at


def matches(
    audiences: Sequence[AudiencePlan],
    where: Iterable[ConditionPlan],
    look: Look,
    unit: str,
) -> bool:
    """Whether a caller is in one of the audiences, if there are any, and meets all conditions.

    `look` gives what stands in a field, None where nothing does.
    """
    if audiences and not any(is_in(audience, look, unit) for audience in audiences):
        return False
    return _all_hold(where, look)


def is_in(audience: AudiencePlan, look: Look, unit: str) -> bool:
    """Whether a caller belongs to an audience: as listed or as described, and drawn."""
    if not (unit and unit in audience.units) and not _is_described(audience, look):
        return False
    if audience.share_ppm >= PPM:
        return True
    # Why: a share of nobody in particular cannot be kept on one side.
    return bool(unit) and _bucket(unit, audience.name) < audience.share_ppm


def _is_described(audience: AudiencePlan, look: Look) -> bool:
    if not audience.where:
        return not audience.units  # neither described nor listed: everybody
    return _all_hold(audience.where, look)


def _bucket(unit: str, name: str) -> int:
    return bucket_of(unit.encode("utf-8", "surrogatepass"), f"audience:{name}")


def _all_hold(conditions: Iterable[ConditionPlan], look: Look) -> bool:
    for condition in conditions:  # noqa: SIM110  Cost: a generator costs more than the loop
        if not holds(condition, look):
            return False
    return True


def holds(condition: ConditionPlan, look: Look) -> bool:
    """Whether one condition holds."""
    found = look(condition.field)
    if condition.operator == "exists":
        return found is not None
    if condition.operator == "absent":
        return found is None
    is_negated = condition.operator == "not_in"
    fits = _FITS["in"] if is_negated else _FITS[condition.operator]
    # Why loops and no any(): these run for every flag of a context; generators took twice as long.
    for item in found if isinstance(found, list | tuple) else (found,):
        for value in condition.values:
            if fits(item, value):
                return not is_negated
    return is_negated


def _equal(found: object, value: object) -> bool:
    if isinstance(found, str) and not isinstance(value, str):
        return _is_written(found, value)
    if isinstance(value, str) and not isinstance(found, str):
        return _is_written(value, found)
    # Why: to Python, true is 1.
    return found == value and isinstance(found, bool) == isinstance(value, bool)


def _is_written(text: str, value: object) -> bool:
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    return isinstance(value, int | float) and _number(text) == value


def _number(value: object) -> float | None:
    """The value as a number, also a text that is one; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _of_texts(fits: Callable[[str, str], bool]) -> Callable[[object, Value], bool]:
    def fit(found: object, value: Value) -> bool:
        return isinstance(found, str) and fits(found, str(value))

    return fit


def _of_numbers(fits: Callable[[Any, Any], bool]) -> Callable[[object, Value], bool]:
    def fit(found: object, value: Value) -> bool:
        left, right = _number(found), _number(value)
        return left is not None and right is not None and fits(left, right)

    return fit


@lru_cache(MOST_PATTERNS)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


def _is_found(text: str, pattern: str) -> bool:
    # Why surrogates: a text of JSON may hold half a pair, which is no UTF-8.
    sound = text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
    return _compiled(pattern).search(sound) is not None


_FITS: dict[str, Callable[[object, Value], bool]] = {
    "in": _equal,
    "prefix": _of_texts(str.startswith),
    "suffix": _of_texts(str.endswith),
    "contains": _of_texts(operator.contains),
    "matches": _of_texts(_is_found),
    "above": _of_numbers(operator.gt),
    "below": _of_numbers(operator.lt),
}
OPERATORS = (*_FITS, "not_in", "exists", "absent")
