"""What a member of the group is doing: for people, and for its metrics.

Rule: what is counted is counted since this process began. Figures of partitions, which come and
      go, are shown only while they are ours.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from msgspec import Struct, field

from gateway.telemetry import FLUSH_S


class Spans(Struct):
    """How long something took: how often each bound was not passed, and all together."""

    within: list[int] = field(default_factory=lambda: [0] * len(FLUSH_S))
    count: int = 0
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        for at, bound in enumerate(FLUSH_S):
            self.within[at] += seconds <= bound
        self.count += 1
        self.total_s += seconds


class Status(Struct, kw_only=True):
    """Of one process."""

    partitions: tuple[int, ...] = ()
    of: int = 0  # partitions of the topic
    lines: int = 0  # counted since the start
    lag: int = 0  # records that are there and not counted, in our partitions
    lags: dict[int, int] = {}  # the same by partition
    lost: int = 0  # that were gone before they were read, in our partitions since their beginning
    missed: int = 0  # that were gone before they were read, since the start
    flushes: Spans = field(default_factory=Spans)  # that were committed
    failed_flushes: int = 0
    fenced: int = 0  # times that somebody else had what was ours
    rebalances: int = 0  # that ended, our joining among them
    told: dict[str, int] = {}  # lines by result, in our partitions since their beginning
    results: Counter[str] = field(default_factory=Counter[str])  # committed since the start
    sentence: str = ""  # what is wrong

    def see(self, held: dict[int, Any], of: int) -> None:
        """The partitions that are ours now: `Holding` by number."""
        self.partitions, self.of = tuple(sorted(held)), of
        self.lags = {partition: holding.lag for partition, holding in held.items()}
        self.lag = sum(self.lags.values())
        told = Counter[str]()
        for holding in held.values():
            told.update(holding.told)
        self.told = dict(told)
        self.lost = sum(holding.lost for holding in held.values())
