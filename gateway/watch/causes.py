"""Since when a field is as it is, and which fields broke together.

With p the reference's shares of a field's cells and c(t) the counts of minute t, the onset is
the minute τ for which the counts from τ on are least like p: the largest Σ N log(N/(n p)) over
the cells of their sum. It is sharp where the first minutes say as much for the change as the later
ones, and those before nothing; a slow shift has no sharp onset.

Fields with sharp onsets within TOGETHER minutes, of one route or of one name, have one cause,
which is named by the first of them. What has no sharp onset has no cause of its own: the book of
alerts sorts it under what it follows from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.profiles.profile import Profile

Floats = NDArray[np.float64]

SHARP = 4.0  # nats that each of the first minutes says for the change
EDGE = 3  # minutes on both sides of an onset
TOGETHER = 2  # minutes
MOST = 1_000  # causes that are remembered


class Onset(NamedTuple):
    """When it began."""

    minute: int
    is_sharp: bool


def onset_of(then: Profile, minutes: Mapping[int, Profile]) -> Onset | None:
    """The minute it began, of those given; None where all of them are alike, or nothing is known.

    `minutes` begin before the window that a test found changed.
    """
    order = sorted(minute for minute, profile in minutes.items() if profile.rows)
    if len(order) < 2 or not then.rows:
        return None
    counts = np.array([minutes[minute].counts for minute in order], np.float64)
    cells = then.counts.size
    expected: Floats = np.asarray((then.counts + 0.5) / (then.rows + cells / 2), np.float64)
    behind = np.cumsum(counts[::-1], axis=0)[::-1]
    totals = behind.sum(axis=1, keepdims=True)
    score = _log_ratio(behind, totals, expected)
    at = int(np.argmax(score))
    if at == 0:
        return None
    return Onset(order[at], _is_sharp(counts, behind[at], expected, at))


def _log_ratio(counts: Floats, totals: Floats, expected: Floats) -> Floats:
    ratio = np.log(np.maximum(counts, 1e-300) / np.maximum(totals, 1.0) / expected)
    found: Floats = np.where(counts > 0, counts * ratio, 0.0).sum(axis=1)
    return found


def _is_sharp(counts: Floats, after: Floats, expected: Floats, at: int) -> bool:
    now = (after + 0.5) / (after.sum() + after.size / 2)
    says = counts @ np.log(now / expected)  # each minute, for the change
    first, before = says[at : at + EDGE].mean(), says[max(at - EDGE, 0) : at].mean()
    is_abrupt = first >= says[at:].mean() / 2 and before <= 0
    return bool(is_abrupt and first >= SHARP and says[at] > 0)


class Cause(Struct):
    """What broke together."""

    name: str
    minute: int
    routes: list[str]
    fields: list[str]


class Causes:
    """Those that were named of late; bounded."""

    def __init__(self, kept: list[Cause] | None = None) -> None:
        self.kept = kept or []

    def of(self, route: str, field: str, onset: Onset | None) -> str:
        """The cause of a field that broke then; "" where none is known."""
        if onset is None or not onset.is_sharp:
            return ""
        for cause in reversed(self.kept):
            is_then = abs(cause.minute - onset.minute) <= TOGETHER
            if is_then and (route in cause.routes or field in cause.fields):
                _add(cause.routes, route)
                _add(cause.fields, field)
                return cause.name
        moment = datetime.fromtimestamp(onset.minute * 60, UTC)
        name = f"{field[:120]} since {moment:%Y-%m-%d %H:%M}Z"
        self.kept.append(Cause(name, onset.minute, [route], [field]))
        del self.kept[:-MOST]
        return name


def _add(names: list[str], name: str) -> None:
    if name not in names and len(names) < MOST:
        names.append(name)
