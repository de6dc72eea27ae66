"""What the shipper says of itself once a second: one small file in `state/run`.

The controller and the command line read it; a file that is old, or not there, says that no
shipper runs. Knows nothing of how the figures come about.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import msgspec
from msgspec import Struct

FILE_NAME = "shipper.json"  # in `state/run`
STALE_S = 10.0
ROOM_BYTES = 16_384  # of the file; spaces behind the figures


class SinkFigures(Struct, frozen=True, kw_only=True):
    """One sink. appended = shipped + waiting + dropped."""

    name: str
    appended: int  # records that it should have
    shipped: int  # acknowledged; each counts once, however often it was sent
    waiting: int
    dropped: int  # gone before the sink had them
    waiting_bytes: int  # of segments, for what is waiting
    lag_s: float  # how long the oldest waiting record could have been there; 0 none waits
    failures: int  # deliveries in a row that failed, the latest included
    retries: int  # deliveries tried again since the shipper started
    dead_letters: int  # records put aside since then, as the other end would never take them
    damaged_lines: int  # lines that were none, passed over
    error: str  # why the latest delivery failed; "" it did not
    error_at_s: float  # when; seconds since 1970


class LogFigures(Struct, frozen=True, kw_only=True):
    """The log as the shipper sees it."""

    at_s: float  # seconds since 1970
    pid: int
    started_at_s: float
    appended: int  # records ever, as far as files and manifest know
    streams: int  # that have files
    open_segments: int
    sealed_segments: int  # waiting in the directory
    segment_bytes: int  # of all of them, as allocated
    max_bytes: int
    sealed: int  # segments, since the shipper started
    damaged_segments: int  # with good lines behind damage, put aside, since then
    cut_bytes: int  # cut off, or put aside, since then
    removed: int  # segments that every sink had, since then
    made_room: int  # segments dropped to stay within max_bytes, since then
    error: str  # why sealing, syncing or removing failed; "" it did not
    sinks: tuple[SinkFigures, ...]


def write_figures(path: Path, figures: LogFigures) -> None:
    """Readable for its owner only; a reader sees this one or the one before.

    On a full disk the file is written over in place, whose blocks it has: that a disk is
    full must not be what hides that it is.
    """
    text = msgspec.json.encode(figures).ljust(ROOM_BYTES)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.touch(mode=0o600)
        fresh.write_bytes(text)
        fresh.replace(path)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        with path.open("r+b") as file:
            file.write(text)


def read_figures(path: Path, now_s: float) -> LogFigures | None:
    """The latest; None where no shipper runs."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        figures = msgspec.json.decode(path.read_bytes(), type=LogFigures)
        return figures if now_s - figures.at_s < STALE_S else None
    return None
