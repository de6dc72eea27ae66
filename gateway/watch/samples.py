"""A few of the lines that were put aside, so that people see what they were."""

from __future__ import annotations

from collections import Counter

from gateway.watch.changes import HOUR, Sample

AN_HOUR = 5  # of each reason
LONGEST = 2000  # bytes kept of a line


class Samples:
    """The first of each reason and hour, until they are taken; bounded."""

    def __init__(self) -> None:
        self._waiting: list[Sample] = []
        self._hour = 0
        self._taken: Counter[str] = Counter()

    def has_room(self, reason: str, now_minute: int) -> bool:
        """Whether one of this reason would be kept."""
        if now_minute // HOUR != self._hour:
            self._hour = now_minute // HOUR
            self._taken.clear()
        return self._taken[reason] < AN_HOUR

    def add(self, reason: str, line: bytes, now_minute: int, about: str = "") -> None:
        """Keep the beginning of a line, if there is room."""
        if self.has_room(reason, now_minute):
            self._taken[reason] += 1
            self._waiting.append(Sample(reason=reason, line=line[:LONGEST], about=about))

    def take(self) -> list[Sample]:
        """Those since the last time."""
        taken, self._waiting = self._waiting, []
        return taken
