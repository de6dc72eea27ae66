"""A pinned stretch of the records' topic, made a reference: for groups, who have no store.

    offsets by time ─► lines of the route and the stretch ─► a draw of them ─► the reference

Kafka finds the first record that is no older than the stretch; reading goes on until records are
younger than its end, and than anything that may still come late. Of more lines than are needed
those with the least hashes of stream and number are drawn: evenly over the stretch, a line that
came twice once, and the same ones whoever draws.

Rule: reading here holds up nobody: it has a connection of its own, and is bounded in memory.
Cost: about 3 us a record of the stretch, of any route.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import heapq
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from aiokafka.client import AIOKafkaClient
from msgspec import Struct
from msgspec.structs import replace

from gateway._fast import hash_of
from gateway.brokers import BrokerError, Brokers
from gateway.config.watching import DriftConsumer
from gateway.profiles.reference import Reference
from gateway.threads import in_thread
from gateway.watch.basis import PINNED_LINES, Pin
from gateway.watch.group.fetching import Fetched, Topic
from gateway.watch.group.pile import Pile

READ_S = 900.0  # for a whole stretch
REACH_S = 15.0  # for the brokers
CLOSE_S = 2.0
MOST_BYTES = 96 * 2**20  # of lines that are kept
BEYOND = 3  # batches one after the other, behind the stretch: one may be of a clock in front
NS_PER_MS = 1_000_000


async def pinned(brokers: Brokers, pin: Pin, consumer: DriftConsumer) -> Reference:
    """The reference; BrokerError where there is none to be made."""
    brokers = Brokers(replace(brokers.config, create=None))
    client = AIOKafkaClient(**brokers.options())
    try:
        async with asyncio.timeout(READ_S):
            draw = await _drawn(brokers, client, pin, consumer)
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await client.close()
    make = functools.partial(pin.reference_of, draw.lines(), consumer)
    made = await in_thread(make, name="pin")
    if not made.rows:
        raise BrokerError(
            f"no record of the route `{pin.route}` of that time is on the topic"
            f" {brokers.config.topic}; where a store has them, `gateway drift pin` makes a file"
            " to be given as `training`"
        )
    return made


async def _drawn(
    brokers: Brokers, client: AIOKafkaClient, pin: Pin, consumer: DriftConsumer
) -> Draw:
    async with asyncio.timeout(REACH_S):
        await client.bootstrap()
        partitions = await brokers.look_up(client, brokers.config.topic)
        await client.set_topics({brokers.config.topic})
    topic, draw = Topic(client, brokers.config.topic), Draw(pin)
    last_ms = _milliseconds(pin.until) + consumer.lateness // NS_PER_MS
    first = await topic.ends(partitions, _milliseconds(pin.since))
    ends = await topic.ends(partitions)
    # Why not less than 0: a partition without a record so young says -1.
    reading = {each: _Reading(at, ends[each]) for each, at in first.items() if 0 <= at < ends[each]}
    while reading:
        for fetched in await topic.fetch({each: one.at for each, one in reading.items()}):
            if reading[fetched.partition].take(fetched, draw, last_ms):
                del reading[fetched.partition]
            await asyncio.sleep(0)
    return draw


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class _Reading:
    """Of one partition."""

    def __init__(self, at: int, end: int) -> None:
        self.at, self._end = at, end
        self._beyond = 0  # batches in a row
        self._pile = Pile()

    def take(self, fetched: Fetched, draw: Draw, last_ms: int) -> bool:
        """Whether there is nothing more to be read."""
        for batch in fetched.batches:
            self._beyond = self._beyond + 1 if batch.last_ms > last_ms else 0
            with contextlib.suppress(ValueError):  # counting tells it
                self._pile.clear()
                self._pile.add(batch, self.at)
                for line in bytes(self._pile.lines).split(b"\n"):
                    draw.add(line)
        is_new = fetched.next > self.at
        self.at = fetched.next
        return self.at >= self._end or self._beyond >= BEYOND or not is_new


class _Line(Struct):
    """What is read of a line."""

    kind: str = ""
    route: str = ""
    stream: str = ""
    seq: int = 0
    time: datetime | None = None


class _Drawn(NamedTuple):
    order: int  # the greatest hash first
    time: datetime
    line: bytes


class Draw:
    """Lines of a stretch, of which PINNED_LINES are kept; bounded in bytes as well."""

    def __init__(self, pin: Pin, most: int = PINNED_LINES, most_bytes: int = MOST_BYTES) -> None:
        self._pin, self._most, self._most_bytes = pin, most, most_bytes
        self._kept: list[_Drawn] = []
        self._orders: set[int] = set()
        self._bytes = 0
        self._decoder = msgspec.json.Decoder(_Line)

    def add(self, line: bytes) -> None:
        """A line of the log, of any kind; what cannot be read is none of ours."""
        try:
            read = self._decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        pin, moment = self._pin, read.time
        if read.kind != "prediction" or read.route != pin.route or moment is None:
            return
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        order = -hash_of(f"{read.stream}\0{read.seq}".encode())
        if pin.since <= moment < pin.until and order not in self._orders:
            self._keep(_Drawn(order, moment, line))

    def _keep(self, drawn: _Drawn) -> None:
        heapq.heappush(self._kept, drawn)
        self._orders.add(drawn.order)
        self._bytes += len(drawn.line)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            gone = heapq.heappop(self._kept)
            self._orders.discard(gone.order)
            self._bytes -= len(gone.line)

    def lines(self) -> list[bytes]:
        """Those that are kept, in the order of their times."""
        return [one.line for one in sorted(self._kept, key=lambda one: (one.time, one.order))]
