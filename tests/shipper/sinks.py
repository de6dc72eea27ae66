"""Sinks that remember, fail and wait, as a test wants."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gateway.log.lines import place_of
from gateway.shipper.sink import Batch, SinkError


class MemorySink:
    """Keeps everything that it acknowledged."""

    batch_bytes = 64 * 1024
    linger_s = 0.005
    dead_letters = 0

    def __init__(self, name: str = "memory", *, sealed_only: bool = False) -> None:
        self.name, self.sealed_only = name, sealed_only
        self.batches: list[Batch] = []
        self.tried: list[Batch] = []
        self.lines: dict[str, list[int]] = {}
        self.failing: str | None = None  # why it fails
        self.is_closed = False

    async def deliver(self, batch: Batch) -> None:
        self.tried.append(batch)
        await asyncio.sleep(0)
        if self.failing is not None:
            raise SinkError(self.failing)
        lines = batch.path.read_bytes().splitlines() if batch.path else batch.lines
        self.batches.append(batch)
        self.lines.setdefault(batch.stream, []).extend(place_of(line).seq for line in lines)

    async def close(self, deadline_s: float) -> None:
        self.is_closed = True

    @property
    def count(self) -> int:
        return sum(map(len, self.lines.values()))


class FileSink:
    """Appends each line's stream and number to a file, synced enough to survive `kill -9`."""

    batch_bytes = 64 * 1024
    linger_s = 0.005
    dead_letters = 0

    def __init__(self, name: str, path: Path, *, sealed_only: bool = False) -> None:
        self.name, self.sealed_only = name, sealed_only
        self._file = path.open("ab", buffering=0)

    async def deliver(self, batch: Batch) -> None:
        lines = batch.path.read_bytes().splitlines() if batch.path else batch.lines
        places = [place_of(line) for line in lines]
        self._file.write(b"".join(b"%s %d\n" % (p.stream.encode(), p.seq) for p in places))
        await asyncio.sleep(0.001)

    async def close(self, deadline_s: float) -> None:
        self._file.close()


def delivered_to(path: Path) -> dict[str, list[int]]:
    """What a FileSink has, by stream, in its order; a torn last line is left out."""
    found: dict[str, list[int]] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            stream, seq = line.split()
            found.setdefault(stream.decode(), []).append(int(seq))
    return found


encode = msgspec.json.encode
