"""Windows: when weight may rise, such as `Mon-Fri 09:00-17:00 Europe/Berlin`.

The clock on the wall of that zone decides, so that 09:00 is 09:00 in summer and in winter:
an hour that is skipped is in no window, one that comes twice is in it twice. The end is
not included; an end before the beginning is on the next day. Without a zone it is UTC.

Rule: several windows are one: any of them will do; none at all is always.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from msgspec import Struct

from gateway.config.windows import read

LOOK_AHEAD_DAYS = 8


class Window(Struct, frozen=True):
    """One window; days are those on which it begins."""

    days: frozenset[int]  # 0 is Monday
    begin: int  # minutes after midnight
    end: int  # not above begin: on the next day
    zone: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError with a sentence where it is none."""
        try:
            return cls(*read(text))
        except ValueError as error:
            raise ValueError(f"`{text}`: {error}") from None

    def is_open(self, at: datetime) -> bool:
        local = at.astimezone(zoneinfo.ZoneInfo(self.zone))
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        is_tonight = day in self.days and minute >= self.begin
        return is_tonight or ((day - 1) % 7 in self.days and minute < self.end)

    def opens(self, after: datetime) -> datetime:
        """The first moment from here on in which it is open."""
        if self.is_open(after):
            return after
        zone = zoneinfo.ZoneInfo(self.zone)
        first = after.astimezone(zone).date()
        for number in range(-1, LOOK_AHEAD_DAYS):
            found = self._begins(first + timedelta(days=number), zone)
            if found is not None and found >= after:
                return found
        raise ValueError(f"{self} does not open within {LOOK_AHEAD_DAYS} days")

    def _begins(self, day: date, zone: zoneinfo.ZoneInfo) -> datetime | None:
        """When it opens on that day; None: it does not."""
        wall = datetime.combine(day, time(self.begin // 60, self.begin % 60), zone)
        at = wall.astimezone(UTC)
        # Why a search: the hour in which it begins may be skipped that day.
        for minutes in range(3 * 60):
            moment = at + timedelta(minutes=minutes - 60)
            if moment >= at - timedelta(minutes=60) and self.is_open(moment):
                return moment if not self.is_open(moment - timedelta(minutes=1)) else None
        return None


def parsed(texts: Sequence[str]) -> tuple[Window, ...]:
    """ValueError at the first that is none."""
    return tuple(map(Window.parse, texts))


def is_open(windows: Sequence[Window], at_s: float) -> bool:
    at = datetime.fromtimestamp(at_s, UTC)
    return not windows or any(window.is_open(at) for window in windows)


def opening(windows: Sequence[Window], at_s: float) -> str:
    """When the first of them opens, as a sentence in that window's own zone."""
    at = datetime.fromtimestamp(at_s, UTC)
    soonest = min(windows, key=lambda window: window.opens(at))
    local = soonest.opens(at).astimezone(zoneinfo.ZoneInfo(soonest.zone))
    return f"Weight may rise again on {local:%a %Y-%m-%d at %H:%M} {soonest.zone}."
