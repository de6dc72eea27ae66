"""How often an alarm may be false, and when one opens and closes.

The rate is set as a time: over all fields together, one false alarm in `interval_s` of
traffic that has not changed. Each look then may be wrong with probability every_s /
interval_s, and the family of its tests shares that.

An alarm opens when `opens` of the last `of` looks found drift, and closes after `closes`
looks in a row that had enough data and found none. Asking for more than one look makes false
alarms rarer still; how much is not promised, since looks at one reference share its noise.

Rule: a look without enough data opens nothing and closes nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Literal, TypeVar

from msgspec import Struct

MONTH_S = 30 * 86_400.0
MOST = 0.05  # alpha of a look, however rare looks are

Key = TypeVar("Key", bound=Hashable)
Seen = Literal["drift", "none", "unknown"]
Change = Literal["opened", "closed"]


def alpha_of(every_s: float, interval_s: float = MONTH_S) -> float:
    """Probability of a false alarm that one look may have."""
    if every_s <= 0 or interval_s <= 0:
        raise ValueError("looks, and false alarms, are some time apart")
    return min(every_s / interval_s, MOST)


class Patience(Struct, frozen=True, kw_only=True):
    """How many looks it takes."""

    opens: int = 2
    of: int = 3
    closes: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.opens <= self.of <= 64 or self.closes < 1:
            raise ValueError("an alarm opens after 1 <= opens <= of <= 64 looks, closes after 1")


class _Standing(Struct):
    recent: int = 0  # bits: whether the last looks found drift, the newest lowest
    clean: int = 0  # looks in a row
    is_open: bool = False


class Hysteresis(Generic[Key]):
    """What is open; at most `room` keys are followed, and the longest unseen go first."""

    def __init__(self, patience: Patience | None = None, *, room: int = 100_000) -> None:
        self.patience = patience or Patience()
        self._room = room
        self._kept: OrderedDict[Key, _Standing] = OrderedDict()

    def look(self, key: Key, seen: Seen) -> Change | None:
        """What one look changes."""
        standing = self._kept.pop(key, None) or _Standing()
        if seen != "unknown":
            self._add(standing, is_drift=seen == "drift")
        change = self._change(standing)
        if standing.recent or standing.is_open:
            self._kept[key] = standing
            if len(self._kept) > self._room:
                self._kept.popitem(last=False)
        return change

    def _add(self, standing: _Standing, *, is_drift: bool) -> None:
        mask = (1 << self.patience.of) - 1
        standing.recent = (standing.recent << 1 | is_drift) & mask
        standing.clean = 0 if is_drift else standing.clean + 1

    def _change(self, standing: _Standing) -> Change | None:
        if not standing.is_open and standing.recent.bit_count() >= self.patience.opens:
            standing.is_open = True
            return "opened"
        if standing.is_open and standing.clean >= self.patience.closes:
            standing.is_open, standing.recent = False, 0
            return "closed"
        return None

    def is_open(self, key: Key) -> bool:
        """Whether the alarm is open."""
        found = self._kept.get(key)
        return found is not None and found.is_open

    @property
    def open(self) -> tuple[Key, ...]:
        """Alarms that are."""
        return tuple(key for key, standing in self._kept.items() if standing.is_open)

    def state(self) -> list[tuple[Key, int, int, bool]]:
        """To be kept over a restart."""
        return [(key, one.recent, one.clean, one.is_open) for key, one in self._kept.items()]

    def restore(self, state: list[tuple[Key, int, int, bool]]) -> None:
        """The reverse."""
        self._kept = OrderedDict(
            (key, _Standing(recent=recent, clean=clean, is_open=is_open))
            for key, recent, clean, is_open in state
        )
