"""Where two JSON documents differ, as pointers.

Numbers differ when they are further apart than the tolerance; a number never equals a text
or a boolean. A member that only one side has is one difference, whatever is below it.

Rule: at most NODES places are looked at and SHOWN are named, whatever the documents hold;
what lies deeper than DEPTH counts as equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gateway.comparison.pointers import is_ignored, pointer_of

NODES = 5_000
DEPTH = 64
SHOWN = 8
POINTER_CHARS = 128

Path = tuple[str | int, ...]


class Differences:
    """The differences of two documents: the first of them, and how many."""

    def __init__(self, tolerance: float = 0.0, ignore: Sequence[tuple[str, ...]] = ()) -> None:
        self.shown: list[str] = []
        self.count = 0
        self.is_complete = True  # every node was looked at
        self._tolerance = tolerance
        self._ignore = ignore
        self._left = NODES

    def compare(self, one: Any, other: Any, path: Path = ()) -> None:
        """Note where they differ."""
        if self._left <= 0:
            self.is_complete = False
            return
        self._left -= 1
        if self._ignore and is_ignored(path, self._ignore):
            return
        if isinstance(one, dict) and isinstance(other, dict):
            self._members(one, other, path)
        elif isinstance(one, list) and isinstance(other, list):
            self._elements(one, other, path)
        elif not self._is_same(one, other):
            self._note(path)

    def _members(self, one: dict[str, Any], other: dict[str, Any], path: Path) -> None:
        if len(path) >= DEPTH:
            return
        for key, value in one.items():
            if key in other:
                self.compare(value, other[key], (*path, key))
            else:
                self._note_missing((*path, key))
        for key in other:
            if key not in one:
                self._note_missing((*path, key))

    def _elements(self, one: list[Any], other: list[Any], path: Path) -> None:
        if len(path) >= DEPTH:
            return
        for index, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            self.compare(mine, theirs, (*path, index))
        for index in _beyond(one, other):
            self._note_missing((*path, index))

    def _note_missing(self, path: Path) -> None:
        if not is_ignored(path, self._ignore):
            self._note(path)

    def _note(self, path: Path) -> None:
        self.count += 1
        if len(self.shown) < SHOWN:
            self.shown.append(pointer_of(path)[:POINTER_CHARS])

    def _is_same(self, one: Any, other: Any) -> bool:
        if _is_number(one) and _is_number(other):
            return bool(abs(one - other) <= self._tolerance or one == other)
        return type(one) is type(other) and bool(one == other)


def _beyond(one: list[Any], other: list[Any]) -> Iterator[int]:
    yield from range(min(len(one), len(other)), min(max(len(one), len(other)), NODES))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
