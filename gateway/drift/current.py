"""Current values as profiles on a reference's edges: of a file, or of lines of the log.

Lines are counted in their minutes, so that a trend can be looked at, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gateway.drift.battery import Battery
from gateway.errors import ConfigError, Problem
from gateway.profiles.extraction import Extraction
from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, columns_of, decode, from_file
from gateway.profiles.slices import Slices
from gateway.profiles.texts import measured

PARTS = 12  # of a trend


class Current(Struct, kw_only=True):
    """What there is now."""

    source: str  # in words
    profiles: dict[str, Profile]  # by field
    parts: tuple[dict[str, Profile], ...] = ()  # the same by time, the oldest first


def reference_of(path: Path, route: str = "") -> Reference:
    """A training file, or a reference as JSON."""
    if path.suffix == ".json":
        try:
            return decode(path.read_bytes(), str(path))
        except OSError as error:
            sentence = f"{path} cannot be read: {error.strerror}"
            raise ConfigError((Problem(sentence),)) from None
    return from_file(path, route=route)


def current_of_file(reference: Reference, path: Path) -> Current:
    """Of a file, CSV or Parquet."""
    columns = columns_of(path)
    profiles = {}
    for name, then in reference.profiles.items():
        field = then.field
        profile = profiles[name] = Profile(field)
        values = columns.get(field.of or name)
        if values is None:
            continue
        if field.measure:
            texts = [value.encode() for value in values.tolist() if isinstance(value, str)]
            profile.add_numbers(measured(texts)[field.measure])
        else:
            profile.update(values)
    return Current(source=path.name, profiles=profiles)


def current_of_lines(
    reference: Reference, route: str, lines: Iterable[bytes], first: int, end: int, source: str
) -> Current:
    """Of lines of the log, from minute `first` to before `end`, since 1970."""
    slices, extraction = Slices(minutes=max(end - first, 1) + 1), Extraction({route: reference})
    extraction.count(b"".join(line.rstrip(b"\n") + b"\n" for line in lines), slices, end)
    step = max(1, -(-(end - first) // PARTS))
    starts = range(first, end, step)
    parts = tuple(_window(reference, slices, begin, min(begin + step, end)) for begin in starts)
    return Current(source=source, profiles=_window(reference, slices, first, end), parts=parts)


def trends(battery: Battery, parts: Sequence[Mapping[str, Profile]]) -> dict[str, list[float]]:
    """The largest effect of each field's tests in each part, in units of its limit."""
    found: dict[str, list[float]] = {name: [] for name in battery.fields}
    for part in parts:
        largest = dict.fromkeys(battery.fields, 0.0)
        for one in battery.look(part, 0.01).findings():
            if one.limit > 0 and one.effect == one.effect:
                largest[one.field] = max(largest[one.field], one.effect / one.limit)
        for name, value in largest.items():
            found[name].append(value)
    return found


def _window(reference: Reference, slices: Slices, first: int, end: int) -> dict[str, Profile]:
    """All versions and arms together."""
    found = {name: Profile(then.field) for name, then in reference.profiles.items()}
    for source in slices.sources:
        for minute in slices.minutes(source):
            if first <= minute < end:
                for name, profile in slices.fields(source, minute).items():
                    found[name].merge(profile)
    return found
