"""The rules of `drift.rules`, looked at while the controller runs.

    every LOOK_S: configuration ─► bases ─► looks that are due ─► alerts ─► state/drift/looks.json

Rule 1: a look counts as made when whoever is told has taken it; after a crash it may be made
        again, and is then the same look.
Rule 2: what cannot be looked at is a sentence in `standing`, and in the log once.
Rule 3: everything that blocks or computes is done in a thread; one at a time.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.alerts.finding import Look
from gateway.config.file import write_private
from gateway.config.watching import Drift
from gateway.errors import ControlError, GatewayError
from gateway.log.names import DIRECTORY as LOG
from gateway.store import Store
from gateway.store.store import DIRECTORY as STORE
from gateway.threads import in_thread
from gateway.watch.basis import DIRECTORY, Bases, BasisFiles, bases_of, recorded_in
from gateway.watch.examples import StoredExamples
from gateway.watch.kept import FILE, Kept
from gateway.watch.looks import Due, Looker
from gateway.watch.view import View

LOOK_S = 5.0
AGAIN_S = 30.0  # until bases that are not there yet are asked for again
SETTLED_AFTER = 2  # minutes that a record may be on its way unseen
BACK = 60  # minutes: a rule that is new says nothing of last week
AT_ONCE = 20  # looks in one thread
STATE = "drift/looks.json"  # under the state directory

log = logging.getLogger(__name__)


class Standing(Struct, frozen=True, kw_only=True):
    """How the watch stands."""

    watermark: int = 0  # minute since 1970 up to which data are there; 0 none
    rules: int = 0  # pairs of a rule and a route that are looked at
    looks: int = 0  # made since the start
    skipped: int = 0  # too far in arrears
    last_ms: int = 0  # when the latest look was made
    learning: tuple[str, ...] = ()  # routes whose fields are still to be learned
    problems: tuple[str, ...] = ()  # sentences


class LookDesk:
    """Makes the looks; `run` is its life. Of one event loop."""

    def __init__(
        self,
        state: Path,
        settings: Callable[[], Drift],
        routes: Callable[[], Sequence[str]],
        tell: Callable[[Look], Awaitable[Any]],
        *,
        now_s: Callable[[], float] = time.time,
        is_counted: Callable[[], bool] = lambda: False,
    ) -> None:
        """`is_counted` says whether all that was recorded by now is counted."""
        self._is_counted = is_counted
        self._state, self._settings, self._routes = state, settings, routes
        self._tell, self._now_s = tell, now_s
        self._store = Store(state / STORE, state / LOG)
        self._view: View = Kept(state / FILE).view()
        self._looker: Looker | None = None
        self._used: tuple[Drift, tuple[str, ...]] | None = None
        self._bases = Bases()
        self._asked_s = 0.0
        self._kept = b""
        self._problem = ""
        self._said: set[str] = set()
        self._looks, self._last_ms, self._watermark = 0, 0, 0

    @property
    def standing(self) -> Standing:
        """As of the latest turn."""
        problems = list(self._bases.problems)
        problems += [self._problem] if self._problem else []
        if self._looker is not None and self._looker.defects:
            problems.append("some looks failed by a defect; see the log of the gateway")
        return Standing(
            watermark=self._watermark,
            rules=len(self._bases.of_rule),
            looks=self._looks,
            skipped=self._looker.skipped if self._looker else 0,
            last_ms=self._last_ms,
            learning=self._bases.learning,
            problems=tuple(problems),
        )

    async def run(self) -> None:
        """Looks, until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(LOOK_S)

    async def tick(self) -> None:
        """All that is due."""
        try:
            due = await in_thread(self._due, name="watch")
            for first in range(0, len(due), AT_ONCE):
                part = due[first : first + AT_ONCE]
                for one, look in await in_thread(functools.partial(self._made, part), name="watch"):
                    await self._hand_over(one, look)
                await in_thread(self._keep, name="watch")
            self._problem = ""
        except (GatewayError, OSError) as error:
            self._problem = str(error)
        except Exception as error:  # Why: the next look must find someone who looks
            self._problem = f"a look failed by a defect: {type(error).__name__}"
            if self._problem not in self._said:
                log.exception("a look failed by a defect")
        self._say()

    # -- in a thread

    def _due(self) -> list[Due]:
        looker = self._current()
        if looker is None:
            return []
        self._watermark = self._view.watermark
        is_counted = self._is_counted()
        self._view.settled = int(self._now_s() // 60) - SETTLED_AFTER if is_counted else 0
        return looker.due(self._view)

    def _current(self) -> Looker | None:
        """The looker of the configuration in force."""
        drift, routes = self._settings(), tuple(self._routes())
        is_new = self._used != (drift, routes)
        is_lacking = bool(self._bases.learning or self._bases.problems)
        if is_new or (is_lacking and self._now_s() - self._asked_s >= AGAIN_S):
            self._asked_s, self._used = self._now_s(), (drift, routes)
            shelf = BasisFiles(self._state / DIRECTORY)
            self._bases = bases_of(drift, routes, shelf, recorded=recorded_in(self._store))
            if self._looker is None:
                self._looker = Looker(
                    drift,
                    self._bases,
                    examples=StoredExamples(self._store),
                    state=_read(self._state / STATE),
                    back=BACK,
                )
            else:
                self._looker.use(drift, self._bases)
        return self._looker

    def _made(self, due: Sequence[Due]) -> list[tuple[Due, Look | None]]:
        """The looks; in the end the store's memory is let go."""
        if self._looker is None:
            return []
        try:
            return [(one, self._looker.look(self._view, one)) for one in due]
        finally:
            self._store.close()

    def _keep(self) -> None:
        if self._looker is None:
            return
        state = self._looker.state()
        if state != self._kept:
            path = self._state / STATE
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(path, state)
            self._kept = state

    # -- on the loop

    async def _hand_over(self, due: Due, look: Look | None) -> None:
        if look is not None:
            try:
                await self._tell(look)
            except ControlError as error:  # Why no retry: the rule, or the route, has just gone
                log.info("a look was not taken: %s", error)
            self._looks += 1
            self._last_ms = int(self._now_s() * 1000)
        if self._looker is not None:
            self._looker.made(due)

    def _say(self) -> None:
        problems = set(self.standing.problems)
        for sentence in sorted(problems - self._said):
            log.warning("drift cannot be looked at: %s", sentence)
        self._said = problems


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
