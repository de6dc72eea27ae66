"""A tally that keeps no counts but lists: which lines it counted, each time it did.

Stands for `watch.tally.Tally` where what matters is the group: a line that was counted twice,
or never, is seen as such, by its name.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gateway.profiles.slices import Source
from gateway.profiles.text_column import Data
from gateway.watch.basis import Basis
from gateway.watch.changes import Changes, Key
from gateway.watch.tally import Tally

LINES_A_KEY = 500  # so that there are many keys, and old ones do not change


class Listing(Tally):
    def __init__(self) -> None:
        self._listed: dict[Key, list[int]] = {}
        self._last: dict[str, int] = {}
        self._changed: set[Key] = set()

    def use(self, bases: Iterable[Basis]) -> None:
        """No matter."""

    def count(self, lines: Data, now_minute: int) -> int:
        found = lines.splitlines()
        for line in found:
            read = msgspec.json.decode(line)
            stream, seq = read["stream"], read["seq"]
            if seq > self._last.get(stream, 0):
                key = Key("listing", Source(stream), seq // LINES_A_KEY)
                self._listed.setdefault(key, []).append(seq)
                self._last[stream] = seq
                self._changed.add(key)
        return len(found)

    @property
    def changed(self) -> int:
        return len(self._changed)

    def drain(self) -> Changes:
        changed, self._changed = self._changed, set()
        profiles = {key: msgspec.msgpack.encode(self._listed[key]) for key in changed}
        return Changes(profiles=profiles, marks=dict(self._last))

    def restore(self, changes: Changes, keys: Iterable[Key] = ()) -> None:
        self._listed = {
            key: msgspec.msgpack.decode(value) for key, value in changes.profiles.items()
        }
        self._last = dict(changes.marks)


def listed(profiles: dict[Key, bytes]) -> dict[str, list[int]]:
    """By stream: the seqs of the lines that were counted, with those counted twice twice."""
    found: dict[str, list[int]] = {}
    for key, value in profiles.items():
        found.setdefault(key.source.route, []).extend(msgspec.msgpack.decode(value))
    return {stream: sorted(seqs) for stream, seqs in found.items()}
