"""The slices that are counted in, and what is known of those that are not.

A *slot* is an open slice: profiles by field. After a drain the slots that were used last stay
open; the others are closed, and opened again by their value when a row comes late.

    minute  ──older than `keep`, a whole hour at a time──►  hour  ──nine days──►  gone

Where a row counts, and what becomes of a slice, is a function of the newest minute and nothing
else, so that it does not depend on when somebody drains.

Rule: a key is in `values` if, and only if, a drain gave its value and none since said it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from gateway.profiles.reference import Reference
from gateway.profiles.slices import AHEAD, Minute, Source, profile_in
from gateway.watch.changes import HOUR, HOURS_KEPT, Key, decoded, encoded

OPEN = 256  # slots that stay open after a drain: about 40 KiB each, of thirty fields
MOST_OPEN = 1024  # between drains; what is beyond is closed, and waits encoded
SOURCES = 256  # of one basis
KNOWN = 1000  # references: more than one rule each, on as many routes


class Slots:
    """Of all bases together."""

    def __init__(self, keep: int, recall: Callable[[Key], bytes | None] | None = None) -> None:
        self.references: dict[str, Reference] = {}  # by basis: what can be opened
        self.values: dict[Key, bytes] = {}  # b"" where `recall` has it
        self.changed: dict[Key, None] = {}  # in the order in which they were first used
        self.newest = 0
        self._keep = keep
        self._kept_at_all = max(HOURS_KEPT * HOUR, keep + HOUR)
        self._recall = recall
        self._open: dict[Key, Minute] = {}  # the least recently used first
        self._closed: dict[Key, bytes] = {}  # changed ones that are not open
        self._summed_to = 0  # minutes before it are in hours, since the last drain …
        self._gone_to = 0  # … and slices before it are gone
        self._sources: dict[str, set[Source]] = {}  # by basis

    def know(self, references: Iterable[Reference]) -> None:
        """Those that are counted on; others that were before stay known, up to KNOWN."""
        for reference in references:
            self.references.pop(reference.hash, None)
            self.references[reference.hash] = reference
        while len(self.references) > KNOWN:
            del self.references[next(iter(self.references))]

    def see(self, minute: int) -> None:
        """Time has come so far."""
        self.newest = max(self.newest, minute)

    def believe(self, now: int) -> bool:
        """Take back a time that is in front of the clock; whether there was one.

        Why: where the clock itself was in front for a while, everything would be too old now.
        """
        if self.newest <= now + AHEAD:
            return False
        self.newest = now
        self._summed_to = self._gone_to = 0
        return True

    def is_past(self, minute: int) -> bool:
        """Whether even its hour is not kept any more."""
        return minute < self.gone_before

    def slot(self, basis: str, source: Source, minute: int) -> Minute | None:
        """Where rows of this minute are counted; None for a source too many."""
        if minute >= self._summed_to:
            key = Key(basis, source, minute)
        else:
            key = Key(basis, source, minute - minute % HOUR, HOUR)
        return self._opened(key)

    def drain(self) -> tuple[dict[Key, bytes], list[Key]]:
        """(values that changed, keys that went) since the last time."""
        gone = self._expired() + self._summed()
        changed = {
            key: encoded(self._open[key]) if key in self._open else self._closed[key]
            for key in self.changed
        }
        for key, value in changed.items():
            self.values[key] = b"" if self._recall else value
        self.changed.clear()
        self._closed.clear()
        while len(self._open) > OPEN:
            del self._open[next(iter(self._open))]
        return changed, gone

    def restore(self, values: Mapping[Key, bytes], keys: Iterable[Key], newest: int) -> None:
        """Begin with these."""
        self.values = dict.fromkeys(keys, b"") | dict(values)
        self.newest, self._summed_to, self._gone_to = newest, 0, 0
        self._open.clear()
        self._closed.clear()
        self.changed.clear()
        self._count_sources()

    @property
    def gone_before(self) -> int:
        """A whole hour."""
        return self.newest - self.newest % HOUR - self._kept_at_all

    def _opened(self, key: Key) -> Minute | None:
        slot = self._open.pop(key, None)
        if slot is None:
            slot = self._reopened(key)
        if slot is not None:
            self._open[key] = slot
            self.changed[key] = None
            if len(self._open) > MOST_OPEN:
                self._close()
        return slot

    def _reopened(self, key: Key) -> Minute | None:
        if key in self._closed or key in self.values:
            return self._read(key)
        sources = self._sources.setdefault(key.basis, set())
        if key.source not in sources and len(sources) >= SOURCES:
            return None
        sources.add(key.source)
        return {}

    def _read(self, key: Key) -> Minute:
        """Of a slice that is not open."""
        value = self._closed.pop(key, None)
        if value is None:
            value = self._recall(key) if self._recall else self.values[key]
        return decoded(value, self.references[key.basis]) if value else {}

    def _close(self) -> None:
        """The half that was used the longest time ago."""
        for key in list(self._open)[: MOST_OPEN // 2]:
            slot = self._open.pop(key)
            if key in self.changed:
                self._closed[key] = encoded(slot)

    # -- what grows old

    def _summed(self) -> list[Key]:
        """Minutes that are past keeping, into their hours; the keys that went."""
        before = (self.newest - self._keep) // HOUR * HOUR
        if before <= self._summed_to:
            return []
        self._summed_to = before
        gone = []
        for key in self._keys():
            if key.span == 1 and key.minute < before:
                if key.basis in self.references:
                    self._sum(key)
                gone += self._forget(key)
        return gone

    def _sum(self, key: Key) -> None:
        minute = self._open.get(key)
        if minute is None:
            minute = self._read(key)
        hour = self._opened(Key(key.basis, key.source, key.minute - key.minute % HOUR, HOUR))
        if hour is not None:
            for profile in minute.values():
                profile_in(hour, profile.field).merge(profile)

    def _expired(self) -> list[Key]:
        before = self.gone_before
        if before <= self._gone_to:
            return []
        self._gone_to = before
        keys = [key for key in self._keys() if key.minute < before]
        gone = [each for key in keys for each in self._forget(key)]
        if keys:
            self._count_sources()
        return gone

    def _keys(self) -> list[Key]:
        return list({**self.values, **self._closed, **self._open})

    def _forget(self, key: Key) -> list[Key]:
        self._open.pop(key, None)
        self._closed.pop(key, None)
        self.changed.pop(key, None)
        return [] if self.values.pop(key, None) is None else [key]

    def _count_sources(self) -> None:
        self._sources.clear()
        for key in self._keys():
            self._sources.setdefault(key.basis, set()).add(key.source)
