"""Kafka's brokers as every client of them needs it: settings, topics, why they cannot be reached.

Rule 1: nothing waits forever by itself; whoever calls sets the deadline.
Rule 2: a sentence names brokers, topics and the user, never a password.
Knows nothing of records. Needs the extra `[kafka]`; import it where it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import ssl
from collections.abc import Awaitable, Mapping
from typing import Any

import aiokafka.errors as kafka_errors
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeConfigsRequest
from aiokafka.protocol.metadata import MetadataRequest

from gateway.config.recording import Kafka
from gateway.errors import GatewayError

CLIENT = "inference-gateway"
SECOND_NS = 1_000_000_000
SHORTEST_REQUEST_MS = 1000
REQUESTS_IN_DEADLINE = 3  # a request that got lost is repeated before the deadline
TOPIC_EXISTS = 36
TOPIC_RESOURCE = 2
LOOK_AGAIN_S = 0.1
CLOSE_S = 1.0

# Why: it repeats itself ten times a second while a broker is away. What matters is in our own
# sentences.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class BrokerError(GatewayError):
    """Kafka cannot be used now; the sentence is for people and holds no secret."""

    reason = "kafka"


class Brokers:
    """The brokers of a configuration."""

    def __init__(self, config: Kafka, fault: type[GatewayError] = BrokerError) -> None:
        """`fault` is what is raised with a sentence."""
        self.config = config
        self._fault = fault
        milliseconds = config.timeout // (REQUESTS_IN_DEADLINE * 1_000_000)
        self._request_ms = max(SHORTEST_REQUEST_MS, milliseconds)

    @property
    def names(self) -> str:
        """For people."""
        return ", ".join(self.config.bootstrap)

    async def look_up(
        self, client: AIOKafkaClient, topic: str, *, settings: Mapping[str, str] | None = None
    ) -> int:
        """The topic's partitions; it is created where the configuration says how."""
        # Why not asked for by name: a broker may create a topic that is asked for.
        found = await client.fetch_all_metadata()
        if partitions := found.partitions_for_topic(topic):
            return len(partitions)
        if self.config.create is None:
            raise self._fault(
                f"the topic {topic} does not exist, or this user may not see it; create it,"
                " or set log.kafka.create"
            )
        await self._create(topic, settings or {})
        while not (partitions := found.partitions_for_topic(topic)):
            await asyncio.sleep(LOOK_AGAIN_S)
            found = await client.fetch_all_metadata()
        return len(partitions)

    async def _create(self, topic: str, settings: Mapping[str, str]) -> None:
        create = self.config.create
        if create is None:
            return
        admin = AIOKafkaAdminClient(**self.options())
        try:
            await admin.start()
            wanted = NewTopic(
                topic, create.partitions, create.replication, topic_configs=dict(settings)
            )
            answer = await admin.create_topics([wanted], timeout_ms=self._request_ms)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await admin.close()
        for _, code, *words in answer.topic_errors:
            if code not in (0, TOPIC_EXISTS):
                said = next(filter(None, words), None) or words_of(kafka_errors.for_code(code)())
                raise self._fault(f"the topic {topic} cannot be created: {said}")

    async def setting(self, client: AIOKafkaClient, topic: str, name: str) -> str:
        """A setting of a topic; "" where this user may not ask."""
        request = DescribeConfigsRequest([(TOPIC_RESOURCE, topic, [name])])
        answer = await client.send(client.get_random_node(), request)
        entries = [
            entry for _code, _words, _kind, _topic, each in answer.resources for entry in each
        ]
        return next((entry[1] or "" for entry in entries if entry[0] == name), "")

    # -- settings

    def options(self) -> dict[str, Any]:
        """Of any client of theirs."""
        options: dict[str, Any] = {
            "bootstrap_servers": list(self.config.bootstrap),
            "client_id": CLIENT,
            "request_timeout_ms": self._request_ms,
            "ssl_context": self._tls(),
        }
        sasl, tls = self.config.sasl, self.config.tls
        options["security_protocol"] = PROTOCOLS[sasl is not None, tls is not None]
        if sasl is not None:
            options["sasl_mechanism"] = sasl.mechanism
            options["sasl_plain_username"] = sasl.username
            options["sasl_plain_password"] = sasl.password.reveal()
        return options

    def _tls(self) -> ssl.SSLContext | None:
        tls = self.config.tls
        if tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=tls.ca or None)
            if tls.certificate:
                context.load_cert_chain(tls.certificate, tls.key or None)
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (tls.ca, tls.certificate, tls.key)))
            said = getattr(error, "strerror", None) or error
            raise self._fault(f"cannot read the certificates {files}: {said}") from None
        return context

    # -- what went wrong

    async def why_unreachable(self) -> str:
        """Why: a producer tells why it reached nobody to its log alone; so we knock ourselves."""
        options = self.options()
        del options["bootstrap_servers"]
        for host, port, _ in collect_hosts(list(self.config.bootstrap)):
            try:
                connection = await create_conn(host, port, **options)
                try:
                    await connection.send(MetadataRequest([]))
                finally:
                    connection.close()
            except (KafkaError, OSError, TimeoutError) as error:
                return self._sentence(error, f"{host}:{port}")
        return ""

    def _sentence(self, error: Exception, broker: str) -> str:
        sasl = self.config.sasl
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate of {broker} is not trusted: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"{broker} and we do not agree on TLS: {error.reason or error}"
        if isinstance(error, UNKNOWN_MECHANISM) and sasl is not None:
            return f"{broker} does not take SASL {sasl.mechanism}"
        if isinstance(error, WRONG_CREDENTIALS) and sasl is not None:
            return f"{broker} refuses user and password of {sasl.username} ({sasl.mechanism})"
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return f"no broker answers at {broker}: {_cause(error)}"
        if isinstance(error, TimeoutError):
            return f"no broker answers at {broker}: it takes too long"
        if isinstance(error, kafka_errors.KafkaConnectionError):
            return f"{broker} closes the connection; does it want TLS or SASL, or another of them?"
        return f"{broker} cannot be used: {words_of(error)}"


PROTOCOLS = {
    (False, False): "PLAINTEXT",
    (False, True): "SSL",
    (True, False): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
UNKNOWN_MECHANISM = (kafka_errors.UnsupportedSaslMechanismError,)
WRONG_CREDENTIALS = (
    kafka_errors.AuthenticationFailedError,
    kafka_errors.SaslAuthenticationFailed,
    kafka_errors.AuthenticationMethodNotSupported,
)


def words_of(error: Exception) -> str:
    """What aiokafka says of it."""
    described = getattr(error, "description", None) or str(error)
    return f"{type(error).__name__}: {described}"


def _cause(error: OSError) -> str:
    """Why: what the event loop says repeats the address, and differs from loop to loop."""
    known = error.errno if error.errno in errno.errorcode else 0
    return os.strerror(known) if known else error.strerror or str(error)


async def abandon(producer: AIOKafkaProducer, deadline_s: float) -> None:
    """Let go of a producer and of what it was about to send; no task of it is left."""
    owners = [producer._sender, producer.client, producer._message_accumulator]  # noqa: SLF001
    await _cancel_tasks_of(owners)
    await let_go(owners, producer.stop(), deadline_s)


async def let_go(owners: list[object], closing: Awaitable[None], deadline_s: float) -> None:
    """Close in time, or not at all: no task that runs a method of one of `owners` is left."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(deadline_s):
            with contextlib.suppress(KafkaError, OSError):
                await closing
    await _cancel_tasks_of(owners)


async def _cancel_tasks_of(owners: list[object]) -> None:
    """Cancel every task that runs a method of one of them.

    Why: a producer whose broker is away does not stop (aiokafka's issue 1101): its sender
    waits for the tasks it made, and they retry for ever.
    """
    ids = {id(owner) for owner in owners}
    tasks = []
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and id(frame.f_locals.get("self")) in ids:
            task.cancel()
            tasks.append(task)
    if tasks:
        await asyncio.wait(tasks, timeout=1)
