"""Connections on real sockets, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.dataplane.test_worker import Place, exchange, plan_of, serving

PATIENCE_S = 5.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close is a reset


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def connected(place: Place) -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = await asyncio.open_connection(*place.listener.getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()


def test_connection_that_ends_after_several_messages_is_gone(
    run: Callable[[Any], Any],
) -> None:
    async def go(linger: bytes | None) -> None:
        async with serving() as place, connected(place) as (reader, writer):
            for _ in range(2):
                await exchange(reader, writer, "/healthz")
            if linger:
                made = writer.get_extra_info("socket")
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
            await until(lambda: place.plane.worker.connections == 0)
            assert place.plane.worker.errors == 0

    run(go(None))
    run(go(RESET))


async def sends(pieces: list[bytes], linger: bytes | None) -> asyncio.Server:
    """A backend that answers with these bytes, apart from each other, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        if linger:
            made = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


@pytest.mark.parametrize("linger, status", [(None, 200), (RESET, 502)], ids=["closed", "reset"])
def test_reset_is_no_proper_end_of_an_answer_without_length(
    run: Callable[[Any], Any], linger: bytes | None, status: int
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"

    async def go() -> int:
        async with await sends([head, b'{"answer": ', b'"whole"}'], linger) as server:
            port = server.sockets[0].getsockname()[1]
            plan = plan_of(
                {
                    "backends": {"one": {"protocol": "http", "url": f"http://127.0.0.1:{port}"}},
                    "routes": {"score": {"backends": ["one"], "retry": {"attempts": 1}}},
                    "routes.score.match": [{"path": "/score"}],
                }
            )
            async with serving(plan) as place, connected(place) as (reader, writer):
                writer.write(
                    b"POST /score HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n"
                    b"content-type: application/json\r\n\r\n{}"
                )
                async with asyncio.timeout(PATIENCE_S):
                    line = await reader.readline()
                return int(line.split()[1])

    assert run(go()) == status
