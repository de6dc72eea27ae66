"""A run that is kept: one JSON file, named by date and commit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec


class Run(Protocol):
    """What every run knows of itself."""

    @property
    def date(self) -> str: ...
    @property
    def commit(self) -> str: ...


def keep(run: Run, folder: Path, *, prefix: str = "", indent: int = 1) -> Path:
    """Writes it, and makes the folder; with `indent` 0 a part is one line."""
    path = folder / f"{prefix}{run.date[:10]}-{run.commit}.json"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=indent) + b"\n")
    return path
