"""An event loop in a thread of its own, so that synchronous tests can own asynchronous servers.

Rule 1: everything started with `run` lives on that loop; nothing else touches it.
Rule 2: `stop` waits for the thread, and says so when tasks were left behind.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

import uvloop

T = TypeVar("T")
END_S = 25.0  # for the last answers


class LoopThread:
    def __init__(self, name: str = "loop") -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> Self:
        self.thread.start()
        return self

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float = 20.0) -> T:
        """What the coroutine returned; it ran on this thread's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)

    def settle(self, turns: int = 3) -> None:
        """Return once the loop has polled its sockets `turns` times from now."""
        self.run(_turns(turns))

    def stop(self) -> None:
        self.run(_cancel_the_rest())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        assert not self.thread.is_alive(), "the loop's thread did not end"
        self.loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class Ongoing:
    """Work on a loop of its own that goes on while the test does something else."""

    def __init__(
        self, name: str, work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]
    ) -> None:
        self._loop = LoopThread(name)
        self._work = work  # given what is set when it should end
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._loop.start()
        self._running = asyncio.run_coroutine_threadsafe(self._work(self._stop), self._loop.loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.loop.call_soon_threadsafe(self._stop.set)
        self._running.result(END_S)
        self._loop.stop()


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _cancel_the_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
