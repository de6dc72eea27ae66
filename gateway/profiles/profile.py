"""What was counted of one field: integers that add up.

Cells count values (see fields.py). Sums of numbers, and of their squares, are whole numbers
of the field's unit from its center, so they are exact and in any order the same; the mean is
off by at most half a unit, 2^-21 of the reference's spread, and values further than 2^43
units away count as that far. Unseen categories are counted by name for the KEPT of them
whose hashes are least: each of these was among the least wherever it was counted, so its
count is whole, and how small the hashes are says how many names there are. Of embeddings the
random features are summed, in units of 2^-WAVE_BITS.

Rule: `state()` of profiles that counted the same values is the same bytes, however the
      values came and were added up.
Cost: about 10 ns a number, 64 bins; 8 bytes a cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from gateway._fast import count_numbers, hash_of
from gateway.profiles.fields import (
    MISSING,
    NAMED,
    NAN,
    NULL,
    SPECIALS,
    UNSEEN,
    VIOLATION,
    Field,
    Floats,
    Words,
    features_of,
)

KEPT = 64  # unseen categories that are counted by name
LONGEST = 100  # characters of such a name
WAVE_BITS = 20

# Json of `_fast`: what a value was in its text.
JSON_MISSING, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY = range(7)
Kinds = NDArray[np.uint8]
NameOf = Callable[[int], str]  # of a word at this place of the array


class State(Struct, frozen=True, array_like=True):
    """A profile as it is kept and sent."""

    field: str  # identity
    counts: bytes  # little-endian integers of the fewest bytes that hold them all
    width: int
    total: bytes  # big-endian, signed: past 64 bits
    squares: bytes
    low: float
    high: float
    unseen: tuple[tuple[int, str, int], ...] = ()  # hash, name, count; by hash
    waves: bytes = b""

    @property
    def rows(self) -> int:
        """All values, whatever they were."""
        return int(np.frombuffer(self.counts, f"<i{self.width}").sum())


class Profile:
    """Counts of one field."""

    __slots__ = ("counts", "field", "high", "low", "squares", "total", "unseen", "waves")

    def __init__(self, field: Field) -> None:
        self.field = field
        self.counts = np.zeros(field.cells, np.int64)
        self.total = 0  # units from the center
        self.squares = 0
        self.low = math.inf  # of finite numbers
        self.high = -math.inf
        self.unseen: dict[int, tuple[str, int]] = {}
        self.waves = np.zeros(2 * field.waves, np.int64)

    # What comes in.

    def update(self, values: ArrayLike) -> None:
        """Counts values as Python and numpy have them; None is null, Ellipsis is missing."""
        if self.field.is_ordered:
            numbers, kinds = _numbers(values)
            self.add_numbers(numbers, kinds)
        elif self.field.kind in NAMED:
            self._add_objects(np.asarray(values, dtype=object).ravel())
        else:
            self.add_vectors(np.asarray(values, dtype=np.float64))

    def add_numbers(self, numbers: Floats, kinds: Kinds | None = None) -> None:
        """Counts numbers; `kinds` says of each what it was in its text."""
        field = self.field
        total, squares, low, high = count_numbers(
            numbers, kinds, field.padded_edges, field.center, 1 / field.unit, self.counts
        )
        self.total += total
        self.squares += squares
        self.low = min(self.low, low + 0.0)
        self.high = max(self.high, high + 0.0)

    def add_words(self, words: Words, kinds: Kinds, name_of: NameOf) -> None:
        """Counts hashes of categories; `name_of` is asked for the unseen that are kept."""
        self.add_absent(kinds)
        is_word = kinds >= JSON_FALSE if self.field.kind == "category" else _is_boolean(kinds)
        at = np.flatnonzero(is_word & (kinds <= JSON_STRING))
        found, order = self.field.words
        given = words[at]
        if found.size:
            places = np.minimum(np.searchsorted(found, given), found.size - 1)
            is_known = found[places] == given
            self.counts[: found.size] += np.bincount(
                order[places[is_known]], minlength=found.size
            ).astype(np.int64)
            at = at[~is_known]
        if at.size:
            self.counts[self.field.bins + UNSEEN] += at.size
            self._add_unseen(words, at, name_of)

    def add_vectors(self, vectors: Floats) -> None:
        """Counts rows of an embedding; one that is not finite, or of another length, is none."""
        if not self._has_shape(vectors):
            self.counts[1 + VIOLATION] += len(vectors)
            return
        is_finite = np.isfinite(vectors).all(axis=1)
        self.counts[1 + NAN] += np.count_nonzero(~is_finite)
        features = features_of(self.field, vectors[is_finite])
        self.waves += np.rint(features * (1 << WAVE_BITS)).astype(np.int64).sum(axis=0)
        self.counts[0] += np.count_nonzero(is_finite)

    def _has_shape(self, vectors: Floats) -> bool:
        return vectors.ndim == 2 and vectors.shape[1] == self.field.dimensions

    def add_absent(self, kinds: Kinds) -> None:
        """Counts of these values those that are in no bin."""
        by_kind = np.bincount(kinds, minlength=8)
        bins = self.field.bins
        self.counts[bins + MISSING] += by_kind[JSON_MISSING]
        self.counts[bins + NULL] += by_kind[JSON_NULL]
        self.counts[bins + VIOLATION] += by_kind[JSON_ARRAY:].sum()
        if self.field.kind == "boolean":
            self.counts[bins + VIOLATION] += by_kind[JSON_NUMBER:JSON_ARRAY].sum()

    def _add_unseen(self, words: Words, at: NDArray[np.intp], name_of: NameOf) -> None:
        hashes, first, counts = np.unique(words[at], return_index=True, return_counts=True)
        for hash_, place, count in zip(
            hashes[:KEPT].tolist(), at[first[:KEPT]].tolist(), counts[:KEPT].tolist(), strict=True
        ):
            name, before = self.unseen.get(hash_, ("", 0))
            self.unseen[hash_] = (name or name_of(place)[:LONGEST], before + count)
        self._forget()

    def _add_objects(self, values: NDArray[Any]) -> None:
        names = [name_of_category(value) for value in values.tolist()]
        kinds = np.array([_json_kind(value) for value in values.tolist()], np.uint8)
        hashes = [0 if name is None else hash_of(name.encode()) for name in names]
        self.add_words(np.array(hashes, np.uint64), kinds, lambda at: names[at] or "")

    def _forget(self) -> None:
        """Keeps the names with the least hashes."""
        if len(self.unseen) > KEPT:
            kept = sorted(self.unseen)[:KEPT]
            self.unseen = {hash_: self.unseen[hash_] for hash_ in kept}

    # Adding up.

    def merge(self, other: Profile) -> Profile:
        """Adds what another profile of the same field counted; returns this one."""
        if other.field is not self.field and other.field.identity != self.field.identity:
            raise ValueError(
                f"profiles of {other.field.name!r} and {self.field.name!r} were frozen on other "
                "references and do not add up"
            )
        self.counts += other.counts
        self.total += other.total
        self.squares += other.squares
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        self.waves += other.waves
        for hash_, (name, count) in other.unseen.items():
            self.unseen[hash_] = (name, self.unseen.get(hash_, ("", 0))[1] + count)
        self._forget()
        return self

    def add_state(self, state: State) -> Profile:
        """Adds what a profile counted that was kept, as `merge` does; returns this one."""
        name = self.field.name
        if state.field != self.field.identity:
            raise ValueError(f"the counts of {name!r} were made on another reference")
        counts = np.frombuffer(state.counts, f"<i{state.width}")
        waves = np.frombuffer(state.waves, "<i8")
        if counts.size != self.counts.size or waves.size != self.waves.size:
            raise ValueError(f"the counts of {name!r} have another number of cells")
        self.counts += counts
        self.waves += waves
        self.total += int.from_bytes(state.total, "big", signed=True)
        self.squares += int.from_bytes(state.squares, "big", signed=True)
        self.low, self.high = min(self.low, state.low), max(self.high, state.high)
        for hash_, word, count in state.unseen:
            self.unseen[hash_] = (word, self.unseen.get(hash_, ("", 0))[1] + count)
        self._forget()
        return self

    def copy(self) -> Profile:
        """One that counts on its own from here on."""
        return Profile(self.field).merge(self)

    # What was counted.

    @property
    def rows(self) -> int:
        """All values, whatever they were."""
        return int(self.counts.sum())

    @property
    def values(self) -> int:
        """Those in bins: finite numbers, known categories, whole vectors."""
        return int(self.counts[: self.field.bins].sum())

    @property
    def wave_means(self) -> Floats:
        """Means of an embedding's random features."""
        means: Floats = self.waves / (max(self.values, 1) * float(1 << WAVE_BITS))
        return means

    @property
    def specials(self) -> dict[str, int]:
        """The special cells by name."""
        return dict(zip(SPECIALS, self.counts[self.field.bins :].tolist(), strict=True))

    @property
    def zeros(self) -> int:
        """Values that are zero."""
        at = self.field.zero_bin
        return int(self.counts[at]) if at >= 0 else 0

    @property
    def mean(self) -> float:
        """Of the finite numbers; off by at most half a unit."""
        n = self.values
        return self.field.center + self.field.unit * (self.total / n) if n else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite numbers, with n - 1."""
        n = self.values
        if n < 2:
            return math.nan
        # Exact in integers: the subtraction loses nothing.
        variance = (n * self.squares - self.total**2) / (n * (n - 1))
        return self.field.unit * math.sqrt(variance)

    @property
    def distinct(self) -> float:
        """How many categories were there: exact up to KEPT unseen ones, then an estimate."""
        seen = int(np.count_nonzero(self.counts[: self.field.bins]))
        if len(self.unseen) < KEPT:
            return float(seen + len(self.unseen))
        return seen + (KEPT - 1) / (max(self.unseen) / 2.0**64)

    @property
    def strangers(self) -> dict[str, int]:
        """Unseen categories that are kept by name, most frequent first."""
        found = sorted(self.unseen.values(), key=lambda one: (-one[1], one[0]))
        return dict(found)

    # Kept and sent.

    def state(self) -> State:
        """As a value; the same for the same counts."""
        counts, width = _packed(self.counts)
        return State(
            field=self.field.identity,
            counts=counts,
            width=width,
            total=_bytes(self.total),
            squares=_bytes(self.squares),
            low=self.low,
            high=self.high,
            unseen=tuple((hash_, *self.unseen[hash_]) for hash_ in sorted(self.unseen)),
            waves=self.waves.astype("<i8").tobytes(),
        )

    def encode(self) -> bytes:
        """The state in MessagePack."""
        return msgspec.msgpack.encode(self.state())

    @classmethod
    def of(cls, field: Field, state: State) -> Profile:
        """What the state says; ValueError when it is of another field."""
        return cls(field).add_state(state)

    @classmethod
    def decode(cls, field: Field, data: bytes) -> Profile:
        """The reverse of `encode`."""
        return cls.of(field, msgspec.msgpack.decode(data, type=State))


def merged(field: Field, profiles: Sequence[Profile]) -> Profile:
    """All of them as one."""
    whole = Profile(field)
    for profile in profiles:
        whole.merge(profile)
    return whole


def _is_boolean(kinds: Kinds) -> NDArray[np.bool_]:
    is_boolean: NDArray[np.bool_] = (kinds == JSON_FALSE) | (kinds == JSON_TRUE)
    return is_boolean


_BOOLEANS: Mapping[object, str] = {True: "true", False: "false"}


def name_of_category(value: object) -> str | None:
    """A category's name, as JSON writes its value; None of null and NaN."""
    if value is None or value is ... or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool | np.bool_):
        return _BOOLEANS[bool(value)]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # Why: numpy and CSV make 200.0 of the 200 that requests say
    return str(value)


def _json_kind(value: object) -> int:
    if value is ...:
        return JSON_MISSING
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return JSON_NULL
    if isinstance(value, bool | np.bool_):
        return JSON_TRUE if value else JSON_FALSE
    if isinstance(value, int | float | np.number):
        return JSON_NUMBER
    return JSON_STRING if isinstance(value, str) else JSON_ARRAY


def _numbers(values: ArrayLike) -> tuple[Floats, Kinds | None]:
    """As doubles in a row; and what each was, where they are not all numbers."""
    array = np.asarray(values)
    if array.dtype != object:
        if array.dtype.kind not in "biuf":
            return _numbers(array.astype(object))
        return np.ascontiguousarray(array, np.float64).ravel(), None
    objects = array.ravel().tolist()
    # Why: NaN is a number here.
    kinds = [JSON_NUMBER if value != value else _json_kind(value) for value in objects]  # noqa: PLR0124
    numbers = [
        float(value) if kind == JSON_NUMBER else 0.0
        for value, kind in zip(objects, kinds, strict=True)
    ]
    return np.array(numbers), np.array(kinds, np.uint8)


def _packed(counts: NDArray[np.int64]) -> tuple[bytes, int]:
    most = int(counts.max(initial=0))
    width = next(width for width in (1, 2, 4, 8) if most < 1 << (8 * width - 1))
    return counts.astype(f"<i{width}").tobytes(), width


def _bytes(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)
