"""The compiled data plane: bytes in, bytes out, decisions by pure kernels.

This is the only door; nothing outside imports a module behind it. What the layer
promises: it imports nothing of the gateway, performs no I/O but on the asyncio transports
it is given and their sockets, reads no clock but CLOCK_MONOTONIC and the wall clock for
dates and ids, and keeps every buffer bounded.
"""

try:
    from gateway._fast.backend import Backend
    from gateway._fast.bins import count_numbers
    from gateway._fast.board import Board
    from gateway._fast.checksum import crc32c
    from gateway._fast.columns import Columns
    from gateway._fast.downstream import Downstream
    from gateway._fast.hashing import hash_of
    from gateway._fast.heap import keep_freed
    from gateway._fast.kafka import Pack, Packer
    from gateway._fast.layers import Layer
    from gateway._fast.marks import Marks
    from gateway._fast.mirror import Mirror
    from gateway._fast.operation import Operation
    from gateway._fast.record import Recorder
    from gateway._fast.routes import Candidates
    from gateway._fast.rows import Rows
    from gateway._fast.segment import Segment, Stream
    from gateway._fast.shadow import Shadow
    from gateway._fast.shifts import Pooling, Shares, Shifts, adjusted_into
    from gateway._fast.table import Route, Table
    from gateway._fast.tally import count_lines, tally_lines
    from gateway._fast.timers import monotonic_ns
    from gateway._fast.unpack import entries_of, lines_into
    from gateway._fast.upstream import Upstream
    from gateway._fast.worker import Worker
except ImportError as error:  # pragma: no cover
    raise ImportError(
        f"the compiled part is missing or stale, build it with `make build` ({error})"
    ) from error

__all__ = [
    "Backend",
    "Board",
    "Candidates",
    "Columns",
    "Downstream",
    "Layer",
    "Marks",
    "Mirror",
    "Operation",
    "Pack",
    "Packer",
    "Pooling",
    "Recorder",
    "Route",
    "Rows",
    "Segment",
    "Shadow",
    "Shares",
    "Shifts",
    "Stream",
    "Table",
    "Upstream",
    "Worker",
    "adjusted_into",
    "count_lines",
    "count_numbers",
    "crc32c",
    "entries_of",
    "hash_of",
    "keep_freed",
    "lines_into",
    "monotonic_ns",
    "tally_lines",
]
