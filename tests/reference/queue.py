"""The queue by definition: a list in order of arrival, and every look that was ever made.

A waiter is due when its patience is over, or when it waited over twice the target while the
queue is overloaded. An interval begins with the first look after the last one's end; the
queue is overloaded in it when the oldest had waited over the target at every look of the
interval before. The first look of an interval lets nobody go.
"""

from dataclasses import dataclass, field

OK, FULL, TIMEOUT = 0, 22, 23


@dataclass(eq=False)
class Entry:
    priority: int
    until_ns: int
    since_ns: int = 0


@dataclass
class ListQueue:
    maximum: int
    max_wait_ns: int
    target_ns: int
    interval_ns: int
    waiting: list[Entry] = field(default_factory=list)  # oldest first
    waits: list[int] = field(default_factory=list)  # the looks of this interval
    ends_ns: int = 0
    overloaded: bool = False

    def push(self, entry: Entry, now_ns: int) -> tuple[int, Entry | None]:
        """The outcome, and who was evicted."""
        evicted = None
        if len(self.waiting) >= self.maximum:
            lesser = [each for each in self.waiting if each.priority > entry.priority]
            if not lesser:
                return FULL, None
            last = max(each.priority for each in lesser)
            evicted = next(each for each in lesser if each.priority == last)
            self.waiting.remove(evicted)
        if not self.waiting:
            self.waits.append(0)
        entry.since_ns = now_ns
        limits = [entry.until_ns, self.max_wait_ns and now_ns + self.max_wait_ns]
        entry.until_ns = min((limit for limit in limits if limit), default=0)
        self.waiting.append(entry)
        return OK, evicted

    def pop(self, now_ns: int) -> tuple[Entry, int] | None:
        """Who leaves, and with which verdict."""
        dropping = self.target_ns > 0 and self.look(now_ns)
        for entry in sorted(self.oldest(), key=lambda each: -each.priority):
            is_late = dropping and now_ns - entry.since_ns > 2 * self.target_ns
            if is_late or 0 < entry.until_ns <= now_ns:
                self.waiting.remove(entry)
                return entry, TIMEOUT
        if not self.waiting:
            return None
        first = min(entry.priority for entry in self.waiting)
        lane = [entry for entry in self.waiting if entry.priority == first]
        is_late = not self.target_ns or now_ns - lane[0].since_ns > 2 * self.target_ns
        chosen = lane[-1] if is_late and len(self.waiting) > self.maximum / 2 else lane[0]
        self.waiting.remove(chosen)
        return chosen, TIMEOUT if 0 < chosen.until_ns <= now_ns else OK

    def look(self, now_ns: int) -> bool:
        wait_ns = max((now_ns - entry.since_ns for entry in self.waiting), default=0)
        if now_ns < self.ends_ns:
            self.waits.append(wait_ns)
            return self.overloaded
        self.overloaded = bool(self.waits) and min(self.waits) > self.target_ns
        self.waits, self.ends_ns = [wait_ns], now_ns + self.interval_ns
        return False

    def oldest(self) -> list[Entry]:
        """Of each priority."""
        firsts: dict[int, Entry] = {}
        for entry in self.waiting:
            firsts.setdefault(entry.priority, entry)
        return list(firsts.values())
