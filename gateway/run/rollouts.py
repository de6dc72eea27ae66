"""The desk with its real parts: the board, the log, the reload, the database, the webhooks.

Cost: nothing but a look at a list twice a second while there is no rollout; the judge's
libraries are loaded with the first, in a thread, and the log is read only where a gate or
a copy needs it.
Rule: how far the log was read is kept in a file beside the database; a controller that died
      goes on there, and counts nothing twice.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

import gateway
from gateway.config import Document
from gateway.config.file import write_private
from gateway.config.rollouts import Rollout
from gateway.control.figures import BoardView, Histogram, RowFigures
from gateway.notices.notices import Notices
from gateway.plan import BackendPlan
from gateway.reload import Reload
from gateway.rollout.clock import Clock
from gateway.rollout.counts import FINISHES, PairCounts, Period, SignalCounts
from gateway.rollout.desk import LOOK_S, Desk
from gateway.rollout.evidence import Witness
from gateway.rollout.feedback_join import Follower, State, needs_log, watch_of
from gateway.rollout.verdict import Judgement
from gateway.run.notices import telling
from gateway.state.rollouts import RolloutStates
from gateway.threads import in_thread

FILE_NAME = "rollout-log.msgpack"
POLL_BYTES = 1 << 20  # of the log at once, so that the loop is free again soon
SAVE_S = 5.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

log = logging.getLogger(__name__)


class LiveRollouts:
    """The desk and what must run beside it."""

    def __init__(
        self, state: Path, engine: sa.Engine, reload: Reload, view: BoardView, started_ns: int
    ) -> None:
        """`started_ns` is the gateway's: another one has another board."""
        self._reload, self._clock = reload, Clock()
        self.log = FollowedLog(state / FILE_NAME)
        self.notices = Notices(lambda: reload.document.config.notices)
        self.desk = Desk(
            gateway=reload,
            store=RolloutStates(engine),
            witness=Witness(
                Rows(view),
                board_name(started_ns),
                lambda: reload.plan,
                log=self.log,
                now_ms=self._clock.now_ms,
            ),
            judge=_judge,
            clock=self._clock,
            tell=telling(self.notices),
            versions=versions_of,
        )

    async def run(self) -> None:
        """Looks, once there is anything to look at."""
        await self._first()
        await in_thread(_load_judge, name="judge")
        await self.desk.run()

    async def follow_log(self) -> None:
        """Reads the log as it grows, as long as a rollout needs it."""
        try:
            while True:
                self.log.watch(self.desk.live(), self._reload)
                while self.log.poll(self._clock.now_ms()):
                    await asyncio.sleep(0)
                await asyncio.sleep(LOOK_S)
        finally:
            self.log.close()

    async def _first(self) -> None:
        while not (
            self._reload.document.config.rollouts
            or self._reload.delivery.rollouts  # Why: what nobody knows of may not stand
            or self.desk.has_any
        ):
            await asyncio.sleep(LOOK_S)


class Rows:
    """The board's figures as evidence has them."""

    def __init__(self, view: BoardView) -> None:
        self._view = view

    def rows(self, wanted: Iterable[int]) -> Sequence[RowFigures]:
        rows = self._view.rows(wanted)
        for row in rows:
            row.finishes = row.finishes[: len(FINISHES)]  # the board has room for more
        return rows

    def histograms(self, row: int, names: Sequence[str]) -> Mapping[str, Histogram]:
        return self._view.histograms(row, names)

    def backends(self, backends: Sequence[BackendPlan]) -> Sequence[Any]:
        return self._view.backends(backends)


class FollowedLog:
    """The prediction log as far as rollouts need it; followed by nobody while none does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._follower: Follower | None = None
        self._saved_s = 0.0

    @property
    def name(self) -> str:
        return self._follower.name if self._follower else ""

    def pairs(self, rollout: str) -> dict[str, PairCounts]:
        return self._follower.pairs(rollout) if self._follower else {}

    def feedback(self, rollout: str) -> dict[int, dict[str, dict[str, SignalCounts]]]:
        return self._follower.feedback(rollout) if self._follower else {}

    def watch(self, live: Sequence[tuple[str, Rollout, int]], reload: Reload) -> None:
        wanted = [one for one in live if needs_log(one[1])]
        if not wanted or not reload.plan.log.enabled:
            if self._follower is not None:
                self.close()
                self._file.unlink(missing_ok=True)  # Why: the next rollout begins with new lines
            return
        if self._follower is None:
            self._follower = Follower(Path(reload.plan.log.directory), self._kept())
        self._follower.watch(watch_of(*one) for one in wanted)

    def poll(self, now_ms: int) -> bool:
        """Whether there is more to read."""
        if self._follower is None:
            return False
        is_more = self._follower.poll(now_ms, most_bytes=POLL_BYTES)
        if time.monotonic() - self._saved_s >= SAVE_S:
            self._save(self._follower)
        return is_more

    def close(self) -> None:
        if self._follower is not None:
            self._save(self._follower)
            self._follower.close()
            self._follower = None

    def _save(self, follower: Follower) -> None:
        self._saved_s = time.monotonic()
        try:
            write_private(self._file, msgspec.msgpack.encode(follower.state()))
        except OSError as error:
            log.error("how far the log was read cannot be kept: %s", error)

    def _kept(self) -> State | None:
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.error("feedback counts from now on: %s cannot be read: %s", self._file, error)
            return None


def board_name(started_ns: int) -> str:
    """Names the board of one life of the gateway."""
    try:
        boot = BOOT_ID.read_text().strip()
    except OSError:  # not Linux
        boot = ""
    return f"{boot}:{started_ns}"


def versions_of(rollout: Rollout, document: Document) -> dict[str, str]:
    """What a decision is about: the gateway, and the models behind both sides."""
    config = document.config
    route = config.routes.get(rollout.route)
    named = (
        [each if isinstance(each, str) else each.backend for each in route.backends]
        if route
        else []
    )
    named += [name for arm in rollout.arms.values() for name in arm.backends]
    backends = {name: config.backends[name] for name in named if name in config.backends}
    return {"gateway": gateway.__version__} | {
        f"backends.{name}": f"{backend.model or name} {backend.version}".strip()
        for name, backend in backends.items()
    }


def _judge(rollout: Rollout, periods: Sequence[Period], now_ms: int) -> Judgement:
    from gateway.rollout.gates import judge  # noqa: PLC0415  its libraries take a second

    return judge(rollout, periods, now_ms)


def _load_judge() -> None:
    pass
