"""What is wrong with a file, collected so that all of it can be told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from gateway.errors import ConfigError, Problem

MOST_PROBLEMS = 50
_FEW = 20


class Problems:
    """A growing list without repeats, bounded."""

    def __init__(self) -> None:
        self.found: dict[Problem, None] = {}

    def add(self, message: str, path: str = "", line: int = 0) -> None:
        if len(self.found) < MOST_PROBLEMS:
            self.found[Problem(message, path, line)] = None

    def raise_if_any(self) -> None:
        if self.found:
            raise ConfigError(tuple(self.found))


def meant(word: str, known: Iterable[str]) -> str:
    """`, did you mean …?` where something known is close; else what there is, if it is short."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f", did you mean `{close[0]}`?"
    if names and len(names) <= _FEW:
        return f"; known: {', '.join(names)}"
    return ""


def listed(words: Iterable[str]) -> str:
    """The words, each in backticks."""
    return ", ".join(f"`{word}`" for word in words)
