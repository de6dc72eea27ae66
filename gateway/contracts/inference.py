"""A contract from recorded traffic: what every row so far had in common, with room to spare.

`Inference` takes rows, one by one, and proposes a field for each name it saw.

* The range is that of the values, widened by its own length to either side (never across 0, if
  all values are on one side of it).
* A text has categories when the chance of a new one is below 1 %: by Good and Turing the share
  of values that were seen once.
* A field is required when no row lacked it, and may be null when some row had null: at most as
  often as is likely by the 99 % bound of Wilson's interval.

Rule: bounded memory: names, categories and rows have limits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from gateway.contracts.rows import MISSING, Row
from gateway.contracts.values import seconds_of

MOST_NAMES = 1000
MOST_CATEGORIES = 100
LEAST_ROWS = 30  # for categories, ranges and shares
NEW_SHARE = 0.01  # chance of a category that was never seen, at most
_Z = 2.326  # 99 %, one side


class Seen:
    """What was seen of one field."""

    def __init__(self) -> None:
        self.rows = self.nulls = 0
        self.kinds: Counter[str] = Counter()
        self.values: Counter[Any] | None = Counter()  # None: too many
        self.low, self.high = math.inf, -math.inf
        self.shortest, self.longest = math.inf, 0
        self.inner: Seen | None = None  # of a list's elements

    def add(self, value: Any) -> None:
        self.rows += 1
        if value is None:
            self.nulls += 1
            return
        kind = _kind(value)
        self.kinds[kind] += 1
        if kind in {"integer", "number"}:
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif kind in {"text", "time", "list"}:
            self.shortest = min(self.shortest, len(value))
            self.longest = max(self.longest, len(value))
        if kind == "list":
            self.inner = self.inner or Seen()
            for each in value:
                self.inner.add(each)
        if kind in {"text", "integer"} and self.values is not None:
            self.values[value] += 1
            if len(self.values) > MOST_CATEGORIES:
                self.values = None

    def kind(self) -> str:
        """The one type that all values have, or `any`."""
        kinds = set(self.kinds)
        if kinds <= {"integer", "number"} and kinds:
            return "number" if "number" in kinds else "integer"
        if kinds <= {"text", "time"} and len(kinds) > 1:
            return "text"
        return kinds.pop() if len(kinds) == 1 else "any"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return (
            "time" if len(value) > len("2026-01-01") and seconds_of(value) is not None else "text"
        )
    return "list" if isinstance(value, list) else "object"


class Inference:
    """Of one side of a contract."""

    def __init__(self) -> None:
        self.rows = 0
        self.left_out = 0  # names beyond the limit
        self._seen: dict[str, Seen] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Learn from the rows of one body."""
        for row in rows:
            self.rows += 1
            for name in row.names():
                value = row.get(name)
                if value is MISSING:
                    continue
                if name not in self._seen and len(self._seen) >= MOST_NAMES:
                    self.left_out += 1
                    continue
                self._seen.setdefault(name, Seen()).add(value)

    def fields(self) -> dict[str, dict[str, Any]]:
        """A section of the configuration for each field, those that differ from the default."""
        return {name: self._field(seen) for name, seen in self._seen.items()}

    def remarks(self) -> dict[str, str]:
        """What the proposals rest on, for people."""
        return {name: self._remark(seen) for name, seen in self._seen.items()}

    def _field(self, seen: Seen) -> dict[str, Any]:
        found: dict[str, Any] = {"type": seen.kind()}
        if seen.rows < self.rows:
            found["required"] = False
        if seen.nulls:
            found["nulls"] = f"{math.ceil(100 * upper_share(seen.nulls, seen.rows))}%"
        if found["type"] == "text" and _has_categories(seen):
            found["categories"] = sorted(seen.values or ())
        elif found["type"] == "text":
            found["max_length"] = _rounded_up(2 * max(seen.longest, 1))
        if found["type"] in {"number", "integer"} and seen.rows >= LEAST_ROWS:
            found |= _range(seen)
        if found["type"] == "list":
            found |= _list(seen)
        return found

    def _remark(self, seen: Seen) -> str:
        parts = [f"{seen.rows} of {self.rows} rows"]
        if seen.nulls:
            parts.append(f"{seen.nulls} null")
        if seen.low <= seen.high:
            parts.append(f"{seen.low:g} to {seen.high:g}")
        if len(seen.kinds) > 1:
            counts = ", ".join(f"{count} {kind}" for kind, count in seen.kinds.most_common())
            parts.append(counts)
        return ", ".join(parts)


def _has_categories(seen: Seen) -> bool:
    if seen.values is None or seen.kinds["time"] or sum(seen.values.values()) < LEAST_ROWS:
        return False
    once = sum(count == 1 for count in seen.values.values())
    return once / sum(seen.values.values()) < NEW_SHARE


def _range(seen: Seen) -> dict[str, float]:
    """Why rounded outwards: what is proposed is read by people."""
    length = seen.high - seen.low or abs(seen.high) or 1.0
    low, high = seen.low - length, seen.high + length
    low = 0 if seen.low >= 0 > low else -_rounded_up(-low) if low < 0 else _rounded_down(low)
    high = 0 if seen.high <= 0 < high else _rounded_up(high) if high > 0 else -_rounded_down(-high)
    return {"min": low, "max": high} if math.isfinite(low) and math.isfinite(high) else {}


def _list(seen: Seen) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if seen.inner is not None and seen.inner.kind() != "any" and not seen.inner.nulls:
        found["of"] = seen.inner.kind()
    if seen.shortest == seen.longest:
        found |= {"min_length": seen.longest, "max_length": seen.longest}
    return found


def _rounded_up(value: float) -> float:
    """To two digits, away from 0."""
    if value <= 0 or not math.isfinite(value):
        return value
    unit: float = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _plain(math.ceil(round(value / unit, 9)) * unit)


def _rounded_down(value: float) -> float:
    if value <= 0 or not math.isfinite(value):
        return value
    unit: float = 10.0 ** (math.floor(math.log10(value)) - 1)
    return _plain(math.floor(round(value / unit, 9)) * unit)


def _plain(value: float) -> float:
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def upper_share(count: int, of: int) -> float:
    """The share that is not exceeded with 99 % confidence (Wilson)."""
    if of == 0:
        return 1.0
    share, square = count / of, _Z * _Z
    middle = share + square / (2 * of)
    spread = _Z * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return min(1.0, (middle + spread) / (1 + square / of))
