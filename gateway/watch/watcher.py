"""A member of the group with all that it does: fields, counting, learning, looking.

    before partitions are counted   the bases: files here, what was learned from the state topic
    while some are to be learned    the leader learns them of what it sees, the others ask
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

from aiokafka.errors import KafkaError

from gateway.alerts.finding import Look
from gateway.brokers import BrokerError, Brokers
from gateway.config.watching import Drift
from gateway.errors import GatewayError
from gateway.profiles.reference import decode
from gateway.threads import in_thread
from gateway.watch.basis import Bases, BasisFiles, Learner, bases_of, learned_name
from gateway.watch.follower import Follower
from gateway.watch.group import MINUTE_S, Member, Pace
from gateway.watch.state_topic import RESTORE_S, State, StateTopic
from gateway.watch.tally import Tally
from gateway.watch.view import View

TEND_S = 2.0
ASK_S = 10.0  # how often those who do not learn ask whether somebody has
MINUTE_NS = 60 * 10**9

log = logging.getLogger(__name__)

Tell = Callable[[Look], Awaitable[None]]  # returns when the look has arrived
# Looks that are due, one after the other; the next is made when the one before was told.
Looks = Callable[[Bases, View], Iterator[Look]]


class Watcher:
    """Counts, learns and looks until it is ended; of one event loop."""

    def __init__(
        self,
        brokers: Brokers,
        drift: Drift,
        routes: Sequence[str],
        *,
        bases: Path,
        looks: Looks | None = None,
        tell: Tell | None = None,
        pace: Pace | None = None,
    ) -> None:
        """`bases` is where references made of files are kept; without `tell` nobody looks."""
        self._drift, self._routes = drift, routes
        self._shelf, self._learned = BasisFiles(bases), _Learned()
        self._looks, self._tell = looks, tell
        self._learners: dict[str, Learner] = {}
        self._asked_at = 0.0
        self._follower: tuple[StateTopic, Follower] | None = None
        self.bases = Bases()
        self.looks = 0  # that were told
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
            pace=pace,
        )

    def _tally(self) -> Tally:
        consumer = self._drift.consumer
        keep, lateness = consumer.keep // MINUTE_NS, consumer.lateness // MINUTE_NS
        return Tally(self.bases.all, max(1, keep), lateness=lateness)

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set."""
        tending = asyncio.create_task(self._tend())
        try:
            await self.member.run(ended)
        finally:
            tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await tending

    # -- bases

    async def _prepare(self, state: StateTopic) -> None:
        self._learned.documents.update(await documents(state))
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
        """Learn of what is counted; only the leader does."""
        leading = self.member.held.get(0)
        if leading is None or not self._learners:
            return
        for route, learner in list(self._learners.items()):
            made = learner.add(lines, int(time.time()) // MINUTE_S)
            if made is not None:
                del self._learners[route]
                leading.bases[learned_name(route)] = made.encode()

    async def _ask(self, state: StateTopic) -> None:
        """Whether what is to be learned was, by whoever leads."""
        now = time.monotonic()
        if self.bases.learning and now - self._asked_at >= ASK_S:
            self._asked_at = now
            found = await documents(state)
            if found.keys() - self._learned.documents.keys():
                self._learned.documents.update(found)
                await self._make_bases()

    # -- beside counting

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_S)
            state = self.member.state
            if state is None or not self.member.held:
                continue
            try:
                await self._ask(state)
                if self.member.leads:
                    await self._look(state)
            except (BrokerError, KafkaError, OSError, TimeoutError, GatewayError) as error:
                self.sentence = f"looking is held up: {error or type(error).__name__}"
            except Exception:  # Why: counting goes on, and the next look may be good
                log.exception("looking failed by a defect")
                self.sentence = "looking failed by a defect; see the log"

    async def _look(self, state: StateTopic) -> None:
        records, tell, looks = self.member.records, self._tell, self._looks
        if records is None or tell is None or looks is None:
            return
        if self._follower is None or self._follower[0] is not state:
            lateness = self._drift.consumer.lateness // MINUTE_NS
            follower = Follower(state, records, self.member.status.of, lateness)
            self._follower = state, follower
        follower = self._follower[1]
        await follower.follow(int(time.time()) // MINUTE_S)
        for look in looks(self.bases, follower.view()):
            await tell(look)
            self.looks += 1
            await asyncio.sleep(0)
            if not self.member.leads:
                return
        self.sentence = ""


class _Learned:
    """A shelf of what the state topic has; documents get there by the leader's next flush."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.documents.get(name)

    def put(self, name: str, document: bytes) -> bytes:
        return self.documents.setdefault(name, document)


async def documents(state: StateTopic) -> dict[str, bytes]:
    """References that are on the state topic, those that can be read."""
    place = state.place(0)
    read, at = State(state.scope, 0), 0
    async with asyncio.timeout(RESTORE_S):
        end = (await state.topic.ends(state.partitions))[place]
        while at < end:
            (fetched,) = await state.topic.fetch({place: at})
            read.take(fetched)
            at = fetched.next
    found = {}
    for name, document in read.bases.items():
        with contextlib.suppress(GatewayError):
            decode(document, name)
            found[name] = document
    return found
