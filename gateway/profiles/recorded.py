"""A reference of recorded traffic: lines of the log, decoded one by one.

Slow, and plainly written: what `_fast.columns` reads of features, this reads as well, and
the tests hold one against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.profiles.extraction import SIGNALS
from gateway.profiles.fields import BINS, TOP, Kind
from gateway.profiles.reference import Reference, from_arrays

ROWS = 200_000  # that a reference is made of, at most
FIELDS = 1000  # likewise


class Line(Struct):
    """What is read of a line before the rest of it."""

    kind: str = ""
    route: str = ""
    version: str = ""
    time: str = ""
    features: Raw | UnsetType = UNSET


def from_lines(
    lines: Iterable[bytes],
    route: str,
    *,
    kinds: Mapping[str, Kind] | None = None,
    signals: Sequence[str] = tuple(SIGNALS),
    source: str = "recorded traffic",
    bins: int = BINS,
    top: int = TOP,
    most: int = FIELDS,
) -> Reference:
    """A reference of a route's predictions; of the first ROWS of them, and `most` features."""
    wanted = {name: SIGNALS[name] for name in signals} | dict(kinds or {})
    columns: dict[str, list[Any]] = {}
    said: dict[str, list[Any]] = {name: [] for name in wanted if name.startswith("/")}
    rows, count, times = 0, 0, list[str]()
    versions: dict[str, int] = {}
    for data in lines:
        line = _decoded(data)
        if line is None or line.kind != "prediction" or line.route != route:
            continue
        whole = msgspec.json.decode(data)
        for name, values in said.items():
            values.append(at_pointer(whole, name))
        for row in rows_of(msgspec.json.decode(line.features)) if line.features else ():
            _add(columns, row, rows, most)
            rows += 1
        count += 1
        times.append(line.time)
        versions[line.version] = versions.get(line.version, 0) + 1
        if count >= ROWS or rows >= ROWS:
            break
    for short in columns.values():
        short.extend([...] * (rows - len(short)))
    given = {name: values for name, values in said.items() if any(v is not ... for v in values)}
    return from_arrays(
        columns | given,
        kinds={name: kind for name, kind in wanted.items() if name in columns or name in given},
        source=source,
        bins=bins,
        top=top,
        route=route,
        model_version=max(versions, key=lambda one: versions[one], default=""),
        begun=min(times, default=""),
        ended=max(times, default=""),
    )


def _decoded(data: bytes) -> Line | None:
    try:
        return msgspec.json.decode(data, type=Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _add(columns: dict[str, list[Any]], row: Mapping[str, Any], before: int, most: int) -> None:
    for name, value in row.items():
        if name not in columns and len(columns) >= most:
            continue
        values = columns.setdefault(name, [])
        values += [...] * (before - len(values))
        values.append(value)


def at_pointer(value: Any, pointer: str) -> Any:
    """What is there; Ellipsis where nothing is."""
    for token in pointer.split("/")[1:]:
        if isinstance(value, dict):
            value = value.get(token.replace("~1", "/").replace("~0", "~"), ...)
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return ...
    return value


def rows_of(features: Any) -> Iterator[dict[str, Any]]:
    """Rows of predictions: an object, tensors, objects, arrays, or one array."""
    if isinstance(features, dict):
        yield features
    elif isinstance(features, list) and features and isinstance(features[0], dict):
        tensors = [one for one in features if _is_tensor(one)]
        yield from _tensor_rows(tensors)
        yield from (one for one in features if isinstance(one, dict) and not _is_tensor(one))
    elif isinstance(features, list) and features and isinstance(features[0], list):
        for row in features:
            yield {str(at): value for at, value in enumerate(row)}
    elif isinstance(features, list) and features:
        yield {str(at): value for at, value in enumerate(features)}


def _is_tensor(one: Any) -> bool:
    return (
        isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("data"), list)
    )


def _tensor_rows(tensors: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for tensor in tensors:
        flat = list(_flat(tensor["data"]))
        shape = tensor.get("shape") or [len(flat)]
        width = int(np.prod([int(size) for size in shape[1:]])) or 1
        for at, value in enumerate(flat):
            while len(rows) <= at // width:
                rows.append({})
            name = tensor["name"] if width == 1 else f"{tensor['name']}.{at % width}"
            rows[at // width][name] = value
    yield from rows


def _flat(data: Any) -> Iterator[Any]:
    if isinstance(data, list):
        for one in data:
            yield from _flat(one)
    else:
        yield data
