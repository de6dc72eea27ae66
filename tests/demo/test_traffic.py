"""The clients count what they got; an answer that is not whole is a failure."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from gateway.demo.client import Client
from gateway.demo.traffic import KINDS, Tally, World, ask, payment

STORY = next(kind for kind in KINDS if kind.route == "story")
BODY = STORY.body(random.Random(1), World())
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Client]:
    """A client of a place that answers everything so, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with Client(*server.sockets[0].getsockname()) as client:
        yield client
    server.close()


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


@pytest.mark.parametrize(
    "answer,is_good",
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", True),
        (b"HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\n{}", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", False),
        (b"", False),
        (STREAM + chunk(b"data: [DONE]\n\n") + chunk(b""), True),
        (STREAM + chunk(b"data: {}\n\n") + chunk(b""), False),
        (STREAM + chunk(b"data: [DONE]\n\n"), False),
    ],
)
async def test_only_a_whole_good_answer_counts_as_answered(answer: bytes, is_good: bool) -> None:
    tally = Tally()
    async with answering(answer) as client:
        await ask(STORY, BODY, client, tally)
    assert (tally.answered, tally.failed) == ((1, 0) if is_good else (0, 1))


async def test_answer_of_a_later_attempt_counts_as_saved() -> None:
    tally = Tally()
    head = b"HTTP/1.1 200 OK\r\nx-gateway-attempts: 2\r\ncontent-length: 0\r\n\r\n"
    async with answering(head) as client:
        await ask(STORY, BODY, client, tally)
    assert (tally.answered, tally.rescued) == (1, 1)


async def test_nobody_listening_is_a_failure_that_names_the_route(
    unused_tcp_port_factory: Callable[[], int],
) -> None:
    tally = Tally()
    async with Client("127.0.0.1", unused_tcp_port_factory()) as client:
        await ask(STORY, BODY, client, tally)
    assert list(tally.failures) == ["story: ConnectionRefusedError"]


def test_amounts_are_in_cents_once_somebody_changed_them() -> None:
    world = World()
    euros = payment(random.Random(3), world)
    world.is_in_cents = True
    cents = payment(random.Random(3), world)
    before, after = (msgspec.json.decode(each)["inputs"] for each in (euros, cents))
    assert after[0]["data"] == [round(before[0]["data"][0] * 100)]
    assert after[1:] == before[1:]
