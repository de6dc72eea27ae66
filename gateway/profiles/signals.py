"""What records say of every model: which of it is counted, and by what names.

A field is named after where it is read: `/timing/total_us` by its pointer into the record;
`prediction.NAME` in what the model answered, `prediction` where that is bare; `llm.NAME` is
worked out of several members, for each line; any other name is that of a feature.

Cost: a signal that is worked out takes a few numpy passes over a batch, and none where no
reference wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway._fast import hash_of
from gateway.profiles.fields import Floats, Kind, Words
from gateway.profiles.profile import (
    JSON_ARRAY,
    JSON_FALSE,
    JSON_MISSING,
    JSON_NUMBER,
    JSON_STRING,
    JSON_TRUE,
    Kinds,
)

Where = Literal["line", "features", "predictions"]
PREDICTION = "prediction"

# What every record says, and of what kind it is: the signals of models that have no features.
SIGNALS: dict[str, Kind] = {
    "/outcome": "category",
    "/status": "category",
    "/finish_reason": "category",
    "/fallback": "category",
    "/anomalies/0": "category",
    "/confidence": "score",
    "/cost_usd": "numeric",
    "/timing/total_us": "numeric",
    "/timing/first_byte_us": "numeric",
    "/usage/input_tokens": "numeric",
    "/usage/output_tokens": "numeric",
    "/usage/cached_tokens": "numeric",
    "/request/bytes": "numeric",
    "/response/bytes": "numeric",
    "llm.refused": "boolean",
    "llm.tool_call": "boolean",
    "llm.invalid": "boolean",
    "llm.invalid_json": "boolean",
    "llm.tokens_per_s": "numeric",
}

# Of these a reference that never had any is worth having, too: they are to stay away.
TELLING = frozenset({"/anomalies/0"})

# Other names for them, as rules may write them.
ALIASES = {
    "llm.finish_reason": "/finish_reason",
    "llm.cost_usd": "/cost_usd",
    "llm.total_us": "/timing/total_us",
    "llm.first_byte_us": "/timing/first_byte_us",
    "llm.input_tokens": "/usage/input_tokens",
    "llm.output_tokens": "/usage/output_tokens",
    "llm.cached_tokens": "/usage/cached_tokens",
}
_NAMES_OF: Mapping[str, str] = {place: name for name, place in ALIASES.items()}


def where_of(name: str) -> tuple[Where, str]:
    """Where a field is read, and the name that it has there."""
    if name.startswith("/") or name in MADE:
        return "line", name
    if name == PREDICTION:
        return "predictions", ""
    if name.startswith(f"{PREDICTION}."):
        return "predictions", name[len(PREDICTION) + 1 :]
    return "features", name


def names_of(name: str) -> tuple[str, ...]:
    """All names of a field that rules may write."""
    return (name, _NAMES_OF[name]) if name in _NAMES_OF else (name,)


class Column(NamedTuple):
    """One member of some lines."""

    kinds: Kinds
    numbers: Floats
    words: Words
    written: Callable[[int], bytes]  # what stands there in this line


class Values(NamedTuple):
    """Of a signal, for each line: what a profile counts."""

    kinds: Kinds
    numbers: Floats
    words: Words


class Made(NamedTuple):
    """A signal that is worked out of members of the line."""

    places: tuple[str, ...]  # pointers
    readings: tuple[Literal["number", "word", "span"], ...]  # what of them
    of_columns: Callable[..., Values]  # of as many
    of_values: Callable[..., Any]  # the same of one line's values; Ellipsis is missing


_TRUE, _FALSE = np.uint64(hash_of(b"true")), np.uint64(hash_of(b"false"))


def _booleans(holds: NDArray[np.bool_], is_known: NDArray[np.bool_]) -> Values:
    kinds = np.where(holds, JSON_TRUE, JSON_FALSE)
    kinds[~is_known] = JSON_MISSING
    words = np.where(holds, _TRUE, _FALSE)
    return Values(kinds.astype(np.uint8), np.zeros(holds.size), words)


def _ended(reason: str) -> Made:
    """Whether an answer ended for this reason, among those that say why they ended."""
    word = np.uint64(hash_of(reason.encode()))

    def of_columns(finish: Column) -> Values:
        is_known = finish.kinds == JSON_STRING
        return _booleans(is_known & (finish.words == word), is_known)

    def of_values(finish: Any) -> Any:
        return finish == reason if isinstance(finish, str) else ...

    return Made(("/finish_reason",), ("word",), of_columns, of_values)


def _anomalous(beginning: str, of: str) -> Made:
    """Whether an anomaly begins so, of the lines in which the member `of` is a text."""
    written = f'"{beginning}'.encode()

    def of_columns(anomalies: Column, judged: Column) -> Values:
        is_judged = judged.kinds == JSON_STRING
        has_one = is_judged & (anomalies.kinds == JSON_ARRAY)
        for line in np.flatnonzero(has_one).tolist():
            has_one[line] = written in anomalies.written(line)
        return _booleans(has_one, is_judged)

    def of_values(anomalies: Any, judged: Any) -> Any:
        if not isinstance(judged, str):
            return ...
        return isinstance(anomalies, list) and any(one.startswith(beginning) for one in anomalies)

    return Made(("/anomalies", of), ("span", "word"), of_columns, of_values)


def _rates(tokens: Column, total: Column, first: Column) -> Values:
    """Tokens a second from the first byte on; of an answer that came at once, of all its time."""
    began = np.where(first.kinds == JSON_NUMBER, first.numbers, 0.0)
    taken = total.numbers - began
    taken = np.where(taken >= 0.1 * total.numbers, taken, total.numbers)
    is_known = (tokens.kinds == JSON_NUMBER) & (total.kinds == JSON_NUMBER)
    is_known &= (tokens.numbers > 0) & (taken > 0)
    rates = np.divide(tokens.numbers * 1e6, taken, out=np.zeros(taken.size), where=is_known)
    kinds = np.where(is_known, JSON_NUMBER, JSON_MISSING).astype(np.uint8)
    return Values(kinds, rates, np.zeros(taken.size, np.uint64))


def _rate(tokens: Any, total: Any, first: Any) -> Any:
    if not all(isinstance(one, int | float) and one > 0 for one in (tokens, total)):
        return ...
    began = first if isinstance(first, int | float) else 0
    taken = total - began if total - began >= 0.1 * total else total
    return tokens * 1e6 / taken


MADE: dict[str, Made] = {
    "llm.refused": _ended("filter"),
    "llm.tool_call": _ended("tools"),
    # It violates its contract, or is not the JSON that was asked for. Who says why it ended has
    # answered.
    "llm.invalid": _anomalous("output:", of="/finish_reason"),
    # It is not the JSON that was asked for, of those that were held against it.
    "llm.invalid_json": _anomalous("output:ANSWER_", of="/response_format"),
    "llm.tokens_per_s": Made(
        ("/usage/output_tokens", "/timing/total_us", "/timing/first_byte_us"),
        ("number", "number", "number"),
        _rates,
        _rate,
    ),
}
