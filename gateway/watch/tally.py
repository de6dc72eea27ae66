"""Counting lines of the log into slices: by basis, source and minute.

    tally.restore(changes)          what a former life left
    tally.count(lines, now_minute)  again and again
    tally.drain()                   what is to be kept, in one transaction

Rule 1: however lines are batched, drained, restored in between and come again, what is kept is
        what a single pass over them would have kept, to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.watch.basis import Basis
from gateway.watch.changes import Changes, Key

# What becomes of a line; each has one result.
RESULTS = (
    "counted",
    "late",  # counted, but later than `lateness`
    "duplicate",  # counted before
    "other",  # no prediction: feedback, a refusal, …
    "unwatched",  # of a route that has no basis
    "malformed",  # no JSON object
    "version",  # of the record is one that this gateway does not know
    "unplaced",  # without stream or seq
    "untimed",
    "ahead",  # its clock is in front of ours
    "old",  # older than all that is kept
    "sources",  # of more versions and arms than are kept apart
    "defect",  # in a batch that could not be counted
)


class Tally:
    """Profiles of some bases; bounded, and at home in one thread at a time."""

    def __init__(
        self,
        bases: Iterable[Basis],
        keep: int = 24 * 60,
        *,
        lateness: int = 10,
        recall: Callable[[Key], bytes | None] | None = None,
    ) -> None:
        """`keep` and `lateness` are minutes; older minutes are summed into hours.

        With `recall` the values of slices that are not being counted are asked for when a line
        comes late; without it they are kept here, encoded.
        """
        raise NotImplementedError

    def use(self, bases: Iterable[Basis]) -> None:
        """Count on these from now on; slices of others stay until they expire."""
        raise NotImplementedError

    def count(self, lines: bytes, now_minute: int) -> int:
        """Counts whole lines, each with its newline; how many were there."""
        raise NotImplementedError

    def drain(self) -> Changes:
        """What changed since the last time; minutes past keeping are summed, hours go."""
        raise NotImplementedError

    def restore(self, changes: Changes, keys: Iterable[Key] = ()) -> None:
        """Begin with all that was kept; with `recall`, `keys` names it instead of `profiles`."""
        raise NotImplementedError

    @property
    def newest(self) -> int:
        """The newest believable minute that was seen; 0 none."""
        raise NotImplementedError

    @property
    def changed(self) -> int:
        """Slices that wait to be drained: each holds profiles of all fields in memory."""
        raise NotImplementedError

    @property
    def values(self) -> dict[Key, bytes]:
        """All that was drained and is kept, without `recall`: for `view.Counted`."""
        raise NotImplementedError
