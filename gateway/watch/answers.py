"""What stands in an answer and in a label, one value a row.

A prediction is a number, a text, an object by name, or a list of these, one a row; KServe's
tensors count as rows, too. Several probabilities of one row are those of several classes: an
object by class, a list, or a tensor with more than one column. A label is one value for all
rows of the record, a list with one a row, or an object that holds either as `class`, `label`,
`value` or `score`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

LABEL_MEMBERS = ("class", "label", "value", "score")


class Unreadable(Exception):
    """Why a prediction, or a label, is none."""


def decoded(text: str) -> Any:
    """JSON as values."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise Unreadable("the JSON cannot be read") from None


def predictions_of(value: Any, name: str = "") -> list[Any]:
    """One a row: a number, a text, or the probabilities of classes."""
    if isinstance(value, list) and value and _is_tensor(value[0]):
        return _tensor_rows([one for one in value if _is_tensor(one)], name)
    if isinstance(value, list) and value and isinstance(value[0], list | dict):
        return [_member(row, name) for row in value]
    if isinstance(value, list):
        return list(value)
    return [_member(value, name)]


def _member(row: Any, name: str) -> Any:
    if not isinstance(row, dict):
        return row
    if name in row:
        return row[name]
    if name:
        raise Unreadable(f"the prediction has no `{name}`")
    if len(row) == 1:
        return next(iter(row.values()))
    if row and all(type(one) in {int, float} for one in row.values()):
        return row  # probabilities by class
    named = ", ".join(f"`{one}`" for one in list(row)[:3])
    raise Unreadable(f"the prediction has {named}: `prediction` in drift.labels says which counts")


def _is_tensor(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("data"), list) and "name" in one


def _tensor_rows(tensors: Sequence[dict[str, Any]], name: str) -> list[Any]:
    wanted = name.partition(".")[0] if not any(t["name"] == name for t in tensors) else name
    found = [one for one in tensors if not name or one["name"] == wanted]
    if len(found) != 1:
        names = ", ".join(f"`{one['name']}`" for one in tensors[:3])
        raise Unreadable(f"of tensors {names}, `prediction` in drift.labels says which counts")
    data, shape = _flat(found[0]["data"]), found[0].get("shape") or []
    rows = int(shape[0]) if shape and isinstance(shape[0], int) and shape[0] > 0 else len(data)
    width = len(data) // rows if rows else 0
    if not width or width * rows != len(data):
        raise Unreadable("the tensor's data do not fit its shape")
    if width == 1:
        return data
    column = name.removeprefix(f"{wanted}.")
    split = [data[at : at + width] for at in range(0, len(data), width)]
    if column.isdecimal() and int(column) < width:
        return [row[int(column)] for row in split]
    return split


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        return [data]
    return [one for part in data for one in (_flat(part) if isinstance(part, list) else [part])]


def truths_of(label: str | None, rows: int) -> list[Any]:
    """One a row; None: no label."""
    if label is None:
        return [None] * rows
    value = decoded(label)
    if isinstance(value, dict):
        member = next((one for one in LABEL_MEMBERS if one in value), None)
        if member is None:
            raise Unreadable("the label is an object without `class`, `label`, `value` or `score`")
        value = value[member]
    if isinstance(value, list):
        if len(value) != rows:
            raise Unreadable("the label has another number of rows than the prediction")
        return value
    return [value] * rows


def text_of(value: Any) -> str:
    """A class as text: 1, 1.0 and true are told apart from "one", not from "1"."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return str(value)[:200]
    raise Unreadable("a class is a text, a number or a boolean")
