"""Members of a group that watches, in this process or as children; and what they kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.client import AIOKafkaClient

from gateway.brokers import Brokers
from gateway.config.recording import Kafka
from gateway.shipper.kafka import KafkaSink
from gateway.watch.group.fetching import Topic
from gateway.watch.group.member import Member, Pace
from gateway.watch.group.state_topic import Kept, Scope, State, StateTopic
from gateway.watch.group.watcher import Watcher
from gateway.watch.tally import Tally
from tests.kafka.listing import Listing
from tests.shipper.processes import Child

GROUP = "watchers"
HURRY = Pace(flush_s=0.3, retry_s=0.1, longest_s=2.0, session_s=1.5, tend_s=0.2, ask_s=0.5)


def state_topic_of(topic: str) -> str:
    return f"{topic}-state"


def member_of(config: Kafka, tally: Callable[[], Tally] = Listing, **more: Any) -> Member:
    return Member(
        Brokers(config),
        topic=config.topic,
        group=GROUP,
        state_topic=state_topic_of(config.topic),
        tally=tally,
        pace=HURRY,
        **more,
    )


Life = TypeVar("Life", Member, Watcher)


class Process:
    """A member as a child that can be killed, frozen, or ended in good order."""

    def __init__(self, config: Kafka, tally: Callable[[], Tally] = Listing) -> None:
        self.child = Child(lambda: asyncio.run(self._live(config, tally)))

    async def _live(self, config: Kafka, tally: Callable[[], Tally]) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await member_of(config, tally).run(ended)

    def kill(self) -> None:
        self.child.kill()

    def freeze(self) -> None:
        """As a host that swaps, or a long pause of the machine."""
        os.kill(self.child.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.child.pid, signal.SIGCONT)

    def end(self) -> int:
        return self.child.kill(signal.SIGTERM)


@contextlib.asynccontextmanager
async def sending(config: Kafka, folder: Path) -> AsyncIterator[KafkaSink]:
    """A sink beside members that go on."""
    sink = KafkaSink(config, "a gateway", folder)
    try:
        yield sink
    finally:
        await sink.close(2.0)


@contextlib.asynccontextmanager
async def running(member: Life) -> AsyncIterator[Life]:
    """A member that lives, and then ends in good order."""
    ended = asyncio.Event()
    life = asyncio.create_task(member.run(ended))
    try:
        yield member
    finally:
        ended.set()
        await asyncio.wait_for(life, 20)


async def kept_of(config: Kafka) -> dict[int, Kept]:
    """What is committed on the state topic, by partition of the records."""
    brokers = Brokers(config)
    client = AIOKafkaClient(**brokers.options())
    await client.bootstrap()
    try:
        name = state_topic_of(config.topic)
        partitions = await brokers.look_up(client, name)
        await client.set_topics({name})
        topic, state = Topic(client, name), State(Scope(GROUP, config.topic))
        for partition, end in (await topic.ends(partitions)).items():
            at = 0
            while at < end:
                (fetched,) = await topic.fetch({partition: at})
                state.take(fetched)
                at = fetched.next
        return state.kept
    finally:
        await client.close()


async def lag_of(config: Kafka) -> int:
    """Records that are on the topic, and not yet in what is kept."""
    brokers = Brokers(config)
    client = AIOKafkaClient(**brokers.options())
    await client.bootstrap()
    try:
        partitions = await brokers.look_up(client, config.topic)
        await client.set_topics({config.topic})
        ends = await Topic(client, config.topic).ends(partitions)
    finally:
        await client.close()
    kept = await kept_of(config)
    return sum(
        max(0, end - (kept[each].position.next if each in kept else 0))
        for each, end in ends.items()
    )


async def caught_up(config: Kafka, within_s: float) -> None:
    """Return when all that is on the topic is kept."""
    async with asyncio.timeout(within_s):
        while await lag_of(config):
            await asyncio.sleep(0.2)


async def eventually(holds: Callable[[], object], within_s: float = 30.0) -> None:
    """Return when it holds."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.05)


async def produce(config: Kafka, values: list[bytes | None]) -> None:
    """Messages as they are, to partition 0, each a batch of its own."""
    producer = AIOKafkaProducer(bootstrap_servers=list(config.bootstrap))
    await producer.start()
    try:
        await Brokers(config).look_up(producer.client, config.topic)
        for value in values:
            await producer.send_and_wait(config.topic, value, b"key", partition=0)
    finally:
        await producer.stop()


async def remove_before(config: Kafka, offset: int) -> None:
    """As retention does: records of partition 0 before an offset are gone."""
    admin = AIOKafkaAdminClient(bootstrap_servers=list(config.bootstrap))
    await admin.start()
    try:
        place = TopicPartition(config.topic, 0)
        await admin.delete_records({place: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


@contextlib.asynccontextmanager
async def connected(config: Kafka) -> AsyncIterator[tuple[Topic, StateTopic]]:
    """The topics as a member has them, without being one."""
    brokers, name = Brokers(config), state_topic_of(config.topic)
    client = AIOKafkaClient(**brokers.options())
    await client.bootstrap()
    try:
        await brokers.look_up(client, config.topic)
        partitions = await brokers.look_up(client, name)
        await client.set_topics({config.topic, name})
        scope = Scope(GROUP, config.topic)
        yield Topic(client, config.topic), StateTopic(brokers, client, name, scope, partitions)
    finally:
        await client.close()
