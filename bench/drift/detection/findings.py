"""What a run leaves behind: one JSON file of counts, and what may be said of them.

A method's level is kept where the lower end of Wilson's interval of its false alarms is not
above LEVEL. Ours is level with another where their intervals overlap, first where it is above.
What is told no more often than LEVEL is found by nobody.

Rule: a method that does not keep its level is shown and not ranked: what it finds it finds
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from bench.kept import keep
from gateway.statistics.intervals import wilson

FOLDER = Path(__file__).with_name("results")
LEVEL = 0.05
Rank = Literal["first", "level", "behind"]


class Share(Struct, frozen=True):
    """How many of how many."""

    found: int
    runs: int

    @property
    def rate(self) -> float:
        """Of all runs."""
        return self.found / self.runs if self.runs else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95 %."""
        _, low, high = wilson(self.found, self.runs)
        return low, high

    @property
    def is_at_level(self) -> bool:
        """Of false alarms: whether they may be as rare as they should."""
        return self.interval[0] <= LEVEL

    def ranked(self, others: Iterable[Share]) -> Rank:
        """Beside others that are at their level."""
        low, high = self.interval
        best = max(others, key=lambda one: one.rate, default=Share(0, 1))
        if high < best.interval[0] and best.interval[0] > LEVEL:
            return "behind"
        return "first" if low > best.interval[1] else "level"


class Cell(Struct, frozen=True, kw_only=True):
    """Detections of one method in samples of one sort and size."""

    method: str
    is_ours: bool
    shift: str
    share: float
    size: int
    told: Share


class Watch(Struct, frozen=True, kw_only=True):
    """Alarms of one detector on the runs of one stream."""

    stream: str
    watched: str
    system: str
    is_ours: bool
    false: Share  # runs with an alarm before the change
    told: Share  # runs with one after it
    median: float | None  # values from the change to the alarm; None: less than half the runs
    p90: float | None


class Results(Struct, frozen=True, kw_only=True):
    """All of a run."""

    date: str
    commit: str
    modified: bool
    seeds: int
    seconds: float
    versions: dict[str, str]
    digits: tuple[Cell, ...]
    streams: tuple[Watch, ...]
    checked: dict[str, Share] = {}  # our reading of a peer's rule, as often as its own says so
    absent: tuple[str, ...] = ()  # peers, and why they are not here
    peers_of: str = ""  # the commit at which peers were asked, if it was not this one


def summed(cells: Iterable[Cell]) -> Share:
    """Of all of them."""
    kept = [one.told for one in cells]
    return Share(sum(one.found for one in kept), sum(one.runs for one in kept))


def save(results: Results, folder: Path = FOLDER) -> Path:
    """Keeps a run by date and commit."""
    # Why in one line a part: a table of ten thousand cells is no text to read.
    return keep(results, folder, indent=0)


def load(path: Path) -> Results:
    """A run that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
