"""Timers by definition: a list of (tick, name), sorted when it is looked at."""

TICK_NS = 10_000_000


class SortedTimers:
    """A timer is due when its deadline, rounded up to a tick, is not after the clock's tick."""

    def __init__(self) -> None:
        self.deadlines: dict[str, int] = {}

    def arm(self, name: str, deadline_ns: int) -> None:
        self.deadlines[name] = deadline_ns

    def disarm(self, name: str) -> None:
        self.deadlines.pop(name, None)

    def advance(self, now_ns: int) -> list[str]:
        """The names that fire, earliest tick first; they are armed no longer."""
        waiting = sorted((-(-at // TICK_NS), name) for name, at in self.deadlines.items())
        due = [name for tick, name in waiting if tick <= now_ns // TICK_NS]
        for name in due:
            del self.deadlines[name]
        return due
