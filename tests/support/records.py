"""The log of a test: a stream in memory, and its lines read back as strictly as can be."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

import msgspec

from gateway._fast import Recorder, Segment, Stream
from gateway.errors import OUTCOMES
from gateway.messages import Feedback, Record
from gateway.plan import CAPABILITIES

SEGMENT_BYTES = 1 << 20
REASONS = [outcome.reason for outcome in OUTCOMES]


def segment(number: int = 1, size: int = SEGMENT_BYTES) -> Segment:
    """A segment without a name."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("segment")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size)
    return Segment(fd, number)


def lines_of(written: Segment) -> list[bytes]:
    """Its whole lines, as a reader would find them."""
    data = os.pread(written.fd, written.used + 1, 0)
    data = data.rstrip(b"\0")
    assert not data or data.endswith(b"\n")
    return data.split(b"\n")[:-1]


class TestLog:
    """A recorder, and what it wrote."""

    __test__ = False

    def __init__(
        self, *, gateway: str = "test", worker: int = 0, size: int = SEGMENT_BYTES
    ) -> None:
        self.stream = Stream("w0-0000000000000000")
        self.stream.attach(segment(size=size))
        self.recorder = Recorder(self.stream, "test", worker, REASONS, CAPABILITIES)

    def lines(self) -> list[bytes]:
        written = self.stream.current
        return lines_of(written) if written else []

    def entries(self) -> list[Record | Feedback]:
        return [read(line) for line in self.lines()]

    def records(self) -> list[Record]:
        return [entry for entry in self.entries() if isinstance(entry, Record)]


def read(line: bytes) -> Record | Feedback:
    """One line; a member that the schema does not know is an error, at any depth."""
    plain = json.loads(line)
    entry: Record | Feedback = (
        msgspec.json.decode(line, type=Feedback)
        if plain["kind"] == "feedback"
        else msgspec.json.decode(line, type=Record)
    )
    assert_known(plain, entry)
    return entry


def assert_known(plain: Any, value: Any) -> None:
    if isinstance(value, msgspec.Struct):
        unknown = plain.keys() - set(value.__struct_fields__)
        assert not unknown, f"{type(value).__name__} has no {unknown}"
        for name in plain:
            assert_known(plain[name], getattr(value, name))
    elif isinstance(value, tuple):
        for each, inner in zip(plain, value, strict=True):
            assert_known(each, inner)
