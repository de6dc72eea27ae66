"""One worker process, from its command line to its end.

It starts from the offer in the file, serves, and stays connected to the controller for
as long as it lives; without a controller it serves on. SIGTERM drains it.

Rule: what a new offer needs is read and compiled in a thread; the loop only swaps.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence

import uvloop

from gateway._fast import Board
from gateway.certificates import Renewal, server_context
from gateway.config.schema import ListenTls
from gateway.dataplane.stand_in import Sibling
from gateway.dataplane.worker import DataPlane
from gateway.errors import GatewayError
from gateway.link import LinkClient
from gateway.messages import Draining, Hello, Offer
from gateway.offers import kept_offer, plan_of
from gateway.run.background import background
from gateway.run.child import (
    RETIRE,
    WorkerPost,
    allow_open_files,
    keep_memory,
    post_of,
    say_ready,
    seats_of,
    settle_in,
)
from gateway.supervisor import MISCONFIGURED
from gateway.telemetry import set_up_logging
from gateway.threads import in_thread

RENEWAL_LOOK_S = 5.0
# Why shorter than the default 5 ms: while a thread compiles, the loop waits so long for its turn.
SWITCH_S = 0.0005

log = logging.getLogger(__name__)


def worker_main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until told to end; the exit code."""
    post: WorkerPost = post_of(WorkerPost, arguments)
    settle_in(post.supervisor)
    set_up_logging(post.log_format, post.log_level)
    sys.setswitchinterval(SWITCH_S)
    keep_memory(environ)
    try:
        uvloop.run(WorkerProcess(post, environ).run())
    except GatewayError as error:
        log.error("worker cannot start: %s", error)
        return MISCONFIGURED
    return 0


class WorkerProcess:
    """The parts of one worker and what happens between them."""

    def __init__(self, post: WorkerPost, environ: Mapping[str, str]) -> None:
        self._post, self._environ = post, environ
        allow_open_files()
        self._board = Board.attach(post.board)
        self._offer = kept_offer(post.plan)
        self._plane: DataPlane | None = None
        self._has_successor = False

    async def run(self) -> None:
        """The whole life of the worker."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        document, plan = plan_of(self._offer, self._environ)
        tls = document.config.listen.tls
        context = server_context(tls) if tls else None
        self._plane = DataPlane(
            plan,
            board=self._board,
            slot=self._post.seat,
            tls=context,
            number=self._post.slot,
            siblings=siblings_of(self._post),
            backlog=document.config.listen.backlog,
        )
        self._board.adopt_plan(self._post.seat, self._offer.generation)
        await self._plane.serve([socket.socket(fileno=each) for each in self._post.listen])
        link = LinkClient(self._post.control, self._hello, self._take)
        async with background(link.run(), renew(tls, context), self._plane.stand_in.watch()):
            loop.add_signal_handler(RETIRE, self._retire, ended)
            say_ready(self._post.ready)
            await ended.wait()
            link.say(Draining())
            await self._plane.drain(has_successor=self._has_successor)

    def _retire(self, ended: asyncio.Event) -> None:
        """A successor accepts on the same listeners by now."""
        self._has_successor = True
        ended.set()

    def _hello(self) -> Hello:
        return Hello(
            slot=self._post.slot,
            seat=self._post.seat,
            pid=os.getpid(),
            hash=self._offer.hash,
            generation=self._offer.generation,
        )

    async def _take(self, offer: Offer) -> None:
        """Serve on what is offered from the next request on; what is wrong with it is raised."""
        _document, plan = await in_thread(
            functools.partial(plan_of, offer, self._environ), name="compiler"
        )
        if self._plane is not None:
            self._plane.apply(plan)
        self._offer = offer
        self._board.adopt_plan(self._post.seat, offer.generation)


def siblings_of(post: WorkerPost) -> list[Sibling]:
    """The other workers' places."""
    workers = len(post.data)
    return [
        Sibling(slot, listener, seats_of(slot, workers))
        for slot, listener in enumerate(post.data)
        if slot != post.slot
    ]


async def renew(tls: ListenTls | None, context: ssl.SSLContext | None) -> None:
    """Look for a renewed certificate now and then."""
    if tls is None or context is None:
        return
    renewal = Renewal(context, tls)
    while True:
        await asyncio.sleep(RENEWAL_LOOK_S)
        renewal.look()
