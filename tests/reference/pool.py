"""A pool by definition: who is idle, who is lent, who waits, in plain lists and sets."""

from dataclasses import dataclass, field


@dataclass
class ListPool:
    idle_limit: int
    idle: list[object] = field(default_factory=list)  # the last was used last
    lent: set[object] = field(default_factory=set)
    waiting: list[object] = field(default_factory=list)  # the first came first
    dials: int = 0

    def take(self) -> object | None:
        if not self.idle:
            return None
        peer = self.idle.pop()
        self.lent.add(peer)
        return peer

    def keep(self, peer: object) -> bool:
        self.lent.remove(peer)
        if len(self.idle) == self.idle_limit:
            return False
        self.idle.append(peer)
        return True

    def forget(self, peer: object) -> bool:
        if peer in self.idle:
            self.idle.remove(peer)
            return True
        self.lent.discard(peer)
        return False

    def next_waiting(self) -> object | None:
        return self.waiting.pop(0) if self.waiting else None

    def stop_waiting(self, borrower: object) -> None:
        if borrower in self.waiting:
            self.waiting.remove(borrower)
