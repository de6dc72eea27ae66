"""Blocking calls off the event loop, each in a thread that ends with it.

Why no pool: while a process has more than one thread, every system call on a socket
takes a reference to its file first; measured on a proxied request, one idle thread costs
5 % of its CPU time. A worker therefore has none but for the moments it needs one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, name: str) -> T:
    """The result of `call`, or what it raised; cancelling leaves the thread to end by itself."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  handed over, not swallowed
            _say(loop, answer, error=error)
        else:
            _say(loop, answer, result=result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer


def _say(
    loop: asyncio.AbstractEventLoop,
    answer: asyncio.Future[T],
    *,
    result: T | None = None,
    error: BaseException | None = None,
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    # Why: the loop may have ended before a slow call did.
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
