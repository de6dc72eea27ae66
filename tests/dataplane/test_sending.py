"""What a backend gets of a body, whatever its socket takes at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from tests.dataplane.test_worker import Place, plan_of, serving

PATIENCE_S = 5.0
COPIED_BYTES = 16384  # bodies up to this are copied behind their head
SMALL_BUFFER = 65536
BEYOND_BUFFERS = 6_000_000  # more than a socket takes at once: the transport has the rest
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Backend:
    """Keeps the bodies it is sent; reads each only `late_s` after it could."""

    def __init__(self, late_s: float) -> None:
        self.late_s = late_s
        self.bodies: list[bytes] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(self.late_s)
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                writer.write(ANSWER)
        writer.close()


@contextlib.asynccontextmanager
async def gateway(backend: Backend) -> AsyncIterator[Place]:
    # Why set before it listens: a connection has the buffer of its listener.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    plan = plan_of(
        {
            "backends": {"one": {"protocol": "openai", "url": url, "model": "another"}},
            "routes": {"chat": {"backends": ["one"], "retry": {"attempts": 1}}},
        }
    )
    async with await asyncio.start_server(backend.answer, sock=listener), serving(plan) as place:
        yield place


async def ask(place: Place, *bodies: bytes) -> None:
    reader, writer = await asyncio.open_connection(*place.listener.getsockname())
    for body in bodies:
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        async with asyncio.timeout(PATIENCE_S):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
    writer.close()


def chat(length: int) -> bytes:
    """A prompt of so many bytes, of which no two stretches are alike."""
    text = b" ".join(b"%d" % number for number in range(length // 4 + 100))
    whole = b'{"messages":[{"role":"user","content":"%b"}],"model":"chat","temperature":0.5}'
    return whole % text[: length - len(whole) + 2]


LENGTHS = [300, COPIED_BYTES - 100, COPIED_BYTES + 100, BEYOND_BUFFERS]


@pytest.mark.parametrize("late_s", [0.0, 0.05], ids=["at once", "late"])
@pytest.mark.parametrize("length", LENGTHS)
def test_body_reaches_the_backend_byte_for_byte_but_for_the_model(
    run: Callable[[Any], Any], length: int, late_s: float
) -> None:
    backend, body, next_one = Backend(late_s), chat(length), chat(300)
    assert len(body) == length

    async def go() -> None:
        async with gateway(backend) as place:
            await ask(place, body, next_one)
            assert place.plane.worker.errors == 0

    run(go())
    expected = [each.replace(b'"model":"chat"', b'"model":"another"') for each in (body, next_one)]
    # Why `is`: a difference of megabytes would be drawn, for minutes.
    assert (backend.bodies == expected) is True


def test_body_with_several_edits_goes_in_as_many_parts(run: Callable[[Any], Any]) -> None:
    backend = Backend(0.0)
    body = chat(100_000)[:-1] + b',"stream":true}'

    async def go() -> None:
        async with gateway(backend) as place:
            await ask(place, body)

    run(go())
    sent = orjson.loads(backend.bodies[0])
    assert sent.pop("stream_options") == {"include_usage": True}
    assert sent == orjson.loads(body) | {"model": "another"}
