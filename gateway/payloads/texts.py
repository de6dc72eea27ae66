r"""Many texts at once, with what patterns find in them taken out.

All texts go into one buffer, a separator between them, so that each pattern runs once,
not once a text. *Lanes* are texts that come in pieces, as the words of a streamed answer
do: a lane is searched as a whole, and what is found is blanked in each piece it is in.

Rule 1: what is spelled in `\u` escapes within a text is read as well, so that a JSON text
        inside a JSON string hides nothing.
Rule 2: cleaning what was cleaned changes nothing.

Knows nothing of where the texts come from; `documents`, `streams` and `forms` do.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

from gateway.payloads.patterns import SEPARATOR, Patterns, Span

_SPELLED = re.compile(r"\\u00([2-7][0-9a-fA-F])")
LONGEST_HALF = 512  # bytes: longer than the part of any secret that is too short to be known as one
_GROUPED = 64  # bytes: longer than any number that is written in groups


def mark_of(name: str) -> str:
    """What stands in the place of something that was taken out."""
    return f"[redacted:{name}]" if name else "[redacted]"


class Texts:
    """Texts to be cleaned together; each is known by its number."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns
        self.redacted = 0  # places taken out so far

    def clean(self, texts: Sequence[str]) -> dict[int, str]:
        """The texts that are to be replaced, by number."""
        if not texts or not self._patterns:
            return {}
        read = [unspelled(text) for text in texts]
        encoded = [text.encode("utf-8", "surrogatepass") for text in read]
        spans = self._patterns.find(SEPARATOR.join(encoded))
        if not spans:
            return {}
        starts = list(accumulate((len(one) + 1 for one in encoded), initial=0))
        result: dict[int, str] = {}
        for number, own in _by_text(spans, starts).items():
            self.redacted += len(own)
            result[number] = _without(encoded[number], own)
        return result

    def clean_names(self, names: Iterable[str]) -> dict[str, str]:
        """New names for those of members that are to have others."""
        known = list(names)
        return {known[number]: new for number, new in self.clean(known).items()}

    def clean_lane(self, pieces: Sequence[str]) -> dict[int, str]:
        """The pieces of one text that are to be replaced, by number."""
        joined = "".join(pieces)
        if unspelled(joined) != joined and (found := self.clean([joined])):
            return {number: found[0] if number == 0 else "" for number in range(len(pieces))}
        spans = self._patterns.find(joined.encode("utf-8", "surrogatepass"))
        if not spans:
            return {}
        self.redacted += len(spans)
        encoded = [piece.encode("utf-8", "surrogatepass") for piece in pieces]
        starts = list(accumulate(map(len, encoded), initial=0))
        touched: dict[int, list[Span]] = {}
        for span in spans:
            first, last = bisect_right(starts, span.start) - 1, bisect_right(starts, span.end - 1)
            for number in range(first, last):
                # the mark stands in the first piece, the others lose what is in them
                name = span.name if number == first else ""
                start = max(span.start - starts[number], 0)
                end = min(span.end - starts[number], len(encoded[number]))
                touched.setdefault(number, []).append(Span(start, end, name))
        return {number: _blanked(encoded[number], own) for number, own in touched.items()}


def unspelled(text: str) -> str:
    """The text with ordinary characters that are spelled by number as themselves."""
    if "\\u00" not in text:
        return text
    return _SPELLED.sub(lambda match: chr(int(match[1], 16)), text)


def _by_text(spans: Iterable[Span], starts: list[int]) -> dict[int, list[Span]]:
    result: dict[int, list[Span]] = {}
    for span in spans:
        number = bisect_right(starts, span.start) - 1
        start = starts[number]
        own = Span(span.start - start, span.end - start, span.name)
        result.setdefault(number, []).append(own)
    return result


def _without(text: bytes, spans: Iterable[Span]) -> str:
    return _edited(text, ((one.start, one.end, mark_of(one.name)) for one in spans))


def _blanked(text: bytes, spans: Iterable[Span]) -> str:
    marks = ((one.start, one.end, mark_of(one.name) if one.name else "") for one in spans)
    return _edited(text, marks)


def _edited(text: bytes, edits: Iterable[tuple[int, int, str]]) -> str:
    parts, done = list[str](), 0
    for start, end, mark in edits:
        parts += [text[done:start].decode("utf-8", "replace"), mark]
        done = end
    parts.append(text[done:].decode("utf-8", "replace"))
    return "".join(parts)


def without_end(pieces: Sequence[str]) -> dict[int, str]:
    """The pieces of a text that was cut that lose their end, by number; see safe_end."""
    encoded = [piece.encode("utf-8", "surrogatepass") for piece in pieces]
    starts = list(accumulate(map(len, encoded), initial=0))
    end = safe_end(b"".join(encoded))
    return {
        number: cut(one, max(end - starts[number], 0)).decode("utf-8", "replace")
        for number, one in enumerate(encoded)
        if starts[number] + len(one) > end
    }


def safe_end(data: bytes) -> int:
    """How much of a text that was cut may be kept: what is behind could be half a secret.

    Whatever has begun LONGEST_HALF bytes before the cut is long enough to have been found, and
    only numbers in groups have spaces in them.
    """
    space = max(data.rfind(b" "), data.rfind(b"\n"), 0)
    return max(len(data) - LONGEST_HALF, min(space, len(data) - _GROUPED), 0)


def cut(data: bytes, limit: int) -> bytes:
    """The longest beginning of a UTF-8 text that has at most so many bytes."""
    if len(data) <= limit:
        return data
    end = limit
    while end > 0 and data[end] & 0xC0 == 0x80:
        end -= 1
    return data[:end]
