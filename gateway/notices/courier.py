"""A bounded queue of messages to one place, and the task that empties it in order.

    next parcel → send, again with longer and longer pauses → told, or given up

Rule 1: `put` queues or drops the oldest; it never waits.
Rule 2: one sending at a time; a place that is slow or dead holds up its own queue only.
Rule 3: what the place will never take is given up at once, everything else after `attempts`.
Rule 4: what goes wrong is one sentence in the log when it begins and one when it is over.

Knows nothing of how a parcel is sent.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable

from msgspec import Struct

MOST_WAITING = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0

log = logging.getLogger(__name__)


class Parcel(Struct, frozen=True, kw_only=True):
    """One message."""

    key: str  # tells it from all others, however often it is sent
    event: str
    about: str  # what it is about, for the log: a rollout, an alert
    body: bytes


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one sending."""

    is_told: bool = False
    is_final: bool = False  # another would end the same way
    sentence: str = ""
    wait_s: float = 0.0  # what the receiver asked for


Send = Callable[[Parcel], Awaitable[Outcome]]


class Courier:
    """Brings parcels to one place; `run` is its life."""

    def __init__(
        self,
        place: str,
        send: Send,
        *,
        attempts: int,
        what: str = "webhook",
        first_pause_s: float = FIRST_PAUSE_S,
        most_waiting: int = MOST_WAITING,
        done: Callable[[Parcel, Outcome], None] = lambda _parcel, _outcome: None,
    ) -> None:
        """`done` is told of each parcel that was told, given up or dropped."""
        self.place, self._send, self._what = place, send, what
        self.attempts, self._first_pause_s = attempts, first_pause_s
        self._most_waiting, self._done = most_waiting, done
        self._queue: deque[Parcel] = deque()
        self._news, self._is_busy = asyncio.Event(), False
        self.told = self.given_up = self.dropped = 0
        self.error = ""  # why the last sending failed; "" it did not

    @property
    def is_idle(self) -> bool:
        return not self._queue and not self._is_busy

    @property
    def waiting(self) -> int:
        return len(self._queue) + self._is_busy

    def put(self, parcel: Parcel) -> None:
        if len(self._queue) >= self._most_waiting:
            # Why the oldest: where things stand now matters more
            self._done(self._queue.popleft(), Outcome(sentence="there was no room for it"))
            self.dropped += 1
        self._queue.append(parcel)
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._news.clear()
            while self._queue:
                self._is_busy = True
                try:
                    await self._deliver(self._queue.popleft())
                except Exception:  # Why: this place would be told nothing any more
                    self.given_up += 1
                    log.exception("telling a %s failed by a defect", self._what)
                finally:
                    self._is_busy = False
            await self._news.wait()

    async def _deliver(self, parcel: Parcel) -> None:
        pause_s = self._first_pause_s
        outcome = Outcome()
        for attempt in range(1, self.attempts + 1):
            outcome = await self._send(parcel)
            if outcome.is_told:
                self._succeeded()
                return self._done(parcel, outcome)
            self._failed(outcome.sentence)
            if outcome.is_final or attempt == self.attempts:
                break
            # Why random: receivers that come back are not met by all gateways at once.
            await asyncio.sleep(max(outcome.wait_s, pause_s * random.uniform(0.5, 1.0)))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self.given_up += 1
        log.error("a notice was given up: %s", self.error, extra={"about": parcel.about})
        return self._done(parcel, outcome)

    def _succeeded(self) -> None:
        self.told += 1
        if self.error:
            log.info("%s takes notices again", self._what, extra={"place": self.place})
        self.error = ""

    def _failed(self, sentence: str) -> None:
        if not self.error:
            log.warning("%s takes no notices: %s", self._what, sentence)
        self.error = sentence
