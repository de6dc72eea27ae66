"""Accepting for a sibling that is not there."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway._fast import Board, monotonic_ns
from gateway.dataplane.stand_in import SILENCE_NS, Sibling, StandIn, is_accepting

SEATS = (1, 3)


@pytest.fixture
def board() -> Board:
    return Board.create(4, 1, 1)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


class Door:
    """Accepts as the data plane does; `fails` are so many times that it cannot."""

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.opened = 0

    async def accept(self, listener: socket.socket) -> asyncio.Server:
        if self.fails:
            self.fails -= 1
            raise OSError("no descriptor left")
        self.opened += 1
        listener.setblocking(False)
        return await asyncio.start_server(self._answer, sock=listener)

    async def _answer(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()


@contextlib.asynccontextmanager
async def standing_in(board: Board, listener: socket.socket, door: Door) -> AsyncIterator[StandIn]:
    made = StandIn(board, [Sibling(1, listener.fileno(), SEATS)], door.accept)
    watch = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        made.close()
        await watch


async def until_it_stands_in_for(made: StandIn, slots: set[int]) -> None:
    async with asyncio.timeout(2):
        while made.slots != slots:
            await asyncio.sleep(0.01)


def beat(board: Board, seat: int, *, age_ns: int = 0) -> None:
    board.take_seat(seat, os.getpid())
    board.beat(seat, monotonic_ns() - age_ns)


def test_seat_accepts_while_it_says_so() -> None:
    board = Board.create(1, 1, 1)
    now_ns = 10 * SILENCE_NS
    assert not is_accepting(board, 0, now_ns)
    board.take_seat(0, 4711)
    assert not is_accepting(board, 0, now_ns), "it has not begun"
    board.beat(0, now_ns)
    assert is_accepting(board, 0, now_ns + SILENCE_NS - 1)
    assert not is_accepting(board, 0, now_ns + SILENCE_NS)
    board.take_seat(0, 0)
    assert not is_accepting(board, 0, now_ns)


async def test_clients_of_a_sibling_that_is_gone_are_served(
    board: Board, listener: socket.socket
) -> None:
    async with standing_in(board, listener, Door()) as made:
        await until_it_stands_in_for(made, {1})
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        assert await reader.read() == b"here"
        writer.close()


@pytest.mark.parametrize("seat", SEATS)
async def test_sibling_that_is_back_serves_alone(
    board: Board, listener: socket.socket, seat: int
) -> None:
    door = Door()
    async with standing_in(board, listener, door) as made:
        await until_it_stands_in_for(made, {1})
        beat(board, seat)
        await until_it_stands_in_for(made, set())
        beat(board, seat, age_ns=SILENCE_NS)
        await until_it_stands_in_for(made, {1})
    assert door.opened == 2
    assert listener.fileno() > 0, "the listener is everybody's"


async def test_silent_sibling_is_stood_in_for_even_if_its_process_lives(
    board: Board, listener: socket.socket
) -> None:
    beat(board, SEATS[0], age_ns=SILENCE_NS)
    async with standing_in(board, listener, Door()) as made:
        await until_it_stands_in_for(made, {1})


async def test_failure_to_accept_is_tried_again(board: Board, listener: socket.socket) -> None:
    async with standing_in(board, listener, Door(fails=2)) as made:
        await until_it_stands_in_for(made, {1})


async def test_who_has_closed_stands_in_for_nobody(board: Board, listener: socket.socket) -> None:
    async with standing_in(board, listener, Door()) as made:
        await until_it_stands_in_for(made, {1})
        made.close()
        assert made.slots == set()
        await asyncio.sleep(0.15)
        assert made.slots == set()


async def test_worker_without_siblings_watches_nothing(board: Board) -> None:
    async with asyncio.timeout(1):
        await StandIn(board, [], Door().accept).watch()
