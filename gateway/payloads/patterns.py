"""Texts that look like something nobody should keep: where they stand in a piece of text.

A `Rule` is one kind of them: a *hint*, a pattern so loose that it also finds them in
JSON as written, and a search over plain text. `Patterns` is the rules a route asks for:
one scan over all their hints says of most bodies that there is nothing to do.

Cost: a body without a hint costs one pass of RE2, 2 us a KiB; Python's own `re` would
take 50 times that, on the event loop, and could be made to take hours (measured:
docs/decisions/0014-patterns-by-re2.md).

Rule 1: all work is linear in the text: RE2 never goes back, and checks of what it found
        look at a bounded number of bytes, or at bytes that no later match contains.
Rule 2: nothing is found across SEPARATOR, which no text in UTF-8 contains.
Rule 3: what was found and replaced is not found again.

Knows nothing of JSON, streams and configuration; `texts` applies it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import re2  # type: ignore[import-untyped]  # no stubs exist

SEPARATOR = b"\xff"
_MOST_MEMORY_BYTES = 16 << 20  # of one compiled automaton


class Span(NamedTuple):
    """One place to take out, in bytes."""

    start: int
    end: int
    name: str  # of the rule


Spans = Iterable[tuple[int, int]]


class Expression(Protocol):
    """A compiled pattern of RE2, as far as we use it."""

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]: ...
    def is_in(self, text: bytes) -> bool: ...


class _Expression:
    __slots__ = ("_compiled",)

    def __init__(self, pattern: bytes) -> None:
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1  # a byte is a character
        options.never_capture = True  # Cost: without groups, the DFA alone does it
        options.log_errors = False
        options.max_mem = _MOST_MEMORY_BYTES
        self._compiled = re2.compile(pattern, options)

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        for match in self._compiled.finditer(text):
            yield match.span()

    def is_in(self, text: bytes) -> bool:
        return self._compiled.search(text) is not None


def expression(pattern: bytes) -> Expression:
    """The pattern, compiled; in RE2's syntax, over bytes."""
    return _Expression(pattern)


class Rule(NamedTuple):
    """One kind of text to take out."""

    name: str
    hint: bytes  # pattern that occurs in every JSON or text that contains one
    find: Callable[[bytes], Spans]
    # of members of JSON objects and forms: by name, and then by value
    is_name: Callable[[str], bool] = lambda _name: False
    is_value: Callable[[str, str], bool] = lambda _name, _value: False


class Patterns:
    """The rules of one route."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        hints = b"|".join(b"(?:" + rule.hint + b")" for rule in rules)
        self._hint = expression(hints) if rules else None

    def __bool__(self) -> bool:
        return bool(self._rules)

    def may_be_in(self, data: bytes) -> bool:
        """Whether it is worth looking closely; `data` may be JSON as written."""
        return self._hint is not None and self._hint.is_in(data)

    def find(self, text: bytes) -> list[Span]:
        """What to take out of a plain text, in order, without overlaps."""
        found = [Span(*span, rule.name) for rule in self._rules for span in rule.find(text)]
        found.sort()
        return list(_joined(found))

    def is_secret_name(self, name: str) -> bool:
        """Whether a member of this name is to be looked at by its value."""
        return any(rule.is_name(name) for rule in self._rules)

    def rule_of(self, name: str, value: str) -> str:
        """The rule by which the value of a member with this name is taken out; "" none."""
        rules = (one for one in self._rules if one.is_name(name) and one.is_value(name, value))
        return next((rule.name for rule in rules), "")


def _joined(found: Iterable[Span]) -> Iterator[Span]:
    """Spans that overlap become one, under the name of the first."""
    current: Span | None = None
    for span in found:
        if current is None:
            current = span
        elif span.start < current.end:
            current = Span(current.start, max(current.end, span.end), current.name)
        else:
            yield current
            current = span
    if current is not None:
        yield current
