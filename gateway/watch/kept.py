"""What was counted, on disk: `state/drift/profiles.sqlite`."""

from __future__ import annotations

from pathlib import Path

from gateway.watch.changes import Changes, Key
from gateway.watch.view import View

FILE = "drift/profiles.sqlite"  # under the state directory


class Kept:
    """Profiles of one state directory; one writer a part, any number of readers."""

    def __init__(self, path: Path, part: str = "") -> None:
        """`part` keeps apart who counts: "" the shipper, "backfill" the command."""
        raise NotImplementedError

    def save(self, changes: Changes) -> None:
        """Durable when it returns, all of it or nothing; StoreError where that cannot be."""
        raise NotImplementedError

    def load(self) -> tuple[Changes, list[Key]]:
        """What this part has: marks, told and newest; and the keys, whose values stay on disk."""
        raise NotImplementedError

    def value(self, key: Key) -> bytes | None:
        """Of a key of this part."""
        raise NotImplementedError

    def view(self) -> View:
        """All parts added up; readable while others write, and before anything was written."""
        raise NotImplementedError
