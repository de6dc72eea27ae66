"""How far each stream was counted, so that what comes again is not counted again.

Lines have a stream and a number in it. Wherever they are read from, a file of the log or a
partition of a topic, the first appearances of a stream are in order; what comes again comes
later. So one number a stream says it all: a line is new if its number is above the stream's
mark, and above that of each line of its stream before it.

Rule 1: a line is new once.
Rule 2: at most `most` streams are known; those that were seen last stay. A stream is one life
        of one process, so what is forgotten ended long ago.
Cost: nothing a line but numpy's; a few us a batch and stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gateway.profiles.fields import Words

MOST = 4096  # streams: about 200 KiB where marks are kept
Lines = NDArray[np.intp]


class Marks:
    """The last counted number of each stream."""

    def __init__(self, most: int = MOST) -> None:
        self.last: dict[str, int] = {}  # the least recently seen stream first
        self.forgotten = 0  # streams
        self._most = most

    def fresh(
        self,
        words: Words,
        numbers: NDArray[np.int64],
        lines: Lines,
        name_of: Callable[[int], str],
    ) -> NDArray[np.bool_]:
        """Which of these lines were not there before; from now on they were.

        `words` and `numbers` are columns of a batch, `lines` those of its lines that have a
        place; `name_of` says the stream's name of a line.
        """
        is_fresh = np.zeros(words.size, np.bool_)
        for members in by_stream(words, lines):
            name = name_of(int(members[0]))
            own = numbers[members]
            mark = self.last.pop(name, 0)
            before = np.maximum.accumulate(np.concatenate([[mark], own]))
            is_fresh[members] = own > before[:-1]
            self.last[name] = int(before[-1])
        self._forget()
        return is_fresh

    def _forget(self) -> None:
        while len(self.last) > self._most:
            del self.last[next(iter(self.last))]
            self.forgotten += 1


def by_stream(words: Words, lines: Lines) -> Iterator[Lines]:
    """The lines of each stream, in their order; streams in the order of their first lines."""
    if not lines.size:
        return
    own = words[lines]
    if (own == own[0]).all():
        yield lines
        return
    _, first, inverse = np.unique(own, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(lines[order], np.flatnonzero(np.diff(inverse[order])) + 1)
    for at in np.argsort(first):
        yield parts[at]
