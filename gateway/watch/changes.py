"""What is kept of counting, and how it travels: keys, encoded profiles, marks.

A *key* is a basis, a source and a slice of time: a minute, or the hour that minutes were summed
into. Its value holds the profiles of all fields, MessagePack, {name: state}. Values are whole,
never differences: writing one twice is writing it once. `Changes` are what one transaction
brings, and with all that was ever brought, what a restart begins with.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from gateway.profiles.profile import Profile, State
from gateway.profiles.reference import Reference
from gateway.profiles.slices import Minute, Source

HOUR = 60  # minutes
HOURS_KEPT = 9 * 24  # of the sums: a week, and the days that a look at last week may be late
MOST_SAMPLES = 100  # that wait to be written


class Key(NamedTuple):
    """Whose values of which time."""

    basis: str  # its name
    source: Source
    minute: int  # the first, since 1970
    span: int = 1  # minutes: 1, or 60 of a sum

    @property
    def end(self) -> int:
        """The minute behind it."""
        return self.minute + self.span

    def text(self) -> bytes:
        """For stores that want bytes; the same for the same key."""
        return msgspec.json.encode([self.basis, *self.source, self.minute, self.span])

    @classmethod
    def of_text(cls, text: bytes) -> Key:
        """The reverse of `text`; ValueError of anything else."""
        basis, route, version, arm, minute, span = msgspec.json.decode(
            text, type=tuple[str, str, str, str, int, int]
        )
        return cls(basis, Source(route, version, arm), minute, span)


class Sample(Struct, frozen=True, kw_only=True):
    """A line that was put aside, or the beginning of it."""

    reason: str  # one of tally.RESULTS
    line: bytes
    about: str = ""  # more in words: the field, the version


class Changes(Struct, kw_only=True):
    """Since the last ones; of `marks` and `told` all there is."""

    profiles: dict[Key, bytes] = {}
    gone: list[Key] = []  # expired, or summed into an hour that is in `profiles`
    marks: dict[str, int] = {}  # by stream: its last line that these counts stand for
    told: dict[str, int] = {}  # lines by result, since the beginning
    newest: int = 0  # minute: the newest believable one seen
    oldest: int = 0  # minute: what was before it is not kept any more
    samples: list[Sample] = []  # no state: for people

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted and nothing went."""
        return not (self.profiles or self.gone or self.samples)

    def then(self, later: Changes) -> Changes:
        """Both as one, where these could not be kept yet."""
        gone = set(later.gone)
        return Changes(
            profiles={key: value for key, value in self.profiles.items() if key not in gone}
            | later.profiles,
            gone=[key for key in self.gone if key not in later.profiles and key not in gone]
            + later.gone,
            marks=later.marks,
            told=later.told,
            newest=later.newest,
            oldest=later.oldest,
            samples=[*self.samples, *later.samples][:MOST_SAMPLES],
        )


_raws = msgspec.msgpack.Decoder(dict[str, Raw])
_states = msgspec.msgpack.Decoder(State)


def encoded(slot: Minute) -> bytes:
    """The profiles of a slice, in the order of their names: the same counts are the same bytes."""
    return msgspec.msgpack.encode({name: slot[name].state() for name in sorted(slot)})


def decoded(value: bytes, reference: Reference, *only: str) -> Minute:
    """The profiles of a value, or those of some fields; what is of no field of it is left out."""
    found = _raws.decode(value)
    made: Minute = {}
    for name, then in reference.profiles.items():
        if name in found and (not only or name in only):
            made[name] = Profile.of(then.field, _states.decode(found[name]))
    return made


def add_value(slot: Minute, value: bytes) -> None:
    """Adds the profiles of a value to those of the same names."""
    found = _raws.decode(value)
    for name, profile in slot.items():
        if name in found:
            profile.add_state(_states.decode(found[name]))


def rows_in(value: bytes, name: str) -> int:
    """Rows of one field of a value; where it has none of that name, of the one with most."""
    found = _raws.decode(value)
    states = [found[name]] if name in found else list(found.values())
    return max((_states.decode(one).rows for one in states), default=0)
