"""One message now and then to a topic: connected for it, and no longer.

For what is too rare to keep connections for, such as alerts. `acks=all`; every call ends by the
deadline of `log.kafka.timeout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiokafka.errors import KafkaError

from gateway.config.recording import Kafka
from gateway.shipper.kafka_cluster import SECOND_NS, Cluster
from gateway.shipper.sink import SinkError

ABANDON_S = 2.0


async def send_message(
    config: Kafka, topic: str, key: bytes, value: bytes, headers: Mapping[str, bytes]
) -> None:
    """Return when all replicas have it; SinkError says why they do not."""
    cluster = Cluster(config)
    producer = cluster.producer()
    try:
        async with asyncio.timeout(config.timeout / SECOND_NS):
            await cluster.start(producer)
            await cluster.look_up(producer.client, topic)
            await producer.send_and_wait(topic, value, key, headers=list(headers.items()))
    except TimeoutError:
        raise SinkError(f"{cluster.names} did not acknowledge in time") from None
    except (KafkaError, OSError) as error:
        raise SinkError(cluster.refusal(error)) from None
    finally:
        await cluster.abandon(producer, ABANDON_S)
