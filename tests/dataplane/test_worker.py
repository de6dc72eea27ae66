"""One worker's life: it accepts, changes its plan, beats, drains."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway._fast import Board, monotonic_ns
from gateway.compiler import CELL_CAPACITY, ROW_CAPACITY, compile_plan
from gateway.dataplane.stand_in import Sibling, is_accepting
from gateway.dataplane.worker import DataPlane
from gateway.plan import Plan
from tests.config.texts import document

SEAT, OTHER_SEAT = 0, 1
ADVANCE_S = 2.0


def plan_of(changes: dict[str, Any] | None = None, /, **top: Any) -> Plan:
    quick = {"drain": {"lame_duck": "0s", "hard_stop": "1s"}, "log": {"enabled": False}}
    return compile_plan(document(changes, **{**quick, **top}))


class Place:
    """A plane, its board, and the address clients know."""

    def __init__(self, plane: DataPlane, board: Board, listener: socket.socket) -> None:
        self.plane, self.board, self.listener = plane, board, listener

    async def ask(self, path: str = "/healthz") -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(*self.listener.getsockname())
        try:
            return await exchange(reader, writer, path)
        finally:
            writer.close()

    def is_accepting(self) -> bool:
        return is_accepting(self.board, SEAT, monotonic_ns())


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> tuple[int, bytes]:
    writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    async with asyncio.timeout(ADVANCE_S):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), await reader.readexactly(length)


@contextlib.asynccontextmanager
async def serving(plan: Plan | None = None, **more: Any) -> AsyncIterator[Place]:
    board = Board.create(2, ROW_CAPACITY, CELL_CAPACITY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plane = DataPlane(plan or plan_of(), board=board, slot=SEAT, tls=None, **more)
        await plane.serve([listener.dup()])
        try:
            yield Place(plane, board, listener)
        finally:
            await plane.close()


async def test_seat_is_taken_and_says_that_it_accepts() -> None:
    async with serving() as place:
        seat = place.board.read_seat(SEAT)
        assert seat["pid"] == os.getpid()
        assert place.is_accepting()
        first_ns = seat["heartbeat_ns"]
        async with asyncio.timeout(ADVANCE_S):
            while place.board.read_seat(SEAT)["heartbeat_ns"] == first_ns:
                await asyncio.sleep(0.02)


async def test_next_request_is_served_by_the_new_plan_on_the_same_connection() -> None:
    async with serving() as place:
        reader, writer = await asyncio.open_connection(*place.listener.getsockname())
        _status, body = await exchange(reader, writer, "/v1/models")
        assert [model["id"] for model in orjson.loads(body)["data"]] == ["chat"]
        place.plane.apply(plan_of({"routes.other": {"backends": ["one"]}}))
        _status, body = await exchange(reader, writer, "/v1/models")
        assert {model["id"] for model in orjson.loads(body)["data"]} == {"chat", "other"}
        writer.close()


async def test_plan_that_cannot_be_built_leaves_the_one_in_force() -> None:
    async with serving() as place:
        before = place.plane.table
        good = plan_of()
        beyond = replace(good.routes[0], row=ROW_CAPACITY)
        with pytest.raises(IndexError):
            place.plane.apply(replace(good, routes=(beyond, *good.routes[1:])))
        assert place.plane.table is before
        assert (await place.ask())[0] == 200


async def test_backlog_is_as_configured() -> None:
    async with serving(backlog=77) as place:
        # tcp_info of a listening socket: tcpi_sacked holds its backlog
        info = place.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        assert struct.unpack_from("=I", info, 28)[0] == 77


async def test_drain_with_nothing_under_way_is_over_at_once() -> None:
    async with serving(plan_of(drain={"lame_duck": "0s", "hard_stop": "60s"})) as place:
        async with asyncio.timeout(5):
            await place.plane.drain()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(0.2):
                await place.ask()


async def test_lame_duck_serves_on_but_is_not_ready() -> None:
    plan = plan_of(drain={"lame_duck": "300ms", "hard_stop": "1s"})
    async with serving(plan) as place:
        draining = asyncio.create_task(place.plane.drain())
        await asyncio.sleep(0.05)
        assert (await place.ask("/readyz"))[0] == 503
        assert (await place.ask("/healthz"))[0] == 200
        assert place.is_accepting()
        await draining
        assert not place.is_accepting()


async def test_worker_with_a_successor_leaves_the_listener_to_it_at_once() -> None:
    plan = plan_of(drain={"lame_duck": "300ms", "hard_stop": "1s"})
    async with serving(plan) as place:
        draining = asyncio.create_task(place.plane.drain(has_successor=True))
        await asyncio.sleep(0.05)
        assert not place.is_accepting()
        await draining


async def test_request_under_way_is_given_until_the_hard_stop() -> None:
    plan = plan_of(drain={"lame_duck": "0s", "hard_stop": "200ms"})
    async with serving(plan) as place:
        reader, writer = await asyncio.open_connection(*place.listener.getsockname())
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{")
        await asyncio.sleep(0.05)
        begun_ns = monotonic_ns()
        async with asyncio.timeout(ADVANCE_S):
            await place.plane.drain()
        assert monotonic_ns() - begun_ns > 150_000_000
        assert place.plane.worker.connections == 0
        await reader.read()
        writer.close()


async def test_clients_of_a_lost_sibling_are_served_until_this_worker_drains() -> None:
    with socket.create_server(("127.0.0.1", 0)) as others:
        sibling = Sibling(1, others.fileno(), (OTHER_SEAT,))
        async with serving(siblings=[sibling]) as place:
            watch = asyncio.create_task(place.plane.stand_in.watch())
            async with asyncio.timeout(ADVANCE_S):
                while not place.plane.stand_in.slots:
                    await asyncio.sleep(0.01)
            other = Place(place.plane, place.board, others)
            assert (await other.ask())[0] == 200
            await place.plane.drain()
            assert place.plane.stand_in.slots == set()
            await watch
