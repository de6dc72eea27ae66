"""The last good answers of a route: what a fallback may say when nobody can answer.

A bounded mapping from the whole request (path, caller's credential, body) to an answer.
Rule 1: entries, bytes and age are bounded; the oldest goes first.
Rule 2: the key is a SHA-256 of everything that could change the answer, the caller
        included, so that nobody is told what somebody else was.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

Answer = tuple[int, bytes, bytes]  # status, content type, body


class LastGoodAnswers:
    """One route's, in one worker."""

    def __init__(
        self, *, entries: int, size_bytes: int, ttl_ns: int, clock: Callable[[], int]
    ) -> None:
        self._limits = entries, size_bytes
        self._ttl_ns = ttl_ns
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[int, Answer]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: bytes, answer: Answer) -> None:
        """Remember an answer; one larger than the whole cache is not kept."""
        entries, size_bytes = self._limits
        if len(answer[2]) > size_bytes:
            return
        self._drop(key)
        self._kept[key] = (self._clock() + self._ttl_ns, answer)
        self._bytes += len(answer[2])
        while len(self._kept) > entries or self._bytes > size_bytes:
            self._drop(next(iter(self._kept)))

    def get(self, key: bytes) -> Answer | None:
        """The answer kept under this key, unless it is too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] < self._clock():
            self._drop(key)
            return None
        return kept[1]

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept[1][2])


def answer_key(path: bytes, credential: bytes | None, body: bytes) -> bytes:
    """SHA-256 over the parts, each with its length before it."""
    digest = hashlib.sha256()
    for part in (path, credential or b"", body):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
