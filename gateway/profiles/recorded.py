"""A reference of recorded traffic: lines of the log, decoded one by one.

Slow, and plainly written: what `_fast.columns` reads of features and predictions, this reads
as well, and the tests hold one against the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.profiles.fields import BINS, TOP, Kind
from gateway.profiles.reference import Reference, from_arrays
from gateway.profiles.signals import MADE, PREDICTION, SIGNALS, TELLING

ROWS = 200_000  # that a reference is made of, at most
FIELDS = 1000  # likewise, of features, and of predictions
CLASSES = 100  # of a longer list of a prediction's the whole is one field, an embedding
LABELS = 32  # whole numbers of no more values than that are names of classes


class Line(Struct):
    """What is read of a line before the rest of it."""

    kind: str = ""
    route: str = ""
    version: str = ""
    time: str = ""
    features: Raw | UnsetType = UNSET
    predictions: Raw | UnsetType = UNSET


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
    """A reference of a route's predictions: of the first ROWS of them, and of `most` features."""
    wanted = {name: SIGNALS[name] for name in signals} | dict(kinds or {})
    features, predictions = _Table(most), _Table(most)
    said = {name: list[Any]() for name in wanted if name.startswith("/") or name in MADE}
    count, times = 0, list[str]()
    versions: dict[str, int] = {}
    for data in lines:
        line = _decoded(data)
        if line is None or line.kind != "prediction" or line.route != route:
            continue
        whole = msgspec.json.decode(data)
        for name, values in said.items():
            values.append(signal_of(whole, name))
        features.add(rows_of(msgspec.json.decode(line.features)) if line.features else ())
        if line.predictions:
            predictions.add(outputs_of(msgspec.json.decode(line.predictions)))
        count += 1
        times.append(line.time)
        versions[line.version] = versions.get(line.version, 0) + 1
        if max(count, features.rows, predictions.rows) >= ROWS:
            break
    columns = features.whole() | predictions.whole()
    columns |= {
        name: values
        for name, values in said.items()
        if name in TELLING or any(value is not ... for value in values)
    }
    guessed = {name: _kind_of(values) for name, values in predictions.columns.items()}
    return from_arrays(
        columns,
        kinds={
            name: kind
            for name, kind in (guessed | wanted).items()
            if kind is not None and name in columns
        },
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


class _Table:
    """Rows as columns; Ellipsis where a row lacks one."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.columns: dict[str, list[Any]] = {}
        self.rows = 0

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            for name, value in row.items():
                if name not in self.columns and len(self.columns) >= self.most:
                    continue
                values = self.columns.setdefault(name, [])
                values += [...] * (self.rows - len(values))
                values.append(value)
            self.rows += 1

    def whole(self) -> dict[str, list[Any]]:
        """All columns as long as there are rows; of vectors those of the usual length."""
        for values in self.columns.values():
            values.extend([...] * (self.rows - len(values)))
        return {name: _vectors(values) for name, values in self.columns.items()}


def _vectors(values: list[Any]) -> list[Any]:
    lengths = Counter(len(value) for value in values if isinstance(value, list))
    if not lengths:
        return values
    usual = max(lengths, key=lambda length: (lengths[length], length))
    kept = [value for value in values if isinstance(value, list) and len(value) == usual]
    is_vector = all(isinstance(x, int | float) for value in kept for x in value)
    return kept if is_vector and len(kept) * 2 > len(values) else [str(one) for one in values]


def _kind_of(values: Sequence[Any]) -> Kind | None:
    """What a column of predictions most probably is; None: as any other is guessed."""
    given = [value for value in values if value is not None and value is not ...]
    if not given or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
        return None
    if all(isinstance(value, int) for value in given):
        return "category" if len(set(given)) <= LABELS else "numeric"
    return "score" if all(0 <= value <= 1 for value in given) else "numeric"


def signal_of(record: Any, name: str) -> Any:
    """What a record says there, or what is worked out of it; Ellipsis where nothing is."""
    made = MADE.get(name)
    if made is None:
        return at_pointer(record, name)
    return made.of_values(*(at_pointer(record, place) for place in made.places))


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
        yield _flattened(features)
    elif isinstance(features, list) and features and isinstance(features[0], dict):
        tensors = [one for one in features if _is_tensor(one)]
        yield from _tensor_rows(tensors)
        yield from (
            _flattened(one) for one in features if isinstance(one, dict) and not _is_tensor(one)
        )
    elif isinstance(features, list) and features and isinstance(features[0], list):
        for row in features:
            yield {str(at): value for at, value in enumerate(row)}
    elif isinstance(features, list) and features:
        yield {str(at): value for at, value in enumerate(features)}


def outputs_of(predictions: Any) -> Iterator[dict[str, Any]]:
    """Rows of what a model answered, likewise; bare values are rows, too.

    Short lists are probabilities, or the like: a field each.
    """
    if isinstance(predictions, dict) or (
        isinstance(predictions, list) and predictions and isinstance(predictions[0], dict | list)
    ):
        rows: Iterable[dict[str, Any]] = rows_of(predictions)
    elif isinstance(predictions, list):
        rows = [{"": value} for value in predictions]
    elif is_sealed(predictions):
        rows = []
    else:
        rows = [{"": predictions}]
    for row in rows:
        yield {
            f"{PREDICTION}.{name}" if name else PREDICTION: value
            for name, value in _flattened(row, CLASSES).items()
        }


def is_sealed(value: Any) -> bool:
    """Whether it was encrypted."""
    return isinstance(value, str) and value.startswith("gcm1")


def _flattened(row: Mapping[str, Any], longest: int = 0, before: str = "") -> dict[str, Any]:
    """Members of objects inside by name, and those of lists up to a length by place."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            found |= _flattened(value, longest, f"{name}.")
        elif isinstance(value, list) and len(value) <= longest:
            found |= {f"{name}.{at}": one for at, one in enumerate(value)}
        else:
            found[name] = value
    return found


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
