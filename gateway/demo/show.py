"""Runs the demo: stage, clients, story and view, until the time is over or Ctrl-C.

Rule: however it ends, the processes and the temporary directory are gone afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from gateway.demo.afterwards import Afterwards, look_back
from gateway.demo.client import Client
from gateway.demo.figures import Chronicle, Status
from gateway.demo.models import MORTAL
from gateway.demo.report import Lines, addresses, drift, explanation, summary
from gateway.demo.stage import HOST, Stage, StageError, staged
from gateway.demo.story import DIES, IN_CENTS, cents_s, deeds, trials
from gateway.demo.traffic import Tally, World, flow
from gateway.demo.view import Screen

LOOK_S = 0.2
_STATUS = msgspec.json.Decoder(Status)


def run(seconds: float | None, *, port: int, is_plain: bool) -> int:
    """Show it; 0 if every client was answered."""
    console = Console(highlight=False)
    draws = console.is_terminal and not console.is_dumb_terminal and "utf" in console.encoding
    return asyncio.run(Show(console, seconds, port, is_plain=is_plain or not draws).run())


class Show:
    """One performance."""

    def __init__(
        self, console: Console, seconds: float | None, port: int, *, is_plain: bool
    ) -> None:
        self._console, self._is_plain = console, is_plain
        self._seconds, self._port = seconds, port
        self._chronicle, self._tally = Chronicle(), Tally()
        self._began_s = 0.0
        self._world = World()
        self._died: datetime | None = None
        self._in_cents: datetime | None = None
        self._afterwards = Afterwards()

    async def run(self) -> int:
        self._console.print("Starting the gateway and eight stand-in models ...")
        with contextlib.suppress(Interrupted):
            async with interruptible(), staged(self._port) as stage:
                try:
                    await self._perform(stage)
                finally:  # after Ctrl-C, too
                    await self._look_back(stage)
        explanation(self._console, self._afterwards)
        drift(self._console, self._afterwards)
        summary(self._console, self._chronicle, self._tally, self._afterwards, self._now_s())
        return 1 if self._tally.failed or not self._tally.answered else 0

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s if self._began_s else 0.0

    async def _perform(self, stage: Stage) -> None:
        self._began_s = asyncio.get_running_loop().time()
        clients = flow(HOST, stage.place.data_port, self._tally, self._world)
        work = (clients, self._act(stage), self._try_challengers(stage), self._change_unit())
        async with beside(*work), Client(HOST, stage.place.admin_port) as admin:
            await self._look(admin)
            with self._screen(stage) as draw:
                while self._seconds is None or self._now_s() < self._seconds:
                    await asyncio.sleep(LOOK_S)
                    await self._look(admin)
                    draw()

    async def _look_back(self, stage: Stage) -> None:
        began = datetime.now(UTC) - timedelta(seconds=self._now_s())
        async with Client(HOST, stage.place.admin_port) as admin:
            self._afterwards = await look_back(admin, began, self._died, self._in_cents)

    async def _look(self, admin: Client) -> None:
        try:
            answer = await admin.ask("/api/v1/status")
            status = _STATUS.decode(answer.body)
        except (OSError, EOFError, ValueError) as error:
            raise StageError(f"the admin port does not answer ({error})") from None
        self._chronicle.add(self._now_s(), status)

    async def _act(self, stage: Stage) -> None:
        """What the story does to the stand-in models."""
        for at_s, deed in deeds(self._seconds):
            await asyncio.sleep(max(0.0, at_s - self._now_s()))
            self._chronicle.note(self._now_s(), MORTAL.name, deed)
            self._died = datetime.now(UTC) if deed == DIES else self._died
            (stage.kill if deed == DIES else stage.revive)(MORTAL)

    async def _change_unit(self) -> None:
        """Somebody upstream changes the unit of a feature, and tells nobody."""
        await asyncio.sleep(max(0.0, cents_s(self._seconds) - self._now_s()))
        self._world.is_in_cents, self._in_cents = True, datetime.now(UTC)
        self._chronicle.note(self._now_s(), "fraud", IN_CENTS)

    async def _try_challengers(self, stage: Stage) -> None:
        """Start a rollout of each; the gateway decides what becomes of it."""
        for at_s, name in trials(self._seconds):
            await asyncio.sleep(max(0.0, at_s - self._now_s()))
            async with Client(HOST, stage.place.admin_port) as admin:
                with contextlib.suppress(OSError, EOFError, ValueError):
                    await admin.ask(f"/api/v1/rollouts/{name}/start", b"{}")

    @contextlib.contextmanager
    def _screen(self, stage: Stage) -> Iterator[Any]:
        """What draws the moment: lines, or one screen."""
        if self._is_plain:
            self._console.print(addresses(stage.place), soft_wrap=True)
            lines = Lines(self._console, self._chronicle, self._tally)
            yield lambda: lines.add(self._now_s())
            return
        with Live(console=self._console, screen=True, auto_refresh=False) as live:
            yield lambda: live.update(
                Screen(stage.place, self._chronicle, self._tally, self._now_s()), refresh=True
            )


class Interrupted(Exception):
    """The user has seen enough."""


@contextlib.asynccontextmanager
async def interruptible() -> AsyncIterator[None]:
    """Ctrl-C and SIGTERM leave the block by Interrupted; again, they change nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    seen = asyncio.Event()

    def interrupt() -> None:
        if task is not None and not seen.is_set():
            seen.set()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    except asyncio.CancelledError:
        if task is None or not seen.is_set():
            raise
        task.uncancel()
        raise Interrupted from None


@contextlib.asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on beside the block and is cancelled at its end; a defect in it is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result
