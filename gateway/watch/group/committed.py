"""What a consumer group has committed, read once by somebody who is none of its members.

Rule: it only reads; no topic is made, and nobody's membership is touched.
Memory: all that the group keeps, encoded. Cost: reading the state topic once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from gateway.brokers import BrokerError, Brokers, words_of
from gateway.config.recording import Kafka
from gateway.config.watching import DriftConsumer
from gateway.watch.group.fetching import Topic
from gateway.watch.group.follower import Follower
from gateway.watch.group.state_topic import Scope, StateTopic
from gateway.watch.view import View

REACH_S = 15.0  # to find the brokers and the topics
CLOSE_S = 2.0
MINUTE_NS = 60 * 10**9


class Committed(NamedTuple):
    """As of now."""

    view: View
    documents: dict[str, bytes]  # what is kept beside, by name
    told: dict[str, int]  # lines by what became of them


async def committed(kafka: Kafka, consumer: DriftConsumer) -> Committed:
    """BrokerError where it cannot be had."""
    brokers = Brokers(replace(kafka, create=None))
    client = AIOKafkaClient(**brokers.options())
    try:
        return await _read(brokers, client, consumer)
    except TimeoutError:
        raise BrokerError(f"{brokers.names} did not answer in time") from None
    except (KafkaError, OSError) as error:
        raise BrokerError(f"{brokers.names}: {words_of(error)}") from None
    finally:
        with contextlib.suppress(TimeoutError):  # who asks ends soon
            async with asyncio.timeout(CLOSE_S):
                await client.close()


async def _read(brokers: Brokers, client: AIOKafkaClient, consumer: DriftConsumer) -> Committed:
    topic, name = brokers.config.topic, consumer.state_topic
    async with asyncio.timeout(REACH_S):
        await client.bootstrap()
        await brokers.look_up(client, topic)
        places = await brokers.look_up(client, name)
        await client.set_topics({topic, name})
    state = StateTopic(brokers, client, name, Scope(consumer.group, topic), places)
    lateness = consumer.lateness // MINUTE_NS
    follower = Follower(state, Topic(client, topic), lateness)
    await follower.follow(time.monotonic())
    return Committed(follower.view(), follower.documents, follower.told)
