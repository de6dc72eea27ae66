"""What a destination of the prediction log must be able to do, and what it is given.

A sink gets batches: lines of one stream, in their order. `deliver` returns when every line
of the batch is durable at the other end, and raises SinkError where that is not so; the
shipper then offers the *same* Batch object again, with back-off, forever.

Rule 1: one call of `deliver` at a time; the streams take turns.
Rule 2: a line comes at least once, and for one stream never before an earlier one.
Rule 3: what deliver raises beside SinkError is a defect: it is logged with its traceback, and
        the batch is offered again all the same.
Rule 4: the first and the last line of a batch are lines of the log; one between them may be
        anything where the disk was damaged: a sink that looks inside must put up with it.
Rule 5: `deliver` must end by its own deadlines; nobody cancels it but the end of the process.

Knows nothing of files, checkpoints and retries.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gateway.errors import GatewayError

LINE_BATCH_BYTES = 512 * 1024
LINGER_S = 0.02


class SinkError(GatewayError):
    """A batch could not be delivered now; the sentence is for people and holds no secret."""

    reason = "sink"


class Batch(Struct, frozen=True, kw_only=True, dict=True):
    """Lines of one stream in their order: a piece of a segment, or one whole sealed segment."""

    stream: str
    segment: str  # name of its file when sealed: `<stream>-<number>.ndjson`
    records: int  # lines
    first_seq: int
    last_seq: int
    data: bytes = b""  # the lines, each with its newline; b"" for a sink that is `sealed_only`
    path: Path | None = None  # the sealed segment, for a sink that is `sealed_only`

    @cached_property
    def lines(self) -> list[bytes]:
        """The lines without their newlines."""
        return self.data[:-1].split(b"\n") if self.data else []


class Sink(Protocol):
    """One destination."""

    @property
    def name(self) -> str:
        """Of the sink in metrics and of its checkpoints: `kafka`, `store`, `objects`, `stdout`."""

    @property
    def sealed_only(self) -> bool:
        """Wants whole sealed segments (`Batch.path`), not lines as they come (`Batch.data`)."""

    @property
    def batch_bytes(self) -> int:
        """Most bytes of lines in one batch; a longer line comes alone."""

    @property
    def linger_s(self) -> float:
        """How long the shipper waits for more when it had less than a full batch."""

    @property
    def dead_letters(self) -> int:
        """Lines put aside since the start since the other end would never take them."""

    async def deliver(self, batch: Batch) -> None:
        """Return when the batch is durable; SinkError where it is not (yet)."""

    async def close(self, deadline_s: float) -> None:
        """Let go of everything within so many seconds; never raises."""
