"""The link between the controller and its workers: a Unix socket that carries messages.

A frame is four bytes of length, big endian, and one message as MessagePack. The
controller listens; a worker dials, says Hello, and dials again whenever the connection
ends, for as long as it lives: a worker serves on without a controller, and a controller
that comes back learns from the Hellos who serves on what.

Cost: nothing while nothing changes; a thread compiles what is offered, not the loop.
Rule 1: a frame is at most MAX_FRAME_BYTES; anything else than a known message ends the
        connection, never the process.
Rule 2: an offer goes to one worker first; only what that one serves on goes to the rest.
Rule 3: the socket belongs to its user alone (mode 0600).
Knows nothing of what a configuration means; `run` puts both ends into their processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.messages import Applied, Declined, Draining, FromController, FromWorker, Hello, Offer

MAX_FRAME_BYTES = 4 << 20  # a configuration is at most 1 MiB of text
LENGTH_BYTES = 4
HELLO_S = 5.0  # a connection that says nothing is closed
ANSWER_S = 10.0  # a worker that has not answered an offer by then is left behind
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0

log = logging.getLogger(__name__)

Message = TypeVar("Message")


class LinkError(GatewayError):
    """What came over the link is no message of ours."""

    reason = "link"


def frame(message: FromWorker | FromController) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


async def read_message(
    reader: asyncio.StreamReader, decoder: msgspec.msgpack.Decoder[Message]
) -> Message:
    """The next message; EOFError at the end, LinkError for what is none."""
    try:
        size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if size > MAX_FRAME_BYTES:
            raise LinkError(f"a frame of {size} bytes is too long")
        return decoder.decode(await reader.readexactly(size))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise LinkError("a frame was cut") from None
        raise EOFError from None
    except msgspec.DecodeError as error:
        raise LinkError(f"not a message: {error}") from None


class Question(Struct, eq=False):
    """An offer that a worker has not answered yet."""

    generation: int
    answer: asyncio.Future[str]  # "" is yes

    def settle(self, sentence: str) -> None:
        if not self.answer.done():
            self.answer.set_result(sentence)


class Peer(Struct, eq=False):
    """A worker, as the controller sees it."""

    hello: Hello
    writer: asyncio.StreamWriter
    hash: str
    generation: int
    is_draining: bool = False
    question: Question | None = None


class LinkServer:
    """The controller's end: listens, and knows who serves on what."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.in_force: Offer | None = None
        self._peers: list[Peer] = []
        self._decoder = msgspec.msgpack.Decoder(FromWorker)

    @property
    def peers(self) -> tuple[Peer, ...]:
        return tuple(self._peers)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listens until left, and takes the path away; what a dead controller left is replaced."""
        self.path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, self.path, limit=1 << 16)
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()
            self.path.unlink(missing_ok=True)
            for peer in self._peers:
                peer.writer.close()

    async def offer(self, offer: Offer) -> tuple[str, ...]:
        """Put a configuration in force; the sentences of the workers that declined it.

        If the first one asked declines, nobody else is asked and nothing changes.
        """
        first = self._first()
        if first is not None:
            sentence = await self._ask(first, offer)
            if sentence:
                return (sentence,)
        self.in_force = offer
        rest = [peer for peer in self._peers if peer.generation != offer.generation]
        sentences = await asyncio.gather(*(self._ask(peer, offer) for peer in rest))
        return tuple(sentence for sentence in sentences if sentence)

    def _first(self) -> Peer | None:
        return next((peer for peer in self._peers if not peer.is_draining), None)

    async def _ask(self, peer: Peer, offer: Offer) -> str:
        """What keeps the worker from the offer; "" if nothing does, or the worker is gone."""
        question = Question(offer.generation, asyncio.get_running_loop().create_future())
        peer.question = question
        peer.writer.write(frame(offer))
        try:
            return await asyncio.wait_for(question.answer, ANSWER_S)
        except TimeoutError:
            log.warning("worker did not answer an offer", extra={"slot": peer.hello.slot})
            return ""
        finally:
            peer.question = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = None
        try:
            peer = await self._greeted(reader, writer)
            while True:
                self._note(peer, await read_message(reader, self._decoder))
        except (EOFError, TimeoutError, ConnectionError):
            pass  # a worker that ended; the supervisor knows
        except LinkError as error:
            log.warning("link closed: %s", error)
        finally:
            self._forget(peer)
            writer.close()

    async def _greeted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Peer:
        hello = await asyncio.wait_for(read_message(reader, self._decoder), HELLO_S)
        if not isinstance(hello, Hello):
            raise LinkError("the first message is not a Hello")
        peer = Peer(hello, writer, hello.hash, hello.generation)
        self._peers.append(peer)
        if self.in_force is not None and self.in_force.generation != hello.generation:
            writer.write(frame(self.in_force))
        return peer

    def _note(self, peer: Peer, message: FromWorker) -> None:
        if isinstance(message, Applied):
            peer.hash, peer.generation = message.hash, message.generation
            self._settle(peer, message.generation, "")
        elif isinstance(message, Declined):
            log.warning("worker declined a plan", extra={"slot": peer.hello.slot})
            self._settle(peer, message.generation, message.sentence)
        elif isinstance(message, Draining):
            peer.is_draining = True
        else:
            raise LinkError("a second Hello")

    def _forget(self, peer: Peer | None) -> None:
        if peer is not None:
            self._peers.remove(peer)
            if peer.question is not None:
                peer.question.settle("")  # Why: a worker that died declines nothing

    @staticmethod
    def _settle(peer: Peer, generation: int, sentence: str) -> None:
        if peer.question is not None and peer.question.generation == generation:
            peer.question.settle(sentence)


Take = Callable[[Offer], Awaitable[None]]


class LinkClient:
    """A worker's end: dials, and takes what is offered."""

    def __init__(self, path: Path, hello: Callable[[], Hello], take: Take) -> None:
        self.path, self._hello, self._take = path, hello, take
        self._decoder = msgspec.msgpack.Decoder(FromController)
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Stay connected; ends only by being cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            with contextlib.suppress(OSError, EOFError):
                reader, writer = await asyncio.open_unix_connection(self.path)
                pause_s = FIRST_PAUSE_S
                await self._serve(reader, writer)
            # Why jitter: workers that lost the same controller come back one by one.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def say(self, message: FromWorker) -> None:
        """Say it if the controller is there; it learns what matters from the next Hello."""
        if self._writer is not None:
            self._writer.write(frame(message))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            self.say(self._hello())
            while True:
                self.say(await self._answer_to(await read_message(reader, self._decoder)))
        except LinkError as error:
            log.warning("link closed: %s", error)
        finally:
            self._writer = None
            writer.close()

    async def _answer_to(self, offer: Offer) -> FromWorker:
        try:
            await self._take(offer)
        except (GatewayError, OSError) as error:
            return Declined(offer.hash, offer.generation, str(error))
        except Exception as error:  # Why: a worker serves on, whatever is wrong with an offer
            log.exception("offer could not be taken")
            return Declined(offer.hash, offer.generation, f"a defect: {error!r}")
        return Applied(offer.hash, offer.generation)
