"""Bodies as rows of named values, each with its place.

    rows      {"amount": 3}                      or a list of such objects
    columns   {"amount": [3, 4]}
    split     {"columns": ["amount"], "data": [[3], [4]]}
    kserve    [{"name": "amount", "shape": [2], "datatype": "FP64", "data": [3, 4]}]

`rows_of` gives rows, or a Misfit: where the shape is another one, and what was expected.
A row answers what a field holds (MISSING: it does not), where, and takes another value for it.

Rule: data are changed by `put` only, in the decoded body, so that it can be written again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

from gateway.contracts.anomalies import escaped

MISSING: Any = type("Missing", (), {"__repr__": lambda _self: "MISSING"})()


class Misfit(Struct, frozen=True):
    """The body has no rows of this format."""

    pointer: str
    expected: str
    value: Any


class Row(Protocol):
    """One row, whatever the format."""

    def names(self) -> Iterable[str]: ...
    def get(self, name: str) -> Any: ...
    def pointer(self, name: str) -> str: ...
    def put(self, name: str, value: Any) -> bool:
        """Whether the value could be put there."""


class ObjectRow:
    """Of a list of objects, or the object itself."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        self._values, self._place = values, place

    def names(self) -> Iterable[str]:
        return self._values

    def get(self, name: str) -> Any:
        return self._values.get(name, MISSING)

    def pointer(self, name: str) -> str:
        return f"{self._place}/{escaped(name)}"

    def put(self, name: str, value: Any) -> bool:
        self._values[name] = value
        return True


class Column(Struct):
    """The values of one field, in order of the rows."""

    values: list[Any]
    place: str
    width: int = 0  # > 0: so many of `values` make one row's list
    is_nested: bool = False  # each value is the only element of a list of its own


class ColumnRow:
    """One row across columns."""

    def __init__(self, columns: dict[str, Column], at: int) -> None:
        self._columns, self._at = columns, at

    def names(self) -> Iterable[str]:
        return self._columns

    def get(self, name: str) -> Any:
        column = self._columns.get(name)
        if column is None:
            return MISSING
        if column.width:
            at = self._at * column.width
            return column.values[at : at + column.width]
        if self._at >= len(column.values):
            return MISSING
        value = column.values[self._at]
        is_inner = column.is_nested and isinstance(value, list) and len(value) == 1
        return value[0] if is_inner else value

    def pointer(self, name: str) -> str:
        column = self._columns.get(name)
        if column is None:
            return f"/{escaped(name)}"
        return f"{column.place}/{self._at * (column.width or 1)}"

    def put(self, name: str, value: Any) -> bool:
        column = self._columns.get(name)
        if column is None or column.width or self._at >= len(column.values):
            return False
        if column.is_nested:
            column.values[self._at] = [value]
        else:
            column.values[self._at] = value
        return True


class SplitRow:
    """One list of `data`."""

    def __init__(self, places: dict[str, int], values: list[Any], place: str) -> None:
        self._places, self._values, self._place = places, values, place

    def names(self) -> Iterable[str]:
        return self._places

    def get(self, name: str) -> Any:
        at = self._places.get(name, -1)
        return self._values[at] if 0 <= at < len(self._values) else MISSING

    def pointer(self, name: str) -> str:
        at = self._places.get(name)
        return f"{self._place}/{escaped(name) if at is None else at}"

    def put(self, name: str, value: Any) -> bool:
        at = self._places.get(name, -1)
        if not 0 <= at < len(self._values):
            return False
        self._values[at] = value
        return True


def rows_of(value: Any, style: str, place: str, lists: frozenset[str]) -> Sequence[Row] | Misfit:
    """The rows of what stands at a place; `lists` are the fields that hold lists."""
    return _READERS[style](value, place, lists)


def _objects(value: Any, place: str, _lists: frozenset[str]) -> Sequence[Row] | Misfit:
    if isinstance(value, dict):
        return [ObjectRow(value, place)]
    if not isinstance(value, list):
        return Misfit(place, "an object, or a list of objects", value)
    for at, each in enumerate(value):
        if not isinstance(each, dict):
            return Misfit(f"{place}/{at}", "an object", each)
    return [ObjectRow(each, f"{place}/{at}") for at, each in enumerate(value)]


def _columns(value: Any, place: str, _lists: frozenset[str]) -> Sequence[Row] | Misfit:
    if not isinstance(value, dict):
        return Misfit(place, "an object of lists", value)
    columns = {}
    for name, values in value.items():
        where = f"{place}/{escaped(name)}"
        if not isinstance(values, list):
            return Misfit(where, "a list", values)
        columns[name] = Column(values, where)
    return _across(columns)


def _across(columns: dict[str, Column]) -> Sequence[Row]:
    counts = (len(each.values) // (each.width or 1) for each in columns.values())
    # Why one where there is no column: that they are missing must show.
    return [ColumnRow(columns, at) for at in range(max(counts, default=1))]


def _split(value: Any, place: str, _lists: frozenset[str]) -> Sequence[Row] | Misfit:
    if not isinstance(value, dict):
        return Misfit(place, "an object with `columns` and `data`", value)
    names, data = value.get("columns"), value.get("data")
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        return Misfit(f"{place}/columns", "a list of names", names)
    if len(set(names)) != len(names):
        return Misfit(f"{place}/columns", "each name once", names)
    if not isinstance(data, list):
        return Misfit(f"{place}/data", "a list of rows", data)
    for at, each in enumerate(data):
        if not isinstance(each, list) or len(each) != len(names):
            expected = f"a list of {len(names)} values"
            return Misfit(f"{place}/data/{at}", expected, each)
    places = {name: at for at, name in enumerate(names)}
    return [SplitRow(places, each, f"{place}/data/{at}") for at, each in enumerate(data)]


def _tensors(value: Any, place: str, lists: frozenset[str]) -> Sequence[Row] | Misfit:
    if not isinstance(value, list):
        return Misfit(place, "a list of tensors", value)
    columns: dict[str, Column] = {}
    for at, each in enumerate(value):
        where = f"{place}/{at}"
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            return Misfit(where, "a tensor with `name`, `shape` and `data`", each)
        column = _column(each, f"{where}/data", each["name"] in lists)
        if column is None:
            return Misfit(f"{where}/data", "a list as long as `shape` says", each.get("data"))
        if each["name"] in columns:
            return Misfit(f"{where}/name", "each name once", each["name"])
        columns[each["name"]] = column
    return _across(columns)


def _column(tensor: dict[str, Any], place: str, is_list: bool) -> Column | None:
    """Values nested as the shape says, or flat; None: neither."""
    values, shape = tensor.get("data"), tensor.get("shape")
    if not isinstance(values, list) or not isinstance(shape, list) or not shape:
        return None
    if not all(isinstance(each, int) and not isinstance(each, bool) for each in shape):
        return None
    rows, width = shape[0], math.prod(shape[1:])
    if rows < 0 or width < 0:
        return None
    if len(values) == rows and len(shape) > 1 and rows and isinstance(values[0], list):
        return Column(values, place, is_nested=not is_list)
    if len(values) != rows * width:
        return None
    if len(shape) > 1 and width and (width > 1 or is_list):
        return Column(values, place, width)
    return Column(values, place)


_READERS: dict[str, Callable[[Any, str, frozenset[str]], Sequence[Row] | Misfit]] = {
    "rows": _objects,
    "columns": _columns,
    "split": _split,
    "kserve": _tensors,
}
