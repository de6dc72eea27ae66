"""One value against one field of a contract: the reference that everything else is tested by.

`Field.fault` gives (anomaly, what was expected) or None. Cost: about 0.3 µs a good value.
Knows nothing of rows, bodies and actions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import re2  # type: ignore[import-untyped]  # no stubs exist

from gateway.config.watching import ContractField
from gateway.contracts import anomalies as names

Fault = tuple[str, str]  # anomaly, what was expected
Clock = Callable[[], float]  # seconds since 1970

NS_PER_S = 1_000_000_000
# Why: as seconds this is the year 5138, as milliseconds 1973.
_MILLISECONDS_FROM = 1e11
_NOUNS = {
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "text": "a text",
    "time": "a time (RFC 3339, or seconds since 1970)",
    "list": "a list",
    "object": "an object",
    "any": "a value",
}
_FEW = 8


class Field:
    """One field, with what it needs to be checked quickly."""

    def __init__(self, name: str, section: ContractField | str, now_s: Clock) -> None:
        if isinstance(section, str):
            section = msgspec.convert({"type": section}, ContractField)
        self.name = name
        self.section = section
        self.matches: Callable[[str], object] | None = (
            _matcher(section.pattern) if section.pattern else None
        )
        self.expected = _expectation(section)
        self.allows_null = section.nulls > 0
        self.known = frozenset(section.categories)
        self._now_s = now_s
        self._check: Callable[[Any], Fault | None] = getattr(self, f"_{section.type}")
        self.element = (
            Field(name, _of_elements(section), now_s)
            if section.type == "list" and section.of != "any"
            else None
        )

    def fault(self, value: Any) -> Fault | None:
        """What is wrong with a value that is there; None: nothing."""
        if value is None:
            return None if self.allows_null else (names.NULL, self.expected)
        found = self._check(value)
        if found is None and self.section.categories and not self._is_known(value):
            return names.NO_CATEGORY, self.expected
        return found

    def _is_known(self, value: Any) -> bool:
        """Why by kind: to Python, true is 1."""
        if not isinstance(value, str | int | float) or value not in self.known:
            return False
        is_bool = isinstance(value, bool)
        return any(
            each == value and isinstance(each, bool) is is_bool for each in self.section.categories
        )

    def _any(self, value: Any) -> Fault | None:
        return None

    def _object(self, value: Any) -> Fault | None:
        return None if isinstance(value, dict) else (names.UNEXPECTED_TYPE, self.expected)

    def _boolean(self, value: Any) -> Fault | None:
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            name = names.BOOLEAN_SMALL if value < 0 else names.BOOLEAN_BIG
            return name if value not in {0, 1} else names.UNEXPECTED_TYPE, self.expected
        if isinstance(value, float):
            return names.BOOLEAN_FLOAT, self.expected
        text = isinstance(value, str)
        return names.BOOLEAN_TEXT if text else names.UNEXPECTED_TYPE, self.expected

    def _number(self, value: Any) -> Fault | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            name = names.REPEATED if isinstance(value, list) else names.NOT_A_NUMBER
            return name, self.expected
        if not math.isfinite(value) if isinstance(value, float) else False:
            return names.HAS_NAN if value != value else names.HAS_INFINITY, self.expected  # noqa: PLR0124
        return self._bounds(value, names.SMALL, names.BIG)

    def _integer(self, value: Any) -> Fault | None:
        is_integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not is_integral:
            name = names.REPEATED if isinstance(value, list) else names.NOT_AN_INTEGER
            return name, self.expected
        return self._bounds(value, names.SMALL_INTEGER, names.BIG_INTEGER)

    def _bounds(self, value: float, small: str, big: str) -> Fault | None:
        section = self.section
        if section.min is not None and value < section.min:
            return small, self.expected
        if section.max is not None and value > section.max:
            return big, self.expected
        return None

    def _text(self, value: Any) -> Fault | None:
        if not isinstance(value, str):
            return _no_text(value), self.expected
        section = self.section
        if section.min_length is not None and len(value) < section.min_length:
            return names.SHORT_TEXT, self.expected
        if section.max_length is not None and len(value) > section.max_length:
            return names.LONG_TEXT, self.expected
        if self.matches is not None and not _matches(self.matches, value):
            return names.NO_MATCH, self.expected
        return None

    def _time(self, value: Any) -> Fault | None:
        at_s = seconds_of(value)
        if at_s is None:
            return names.NO_TIME, self.expected
        return self.staleness(at_s)

    def staleness(self, at_s: float) -> Fault | None:
        """Whether a time is too long ago, or as far ahead."""
        fresh_s = self.section.freshness / NS_PER_S
        if not fresh_s:
            return None
        age_s = self._now_s() - at_s
        if age_s > fresh_s:
            return names.STALE, self.expected
        return (names.AHEAD, self.expected) if age_s < -fresh_s else None

    def _list(self, value: Any) -> Fault | None:
        if not isinstance(value, list):
            return names.NESTED, self.expected
        found = self.length_fault(len(value))
        if found is not None or self.element is None:
            return found
        return next(filter(None, map(self.element.fault, value)), None)

    def length_fault(self, length: int) -> Fault | None:
        """Whether a list of this length is too short or too long."""
        section = self.section
        if section.min_length is not None and length < section.min_length:
            return names.SHORT_LIST, self.expected
        if section.max_length is not None and length > section.max_length:
            return names.LONG_LIST, self.expected
        return None


def _of_elements(section: ContractField) -> ContractField:
    return ContractField(type=section.of, min=section.min, max=section.max)


def _matcher(pattern: str) -> Callable[[str], object]:
    """Cost: a set of one pattern is asked in a sixth of the time that the pattern itself takes."""
    alone = re2.Set.FullMatchSet()
    alone.Add(pattern)
    alone.Compile()
    matches: Callable[[str], object] = alone.Match
    return matches


def _matches(matches: Callable[[str], object], value: str) -> bool:
    try:
        return matches(value) is not None
    except UnicodeEncodeError:  # half of a surrogate pair is no text
        return False


def _no_text(value: Any) -> str:
    if isinstance(value, bool):
        return names.UNEXPECTED_TYPE
    if isinstance(value, int):
        return names.TEXT_NOW_INTEGER
    if isinstance(value, float):
        return names.TEXT_NOW_FLOAT
    return names.REPEATED if isinstance(value, list) else names.UNEXPECTED_TYPE


def seconds_of(value: Any) -> float | None:
    """A time as seconds since 1970; None: it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        if not math.isfinite(number):
            return None
        return number / 1000 if abs(number) >= _MILLISECONDS_FROM else number
    if not isinstance(value, str):
        return None
    try:
        return timestamp(msgspec.convert(value, datetime))
    except (msgspec.ValidationError, UnicodeEncodeError):
        return None


def timestamp(moment: datetime) -> float:
    """Seconds since 1970; a time without a zone is taken for UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _expectation(section: ContractField) -> str:
    """What is wanted, in words: `a number from 0 to 100000`."""
    if section.categories:
        known = [_constant(each) for each in section.categories[:_FEW]]
        more = len(section.categories) - _FEW
        return f"one of {', '.join(known)}" + (f" and {more} others" if more > 0 else "")
    text = _NOUNS[section.type]
    if section.type == "list" and section.of != "any":
        text += f" of {section.of}s"
    text += _range(section.min, section.max, "at least", "at most")
    noun = "elements" if section.type == "list" else "characters"
    length = _range(section.min_length, section.max_length, "at least", "at most")
    text += f" of{length} {noun}".replace("of from", "of") if length else ""
    if section.pattern:
        text += f" like {section.pattern}"
    if section.freshness:
        text += f" not older than {section.freshness}"
    return text


def _range(low: float | None, high: float | None, least: str, most: str) -> str:
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" {least} {low:g}"
    return f" {most} {high:g}" if high is not None else ""


def _constant(value: Any) -> str:
    return msgspec.json.encode(value).decode()
