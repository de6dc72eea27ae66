"""JSON pointers with a wildcard, over decoded values: what they point at is taken out.

RFC 6901, and `*` for any element of an array or any member of an object.

Rule 1: a pointer that leads nowhere is no error: clients send what they like.
Rule 2: what is taken out leaves its member with a mark, so that its absence shows.
"""

from __future__ import annotations

from typing import Any

from gateway.payloads.texts import mark_of

ANY = "*"
MARK = mark_of("")


class Pointer:
    """One path into documents."""

    __slots__ = ("steps",)

    def __init__(self, text: str) -> None:
        parts = text.split("/")[1:]
        self.steps = tuple(one.replace("~1", "/").replace("~0", "~") for one in parts)

    def is_name(self, name: str) -> bool:
        """Whether it points at a member of this name in a flat document, as a form is."""
        return self.steps in {(name,), (ANY,), ()}

    def take_out(self, document: Any) -> tuple[Any, int]:
        """The document with marks where this points to, and how many."""
        if not self.steps:
            return (document, 0) if document == MARK else (MARK, 1)
        places = [document]
        for step in self.steps[:-1]:
            places = [value for place in places for _, value in _below(place, step)]
        taken = 0
        for place in places:
            for key, value in _below(place, self.steps[-1]):
                if value != MARK:
                    place[key] = MARK
                    taken += 1
        return document, taken

    def find(self, document: Any) -> Any:
        """The first value it points to; None there is none."""
        places = [document]
        for step in self.steps:
            places = [value for place in places for _, value in _below(place, step)]
        return places[0] if places else None


def _below(place: Any, step: str) -> list[tuple[Any, Any]]:
    """Keys and values of a container that a step leads to."""
    if isinstance(place, dict):
        if step == ANY:
            return list(place.items())
        return [(step, place[step])] if step in place else []
    if isinstance(place, list):
        if step == ANY:
            return list(enumerate(place))
        if step.isascii() and step.isdigit() and len(step) < 10 and int(step) < len(place):
            return [(int(step), place[int(step)])]
    return []
