"""Writers and shippers as processes that can be killed: forked, so that a start takes a moment."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import struct
import traceback
from collections.abc import Callable
from pathlib import Path

from gateway.shipper.shipper import Pace, Shipper, sole
from gateway.shipper.upkeep import Rules
from tests.shipper.segments import SegmentWriter
from tests.shipper.sinks import FileSink

RULES = Rules(max_bytes=1 << 30, drops_oldest=True, sync_s=0.02)
HURRY = Pace(turn_s=0.01, report_s=0.05)


class Child:
    """A forked process that runs a function."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                work()
                code = 0
            except BaseException:  # noqa: BLE001 - told; a child never returns to pytest
                traceback.print_exc()
            finally:
                os._exit(code)
        self.code: int | None = None

    def kill(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Its exit code; negative the signal that ended it."""
        if self.code is None:
            os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


class KillableWriter:
    """Appends as fast as it can, and tells through shared memory how far it is."""

    def __init__(self, directory: Path, prefix: str, segment_bytes: int = 64 * 1024) -> None:
        self._shared = mmap.mmap(-1, 64)
        self.child = Child(lambda: self._write(directory, prefix, segment_bytes))

    def _write(self, directory: Path, prefix: str, segment_bytes: int) -> None:
        writer = SegmentWriter(directory, prefix, segment_bytes)
        self._shared[16 : 16 + len(writer.stream)] = writer.stream.encode()
        while True:
            self._shared[:8] = struct.pack("<Q", writer.append())

    @property
    def stream(self) -> str:
        return bytes(self._shared[16:]).rstrip(b"\0").decode()

    @property
    def appended(self) -> int:
        """At least so many; at most one more."""
        return int(struct.unpack("<Q", self._shared[:8])[0])


def ship(directory: Path, out: Path, *, flush_s: float = 60.0) -> None:
    """Ship to `out/lines` and `out/segments` until SIGTERM."""

    async def run() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        with sole(directory):
            shipper = Shipper(directory, RULES, figures=out / "figures.json", pace=HURRY)
            lines = FileSink("lines", out / "lines")
            segments = FileSink("segments", out / "segments", sealed_only=True)
            await shipper.use({"lines": lines, "segments": segments})
            (out / "ready").touch()
            await shipper.run(ended, flush_s)
            await shipper.close()

    asyncio.run(run())
