"""Profiles by minute: of each (route, model version, arm) and field, for as long as is kept.

A row counts in the minute it happened in, however late it comes, while that minute is kept.
Rows older than that, and rows more than AHEAD minutes in front of the newest believable
time, are not counted but are told: their clock, or their way, was wrong.

Rule 1: at most `minutes` minutes and `sources` triples are kept; what is beyond is told.
Rule 2: merging the slices of two processes, in any order, is as if one had seen all.
Knows no clock: `now` is the caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from gateway.profiles.fields import Field
from gateway.profiles.profile import Profile

AHEAD = 5  # minutes that another host's clock may be in front


class Source(NamedTuple):
    """Whose values they are."""

    route: str
    version: str = ""  # of the model
    arm: str = ""  # "" the champion, or no rollout


Minute = dict[str, Profile]  # by name of the field


def profile_in(slot: Minute, field: Field) -> Profile:
    """The one of a field; a new one where there is none, or where it was frozen anew."""
    found = slot.get(field.name)
    if found is None or found.field.identity != field.identity:
        found = slot[field.name] = Profile(field)
    return found


class Slices:
    """A ring of minutes."""

    def __init__(self, *, minutes: int = 24 * 60, sources: int = 256) -> None:
        self._minutes = minutes
        self._sources = sources
        self._newest = 0
        self._kept: dict[Source, dict[int, Minute]] = {}
        self.dropped: Counter[str] = Counter()  # rows: late, ahead, sources
        self.changed: set[tuple[Source, int]] = set()  # since the caller cleared it

    def slot(self, source: Source, minute: int, now: int, rows: int = 1) -> Minute | None:
        """Where rows of this minute since 1970 are counted; None, and told, if nowhere."""
        if minute > now + AHEAD:
            self.dropped["ahead"] += rows
            return None
        self._newest = max(self._newest, min(now, minute))
        if minute <= self._newest - self._minutes:
            self.dropped["late"] += rows
            return None
        of_source = self._kept.get(source)
        if of_source is None:
            if len(self._kept) >= self._sources:
                self.dropped["sources"] += rows
                return None
            of_source = self._kept[source] = {}
        self.changed.add((source, minute))
        return of_source.setdefault(minute, {})

    def profile(self, slot: Minute, field: Field) -> Profile:
        """The one of a field in a slot; a new one where it was frozen anew."""
        return profile_in(slot, field)

    def add(self, source: Source, minute: int, profile: Profile, now: int) -> bool:
        """Adds what another process counted; whether it was kept."""
        slot = self.slot(source, minute, now, profile.rows)
        if slot is None:
            return False
        self.profile(slot, profile.field).merge(profile)
        return True

    def merge(self, other: Slices, now: int) -> Slices:
        """Adds all that another ring kept."""
        for source, minute, profile in other.profiles():
            self.add(source, minute, profile, now)
        self.dropped.update(other.dropped)
        return self

    def expire(self, now: int) -> int:
        """Forgets minutes that are past keeping, and sources without any; how many minutes."""
        self._newest = max(self._newest, now)
        oldest = self._newest - self._minutes
        gone = 0
        for source in list(self._kept):
            of_source = self._kept[source]
            for minute in [minute for minute in of_source if minute <= oldest]:
                del of_source[minute]
                self.changed.discard((source, minute))
                gone += 1
            if not of_source:
                del self._kept[source]
        return gone

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those of whom anything is kept."""
        return tuple(sorted(self._kept))

    def minutes(self, source: Source) -> tuple[int, ...]:
        """Those of which anything is kept."""
        return tuple(sorted(self._kept.get(source, {})))

    def fields(self, source: Source, minute: int) -> Minute:
        """All profiles of one minute."""
        return self._kept.get(source, {}).get(minute, {})

    def window(self, source: Source, field: Field, first: int, end: int) -> Profile:
        """All that was counted of a field from minute `first` to before `end`."""
        whole = Profile(field)
        kept = self._kept.get(source, {})
        for minute in range(max(first, self._newest - self._minutes), end):
            found = kept.get(minute, {}).get(field.name)
            if found is not None and found.field.identity == field.identity:
                whole.merge(found)
        return whole

    def profiles(self) -> Iterator[tuple[Source, int, Profile]]:
        """All that is kept."""
        for source, of_source in self._kept.items():
            for minute, slot in of_source.items():
                for profile in slot.values():
                    yield source, minute, profile
