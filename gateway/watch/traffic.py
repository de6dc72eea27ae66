"""Whether a route's traffic stopped or fell: requests of a window against those of one before.

    last_week           against the same hours a week ago
    other references    against the same hours the day before: they say nothing of how much came

Rules ask for it by name, `traffic.requests` or `traffic.*`. All versions and arms of a route count
together, copies (shadows) do not. The window is the rule's, an hour at least, since what is a week
old is kept by the hour. How much such counts vary is learned of the route's own hours before, and
frozen while a fall goes on (`drift.volume`).

What clock decides: looks are made on the times of records, and where none comes, none is due. So
the time goes on with the clock while all that was recorded is known to have been counted
(`View.settled`), for a week behind the newest record at most: what is older is a replay.

Rule: no record is no finding where something is on its way: a log that is not delivered, a
      partition that is behind, hold the time back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.alerts.finding import Finding, Window
from gateway.config.watching import DriftRule
from gateway.drift.volume import Fall, fall_of, noise_of
from gateway.profiles.signals import where_of
from gateway.watch.basis import Basis
from gateway.watch.changes import HOUR, HOURS_KEPT
from gateway.watch.references import SHADOW, WEEK, Span
from gateway.watch.view import View

FIELD = "traffic.requests"
PART = 0.1  # of a rule's false alarms that traffic may have, where it looks at fields, too
LOST = 0.5  # share that must be gone, where a rule does not say
DAY = 24 * HOUR
MOST_PAIRS = 168
MINUTE_MS = 60_000
Minutes = NDArray[np.int64]


def is_asked(rule: DriftRule) -> bool:
    """Whether a rule looks at how much comes; `*` alone does not ask for it."""
    return any(one.startswith("traffic.") and fnmatchcase(FIELD, one) for one in rule.fields)


def clock_of(view: View) -> int:
    """The minute up to which it is known how much came."""
    newest, settled = view.watermark, view.settled
    return settled if newest < settled <= newest + WEEK else newest


class Noted(NamedTuple):
    """What is known of a fall that goes on."""

    since: int  # minute of the first window that found it
    noise: float


class Asked(NamedTuple):
    """One look."""

    rule: DriftRule
    basis: Basis
    kind: str  # of the reference
    window: int  # minutes
    alpha: float
    end: int


class Seen(NamedTuple):
    """What it says."""

    finding: Finding | None
    noted: Noted | None
    stopped: int  # minute since which nothing came at all; 0: something does


def look_at(view: View, asked: Asked, noted: Noted | None) -> Seen | None:
    """None where there is too little to compare with, or to know how much counts vary."""
    width = max(asked.window, HOUR)
    lag = WEEK if asked.kind == "last_week" else DAY
    oldest = asked.end - HOURS_KEPT * HOUR
    volume = Volume.of(view, asked.basis, Span(oldest, asked.end))
    span = Span(asked.end - width, asked.end)
    if volume.first is None or volume.first > span.first - lag:
        return None
    before = span if noted is None else Span(noted.since - width, noted.since)
    noise = noise_of(volume.pairs(before, lag)) if noted is None else noted.noise
    if noise is None:
        return None
    fall = fall_of(volume.rows(span), volume.rows(_back(span, lag)), noise)
    least = LOST if asked.rule.effect is None else asked.rule.effect
    if fall.p > asked.alpha or fall.lost < least:
        return Seen(None, None, 0)
    stopped = volume.last if not fall.now or volume.last <= span.end - HOUR // 2 else 0
    finding = _finding(fall, span, lag, noise, stopped)
    return Seen(finding, noted or Noted(span.end, noise), stopped)


def _back(span: Span, minutes: int) -> Span:
    return Span(span.first - minutes, span.end - minutes)


class Volume:
    """Requests of a route by slice; rows of a slice are spread evenly over it."""

    def __init__(self, slices: Sequence[tuple[int, int, int]]) -> None:
        """(first minute, minutes, rows) of each."""
        table: Minutes = np.array(sorted(slices), np.int64).reshape(-1, 3)
        table = table[table[:, 2] > 0]
        self._first, self._span, self._rows = table.T
        self._end = self._first + self._span

    @classmethod
    def of(cls, view: View, basis: Basis, span: Span) -> Volume:
        """Of all that clients asked."""
        name = _counted_by(basis)
        return cls(
            [
                one
                for source in view.sources(basis)
                if source.arm != SHADOW
                for one in view.rows(basis, source, name, *span)
            ]
        )

    @property
    def first(self) -> int | None:
        """The minute of the first."""
        return int(self._first[0]) if self._first.size else None

    @property
    def last(self) -> int:
        """The minute behind the last."""
        return int(self._end.max()) if self._end.size else 0

    def rows(self, span: Span) -> int:
        """Requests of a time."""
        inside = np.minimum(self._end, span.end) - np.maximum(self._first, span.first)
        return round(float((self._rows * np.maximum(inside, 0) / self._span).sum()))

    def pairs(self, before: Span, lag: int) -> list[tuple[int, int]]:
        """Windows as wide before that one, each with its own of `lag` minutes earlier."""
        width, found = before.end - before.first, []
        for number in range(1, MOST_PAIRS + 1):
            span = _back(before, number * width)
            if self.first is None or span.first - lag < self.first:
                break
            found.append((self.rows(span), self.rows(_back(span, lag))))
        return found


def _counted_by(basis: Basis) -> str:
    """A field that each request has once, if there is one: a batch has many rows of features."""
    names = basis.reference.names
    return next((name for name in names if where_of(name)[0] == "line"), "")


def _finding(fall: Fall, span: Span, lag: int, noise: float, stopped: int) -> Finding:
    hours = (span.end - span.first) / HOUR
    when = "a week ago" if lag == WEEK else "the day before"
    of = f"{fall.now:,} in {hours:g} h until {_clock(span.end)}, {fall.then:,} {when}"
    sentence = f"Requests fell by {fall.lost:.0%}: {of}."
    if stopped:
        sentence = f"No request since {_clock(stopped)}: {of}."
    return Finding(
        kind="traffic_drop",
        field=FIELD,
        test="beta_binomial",
        sentence=sentence,
        effect=fall.lost,
        p=fall.p,
        reference=_window(_back(span, lag)),
        current=_window(span),
        evidence={
            "requests": fall.now,
            "reference_requests": fall.then,
            "noise": round(noise, 4),
            "stopped": _clock(stopped) if stopped else None,
        },
    )


def _clock(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}Z"


def _window(span: Span) -> Window:
    return Window(span.first * MINUTE_MS, span.end * MINUTE_MS)
