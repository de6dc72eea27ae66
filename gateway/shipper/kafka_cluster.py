"""One Kafka cluster as the sink needs it: producers, and what is said of records.

Rule 1: nothing waits forever by itself; whoever calls sets the deadline.
Rule 2: an abandoned producer leaves no task and no connection behind, whatever state it is in.
Rule 3: a sentence names brokers, topics and the user, never a password.
"""

from __future__ import annotations

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from gateway.brokers import SECOND_NS, Brokers, abandon, words_of
from gateway.config.recording import Kafka
from gateway.shipper.sink import SinkError

__all__ = ["SECOND_NS", "Cluster"]


class Cluster(Brokers):
    """The brokers of a configuration."""

    def __init__(self, config: Kafka) -> None:
        super().__init__(config, SinkError)

    def producer(self) -> AIOKafkaProducer:
        """One that is not started yet."""
        return AIOKafkaProducer(**self.options(), enable_idempotence=True, acks="all", linger_ms=0)

    async def start(self, producer: AIOKafkaProducer) -> None:
        try:
            await producer.start()
        except kafka_errors.KafkaConnectionError as error:
            raise SinkError(await self.why_unreachable() or words_of(error)) from None

    async def abandon(self, producer: AIOKafkaProducer, deadline_s: float) -> None:
        """Let go of it and of what it was about to send."""
        await abandon(producer, deadline_s)

    def refusal(self, error: KafkaError | OSError) -> str:
        """A sentence for what a broker said of records, or of the producer."""
        if isinstance(error, kafka_errors.TopicAuthorizationFailedError):
            return "this user may not write to the topic"
        if isinstance(error, kafka_errors.ClusterAuthorizationFailedError):
            return "this user may not write idempotently to the cluster"
        return f"Kafka does not take the records: {words_of(error)}"
