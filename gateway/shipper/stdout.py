"""The sink that prints: each record as a line of the process's standard output.

Rule: a line that was begun is finished before anything else is printed, also where the
      other end took only a part and then failed for a while.
"""

from __future__ import annotations

import functools
import os

from gateway.shipper.sink import LINGER_S, Batch, SinkError
from gateway.threads import in_thread

BATCH_BYTES = 64 * 1024


class StdoutSink:
    """Prints to a descriptor; a reader that is slow delays this sink and nothing else."""

    name = "stdout"
    sealed_only = False
    batch_bytes = BATCH_BYTES
    linger_s = LINGER_S
    dead_letters = 0

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._rest: tuple[Batch, memoryview] | None = None  # begun, and not finished

    async def deliver(self, batch: Batch) -> None:
        try:
            await in_thread(functools.partial(self._print, batch), name="stdout")
        except OSError as error:
            raise SinkError(f"cannot write to standard output: {error.strerror}") from None

    async def close(self, deadline_s: float) -> None:
        pass

    def _print(self, batch: Batch) -> None:
        begun, rest = self._rest or (None, memoryview(b""))
        rest = rest if begun is batch else memoryview(batch.data)
        while rest:
            self._rest = batch, rest
            rest = rest[os.write(self._descriptor, rest) :]
        self._rest = None
