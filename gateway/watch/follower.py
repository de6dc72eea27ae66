"""All that a group has committed, as a view that keeps up: for the member that looks.

Rule: what is committed is what is seen, whoever counted it; a partition that is behind holds the
      watermark back until its owner has caught up, or is so far behind that nobody waits.
Memory: the values of all partitions, encoded, for as long as they are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.watch.changes import Key
from gateway.watch.fetching import Topic
from gateway.watch.state_topic import State, StateTopic
from gateway.watch.view import Counted, Merged

FOLLOW_S = 120.0  # to read what is new


class Follower:
    """Of one session of a member."""

    def __init__(self, state: StateTopic, records: Topic, partitions: int, lateness: int) -> None:
        """`partitions` of the records; `lateness` in minutes."""
        self._state, self._records = state, records
        self._partitions, self._lateness = partitions, lateness
        self._read = State(state.scope)
        self._positions = dict.fromkeys(range(state.partitions), 0)
        self._ends: dict[int, int] = {}
        self._now_minute = 0

    @property
    def documents(self) -> dict[str, bytes]:
        """What is kept beside what was counted, by name."""
        return self._read.documents

    async def follow(self, now_minute: int) -> None:
        """Read what is new since the last time."""
        async with asyncio.timeout(FOLLOW_S):
            ends = await self._records.ends(self._partitions)
            stable = await self._state.topic.ends(self._state.partitions)
            await self._read_to(stable)
        self._ends, self._now_minute = ends, now_minute

    async def _read_to(self, ends: dict[int, int]) -> None:
        while behind := {
            place: at for place, at in self._positions.items() if at < ends.get(place, 0)
        }:
            for fetched in await self._state.topic.fetch(behind):
                self._read.take(fetched)
                self._positions[fetched.partition] = fetched.next

    def view(self) -> Merged:
        """What was counted, as of the last reading."""
        views = [Counted(self._values(each), self._mark(each)) for each in range(self._partitions)]
        return Merged(views, self._lateness)

    def _values(self, partition: int) -> dict[Key, bytes]:
        kept = self._read.kept.get(partition)
        return kept.profiles if kept else {}

    def _mark(self, partition: int) -> Callable[[], int]:
        return lambda: self._watermark(partition)

    def _watermark(self, partition: int) -> int:
        kept = self._read.kept.get(partition)
        if (kept.position.next if kept else 0) >= self._ends.get(partition, 0):
            return self._now_minute
        return kept.position.newest if kept else 0
