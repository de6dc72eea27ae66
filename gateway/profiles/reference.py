"""A reference: the fields of a route as they were frozen, and what was counted of them then.

Built from arrays, from a training file (CSV, Parquet), or from lines of the prediction log.
It is kept as a JSON document whose hash goes into whatever is said by comparing with it.

Rule: a document that was read back is the same reference: same hash, same counts.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from gateway.errors import ConfigError, Problem
from gateway.profiles.fields import (
    BINS,
    TOP,
    Field,
    Floats,
    Kind,
    boolean_field,
    category_field,
    embedding_field,
    numeric_field,
)
from gateway.profiles.languages import LANGUAGE, is_there, languages
from gateway.profiles.profile import Profile, State, name_of_category
from gateway.profiles.texts import MEASURES, measured

VERSION = 1
LONG = 64  # characters; strings whose median is longer are texts


class Frozen(Struct, frozen=True, kw_only=True):
    """A field and what the reference had of it."""

    field: Field
    counts: str  # the profile's state, MessagePack in base 64


class Reference(Struct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """What a route's values are compared with."""

    version: int
    source: str  # where it comes from, for people
    rows: int
    fields: tuple[Frozen, ...]
    route: str = ""
    model_version: str = ""
    begun: str = ""  # of the data, RFC 3339
    ended: str = ""

    @cached_property
    def hash(self) -> str:
        """Names the reference: 16 hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    @cached_property
    def profiles(self) -> dict[str, Profile]:
        """What was counted, by name of the field."""
        return {one.field.name: _thawed(one) for one in self.fields}

    @property
    def names(self) -> tuple[str, ...]:
        """Of its fields."""
        return tuple(one.field.name for one in self.fields)

    def encode(self) -> bytes:
        """As a JSON document."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1)


def decode(document: bytes, path: str = "reference") -> Reference:
    """The reference of a JSON document; ConfigError with what is wrong and where."""
    try:
        found = msgspec.json.decode(document, type=Reference)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _wrong(f"{path} is no reference: {error}") from None
    if found.version != VERSION:
        raise _wrong(
            f"{path} is a reference of version {found.version}; this gateway reads {VERSION}, "
            "build it again"
        )
    try:
        _ = found.profiles
    except (msgspec.MsgspecError, ValueError) as error:
        raise _wrong(f"{path} is damaged: {error}; build it again") from None
    return found


def _wrong(sentence: str) -> ConfigError:
    return ConfigError((Problem(sentence),))


def _thawed(one: Frozen) -> Profile:
    state = msgspec.msgpack.decode(base64.b64decode(one.counts), type=State)
    return Profile.of(one.field, state)


def frozen(profiles: Iterable[Profile], *, source: str, rows: int, **more: str) -> Reference:
    """A reference of profiles as they stand, such as those of a pinned window."""
    kept = tuple(
        Frozen(field=one.field, counts=base64.b64encode(one.encode()).decode()) for one in profiles
    )
    return Reference(version=VERSION, source=source, rows=rows, fields=kept, **more)


def from_arrays(
    columns: Mapping[str, ArrayLike],
    *,
    kinds: Mapping[str, Kind] | None = None,
    source: str = "arrays",
    bins: int = BINS,
    top: int = TOP,
    **more: str,
) -> Reference:
    """A reference of columns; what kind each is, is said or guessed."""
    profiles: list[Profile] = []
    rows = 0
    for name, given in columns.items():
        values = np.asarray(given) if not isinstance(given, list) else _array(given)
        rows = max(rows, len(values))
        kind = (kinds or {}).get(name) or guessed_kind(values)
        profiles += _profiles(name, kind, values, bins, top)
    return frozen(profiles, source=source, rows=rows, **more)


def from_file(
    path: Path,
    *,
    kinds: Mapping[str, Kind] | None = None,
    bins: int = BINS,
    top: int = TOP,
    **more: str,
) -> Reference:
    """A reference of a training file, CSV or Parquet."""
    if path.suffix not in {".csv", ".parquet"}:
        raise _wrong(f"{path} is neither .csv nor .parquet: no reference can be made of it")
    columns = columns_of(path)
    return from_arrays(columns, kinds=kinds, source=path.name, bins=bins, top=top, **more)


def columns_of(path: Path) -> dict[str, NDArray[Any]]:
    """What a file, CSV or Parquet, has, by name; ConfigError where it cannot be read."""
    import duckdb  # noqa: PLC0415 - takes 50 ms, and only files need it

    read = "read_csv" if path.suffix == ".csv" else "read_parquet"
    try:
        with duckdb.connect() as database:
            table = database.execute(f"select * from {read}(?)", [str(path)])  # noqa: S608 - ours
            found = table.fetchnumpy()
    except duckdb.Error as error:
        first = str(error).splitlines()[0]
        raise _wrong(f"{path} cannot be read: {first}") from None
    return {name: _unmasked(column) for name, column in found.items()}


def _unmasked(column: Any) -> NDArray[Any]:
    """Masked places as None; numbers without any stay numbers."""
    if not isinstance(column, np.ma.MaskedArray):
        return np.asarray(column)
    if not np.ma.getmaskarray(column).any():
        return np.asarray(column.data)
    values = column.data.astype(object)
    values[np.ma.getmaskarray(column)] = None
    return np.asarray(values)


def _array(values: list[Any]) -> NDArray[Any]:
    """Of a list; mixed ones stay objects, so that nothing is turned into text."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return np.asarray(values, np.float64)
    if values and all(isinstance(one, list | tuple) for one in values):
        return np.asarray(values, np.float64)
    made = np.empty(len(values), object)
    made[:] = values
    return made


def guessed_kind(values: NDArray[Any]) -> Kind:
    """What a column most probably is."""
    if values.ndim == 2:
        return "embedding"
    if values.dtype.kind == "b":
        return "boolean"
    if values.dtype.kind in "iuf":
        return "numeric"
    given = [value for value in values.tolist() if value is not None and value is not ...]
    if given and all(isinstance(value, bool) for value in given):
        return "boolean"
    if given and all(isinstance(value, int | float) for value in given):
        return "numeric"
    lengths = [len(str(value)) for value in given]
    return "text" if lengths and np.median(lengths) > LONG else "category"


def _profiles(name: str, kind: Kind, values: NDArray[Any], bins: int, top: int) -> list[Profile]:
    if kind == "text":
        texts = [value.encode() for value in values.tolist() if isinstance(value, str)]
        found = [_measure(name, measure, texts, bins) for measure in MEASURES]
        return [*found, _languages(name, texts, top)] if is_there() else found
    profile = Profile(field_of(name, kind, values, bins=bins, top=top))
    profile.update(values)
    return [profile]


def _measure(name: str, measure: str, texts: list[bytes], bins: int) -> Profile:
    values = measured(texts)[measure]
    plain = numeric_field(f"{name}#{measure}", values, bins=bins)
    profile = Profile(msgspec.structs.replace(plain, of=name, measure=measure))
    profile.add_numbers(values)
    return profile


def _languages(name: str, texts: list[bytes], top: int) -> Profile:
    found = languages(texts) or []
    counts = Counter(found)
    plain = category_field(f"{name}#{LANGUAGE}", list(counts), list(counts.values()), top=top)
    profile = Profile(msgspec.structs.replace(plain, of=name, measure=LANGUAGE))
    profile.update(np.array(found, object))
    return profile


def field_of(
    name: str, kind: Kind, values: NDArray[Any], *, bins: int = BINS, top: int = TOP
) -> Field:
    """The field frozen on these values."""
    if kind in {"numeric", "score"}:
        return numeric_field(name, _finite(values), kind=kind, bins=bins)
    if kind == "boolean":
        return boolean_field(name)
    if kind == "embedding":
        return embedding_field(name, np.asarray(values, np.float64))
    found = Counter(map(name_of_category, values.tolist()))
    found.pop(None, None)
    names = [name for name in found if name is not None]
    return category_field(name, names, [found[each] for each in names], top=top)


def _finite(values: NDArray[Any]) -> Floats:
    if values.dtype.kind in "biuf":
        return values.astype(np.float64).ravel()
    numbers = [
        float(value)
        for value in values.tolist()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return np.array(numbers, np.float64)
