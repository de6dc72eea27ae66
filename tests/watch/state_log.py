"""A state topic in memory, with producers that take part in its transactions."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.errors import ProducerFenced

from gateway.watch.group.fetching import Fetched, read_batches
from gateway.watch.group.state_topic import Kept, Scope, State, Writer
from tests.watch.record_batches import batch

Message = tuple[bytes, bytes | None]


class Producer:
    """Takes the place of aiokafka's, on one log; a later one fences those before."""

    def __init__(self, log: StateLog) -> None:
        self._log, self._epoch, self._open = log, -1, list[Message]()
        self.fail = False  # the next commit

    async def start(self) -> None:
        self._log.epoch += 1
        self._epoch = self._log.epoch

    async def begin_transaction(self) -> None:
        self._open = []

    async def send(
        self, topic: str, value: bytes | None, key: bytes, *, partition: int
    ) -> asyncio.Future[None]:
        self._open.append((key, value))
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def send_offsets_to_transaction(self, offsets: Any, group: str) -> None:
        self.offsets = {place.partition: one.offset for place, one in offsets.items()}

    async def commit_transaction(self) -> None:
        if self._epoch != self._log.epoch:
            raise ProducerFenced
        if self.fail:
            raise TimeoutError
        self._log.messages += self._open
        self._log.committed |= self.offsets


class _Writer(Writer):
    async def close(self) -> None:
        """Nothing is connected."""


class StateLog:
    """What `StateTopic` is to a holding."""

    def __init__(self) -> None:
        self.scope = Scope("watchers", "records")
        self.name = "state"
        self.messages: list[Message] = []
        self.committed: dict[int, int] = {}
        self.epoch = 0
        self.producers: list[Producer] = []

    def place(self, partition: int) -> int:
        return 0

    def writer(self, partition: int) -> Writer:
        self.producers.append(Producer(self))
        return _Writer(self.producers[-1], self, partition)  # type: ignore[arg-type]

    def state(self, only: int | None = None) -> State:
        """All that was committed, read as from a broker."""
        state = State(self.scope, only)
        for at in range(0, len(self.messages), 3):
            some = self.messages[at : at + 3]
            state.take(fetched(at, batch(at, [v for _, v in some], keys=[k for k, _ in some])))
        return state

    async def restored(self, partition: int) -> Kept:
        return self.state(partition).kept.get(partition, Kept())


def fetched(position: int, data: bytes, partition: int = 0) -> Fetched:
    """An answer of a broker."""
    batches, behind = read_batches(data, position, ())
    return Fetched(
        partition=partition,
        position=position,
        next=behind,
        end=behind,
        stable=behind,
        batches=batches,
    )
