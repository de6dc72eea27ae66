"""Membership of a consumer group: which partitions are ours now.

aiokafka's own coordination, without its consumer: it joins, keeps the place by heartbeats, and
says when partitions come and go. Fetching is `fetching`'s.

Rule: while a member's partitions are taken from it, it may still finish: `leaving` is awaited,
      and others get them when it returns, or when it takes too long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.structs import TopicPartition

from gateway.brokers import let_go

SESSION_MS = 10_000  # of silence, after which others get our partitions
BEATS_A_SESSION = 5
REBALANCE_MS = 30_000  # for all members to come back when one came or went
CLOSE_S = 5.0


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, membership: Membership) -> None:
        self._membership = membership

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._membership.lose()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._membership.gain(each.partition for each in assigned)


class Membership:
    """Our place in the group; of one event loop."""

    def __init__(
        self,
        client: AIOKafkaClient,
        group: str,
        topic: str,
        leaving: Callable[[], Awaitable[None]],
        *,
        session_ms: int = SESSION_MS,
    ) -> None:
        """`client` is bootstrapped, and used by nobody else."""
        self._client, self._leaving = client, leaving
        self._subscription = SubscriptionState()
        self.partitions: frozenset[int] = frozenset()
        self.is_settled = False  # no rebalance is under way
        self.changed = asyncio.Event()  # set when `partitions` was
        self._stack = contextlib.ExitStack()
        # Why: who never asks its consumer for messages is taken for dead.
        self._stack.enter_context(self._subscription.fetch_context())
        self._subscription.subscribe({topic}, listener=_Listener(self))
        client.set_topics({topic})
        self._coordinator = GroupCoordinator(
            client,
            self._subscription,
            group_id=group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // BEATS_A_SESSION,
            rebalance_timeout_ms=REBALANCE_MS,
            enable_auto_commit=False,
            # Why a class of our own: it keeps what was assigned in itself, for one member only.
            assignors=(type("Sticky", (StickyPartitionAssignor,), {}),),
        )

    async def lose(self) -> None:
        """Called when a rebalance begins."""
        self.is_settled = False
        if self.partitions:
            await self._leaving()

    def gain(self, partitions: Iterable[int]) -> None:
        """Called when it ends."""
        self.partitions = frozenset(partitions)
        self.is_settled = True
        self.changed.set()

    def check(self) -> None:
        """Raises what ended it, such as a missing right."""
        self._coordinator.check_errors()

    async def close(self) -> None:
        """Leave the group, so that others need not wait for our silence."""
        self._stack.close()
        await let_go([self._coordinator], self._coordinator.close(), CLOSE_S)
