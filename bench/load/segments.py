"""Segments of the prediction log as a writer leaves them, of records of a usual size."""

import fcntl
import uuid
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from gateway import messages
from gateway.log.names import SegmentName, new_stream

DISTINCT = 5_000  # records; then they come again with another `seq`
SEGMENT_BYTES = 64 * 2**20


class Writer:
    """One stream of records of a usual size, one write a call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream = new_stream("w0")
        self._lines = lines_of(self._stream)
        self._seq = self._number = 0
        self._room = 0
        self._file: Any = None

    def append(self, count: int) -> None:
        """So many records more."""
        for begin in range(0, count, 100):
            made = bytearray()
            for _ in range(min(100, count - begin)):
                front, back = self._lines[self._seq % DISTINCT]
                self._seq += 1
                made += front % (self._seq, self._seq) + back
            if self._room < len(made):
                self._roll()
            self._file.write(made)
            self._room -= len(made)

    def _roll(self) -> None:
        """Why not preallocated: readers do not care, and a bench wants no gigabytes of zeros."""
        self.close()
        self._number += 1
        name = SegmentName(self._stream, self._number, "open").file_name
        self._file = (self._folder / name).open("wb", buffering=0)
        self._room = SEGMENT_BYTES
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Leave what is written to the sealer."""
        if self._file is not None:
            self._file.close()


def lines_of(stream: str) -> list[tuple[bytes, bytes]]:
    """Records in two pieces, between which the place of each is written."""
    chance = Random(0)
    found = []
    for _ in range(DISTINCT):
        line = msgspec.json.encode(record(stream, chance)) + b"\n"
        line = line.replace(b"%", b"%%")
        front, back = line.split(b'"seq":0')
        found.append((front.replace(b"ID-ID", b"%012x") + b'"seq":%d', back))
    return found


def record(stream: str, chance: Random) -> messages.Record:
    """A chat answered by the second of three, bodies as digests."""
    names = ("mini", "large", "local-llama")
    identity = f"019aa-{chance.getrandbits(32):08x}-7{chance.getrandbits(12):03x}-8000-ID-ID"
    total_us = chance.randrange(200_000, 2_000_000)
    return messages.Record(
        v=messages.RECORD_VERSION,
        id=identity,
        request_id=str(uuid.UUID(int=chance.getrandbits(128))),
        time=f"2026-11-21T12:{chance.randrange(60):02d}:00.{chance.randrange(10**6):06d}Z",
        kind="prediction",
        gateway="gateway-1",
        worker=0,
        stream=stream,
        seq=0,
        plan=f"{7 * 10**17:016x}",
        outcome="ok",
        status=200,
        timing=messages.Timing(
            total_us=total_us, upstream_us=total_us - 61, gateway_us=61, first_byte_us=total_us - 9
        ),
        request=messages.Payload(
            bytes=chance.randrange(200, 4000), xxh3=f"{chance.getrandbits(64):016x}"
        ),
        response=messages.Payload(
            bytes=chance.randrange(200, 4000), xxh3=f"{chance.getrandbits(64):016x}"
        ),
        route="chat",
        protocol="openai",
        operation="chat",
        method="POST",
        model="chat",
        user=f"user-{chance.randrange(1000)}",
        backend="large",
        backend_model="gpt-4o",
        version="2024-08-06",
        decisions=(
            messages.Decision(
                route="chat",
                policy="cheapest_within_slo",
                at_us=9,
                candidates=tuple(messages.Candidate(backend=name) for name in names),
                chosen="large",
                probability=1.0,
                draw=f"{chance.getrandbits(64):016x}",
            ),
        ),
        attempts=(
            messages.AttemptRecord(
                backend="large",
                outcome="ok",
                begun_us=10,
                ended_us=total_us,
                status=200,
                sent_us=44,
                first_byte_us=total_us - 9,
                reused=True,
            ),
        ),
        usage=messages.TokenUsage(
            input_tokens=chance.randrange(500), output_tokens=chance.randrange(500)
        ),
        cost_usd=round(chance.random() / 100, 8),
        finish_reason="stop",
    )
