"""The outlines of all configurations of the history, each made once.

A configuration is named by its hash and never changes, so its outline is kept, in memory
and in `state/outlines`, where the next process finds it.

Cost: making one takes some 5 ms for a configuration of 5 KB, reading back a thousand 20 ms.
Rule: the file is a cache: whatever is wrong with it costs time, and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.config.file import write_private
from gateway.production.outline import Outline, outline_of
from gateway.state.history import Entry, delivery_of

FILE_NAME = "outlines"
FORM = 2  # rises when an outline changes its shape or meaning
_MANY = 20  # new ones that are worth writing the file


class _File(Struct, frozen=True):
    form: int
    outlines: dict[str, Outline]  # by hash


class Outlines:
    """Below one state directory; `keep` is called with the history now and then."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE_NAME
        self._known: dict[str, Outline] = {}
        self._new = 0
        self._is_read = False

    def of(self, entry: Entry) -> Outline:
        """The outline of an entry of the history."""
        if not self._is_read:
            self._known = self._read()
            self._is_read = True
        found = self._known.get(entry.hash)
        if found is None:
            found = self._known[entry.hash] = outline_of(entry.text, delivery_of(entry))
            self._new += 1
        return found

    def keep(self, entries: Iterable[Entry]) -> None:
        """Writes the file if that saves the next one time; only what is in the history."""
        if self._new < _MANY:
            return
        self._new = 0
        hashes = {entry.hash for entry in entries}
        kept = {name: outline for name, outline in self._known.items() if name in hashes}
        with contextlib.suppress(OSError):  # Why: whoever only looks may not be allowed to
            write_private(self._path, msgspec.msgpack.encode(_File(FORM, kept)))

    def _read(self) -> dict[str, Outline]:
        try:
            found = msgspec.msgpack.decode(self._path.read_bytes(), type=_File)
        except (OSError, msgspec.MsgspecError):
            return {}
        return found.outlines if found.form == FORM else {}
