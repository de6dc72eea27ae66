"""What is searched for, as SQL with bound parameters.

Rule 1: values are bound, never written into the text; the text holds names of columns only.
Rule 2: lines that are no records (tombstones, damage) match nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway.store.columns import quoted
from gateway.store.database import WrongQuestion

ANY = "any"  # of feedback and anomalies: whatever it is
NAMED = ("kind", "route", "backend", "model", "version", "user", "outcome", "protocol", "plan")

_STATUS = re.compile(r"([1-5])xx|(\d{1,3})")


class Filter(Struct, frozen=True, kw_only=True):
    """Which records; of a field with several values, one must match; every field must."""

    since_us: int | None = None  # microseconds since 1970
    until_us: int | None = None  # not included
    kind: tuple[str, ...] = ()
    route: tuple[str, ...] = ()
    backend: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    outcome: tuple[str, ...] = ()
    protocol: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    status: tuple[str, ...] = ()  # 503, 5xx
    min_cost_usd: float | None = None
    min_latency_us: int | None = None
    text: str = ""  # anywhere in the line
    feedback: tuple[str, ...] = ()  # signals; `any`
    anomaly: tuple[str, ...] = ()  # NAME, input:NAME, input:NAME:/pointer; `any`

    def overlaps(self, first_us: int, last_us: int) -> bool:
        """Whether something between these times may match."""
        return (self.until_us is None or first_us < self.until_us) and (
            self.since_us is None or last_us >= self.since_us
        )


class Where(Struct, frozen=True):
    """A condition and its parameters."""

    sql: str
    parameters: dict[str, Any]


def where(wanted: Filter, prefix: str = "w") -> Where:
    """The condition on the columns of `records`; feedback is not part of it."""
    terms, bound = ["kind <> 'forgotten'"], _Bound(prefix)
    if wanted.since_us is not None:
        terms.append(f'"time" >= make_timestamp({bound(wanted.since_us)}::BIGINT)')
    if wanted.until_us is not None:
        terms.append(f'"time" < make_timestamp({bound(wanted.until_us)}::BIGINT)')
    terms += [_one_of(name, values, bound) for name in NAMED if (values := getattr(wanted, name))]
    if wanted.status:
        ranges = [_status_range(each) for each in wanted.status]
        tests = (f"status BETWEEN {bound(low)} AND {bound(high)}" for low, high in ranges)
        terms.append(f"({' OR '.join(tests)})")
    if wanted.min_cost_usd is not None:
        terms.append(f"cost_usd >= {bound(wanted.min_cost_usd)}::DOUBLE")
    if wanted.min_latency_us is not None:
        terms.append(f"total_us >= {bound(wanted.min_latency_us)}::BIGINT")
    if wanted.anomaly:
        tests = (_anomaly(each, bound) for each in wanted.anomaly)
        terms.append(f"({' OR '.join(tests)})")
    if wanted.text:
        tests = (f"contains(line, {bound(each)})" for each in spellings(wanted.text))
        terms.append(f"({' OR '.join(tests)})")
    return Where(" AND ".join(terms), bound.parameters)


def any_of(filters: Sequence[Filter], prefix: str) -> Where:
    """Records that match at least one."""
    parts = [where(each, f"{prefix}{number}_") for number, each in enumerate(filters)]
    parameters: dict[str, Any] = {}
    for part in parts:
        parameters |= part.parameters
    return Where(" OR ".join(f"({part.sql})" for part in parts) or "false", parameters)


def spellings(text: str) -> list[str]:
    """The text as it may stand in JSON: escaped as little as can be, or down to ASCII."""
    found = {text, msgspec.json.encode(text).decode()[1:-1], json.dumps(text)[1:-1]}
    return sorted(found)


def checked(wanted: Filter) -> Filter:
    """The filter itself; WrongQuestion where a value means nothing."""
    for each in wanted.status:
        _status_range(each)
    if None not in {wanted.since_us, wanted.until_us} and not wanted.overlaps(
        wanted.since_us or 0, wanted.since_us or 0
    ):
        raise WrongQuestion("the time to search until is not after the time to search from")
    return wanted


class _Bound:
    """Names for parameters, as they are put into the text."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.parameters: dict[str, Any] = {}

    def __call__(self, value: object) -> str:
        name = f"{self._prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return f"${name}"


def _one_of(name: str, values: Sequence[str], bound: _Bound) -> str:
    # Why: an empty member is not written, and a column without it is NULL.
    column = quoted(name)
    marks = [f"{column} = {bound(value)}" if value else f"{column} IS NULL" for value in values]
    return f"({' OR '.join(marks)})"


def _anomaly(text: str, bound: _Bound) -> str:
    """Any; by its name, on one side where that is named; or exactly.

    Why no lambda: DuckDB's has had two spellings. An anomaly is one line.
    """
    if text == ANY:
        return "len(anomalies) > 0"
    if text.count(":") >= 2:
        return f"list_contains(anomalies, {bound(text)})"
    begins = [f"{text}:"] if ":" in text else [f"input:{text}:", f"output:{text}:"]
    lines = "chr(10) || array_to_string(anomalies, chr(10))"
    tests = (f"contains({lines}, chr(10) || {bound(each)})" for each in begins)
    return f"({' OR '.join(tests)})"


def _status_range(text: str) -> tuple[int, int]:
    match = _STATUS.fullmatch(text.strip().lower())
    if match is None:
        raise WrongQuestion(f"`{text}` is no status; write 503 or 5xx")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    return int(match[2]), int(match[2])
