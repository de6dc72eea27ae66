"""Histograms by definition: keep every value, sort, look."""

from math import ceil


class KeptValues:
    """All values ever recorded; those above `limit` count as the limit."""

    def __init__(self, limit: int) -> None:
        self.values: list[int] = []
        self.limit = limit

    def record(self, value: int) -> None:
        self.values.append(value)

    def quantile(self, q: float) -> int:
        """The value of rank ceil(q * total), the first rank being 1."""
        clipped = sorted(min(value, self.limit) for value in self.values)
        rank = min(max(ceil(q * len(clipped)), 1), len(clipped))
        return clipped[rank - 1] if clipped else 0


class KeptWindow:
    """All values with their times; a window is those of the last `slots` slots."""

    def __init__(self, limit: int, slots: int, slot_ns: int) -> None:
        self.timed: list[tuple[int, int]] = []
        self.limit, self.slots, self.slot_ns = limit, slots, slot_ns

    def record(self, value: int, now_ns: int) -> None:
        self.timed.append((now_ns, value))

    def at(self, now_ns: int) -> KeptValues:
        kept = KeptValues(self.limit)
        oldest = now_ns // self.slot_ns - self.slots + 1
        kept.values = [value for at, value in self.timed if at // self.slot_ns >= oldest]
        return kept
