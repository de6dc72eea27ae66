"""Lines of streams, bases to count them on, and a slow counter to compare with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, from_arrays
from gateway.profiles.slices import Source
from gateway.watch.basis import Basis
from gateway.watch.changes import HOUR, HOURS_KEPT, Changes, Key, encoded
from gateway.watch.tally import Tally
from tests.profiles.samples import MINUTE, at

NOW = MINUTE + 20 * 24 * HOUR  # later than any line


def basis_of(route: str = "iris", seed: Any = 1, **columns: Any) -> Basis:
    rng = np.random.default_rng(seed)
    given = columns or {"x": rng.normal(size=200), "c": ["a", "b", "c"] * 60}
    reference = from_arrays(given, route=route)
    return Basis(name=reference.hash, route=route, origin="training", reference=reference)


def placed(
    features: Any = None, *, stream: Any = "w0-a", seq: Any = 1, minute: int = MINUTE, **more: Any
) -> bytes:
    """A record as a worker writes it."""
    fields: dict[str, Any] = {
        "v": 1,
        "id": f"{stream}.{seq}",
        "time": at(minute),
        "kind": "prediction",
        "stream": stream,
        "seq": seq,
        "route": "iris",
        "version": "7",
    }
    if features is not None:
        fields["features"] = features
    return json.dumps({**fields, **more}, separators=(",", ":")).encode() + b"\n"


def stream_of(
    name: str, count: int, *, minutes: Sequence[int] = (MINUTE,), seed: int = 0, **more: Any
) -> list[bytes]:
    """Lines of one stream; of several minutes, versions and values that were never seen."""
    rng = np.random.default_rng([seed, *name.encode()])
    drawn = zip(rng.normal(size=count), rng.integers(0, 12, count), strict=True)
    return [
        placed(
            {"x": round(x, 3), "c": "abcdefghijkl"[letter]},
            stream=name,
            seq=seq,
            minute=minutes[(seq * 7) % len(minutes)],
            version=str(seq % 2),
            **more,
        )
        for seq, (x, letter) in enumerate(drawn, 1)
    ]


def kept_of(tally: Tally) -> dict[Key, bytes]:
    """What is kept after a last drain."""
    tally.drain()
    return dict(tally.values)


def apply(kept: dict[Key, bytes], changes: Changes) -> None:
    """As a store does it."""
    for key in changes.gone:
        kept.pop(key, None)
    kept.update(changes.profiles)


def single_pass(
    lines: Iterable[bytes], bases: Sequence[Basis], keep: int = 24 * HOUR
) -> dict[Key, bytes]:
    """Each line once, value by value, by the definition."""
    seen: set[tuple[str, int]] = set()
    records = []
    for line in lines:
        record = json.loads(line)
        if (record["stream"], record["seq"]) not in seen:
            seen.add((record["stream"], record["seq"]))
            records.append((_minute(record["time"]), record))
    newest = max(minute for minute, _ in records)
    summed_to = (newest - keep) // HOUR * HOUR
    gone_before = newest - newest % HOUR - HOURS_KEPT * HOUR
    slots: dict[Key, dict[str, Profile]] = {}
    for minute, record in records:
        source = Source(record["route"], record["version"])
        hour = minute - minute % HOUR
        for basis in bases:
            if basis.route != source.route or minute < gone_before:
                continue
            is_summed = minute < summed_to
            key = Key(basis.name, source, *((hour, HOUR) if is_summed else (minute, 1)))
            _add(slots.setdefault(key, {}), basis.reference, record["features"])
    return {key: encoded(slot) for key, slot in slots.items()}


def _minute(time: str) -> int:
    return int(np.datetime64(time.rstrip("Z"), "m").astype(int))


def _add(slot: dict[str, Profile], reference: Reference, features: dict[str, Any]) -> None:
    for frozen in reference.fields:
        name = frozen.field.name
        value = np.empty(1, object)
        value[0] = features.get(name, ...)
        slot.setdefault(name, Profile(frozen.field)).update(value)
