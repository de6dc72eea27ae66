"""Accepts for a sibling whose worker is not there, until it is back.

Each worker has a listening socket of its own (SO_REUSEPORT), and the kernel goes on giving
it connections while its worker restarts, backs off after a crash, or hangs. All workers
hold all of these sockets; whoever sees on the board that nobody at a sibling's seats has
said lately that it accepts, accepts there too.

Cost: two reads of shared memory per sibling, ten times a second.
Rule 1: several workers may accept on one socket at a time; the kernel gives each
        connection to one of them, so neither beginning nor ending needs agreement.
Rule 2: who does not accept for itself any more does not for others.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable

from msgspec import Struct

from gateway._fast import Board, monotonic_ns

LOOK_S = 0.1
SILENCE_NS = 1_000_000_000  # five heartbeats

log = logging.getLogger(__name__)

Accept = Callable[[socket.socket], Awaitable[asyncio.Server]]


class Sibling(Struct, frozen=True):
    """Another worker's place."""

    slot: int
    listener: int  # descriptor
    seats: tuple[int, ...]  # of the board: its worker's, and that of a successor


class StandIn:
    """One worker's; `watch` is its life, `close` its end."""

    def __init__(self, board: Board, siblings: Iterable[Sibling], accept: Accept) -> None:
        self._board, self._accept = board, accept
        self._siblings = tuple(siblings)
        self._servers: dict[int, asyncio.Server] = {}
        self._is_over = False

    @property
    def slots(self) -> set[int]:
        """Whom it stands in for."""
        return set(self._servers)

    async def watch(self) -> None:
        """Look at the siblings now and then; ends once closed."""
        while not self._is_over and self._siblings:
            for sibling in self._siblings:
                await self._follow(sibling, monotonic_ns())
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """Stand in for nobody any more."""
        self._is_over = True
        for slot in self.slots:
            self._withdraw(slot)

    async def _follow(self, sibling: Sibling, now_ns: int) -> None:
        is_served = any(is_accepting(self._board, seat, now_ns) for seat in sibling.seats)
        if is_served and sibling.slot in self._servers:
            self._withdraw(sibling.slot)
        elif not is_served and sibling.slot not in self._servers:
            log.debug("standing in", extra={"slot": sibling.slot})
            # Why a copy: ending closes the descriptor, and there may be a next time.
            listener = socket.socket(fileno=os.dup(sibling.listener))
            try:
                self._servers[sibling.slot] = await self._accept(listener)
            except OSError:
                listener.close()  # out of descriptors, perhaps; there will be another look
            else:
                if self._is_over:
                    self._withdraw(sibling.slot)

    def _withdraw(self, slot: int) -> None:
        self._servers.pop(slot).close()
        log.debug("standing in no more", extra={"slot": slot})


def is_accepting(board: Board, seat: int, now_ns: int) -> bool:
    """Whether the process on this seat said so lately."""
    found = board.read_seat(seat)
    return bool(found["pid"]) and now_ns - found["heartbeat_ns"] < SILENCE_NS
