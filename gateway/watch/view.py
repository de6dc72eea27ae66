"""Reading what was counted: windows of time, whatever they come from.

Minutes are exact. Where minutes were summed into an hour already, the hour belongs to a window
if at least half of it is inside, or if it holds the middle of a window that is shorter; so a
window of whole hours is exact for as long as anything is kept.

Rule: profiles that are returned are the caller's own; nothing changes them later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.profiles.profile import Profile
from gateway.profiles.slices import Minute, Source
from gateway.watch.basis import Basis
from gateway.watch.changes import HOUR, Key, add_value, rows_in

Values = Callable[[Key], bytes | None]


class View(Protocol):
    """What was counted, as of now."""

    @property
    def watermark(self) -> int:
        """The first minute that may still get rows in time; before it, data are there. 0: none."""

    # The minute of the clock up to which all that came is known to be there, whether or not
    # anything came; 0: that is not known.
    settled: int

    def sources(self, basis: Basis) -> tuple[Source, ...]:
        """Those of the basis's route of whom anything is kept, in order."""

    def minutes(self, basis: Basis, source: Source) -> tuple[int, ...]:
        """First minutes of the slices that are kept, minutes and hours, rising."""

    def window(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> Profile:
        """All that was counted of one field from `first_minute` to before `end_minute`."""

    def profiles(
        self, basis: Basis, source: Source, first_minute: int, end_minute: int
    ) -> dict[str, Profile]:
        """The same of every field of the basis, for the price of one."""

    def rows(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> list[tuple[int, int, int]]:
        """(first minute, minutes, rows) of each slice that reaches into a time; see `rows_in`."""


def is_inside(key: Key, first_minute: int, end_minute: int) -> bool:
    """Whether a slice belongs to the window from `first_minute` to before `end_minute`."""
    if first_minute >= end_minute:
        return False
    inside = min(key.end, end_minute) - max(key.minute, first_minute)
    middle = (first_minute + end_minute) // 2
    return 2 * inside >= key.span or key.minute <= middle < key.end


def reach_of(first_minute: int, end_minute: int) -> tuple[int, int]:
    """First minutes between which slices of a window begin."""
    return first_minute - HOUR + 1, end_minute


def summed(basis: Basis, values: Iterable[bytes], only: Sequence[str] = ()) -> dict[str, Profile]:
    """Profiles of all fields, or of some, over slices; empty ones where nothing was."""
    whole: Minute = {
        name: Profile(then.field)
        for name, then in basis.reference.profiles.items()
        if not only or name in only
    }
    for value in values:
        add_value(whole, value)
    return whole


class Merged:
    """Several views as one: of the partitions of a topic, of counting and backfill."""

    def __init__(self, views: Sequence[View], lateness: int = 10, settled: int = 0) -> None:
        """A view further than `lateness` minutes behind the newest one is waited for by nobody."""
        self._views, self.settled = views, settled
        self._lateness = lateness

    @property
    def watermark(self) -> int:
        """Of the last of those that keep up."""
        found = [view.watermark for view in self._views]
        newest = max(found, default=0)
        return min((each for each in found if each >= newest - self._lateness), default=0)

    def sources(self, basis: Basis) -> tuple[Source, ...]:
        """Of all."""
        return tuple(sorted({one for view in self._views for one in view.sources(basis)}))

    def minutes(self, basis: Basis, source: Source) -> tuple[int, ...]:
        """Of all."""
        return tuple(sorted({at for view in self._views for at in view.minutes(basis, source)}))

    def window(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> Profile:
        """Added up."""
        whole = Profile(basis.reference.profiles[field].field)
        for view in self._views:
            whole.merge(view.window(basis, source, field, first_minute, end_minute))
        return whole

    def profiles(
        self, basis: Basis, source: Source, first_minute: int, end_minute: int
    ) -> dict[str, Profile]:
        """Added up."""
        whole = summed(basis, ())
        for view in self._views:
            for name, profile in view.profiles(basis, source, first_minute, end_minute).items():
                whole[name].merge(profile)
        return whole

    def rows(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> list[tuple[int, int, int]]:
        """Of all."""
        span = (first_minute, end_minute)
        return [one for view in self._views for one in view.rows(basis, source, field, *span)]


class Counted:
    """A view of keys and values in memory: of one partition, or for a test."""

    def __init__(self, values: dict[Key, bytes], watermark: Callable[[], int]) -> None:
        """`values` is looked at, not copied: who holds it may go on changing it."""
        self._values = values
        self._watermark = watermark
        self.settled = 0

    @property
    def watermark(self) -> int:
        """As its holder says."""
        return self._watermark()

    def sources(self, basis: Basis) -> tuple[Source, ...]:
        """Those of the basis's route."""
        return tuple(sorted({key.source for key in self._of(basis)}))

    def minutes(self, basis: Basis, source: Source) -> tuple[int, ...]:
        """Of one source."""
        return tuple(sorted({key.minute for key in self._of(basis) if key.source == source}))

    def window(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> Profile:
        """Of one field."""
        values = self._between(basis, source, first_minute, end_minute)
        return summed(basis, values, (field,))[field]

    def profiles(
        self, basis: Basis, source: Source, first_minute: int, end_minute: int
    ) -> dict[str, Profile]:
        """Of all fields."""
        return summed(basis, self._between(basis, source, first_minute, end_minute))

    def rows(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> list[tuple[int, int, int]]:
        """Of one source."""
        return [
            (key.minute, key.span, rows_in(value, field))
            for key in self._of(basis)
            if key.source == source and key.minute < end_minute and key.end > first_minute
            if (value := self._values.get(key)) is not None
        ]

    def _of(self, basis: Basis) -> list[Key]:
        return [
            key
            for key in list(self._values)
            if key.basis == basis.name and key.source.route == basis.route
        ]

    def _between(self, basis: Basis, source: Source, first: int, end: int) -> list[bytes]:
        """Cost: a look-up a minute of the window, or one a key where these are fewer."""
        low, high = reach_of(first, end)
        if high - low > len(self._values):
            keys = [key for key in self._of(basis) if key.source == source]
        else:
            keys = [Key(basis.name, source, minute) for minute in range(first, end)]
            hours = range(low - low % HOUR, high, HOUR)
            keys += [Key(basis.name, source, hour, HOUR) for hour in hours]
        inside = [key for key in keys if is_inside(key, first, end)]
        return [value for key in inside if (value := self._values.get(key)) is not None]
