"""One column of a batch that holds texts: each is decoded once, and measured if a field asks.

What is no text stays what it is: missing and null are that, anything else is of another type.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway._fast import hash_of
from gateway.profiles.fields import Floats, Words
from gateway.profiles.languages import languages
from gateway.profiles.profile import (
    JSON_ARRAY,
    JSON_NULL,
    JSON_NUMBER,
    JSON_STRING,
    Kinds,
    Profile,
)
from gateway.profiles.texts import measured

Data = bytes | bytearray  # lines, each with its newline


class Spans(Protocol):
    """`extraction.Part`, as far as texts need it."""

    @property
    def kinds(self) -> NDArray[np.uint8]: ...
    @property
    def starts(self) -> NDArray[np.uint32]: ...
    @property
    def ends(self) -> NDArray[np.uint32]: ...


class TextColumn:
    """The values of one text in some rows."""

    def __init__(self, data: Data, part: Spans, at: int) -> None:
        self._kinds = part.kinds[at]
        self._rows = np.flatnonzero(self._kinds == JSON_STRING)
        starts, ends = part.starts[at, self._rows], part.ends[at, self._rows]
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        self._texts = [text_of(data, start, end).encode(errors="replace") for start, end in spans]

    def count_measure(self, profile: Profile) -> None:
        """One of `texts.MEASURES`."""
        profile.add_numbers(self._measures[profile.field.measure], self._as(JSON_NUMBER))

    def count_languages(self, profile: Profile) -> None:
        """`languages.LANGUAGE`; nothing where the extra is missing."""
        found = languages(self._texts)
        if found is None:
            return
        words: Words = np.zeros(self._kinds.size, np.uint64)
        hashes = {name: hash_of(name.encode()) for name in set(found)}
        words[self._rows] = [hashes[name] for name in found]
        names = dict(zip(self._rows.tolist(), found, strict=True))
        profile.add_words(words, self._as(JSON_STRING), lambda row: names[row])

    @cached_property
    def _measures(self) -> dict[str, Floats]:
        found = measured(self._texts)
        for name, values in found.items():
            found[name] = np.zeros(self._kinds.size)
            found[name][self._rows] = values
        return found

    def _as(self, kind: int) -> Kinds:
        """What each value is, where texts are of this kind and all else violates it."""
        kinds: Kinds = self._kinds.copy()
        kinds[kinds > JSON_NULL] = JSON_ARRAY
        kinds[self._rows] = kind
        return kinds


def text_of(data: Data, start: int, end: int) -> str:
    """A scalar's text: a string's own, another as it is written."""
    written = bytes(data[start:end])
    if not written.startswith(b'"'):
        return written.decode()
    try:
        return msgspec.json.decode(written, type=str)
    except msgspec.DecodeError:  # Why: a lone surrogate is grammatical, but no text
        return written[1:-1].decode()
