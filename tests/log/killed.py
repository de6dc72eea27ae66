"""Processes for tests to kill: `python -m tests.log.killed writer|sealer DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.log.sealer import Sealer
from gateway.log.writer import Writer
from gateway.plan import LogPlan
from tests.log.samples import line

SEGMENT_BYTES = 64 * 1024


def write(directory: Path) -> None:
    """Append lines for ever; each that is there is told on stdout, as an answer would be sent."""
    plan = LogPlan(
        enabled=True,
        directory=str(directory),
        gateway="g",
        segment_bytes=SEGMENT_BYTES,
        segment_age_ns=10**9,
        syncs_always=False,
        max_bytes=1 << 30,
        sheds=False,
        user_header="",
        key=b"",
    )
    writer = Writer(plan, "w0")
    writer.start()
    stream = writer.stream
    while True:
        seq = stream.seq + 1
        if stream.add(line(seq, stream=stream.name), 0):
            tell(f"{stream.name} {seq}")
        writer.look()


def seal(directory: Path) -> None:
    sealer = Sealer(directory)
    tell("ready")
    while True:
        sealer.seal_ready()
        if sealer.problem:
            sys.exit(sealer.problem)


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    {"writer": write, "sealer": seal}[sys.argv[1]](Path(sys.argv[2]))
