"""A member of the group with all that it does: fields, counting, learning, looking.

    before partitions are counted   the bases: files here, what was learned from the state topic
    while some are to be learned    the leader learns them of what it sees, the others ask
    while a stretch is to be pinned the leader reads it from the records' topic, the others ask
    while it leads                  follows all partitions' state, makes the looks that are due

The leader is who has partition 0. Two may think so for a moment: what the former one learns is
not taken, since its writer is fenced, and a look that is told twice counts once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from aiokafka.errors import KafkaError

from gateway.alerts.finding import Look
from gateway.brokers import SECOND_NS, BrokerError, Brokers
from gateway.config.watching import Drift
from gateway.errors import GatewayError
from gateway.profiles.reference import decode
from gateway.threads import in_thread
from gateway.watch.basis import Bases, BasisDocuments, BasisFiles, bases_of, learned_name
from gateway.watch.group.follower import Follower
from gateway.watch.group.holding import Aside
from gateway.watch.group.member import MINUTE_S, Member, Pace
from gateway.watch.group.pinning import pinned
from gateway.watch.group.state_topic import RESTORE_S, State, StateTopic
from gateway.watch.learner import Learner
from gateway.watch.tally import Tally
from gateway.watch.view import View

AGAIN_S = 600.0  # until what could not be pinned is tried again
LOOKS = "looks"  # the document that a Looker goes on with
MINUTE_NS = 60 * 10**9

log = logging.getLogger(__name__)

Tell = Callable[[Look], Awaitable[None]]  # returns when the look has arrived


class Looking(Protocol):
    """`looks.Looker`."""

    def use(self, drift: Drift, bases: Bases) -> None: ...
    def state(self) -> bytes: ...
    def looks(self, view: View) -> Iterator[Look]: ...


class Watcher:
    """Counts, learns and looks until it is ended; of one event loop."""

    def __init__(
        self,
        brokers: Brokers,
        drift: Drift,
        routes: Sequence[str],
        *,
        bases: Path,
        looker: Callable[[Bases, bytes], Looking] | None = None,
        tell: Tell | None = None,
        recent: Callable[[bytes], None] | None = None,
        aside: Aside | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`bases` is where references made of files are kept.

        `looker` makes one with the state of the one before; without it, or `tell`, nobody looks.
        `recent` is given the lines that are counted while we lead, `aside` samples of those that
        could not be.
        """
        self._drift, self._routes, self._pace = drift, routes, pace or Pace()
        self._shelf, self._learned = BasisFiles(bases), BasisDocuments()
        self._looker, self._tell, self._recent = looker, tell, recent
        self._learners: dict[str, Learner] = {}
        self._asked_at = 0.0
        self._brokers = brokers
        self._pin_at: dict[str, float] = {}  # by name: when it is tried again
        self.unpinned: dict[str, str] = {}  # by name: why there is no such reference
        self._lead: _Lead | None = None
        self.bases = Bases()
        self.looks = 0  # that were told …
        self.looked_at_s = 0.0  # … and when the last one was, in seconds since 1970
        self.sentence = ""  # what is wrong with looking
        consumer = drift.consumer
        self.member = Member(
            brokers,
            topic=brokers.config.topic,
            group=consumer.group,
            state_topic=consumer.state_topic,
            tally=self._tally,
            prepare=self._prepare,
            seen=self._see,
            aside=aside,
            pace=self._pace,
        )

    @property
    def watermark(self) -> int | None:
        """Minute up to which all partitions are counted, as of the last look; None: not ours."""
        return self._lead.follower.watermark if self._lead is not None else None

    def _tally(self) -> Tally:
        consumer = self._drift.consumer
        keep, lateness = consumer.keep // MINUTE_NS, consumer.lateness // MINUTE_NS
        return Tally(self.bases.all, max(1, keep), lateness=lateness)

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set."""
        works = (self._ask, self._pin, self._look)
        beside = [asyncio.create_task(self._tend(each)) for each in works]
        try:
            await self.member.run(ended)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    # -- bases

    async def _prepare(self, state: StateTopic) -> None:
        self._learned.documents.update(await _learned_of(state))
        await self._make_bases()

    async def _make_bases(self) -> None:
        make = functools.partial(
            bases_of, self._drift, self._routes, self._shelf, learned=self._learned
        )
        self.bases = await in_thread(make, name="bases")
        self._learners = {
            route: self._learners.get(route) or Learner(route, self._drift.consumer)
            for route in self.bases.learning
        }
        self.member.use(self.bases.all)

    def _see(self, lines: bytes) -> None:
        """What is counted while we lead: to be learned of, and to be shown."""
        leading = self.member.held.get(0)
        if leading is None:
            return
        if self._recent is not None:
            self._recent(lines)
        for route, learner in list(self._learners.items()):
            made = learner.add(lines, int(time.time()) // MINUTE_S)
            if made is not None:
                del self._learners[route]
                leading.documents[learned_name(route)] = made.encode()

    async def _ask(self, state: StateTopic) -> None:
        """Whether what is to be learned was, by whoever leads."""
        now = time.monotonic()
        is_lacking = self.bases.learning or self.bases.pinning
        if is_lacking and now - self._asked_at >= self._pace.ask_s:
            self._asked_at = now
            found = await _learned_of(state)
            if found.keys() - self._learned.documents.keys():
                self._learned.documents.update(found)
                await self._make_bases()

    async def _pin(self, _state: StateTopic) -> None:
        """Make references of stretches that are over, if we lead."""
        now, wall_s = time.monotonic(), time.time()
        late_s = self._drift.consumer.lateness / SECOND_NS
        for pin in self.bases.pinning:
            leading = self.member.held.get(0)
            is_over = pin.until.timestamp() + late_s <= wall_s
            if leading is None or not is_over or self._pin_at.get(pin.name, 0.0) > now:
                continue
            self._pin_at[pin.name] = now + AGAIN_S
            self.unpinned.pop(pin.name, None)
            try:
                made = await pinned(self._brokers, pin, self._drift.consumer)
            except (BrokerError, KafkaError, OSError, TimeoutError) as error:
                why = str(error) or type(error).__name__
                self.unpinned[pin.name] = f"drift.references.{pin.reference}: {why}"
            else:
                # Why not if it leads no more: who does makes the same.
                leading.documents[pin.name] = made.encode()

    # -- beside counting

    async def _tend(self, work: Callable[[StateTopic], Awaitable[None]]) -> None:
        """Again and again; apart, since telling may wait for a gateway that is away."""
        while True:
            await asyncio.sleep(self._pace.tend_s)
            state = self.member.state
            if state is None or not self.member.held:
                continue
            try:
                await work(state)
            except (BrokerError, KafkaError, OSError, TimeoutError, GatewayError) as error:
                self.sentence = f"looking is held up: {str(error) or type(error).__name__}"
            except Exception:  # Why: counting goes on, and the next look may be good
                log.exception("looking failed by a defect")
                self.sentence = "looking failed by a defect; see the log"

    async def _look(self, state: StateTopic) -> None:
        """Make the looks that are due, if we lead."""
        if not self.member.leads:
            self._lead = None
            return
        lead, tell = await self._leading(state), self._tell
        if lead is None or tell is None:
            return
        lead.looker.use(self._drift, self.bases)
        before = self.looks
        for look in lead.looker.looks(lead.follower.view()):
            await tell(look)
            self.looks, self.looked_at_s = self.looks + 1, time.time()
            await asyncio.sleep(0)
            if 0 not in self.member.held:
                return
        if self.looks > before and (holding := self.member.held.get(0)) is not None:
            holding.documents[LOOKS] = lead.looker.state()
        self.sentence = ""

    async def _leading(self, state: StateTopic) -> _Lead | None:
        """What leading needs, with all that was committed by now."""
        records, now_s = self.member.records, time.monotonic()
        if records is None or self._looker is None:
            return None
        if self._lead is None or self._lead.state is not state:
            lateness = self._drift.consumer.lateness // MINUTE_NS
            follower = Follower(state, records, lateness)
            await follower.follow(now_s)
            looker = self._looker(self.bases, follower.documents.get(LOOKS, b""))
            self._lead = _Lead(state, follower, looker)
        else:
            await self._lead.follower.follow(now_s)
        return self._lead


class _Lead(NamedTuple):
    state: StateTopic
    follower: Follower
    looker: Looking


async def _learned_of(state: StateTopic) -> dict[str, bytes]:
    """What was learned, as the state topic has it."""
    place = state.place(0)
    read, at = State(state.scope, 0), 0
    async with asyncio.timeout(RESTORE_S):
        end = (await state.topic.ends(state.partitions))[place]
        while at < end:
            (fetched,) = await state.topic.fetch({place: at})
            read.take(fetched)
            at = fetched.next
    found = {}
    for name, document in read.documents.items():
        with contextlib.suppress(GatewayError):
            decode(document, name)
            found[name] = document
    return found
