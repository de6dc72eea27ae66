"""All that a group has committed, as a view that keeps up: for the member that looks.

Rule: what is committed is what is seen, whoever counted it. A partition with records that are not
      counted yet holds the watermark back, unless nobody has counted any of it for STUCK_S.
Memory: the values of all partitions, encoded, for as long as they are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from gateway.watch.group.fetching import EARLIEST, Topic
from gateway.watch.group.state_topic import State, StateTopic
from gateway.watch.view import Counted, Merged

STUCK_S = 300.0  # a partition whose position stands still for so long is not waited for
FOLLOW_S = 120.0  # to read what is new


class Follower:
    """Of one session of a member."""

    def __init__(self, state: StateTopic, records: Topic, lateness: int) -> None:
        """`lateness` in minutes."""
        self._state, self._records = state, records
        self._lateness = lateness
        self._read = State(state.scope)
        self._positions = dict.fromkeys(range(state.partitions), 0)
        self._begins: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._moved: dict[int, tuple[int, float]] = {}  # position, and when it was first seen
        self._now_s = 0.0
        self._settled = 0  # minute of the clock

    @property
    def documents(self) -> dict[str, bytes]:
        """What is kept beside what was counted, by name."""
        return self._read.documents

    @property
    def told(self) -> dict[str, int]:
        """Lines of all partitions by what became of them."""
        found = Counter[str]()
        for kept in self._read.kept.values():
            found.update(kept.position.told)
        return dict(found)

    async def follow(self, now_s: float) -> None:
        """Read what is new since the last time; `now_s` is of any clock."""
        asked_s = time.time()
        async with asyncio.timeout(FOLLOW_S):
            self._begins = await self._records.ends(self._records.partitions, EARLIEST)
            ends = await self._records.ends(self._records.partitions)
            stable = await self._state.topic.ends(self._state.partitions)
            await self._read_to(stable)
        self._ends = ends
        is_all = bool(ends) and all(self._next(each) >= end for each, end in ends.items())
        self._settled = int(asked_s // 60) - self._lateness if is_all else 0
        self._see(now_s)

    async def _read_to(self, ends: dict[int, int]) -> None:
        while behind := {
            place: at for place, at in self._positions.items() if at < ends.get(place, 0)
        }:
            for fetched in await self._state.topic.fetch(behind):
                self._read.take(fetched)
                self._positions[fetched.partition] = fetched.next

    def view(self) -> Merged:
        """What was counted, as of the last reading."""
        watermark = self.watermark
        views = [Counted(one.profiles, lambda: watermark) for one in self._read.kept.values()]
        return Merged(views, self._lateness, self._settled)

    @property
    def watermark(self) -> int:
        """The newest minute that was seen, held back by partitions with something to count."""
        kept = self._read.kept
        newest = max((one.position.newest for one in kept.values()), default=0)
        behind = [
            kept[each].position.newest if each in kept else 0
            for each, end in self._ends.items()
            if self._next(each) < end and not self._is_stuck(each)
        ]
        return min([newest, *behind])

    def _next(self, partition: int) -> int:
        kept = self._read.kept.get(partition)
        return kept.position.next if kept else self._begins.get(partition, 0)

    def _is_stuck(self, partition: int) -> bool:
        _next, since_s = self._moved.get(partition, (0, self._now_s))
        return self._now_s - since_s > STUCK_S

    def _see(self, now_s: float) -> None:
        self._now_s = now_s
        for partition in self._ends:
            at = self._next(partition)
            if self._moved.get(partition, (-1, 0.0))[0] != at:
                self._moved[partition] = at, now_s
