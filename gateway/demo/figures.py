"""What the admin API says, and what became of it over time.

`Status` is the part of `/api/v1/status` that the demo shows. `Chronicle` keeps it second
by second, and notes when a breaker changed.

Rule: times are seconds since the demo began, passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import Struct

KEPT_S = 120
RATE_S = 3  # what "now" is averaged over
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


class Latency(Struct, frozen=True):
    """In seconds; None where nothing was measured."""

    p50_s: float | None = None
    p95_s: float | None = None


class Totals(Struct, frozen=True):
    """Since the gateway started."""

    requests: int
    retries: int
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Now(Struct, frozen=True):
    """A backend at this moment."""

    state: str
    breaker: str
    cooldown_s: float
    in_flight: int


class Backend(Struct, frozen=True):
    name: str
    now: Now
    first_byte: Latency
    success_share: float | None
    totals: Totals


class Traffic(Struct, frozen=True):
    requests_per_s: float
    success_share: float | None
    in_flight: int


class Candidate(Struct, frozen=True):
    """A backend as one route asks it."""

    backend: str
    attempts_per_s: float


class Route(Struct, frozen=True):
    name: str
    policy: str
    candidates: tuple[Candidate, ...]
    traffic: Traffic
    total: Latency
    totals: Totals


class Worker(Struct, frozen=True):
    is_up: bool


class Rollout(Struct, frozen=True):
    """Where a challenger stands."""

    name: str
    phase: str
    sentence: str = ""


class Status(Struct, frozen=True):
    """As much of the API's answer as is shown."""

    version: str
    health: str
    sentence: str
    backends: tuple[Backend, ...]
    routes: tuple[Route, ...]
    workers: tuple[Worker, ...]
    rollouts: tuple[Rollout, ...] = ()

    def backend(self, name: str) -> Backend:
        return next(backend for backend in self.backends if backend.name == name)

    @property
    def cost_usd(self) -> float:
        return sum(route.totals.cost_usd for route in self.routes)


class Event(Struct, frozen=True):
    """Something that happened, and when."""

    at_s: float
    subject: str
    what: str  # a breaker's state, or what the story did

    @property
    def sentence(self) -> str:
        return _SENTENCES.get(self.what, "{} " + self.what).format(self.subject)


BEGAN, ROLLED_BACK, PROMOTED = "running", "rolled_back", "promoted"
PENDING = "pending"
_SENTENCES = {
    BEGAN: "rollout of {} began: it gets half of the requests to fraud",
    ROLLED_BACK: "{} fails too often and was rolled back: the old models have all again",
    PROMOTED: "{} is as good as the old models and was promoted: it has all of fraud",
    OPEN: "breaker of {} opened: nobody is sent there",
    HALF_OPEN: "breaker of {} is half open: one probe may try",
    CLOSED: "breaker of {} closed: it gets its share again",
}


class Second(Struct, frozen=True):
    """One backend during one second."""

    attempts: int
    is_open: bool


class Chronicle:
    """Everything that was seen."""

    def __init__(self) -> None:
        self.latest: Status | None = None
        self.events: list[Event] = []
        self._counts: deque[tuple[float, dict[str, int]]] = deque()
        self._seconds: dict[str, deque[Second]] = {}
        self._second_began: tuple[float, dict[str, int]] | None = None
        self._was_open: set[str] = set()

    def note(self, at_s: float, subject: str, what: str) -> None:
        self.events.append(Event(at_s, subject, what))

    def add(self, at_s: float, status: Status) -> None:
        """Look at the gateway once more."""
        before = {b.name: b.now.breaker for b in self.latest.backends} if self.latest else {}
        for backend in status.backends:
            if backend.now.breaker != before.get(backend.name, CLOSED):
                self.note(at_s, backend.name, backend.now.breaker)
            if backend.now.breaker != CLOSED:
                self._was_open.add(backend.name)
        self._note_rollouts(at_s, status)
        self.latest = status
        self._count(at_s, {b.name: b.totals.requests for b in status.backends})

    def _note_rollouts(self, at_s: float, status: Status) -> None:
        before = {r.name: r.phase for r in self.latest.rollouts} if self.latest else {}
        for rollout in status.rollouts:
            if rollout.phase != before.get(rollout.name, PENDING):
                self.note(at_s, rollout.name, rollout.phase)

    def _count(self, at_s: float, counts: dict[str, int]) -> None:
        self._counts.append((at_s, counts))
        while at_s - self._counts[0][0] > RATE_S and len(self._counts) > 2:
            self._counts.popleft()
        began_s, began = self._second_began or (at_s, counts)
        self._second_began = began_s, began
        if at_s - began_s < 1:
            return
        for name, count in counts.items():
            seconds = self._seconds.setdefault(name, deque(maxlen=KEPT_S))
            seconds.append(Second(count - began[name], name in self._was_open))
        self._second_began = at_s, counts
        self._was_open.clear()

    def rate_per_s(self, name: str) -> float:
        """Attempts at a backend, lately."""
        if len(self._counts) < 2:
            return 0.0
        (then_s, then), (now_s, now) = self._counts[0], self._counts[-1]
        return (now[name] - then[name]) / (now_s - then_s) if now_s > then_s else 0.0

    def shares(self) -> dict[str, float]:
        """Of all attempts lately, by backend."""
        names = [b.name for b in self.latest.backends] if self.latest else []
        rates = {name: self.rate_per_s(name) for name in names}
        total = sum(rates.values())
        return {name: rate / total if total else 0.0 for name, rate in rates.items()}

    def seconds(self, name: str, count: int) -> Sequence[Second]:
        """The last so many, the oldest first."""
        return list(self._seconds.get(name, ()))[-count:]

    def first(self, subject: str, what: str, after_s: float = 0.0) -> float | None:
        """When something happened first."""
        times = (e.at_s for e in self.events if (e.subject, e.what) == (subject, what))
        return next((at_s for at_s in times if at_s >= after_s), None)
