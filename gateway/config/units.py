"""Quantities as people write them: `250ms`, `20%`, `8MiB`, and secrets that do not print.

Each type is a plain number or text with a second face: `Duration("2s")` is the integer
2_000_000_000 (nanoseconds), prints as `2s`, and computes like any integer.

Rule 1: parsing what `str()` printed gives the same value.
Rule 2: a wrong text raises ValueError with a sentence that shows what is right.
Rule 3: a Secret never shows in repr, and so never in a traceback or a log line.

Knows nothing of YAML or paths; `shape` calls it for each leaf of the file.
"""

from __future__ import annotations

import re
from typing import ClassVar, Self

_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_BYTES = {
    "B": 1,
    "KB": 10**3,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]+)", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)\s*%", re.ASCII)
_AGE_NS = _NS | {"d": 24 * 3600 * 10**9}
_MAX_SIZE_BYTES = 2**40


class Duration(int):
    """Nanoseconds; written with a unit."""

    expected = "a time with its unit, such as 250ms, 2s or 5m"
    units: ClassVar = _NS
    longest: ClassVar = (7 * _AGE_NS["d"], "a week")

    @classmethod
    def parse(cls, value: object) -> Self:
        if value in (0, "0") and value is not False:
            return cls(0)
        return cls(_scaled(value, cls.units, cls.expected, *cls.longest))

    def __str__(self) -> str:
        return _printed(int(self), ("h", "m", "s", "ms", "us", "ns"), _NS)


class Age(Duration):
    """Nanoseconds of what is slow, such as labels: days, too, up to more than a year."""

    expected = "a time with its unit, such as 24h or 30d"
    units: ClassVar = _AGE_NS
    longest: ClassVar = (400 * _AGE_NS["d"], "400d")

    def __str__(self) -> str:
        days, rest = divmod(int(self), _AGE_NS["d"])
        return super().__str__() if rest or days < 2 else f"{days}d"


class Size(int):
    """Bytes; written with a unit, or as a bare number of bytes."""

    expected = "a size, such as 64KiB, 8MiB or a number of bytes"

    @classmethod
    def parse(cls, value: object) -> Self:
        if value == "0":
            return cls(0)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SIZE_BYTES:
            return cls(value)
        return cls(_scaled(value, _BYTES, cls.expected, _MAX_SIZE_BYTES, "1024GiB"))

    def __str__(self) -> str:
        return _printed(int(self), ("GiB", "MiB", "KiB", "B"), _BYTES)


class Share(float):
    """A part of a whole, 0 to 1; written `20%` or `0.2`."""

    expected = "a share, such as 20% or 0.2"

    @classmethod
    def parse(cls, value: object) -> Self:
        if isinstance(value, str) and (match := _PERCENT.fullmatch(value.strip())):
            number = float(match[1]) / 100
        elif isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        else:
            raise ValueError(f"expected {cls.expected}")
        if not 0 <= number <= 1:
            raise ValueError(f"expected {cls.expected}, from 0% to 100%")
        return cls(number)

    def __str__(self) -> str:
        text = f"{float(self) * 100:.6f}".rstrip("0").rstrip(".") + "%"
        return text if Share.parse(text) == self else repr(float(self))


class Secret(str):
    """Text that must not be shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def reveal(self) -> str:
        """The text itself, for the one place that sends or compares it."""
        return str.__str__(self)


def _scaled(
    value: object, units: dict[str, int], expected: str, maximum: int, maximum_text: str
) -> int:
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f"expected {expected}")
    whole, _, fraction = match[1].partition(".")
    unit = units[match[2]]
    number = int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
    if number > maximum:
        raise ValueError(f"expected {expected}, at most {maximum_text}")
    return number


def _printed(number: int, order: tuple[str, ...], units: dict[str, int]) -> str:
    if number == 0:
        return "0"
    unit = next(name for name in order if number % units[name] == 0)
    return f"{number // units[unit]}{unit}"
