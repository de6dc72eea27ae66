"""The loop: the files are kept in order, every sink ships, once a second it is said how it goes.

    turn     in a thread: sync, seal, remove, make room, take the next picture (`upkeep`)
    outlets  a task for each sink (`outlet`), all from the same picture
    report   figures to a small file, for the controller and `gateway status`

Rule 1: one shipper a directory; a second one says so and ends.
Rule 2: at the end, what was written is sealed and shipped for a bounded time; the rest waits
        on disk for the next start.
Rule 3: while sinks are exchanged nothing is removed as delivered: not all are asked then.

Knows nothing of configuration files; `run` gives it sinks and rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.log.figures import LogFigures, write_figures
from gateway.log.files import try_lock
from gateway.shipper.outlet import ENDED_AFTER_S, Outlet
from gateway.shipper.progress import Progress
from gateway.shipper.sink import Sink
from gateway.shipper.upkeep import Rules, Upkeep
from gateway.threads import in_thread

DIRECTORY = "shipper"  # under the log's: the lock, checkpoints of each sink
TURN_S = 0.2
REPORT_S = 1.0
CLOSE_S = 2.0
HOPELESS_SHARE = 0.1  # of the time that the end may take
SHORTEST_SYNC_S = 0.005

log = logging.getLogger(__name__)


class ShipperError(GatewayError):
    """The shipper cannot work here."""

    reason = "shipper"


class Pace(Struct, frozen=True, kw_only=True):
    """How often and how long; tests are in more of a hurry."""

    turn_s: float = TURN_S
    report_s: float = REPORT_S
    ended_after_s: float = ENDED_AFTER_S


class Shipper:
    """Ships the log in one directory; `run` is its life."""

    def __init__(
        self, directory: Path, rules: Rules, *, figures: Path, pace: Pace | None = None
    ) -> None:
        self._directory, self._figures = directory, figures
        self._pace = pace or Pace()
        self._upkeep = Upkeep(directory, rules)
        self._outlets: dict[str, tuple[Outlet, asyncio.Task[None]]] = {}
        self._is_changing = True  # not all the wanted sinks are among the outlets
        self._started_at_s = time.time()
        self._report_error = ""

    async def run(self, ended: asyncio.Event, flush_s: float) -> None:
        """Until `ended` is set, and then until everything is shipped, at most `flush_s` longer."""
        # Why not cancelled: a turn is in a thread, and there must not be two at once.
        await asyncio.gather(self._turns(ended), self._reports(ended))
        await self._flush(flush_s)

    async def use(self, sinks: Mapping[str, Sink], *, kept: frozenset[str] = frozenset()) -> None:
        """Ship to these, and to those that are there and kept; to no others."""
        self._is_changing = True
        for name in self._outlets.keys() - kept:
            await self._stop(name)
        for name, sink in sinks.items():
            make = functools.partial(Outlet, sink, self._directory / DIRECTORY)
            outlet = make(ended_after_s=self._pace.ended_after_s)
            outlet.show(self._upkeep.shelf)
            task = asyncio.create_task(outlet.run(), name=f"sink-{name}")
            self._outlets[name] = (outlet, task)
        self._is_changing = False

    def follow(self, rules: Rules) -> None:
        """Other rules from the next turn on."""
        self._upkeep.rules = rules

    async def turn(self) -> None:
        """One round of upkeep, and the picture it ends with; one at a time."""
        outlets = [outlet for outlet, _ in self._outlets.values()]
        progress = Progress(
            # Safety: what a sink that is being replaced has not had is not delivered.
            sinks=() if self._is_changing else tuple(outlet.saved for outlet in outlets),
            in_use=frozenset(outlet.in_use for outlet in outlets if outlet.in_use),
        )
        shelf = await in_thread(functools.partial(self._upkeep.turn, progress), name="upkeep")
        for outlet, _ in self._outlets.values():
            outlet.show(shelf)

    def figures(self) -> LogFigures:
        now_s = time.time()
        upkeep, shelf = self._upkeep, self._upkeep.shelf
        items = list(shelf.items())
        return LogFigures(
            at_s=now_s,
            pid=os.getpid(),
            started_at_s=self._started_at_s,
            appended=sum(shelf.appended.values()),
            streams=len(shelf.streams),
            open_segments=sum(not item.is_sealed for item in items),
            sealed_segments=sum(item.is_sealed for item in items),
            segment_bytes=upkeep.used_bytes,
            max_bytes=upkeep.rules.max_bytes,
            sealed=upkeep.sealed.sealed_segments,
            cut_bytes=upkeep.sealed.cut_bytes + upkeep.sealed.damaged_bytes,
            damaged_segments=upkeep.sealed.damaged_segments,
            removed=upkeep.removed,
            made_room=upkeep.made_room,
            error=upkeep.error or self._report_error,
            sinks=tuple(outlet.figures(now_s) for outlet, _ in self._outlets.values()),
        )

    async def close(self) -> None:
        """Let everything go."""
        for name in list(self._outlets):
            await self._stop(name)
        self._upkeep.close()

    # -- its loops

    async def _turns(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                await self.turn()
                await self._sync_until(time.monotonic() + self._pace.turn_s, ended)
            except Exception:  # Why: nothing would ever be sealed or shipped again
                log.exception("upkeep of the log failed by a defect")
                await _wait(ended, REPORT_S)

    async def _sync_until(self, end_s: float, ended: asyncio.Event) -> None:
        """Wait for the next turn, and sync meanwhile where that is wanted more often."""
        while not ended.is_set() and (left_s := end_s - time.monotonic()) > 0:
            sync_s = self._upkeep.rules.sync_s
            if not sync_s or sync_s >= left_s:
                await _wait(ended, left_s)
                return
            await _wait(ended, max(sync_s, SHORTEST_SYNC_S))
            await in_thread(self._upkeep.sync, name="sync")

    async def _reports(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            self.report()
            await _wait(ended, self._pace.report_s)

    def report(self) -> None:
        """Write the figures; where that fails, say so once."""
        try:
            write_figures(self._figures, self.figures())
        except OSError as error:
            sentence = f"cannot write {self._figures}: {error.strerror}"
            if sentence != self._report_error:
                log.error("%s", sentence)
            self._report_error = sentence
        else:
            self._report_error = ""

    async def _flush(self, flush_s: float) -> None:
        began_s = time.monotonic()
        for outlet, _ in self._outlets.values():
            outlet.hurry()
        await self.turn()
        while left := [outlet for outlet, _ in self._outlets.values() if not outlet.is_done]:
            # Why: a sink that is away is not waited for as one that has a lot to take.
            is_hopeless = all(outlet.is_failing for outlet in left)
            allowed_s = flush_s * (HOPELESS_SHARE if is_hopeless else 1.0)
            if time.monotonic() >= began_s + allowed_s:
                log.warning("not everything was shipped; the rest waits on disk")
                break
            await asyncio.sleep(0.02)
        await self.turn()
        self.report()

    async def _stop(self, name: str) -> None:
        outlet, task = self._outlets.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await outlet.close(CLOSE_S)


async def _wait(ended: asyncio.Event, seconds: float) -> None:
    """So long, or until it is set."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()


@contextlib.contextmanager
def sole(directory: Path) -> Iterator[None]:
    """This process alone ships the log of the directory."""
    place = directory / DIRECTORY
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ShipperError(f"cannot write to {place}: {error.strerror}") from None
    try:
        if not try_lock(descriptor):
            raise ShipperError(f"another shipper is at work in {directory}")
        yield
    finally:
        os.close(descriptor)
