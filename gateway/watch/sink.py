"""The sink that counts: lines of the log into profiles, as the shipper brings them.

    lines ─► bases (or learners, where fields are still to be learned) ─► tally ─► SQLite

`deliver` returns when the counts that stand for the batch are on disk, with the marks that
say so. A restart reads both; the shipper offers again what it has no checkpoint of, and the
marks tell what of it was counted.

Rule 1: nothing is held in memory that is not on disk, once a batch was delivered.
Rule 2: where a transaction fails, what was counted is thrown away, and counted again.
Rule 3: no batch holds up the log: one that cannot be counted is told and passed over; and where
        nothing can be written for GIVE_UP_S, batches are passed over as well.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from gateway.config.watching import Drift
from gateway.errors import GatewayError
from gateway.shipper.sink import Batch, SinkError
from gateway.store import Store
from gateway.threads import in_thread
from gateway.watch.basis import (
    DIRECTORY,
    Bases,
    BasisFiles,
    bases_of,
    learned_name,
    recorded_in,
)
from gateway.watch.kept import FILE, Kept
from gateway.watch.kept_file import Damaged
from gateway.watch.learner import Learner
from gateway.watch.quarantine import Quarantine
from gateway.watch.tally import Tally

BATCH_BYTES = 8 * 2**20
LINGER_S = 1.0
LOOK_S = 60.0  # between looks for bases that came: a stretch that ended, a file that was mended
GIVE_UP_S = 300.0
MINUTE_NS = 60 * 10**9

log = logging.getLogger(__name__)


class Watched(Struct, frozen=True, kw_only=True):
    """What is counted, and where it is kept."""

    drift: Drift
    routes: tuple[str, ...]
    state: Path  # directory
    log: Path  # directory


class WatchSink:
    """Counts every line of the log on the bases of its route."""

    name = "watch"
    sealed_only = False
    batch_bytes = BATCH_BYTES
    linger_s = LINGER_S

    def __init__(self, watched: Watched, *, now_s: Callable[[], float] = time.time) -> None:
        self.dead_letters = 0
        self._watched, self._now_s = watched, now_s
        self._shelf = BasisFiles(watched.state / DIRECTORY)
        self._kept = Kept(watched.state / FILE)
        self._quarantine = Quarantine((watched.state / FILE).parent)
        self._bases = Bases()
        self._learners: dict[str, Learner] = {}
        self._tally: Tally | None = None
        self._under_way: asyncio.Future[None] | None = None
        self._next_look_s = 0.0
        self._failing_since_s = 0.0
        self._problems: tuple[str, ...] = ()

    async def deliver(self, batch: Batch) -> None:
        """Count it, and keep what was counted."""
        call = in_thread(functools.partial(self._take, batch), name="watch")
        self._under_way = asyncio.ensure_future(call)
        try:
            await asyncio.shield(self._under_way)
        except (GatewayError, OSError) as error:
            self._fail(batch, str(error))
        except Exception:
            log.exception("counting failed by a defect")
            self._fail(batch, "counting failed by a defect; see the log of the gateway")
        else:
            self._failing_since_s = 0.0

    def _fail(self, batch: Batch, sentence: str) -> None:
        now_s = self._now_s()
        self._tally = None
        self._failing_since_s = self._failing_since_s or now_s
        if now_s - self._failing_since_s < GIVE_UP_S:
            raise SinkError(sentence) from None
        # Why: the log must not fill up, and requests be refused, for the sake of counts.
        self.dead_letters += batch.records

    async def close(self, deadline_s: float) -> None:
        """All is on disk; what is under way ends, or is refused by whoever comes next."""
        if self._under_way is not None:
            done, _ = await asyncio.wait([self._under_way], timeout=deadline_s)
            for each in done:
                each.exception()  # Why asked: who delivered it may not be there any more
        self._kept.close()

    # -- in a thread

    def _take(self, batch: Batch) -> None:
        self._look()
        now_minute = self._now_minute
        self._learn(batch.data, now_minute)
        try:
            tally = self._tally = self._tally or self._begun()
            if tally.mark(batch.stream) < batch.last_seq:
                self._count(tally, batch, now_minute)
        except Damaged as error:
            log.error("%s; it is put aside, and counting begins anew", error)
            self._kept.set_aside(f"{self._now_s():.0f}")
            raise

    def _count(self, tally: Tally, batch: Batch, now_minute: int) -> None:
        try:
            tally.count(batch.data, now_minute)
        except GatewayError:
            raise
        except Exception:
            log.exception("a batch cannot be counted, by a defect; it is passed over")
            self.dead_letters += batch.records
            tally = self._tally = self._begun()
            sample = batch.data.partition(b"\n")[0]
            tally.pass_over(batch.stream, batch.last_seq, batch.records, sample, now_minute)
        changes = tally.drain()
        self._kept.save(changes)
        if changes.samples:
            at = datetime.fromtimestamp(self._now_s(), UTC).isoformat(timespec="seconds")
            self._quarantine.put(changes.samples, at)

    def _begun(self) -> Tally:
        """A tally that goes on from what is on disk."""
        consumer = self._watched.drift.consumer
        tally = Tally(
            self._bases.all,
            max(1, consumer.keep // MINUTE_NS),
            lateness=consumer.lateness // MINUTE_NS,
            recall=self._kept.value,
            claim=self._claim,
        )
        tally.restore(*self._kept.begin())
        self._tell(tally.refused)
        return tally

    def _claim(
        self, bases: list[tuple[str, str]], stream: str, first: int
    ) -> dict[tuple[str, str], int]:
        return self._kept.claim(bases, stream, first, self._now_minute)

    # -- bases

    def _look(self) -> None:
        """Which bases there are now."""
        if self._now_s() < self._next_look_s:
            return
        watched = self._watched
        bases = bases_of(
            watched.drift,
            watched.routes,
            self._shelf,
            recorded=recorded_in(Store(watched.state / "store", watched.log)),
        )
        self._tell(bases.problems)
        if bases.all != self._bases.all and self._tally is not None:
            self._tally.use(bases.all)
            self._tell(self._tally.refused)
        self._bases = bases
        consumer = watched.drift.consumer
        self._learners = {
            route: self._learners.get(route) or Learner(route, consumer) for route in bases.learning
        }
        self._next_look_s = self._now_s() + LOOK_S

    def _learn(self, data: bytes, now_minute: int) -> None:
        """Show the lines to those that learn; what was learned is counted on from now on."""
        for route, learner in list(self._learners.items()):
            reference = learner.add(data, now_minute)
            if reference is not None:
                self._shelf.put(learned_name(route), reference.encode())
                del self._learners[route]
                self._next_look_s = 0.0
        if not self._next_look_s:
            self._look()

    def _tell(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences:
            if sentence not in self._problems:
                log.error("watch: %s", sentence)
        self._problems = (*self._problems, *sentences)[-100:]

    @property
    def _now_minute(self) -> int:
        return int(self._now_s() // 60)
