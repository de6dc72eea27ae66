"""A state directory with a log and a store, and lines to put into them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from gateway.log.manifest import DELIVERED, Manifest
from gateway.log.names import SegmentName
from gateway.log.sealer import Sealer
from gateway.messages import Feedback, Payload, Record, Timing
from gateway.store import Store

STREAM = "w0-0198c0ffee00beef"
NOW_S = 1_795_262_400.0  # 2026-11-21T12:00:00Z
DAY_S = 86_400
SIZE = 64 * 1024


def record(seq: int, **changes: Any) -> bytes:
    """A line; its time is `seq` seconds after NOW_S unless it is given."""
    made = Record(
        v=1,
        id=f"0198c0ff-ee00-7000-8000-{seq:012d}",
        request_id=f"0198c0ff-ee00-7000-8000-{seq:012d}",
        time=at(seq),
        kind="prediction",
        gateway="g",
        worker=0,
        stream=STREAM,
        seq=seq,
        plan="p",
        outcome="ok",
        status=200,
        timing=Timing(total_us=1000 * seq),
        request=Payload(bytes=10),
        response=Payload(bytes=20),
        route="chat",
        backend="mini",
        user="ada",
    )
    return msgspec.json.encode(msgspec.structs.replace(made, **changes))


def feedback(seq: int, about: str, **changes: Any) -> bytes:
    made = Feedback(
        v=1,
        id=f"0198c0ff-ee00-7000-9000-{seq:012d}",
        time=at(seq),
        kind="feedback",
        gateway="g",
        worker=0,
        stream=STREAM,
        seq=seq,
        request_id=about,
        signal="thumbs",
        value=msgspec.Raw(b"true"),
    )
    return msgspec.json.encode(msgspec.structs.replace(made, **changes))


def id_of(seq: int) -> str:
    return f"0198c0ff-ee00-7000-8000-{seq:012d}"


def at(seconds: float) -> str:
    day, rest = divmod(int(seconds), DAY_S)
    clock = rest + 12 * 3600
    day, clock = day + clock // DAY_S, clock % DAY_S
    hour, minute = clock // 3600, clock // 60 % 60
    micros = round(seconds % 1 * 1e6)
    return f"2026-11-{21 + day:02d}T{hour:02d}:{minute:02d}:{clock % 60:02d}.{micros:06d}Z"


class Place:
    """`log/` and `store/` of one state directory; its clock stands."""

    def __init__(self, root: Path, *, stream: str = STREAM) -> None:
        self.state, self.log, self.directory = root, root / "log", root / "store"
        self.log.mkdir(exist_ok=True)
        self.stream = stream
        self.now_s = NOW_S
        self.store = self.opened()

    def opened(self) -> Store:
        return Store(self.directory, self.log, now=lambda: self.now_s)

    def write(self, number: int, lines: Iterable[bytes]) -> Path:
        """A segment that is being written."""
        path = self.log / SegmentName(self.stream, number, "open").file_name
        path.write_bytes(joined(lines).ljust(SIZE, b"\0"))
        return path

    def seal(self) -> list[Path]:
        """Every segment that was written, as the shipper seals it."""
        return [self.log / entry.segment for entry in Sealer(self.log).seal_ready()]

    def sealed(self, number: int, lines: Iterable[bytes]) -> Path:
        self.write(number, lines)
        (path,) = self.seal()
        return path

    def added(self, number: int, lines: Iterable[bytes]) -> str:
        """A segment in the store alone: sealed, added, delivered; its name."""
        path = self.sealed(number, lines)
        self.store.add(path)
        self.deliver(path.name)
        return path.name

    def deliver(self, segment: str) -> None:
        Manifest(self.log).remove(segment, 0, DELIVERED)

    def bytes_of(self, segment: str) -> bytes:
        lines = self.store.lines_of(segment)
        assert lines is not None
        return joined(lines)

    def parquet(self, table: str = "records") -> list[Path]:
        return sorted(self.directory.glob(f"*/*.{table}.parquet"))


def joined(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
