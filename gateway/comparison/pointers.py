"""JSON pointers (RFC 6901): what they point to, and which of them may be passed over.

A pointer may lead on into a text that is JSON itself, such as a model's structured answer:
`/choices/0/message/content/label`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

ANY = "*"  # in a pattern: any member or element
MISSING: Any = object()


def steps_of(pointer: str) -> tuple[str, ...]:
    """Its parts, unescaped."""
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def pointer_of(steps: Iterable[str | int]) -> str:
    """The pointer with these parts."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def found(value: Any, steps: Iterable[str]) -> Any:
    """What they lead to; MISSING."""
    for step in steps:
        if isinstance(value, str):
            value = container(value)
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else MISSING
        else:
            return MISSING
    return value


def container(text: str) -> Any:
    """The object or array that a text is; MISSING when it is none."""
    if text.lstrip()[:1] not in {"{", "["}:
        return MISSING
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return MISSING


def is_ignored(path: tuple[str | int, ...], patterns: Iterable[tuple[str, ...]]) -> bool:
    """Whether a pattern covers this place."""
    return any(
        len(pattern) == len(path)
        and all(part in {ANY, str(step)} for part, step in zip(pattern, path, strict=True))
        for pattern in patterns
    )
