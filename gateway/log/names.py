"""How the files of the log are called: `<stream>-<number>.ndjson`, with `.open` while written.

A stream is one process from start to end: `w<slot>-…` a worker, `c-…` the controller, then
16 hexadecimal digits: the milliseconds of its start, and four of chance. Streams of one
slot therefore sort by age. Segments of a stream count from 1; numbers may be missing, as
empty segments are deleted.
"""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path
from typing import Literal, Self

from msgspec import Struct

State = Literal["new", "open", "sealed"]

DIRECTORY = "log"  # under the state directory
DAMAGED = ".damaged"  # ending of what was put aside

_NAME = re.compile(r"([a-z][0-9]*-[0-9a-f]{16})-([0-9]{8,12})\.ndjson(?:\.(new|open))?")
_STREAM = re.compile(r"[a-z][0-9]*-[0-9a-f]{16}")
_STATES: dict[str | None, State] = {"new": "new", "open": "open", None: "sealed"}


class SegmentName(Struct, frozen=True):
    """The name of one file, taken apart."""

    stream: str
    number: int
    state: State

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None where the file is no segment."""
        match = _NAME.fullmatch(name)
        return cls(match[1], int(match[2]), _STATES[match[3]]) if match else None

    @property
    def file_name(self) -> str:
        return self.segment if self.state == "sealed" else f"{self.segment}.{self.state}"

    @property
    def segment(self) -> str:
        """Its name when sealed: what the manifest, checkpoints and the store call it."""
        return f"{self.stream}-{self.number:08d}.ndjson"

    def as_state(self, state: State) -> SegmentName:
        return SegmentName(self.stream, self.number, state)


def new_stream(prefix: str) -> str:
    """The stream of a process that starts now; the prefix is `w0`, `w1`, … or `c`."""
    stream = f"{prefix}-{time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF:012x}{secrets.token_hex(2)}"
    if not _STREAM.fullmatch(stream):
        raise ValueError(f"{prefix!r} is no prefix of a stream")
    return stream


def started_ms(stream: str) -> int:
    """Unix time of the start of the process that writes, or wrote, the stream."""
    return int(stream.rpartition("-")[2][:12], 16)


def list_segments(directory: Path) -> list[tuple[SegmentName, Path]]:
    """Every segment by stream and number; none where the directory is not there."""
    try:
        paths = list(directory.iterdir())
    except FileNotFoundError:
        return []
    named = ((SegmentName.parse(path.name), path) for path in paths)
    found = [(name, path) for name, path in named if name is not None]
    return sorted(found, key=lambda item: (item[0].stream, item[0].number, item[0].state))
