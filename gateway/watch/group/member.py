"""A member of the consumer group that counts the records' topic: `gateway drift watch`.

    membership ─► which partitions are ours ─► a holding for each: fence, restore
    fetch ─► count ─► every few seconds: flush, one transaction a partition
    rebalance ─► flush; what stays ours goes on, what does not is closed

A partition that comes back after a rebalance goes on without a restore: if anybody had it in
between, our writer is fenced, the next flush fails, and the holding is opened anew.

Rule 1: each record has its effect once, whoever is killed, frozen, or cut off, and whenever.
Rule 2: every wait has a deadline. What fails is thrown away whole, clients with it, and made
        anew with back-off.
Rule 3: a partition that fails does not hold up the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced
from msgspec import Struct

from gateway.brokers import SECOND_NS, BrokerError, Brokers, let_go, words_of
from gateway.watch.basis import Basis
from gateway.watch.group.fetching import Fetched, Topic
from gateway.watch.group.holding import Aside, Defect, Holding, Range, Seen
from gateway.watch.group.membership import Membership
from gateway.watch.group.pile import Pile
from gateway.watch.group.state_topic import COMPACTED, Scope, StateTopic
from gateway.watch.group.status import Status
from gateway.watch.tally import Tally

MINUTE_S = 60
CLOSE_S = 2.0
IDLE_S = 0.2
POLICY = "cleanup.policy"
BETWEEN = 4  # times `flush_slices` that may change while an answer is counted
MOST_PASSED = 100  # places of a partition that cannot be counted
FAILURES = (BrokerError, KafkaError, OSError, TimeoutError)

log = logging.getLogger(__name__)


class Pace(Struct, frozen=True, kw_only=True):
    """How often what is done, in seconds."""

    flush_s: float = 5.0
    flush_slices: int = 1000  # that changed in a partition: flushed at once
    retry_s: float = 0.5  # after a failure; doubles …
    longest_s: float = 30.0  # … up to this
    session_s: float = 10.0  # of silence, after which others get our partitions
    tend_s: float = 2.0  # what is beside counting
    ask_s: float = 10.0  # whether another learned what we do not know


class Member:
    """One of the group; `run` is its life. Of one event loop."""

    def __init__(
        self,
        brokers: Brokers,
        *,
        topic: str,
        group: str,
        state_topic: str,
        tally: Callable[[], Tally],
        pace: Pace | None = None,
        prepare: Callable[[StateTopic], Awaitable[None]] | None = None,
        seen: Seen | None = None,
        aside: Aside | None = None,
    ) -> None:
        """`tally` makes one for a partition, after `prepare` was awaited at each connection.

        `seen` is shown all lines that are counted, `aside` samples of those that were not.
        """
        self._brokers, self._topic, self._group = brokers, topic, group
        self._state_topic, self._tally = state_topic, tally
        self._prepare, self._seen, self._aside = prepare, seen, aside
        self._passed: dict[int, deque[Range]] = {}  # records that cannot be counted
        self._pace = pace or Pace()
        self._deadline_s = brokers.config.timeout / SECOND_NS
        self._tallies: dict[int, Tally] = {}
        self._pile = Pile()
        self.held: dict[int, Holding] = {}
        self._retry_at: dict[int, float] = {}
        self._tries: Counter[int] = Counter()
        self._flush_at = 0.0
        self._failing_since = 0.0  # fetches; 0: they do not
        self._ahead: _Ahead | None = None
        self.status = Status()
        self.state: StateTopic | None = None  # while connected
        self.records: Topic | None = None  # while connected

    @property
    def leads(self) -> bool:
        """Whether we have partition 0: one member has it."""
        return 0 in self.held

    def use(self, bases: Iterable[Basis]) -> None:
        """Count on these from now on."""
        bases = tuple(bases)
        for tally in self._tallies.values():
            tally.use(bases)

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set; what was counted by then is flushed."""
        tries = 0
        while not ended.is_set():
            began = time.monotonic()
            try:
                await self._session(ended)
            except FAILURES as error:
                self.status.sentence = await self._words(error)
            is_long = time.monotonic() - began > self._pace.longest_s
            tries = 0 if is_long else tries + 1
            if not ended.is_set():
                await _pause(ended, self._backoff(tries))

    async def _words(self, error: Exception) -> str:
        if isinstance(error, BrokerError):
            return str(error)
        if isinstance(error, KafkaConnectionError | OSError):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._deadline_s):
                    if why := await self._brokers.why_unreachable():
                        return why
        if isinstance(error, TimeoutError):
            return f"{self._brokers.names}: no answer within {self._deadline_s:g} s"
        return f"Kafka cannot be used: {words_of(error)}"

    def _backoff(self, tries: int) -> float:
        return min(self._pace.longest_s, self._pace.retry_s * 2.0 ** min(tries, 10))

    # -- one life of the clients

    async def _session(self, ended: asyncio.Event) -> None:
        async with contextlib.AsyncExitStack() as stack:
            reader, joiner = await self._client(stack), await self._client(stack)
            async with asyncio.timeout(self._deadline_s):
                await self._brokers.look_up(reader, self._topic)
                partitions = await self._brokers.look_up(
                    reader, self._state_topic, settings=COMPACTED
                )
                policy = await self._brokers.setting(reader, self._state_topic, POLICY)
                await reader.set_topics({self._topic, self._state_topic})
            if policy not in ("", COMPACTED[POLICY]):
                raise BrokerError(
                    f"the topic {self._state_topic} is not compacted ({POLICY}={policy}): what it"
                    " forgets would be counted again"
                )
            self.records = Topic(reader, self._topic)
            scope = Scope(self._group, self._topic)
            self.state = StateTopic(self._brokers, reader, self._state_topic, scope, partitions)
            if self._prepare is not None:
                await self._prepare(self.state)
            membership = Membership(
                joiner,
                self._group,
                self._topic,
                self._flush_all,
                session_ms=int(self._pace.session_s * 1000),
            )
            try:
                await self._work(membership, ended)
                await self._flush_all()
            finally:
                ahead, self._ahead = self._ahead, None
                if ahead is not None:
                    await _cancelled(ahead.task)
                await self._close_all()
                await membership.close()
                self.records = self.state = None

    async def _client(self, stack: contextlib.AsyncExitStack) -> AIOKafkaClient:
        client = AIOKafkaClient(**self._brokers.options())
        stack.push_async_callback(lambda: let_go([client], client.close(), CLOSE_S))
        async with asyncio.timeout(self._deadline_s):
            await client.bootstrap()
        return client

    async def _work(self, membership: Membership, ended: asyncio.Event) -> None:
        self._flush_at = time.monotonic() + self._pace.flush_s
        self._failing_since = 0.0
        while not ended.is_set():
            membership.check()
            if membership.changed.is_set():
                membership.changed.clear()
                self.status.rebalances += 1
            if membership.is_settled:
                await self._settle(membership.partitions)
            fetched = await self._fetch() if self.held else []
            if not self.held:
                await _pause(ended, IDLE_S)
            await self._count(fetched)
            await self._flush_due()
            self.status.see(self.held, self.records.partitions if self.records else 0)

    # -- partitions come and go

    async def _settle(self, partitions: frozenset[int]) -> None:
        for partition in self.held.keys() - partitions:
            await self._close(partition)
        now = time.monotonic()
        missing = [
            each for each in partitions - self.held.keys() if self._retry_at.get(each, 0) <= now
        ]
        await asyncio.gather(*map(self._open, missing))

    async def _open(self, partition: int) -> None:
        if self.state is None:
            return
        tally = self._tally()
        passed = self._passed.get(partition, ())
        holding = Holding(partition, self.state, tally, passed, self._aside, self._pile)
        try:
            await holding.open()
        except FAILURES as error:
            await holding.close()
            await self._failed(partition, error)
            return
        except BaseException:
            await holding.close()
            raise
        self.held[partition], self._tallies[partition] = holding, tally
        self.status.sentence = ""

    async def _close(self, partition: int) -> None:
        holding = self.held.pop(partition, None)
        self._tallies.pop(partition, None)
        if holding is not None:
            await holding.close()

    async def _close_all(self) -> None:
        await asyncio.gather(*map(self._close, list(self.held)))

    async def _failed(self, partition: int, error: Exception) -> None:
        """Try it again later; it may be somebody else's by then."""
        await self._close(partition)
        self._tries[partition] += 1
        self._retry_at[partition] = time.monotonic() + self._backoff(self._tries[partition])
        if isinstance(error, ProducerFenced):
            self.status.fenced += 1
        else:
            self.status.sentence = await self._words(error)

    # -- counting

    async def _fetch(self) -> list[Fetched]:
        """What came; what is behind it is under way when this returns, while we count."""
        positions = {each: holding.position for each, holding in self.held.items()}
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.positions != positions:
            await _cancelled(ahead.task)
            ahead = None
        task = ahead.task if ahead is not None else asyncio.create_task(self._fetch_from(positions))
        try:
            found = await task
        except FAILURES as error:
            # A broker that restarts, a leader that moves: others go on, and it comes back.
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if now - self._failing_since > self._deadline_s:
                raise
            self.status.sentence = await self._words(error)
            await asyncio.sleep(self._pace.retry_s)
            return []
        self._failing_since = 0.0
        if any(one.batches for one in found):
            positions |= {one.partition: one.next for one in found}
            self._ahead = _Ahead(positions, asyncio.create_task(self._fetch_from(positions)))
        return found

    async def _fetch_from(self, positions: dict[int, int]) -> list[Fetched]:
        if self.records is None:
            return []
        async with asyncio.timeout(self._deadline_s):
            return await self.records.fetch(positions)

    async def _count(self, fetched: list[Fetched]) -> None:
        now_minute = int(time.time()) // MINUTE_S
        for one in fetched:
            holding = self.held.get(one.partition)
            if holding is None or holding.position != one.position:
                continue
            lost = holding.lost
            try:
                for taken in holding.counting(one, now_minute, self._seen):
                    self.status.lines += taken
                    await self._between(holding)
                    if self.held.get(one.partition) is not holding:
                        break
                self.status.missed += holding.lost - lost
            except Defect as defect:
                log.exception("records of partition %d cannot be counted", one.partition)
                passed = self._passed.setdefault(one.partition, deque(maxlen=MOST_PASSED))
                passed.append(defect.records)
                await self._close(one.partition)
            await asyncio.sleep(0)

    async def _between(self, holding: Holding) -> None:
        """Let heartbeats go, and keep a flush short.

        Why: an answer may hold hours of few requests each, which change a slice a request.
        """
        await asyncio.sleep(0)
        if holding.changed >= BETWEEN * self._pace.flush_slices:
            await self._flush(holding.partition)

    async def _flush_due(self) -> None:
        now = time.monotonic()
        if now >= self._flush_at:
            self._flush_at = now + self._pace.flush_s
            await self._flush_all()
            return
        for partition, holding in list(self.held.items()):
            if holding.changed >= self._pace.flush_slices:
                await self._flush(partition)

    async def _flush_all(self) -> None:
        await asyncio.gather(*map(self._flush, list(self.held)))

    async def _flush(self, partition: int) -> None:
        holding = self.held.get(partition)
        if holding is None or not holding.is_dirty:
            return
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline_s):
                await holding.flush()
        except FAILURES as error:
            self.status.failed_flushes += 1
            if self.held.get(partition) is holding:
                await self._failed(partition, error)
            return
        self.status.flushes.add(time.monotonic() - began)
        self.status.results.update(holding.results)
        holding.results.clear()
        self._tries.pop(partition, None)
        self._retry_at.pop(partition, None)


class _Ahead(NamedTuple):
    """A fetch that is under way while what came before is counted."""

    positions: dict[int, int]
    task: asyncio.Task[list[Fetched]]


async def _cancelled(task: asyncio.Task[list[Fetched]]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _pause(ended: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
