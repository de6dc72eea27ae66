"""Lines of a log for tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STREAM = "w0-00000000000000aa"


def at(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def record(name: str, ms: int, *arms: tuple[str, int, str], **more: Any) -> bytes:
    """A record whose request was given these (rollout, step, arm)."""
    given = [
        {"layer": "l", "salt": "l", "bucket": 7, "arm": arm, "rollout": rollout, "step": step}
        for rollout, step, arm in arms
    ]
    fields = {"v": 1, "id": name, "request_id": f"c-{name}", "time": at(ms), "kind": "prediction"}
    return _line({**fields, **({"assignments": given} if given else {}), **more})


def feedback(request: str, signal: str, value: Any = None, **more: Any) -> bytes:
    fields = {"v": 1, "id": "f", "time": at(0), "kind": "feedback", "request_id": request}
    said = {"signal": signal} | ({} if value is None else {"value": value})
    return _line({**fields, **said, **more})


def shadow(ms: int, backend: str, comparison: dict[str, Any], **more: Any) -> bytes:
    fields = {
        "v": 1,
        "id": "s",
        "request_id": "s",
        "time": at(ms),
        "kind": "shadow",
        "outcome": "ok",
        "status": 200,
        "timing": {"total_us": 900},
        "route": "chat",
        "backend": backend,
        "comparison": {"of": "a", "backend": "old", **comparison},
    }
    return _line({**fields, **more})


def _line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


class Segment:
    """A segment that is written as the gateway does: preallocated, cut when it is sealed."""

    def __init__(self, directory: Path, number: int = 1, stream: str = STREAM) -> None:
        self.path = directory / f"{stream}-{number:08d}.ndjson.open"
        self.path.write_bytes(b"\0" * (1 << 16))
        self._used = 0

    def write(self, *lines: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(self._used)
            self._used += file.write(b"".join(lines))

    def seal(self) -> None:
        with self.path.open("r+b") as file:
            file.truncate(self._used)
        self.path = self.path.rename(self.path.with_suffix(""))
