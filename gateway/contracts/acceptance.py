"""The quick yes: bytes that msgspec decodes as the contract's own type violate nothing.

A contract becomes a type: a Struct a row, bounds and categories in its annotations, tensors as
a union tagged by their names. What types cannot say (patterns, freshness, conditions) is
asked of the decoded rows. A JSON Schema becomes a type as well, or jsonschema-rs is asked.

Rule: sound, not complete: whatever is not taken here is inspected, and may be found good.
Cost: one decode, 0.9 µs for 380 bytes of eight rows; a pattern or condition 0.2 µs a row more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Meta

from gateway.config.watching import ContractSide
from gateway.contracts.inspection import Rule, reached, tokens_of
from gateway.contracts.rows import MISSING
from gateway.contracts.schemas import (
    NOT_EXPRESSIBLE,
    SchemaCheck,
    bounded,
    lengthy,
    list_of,
    struct_of,
    typed,
)
from gateway.contracts.values import Field, timestamp

Accepts = Callable[[bytes], bool]
Test = Callable[[Any], bool]

# What msgspec, orjson and jsonschema-rs raise for what they do not take.
_REFUSALS = (ValueError, TypeError, RecursionError)


def acceptance(
    side: ContractSide, fields: dict[str, Field], rules: list[Rule], *, at: str, style: str
) -> Accepts:
    """Whether a body is surely as the contract wants it."""
    parts: list[Accepts] = []
    if fields or rules:
        parts.append(_of_fields(side, fields, rules, at, style))
    if side.schema is not None:
        parts.append(_of_schema(side, at))
    if len(parts) == 1:
        return parts[0]
    return lambda body: all(part(body) for part in parts)


def _of_fields(
    side: ContractSide, fields: dict[str, Field], rules: list[Rule], at: str, style: str
) -> Accepts:
    makers = {"rows": _rows, "columns": _columns, "split": _split, "kserve": _tensors}
    made = makers[style](side, fields, rules)
    if made is None:
        return lambda _body: False
    kind, test = made
    return _reading(kind, test, at, is_encoded=side.encoded)


def _of_schema(side: ContractSide, at: str) -> Accepts:
    kind = typed(side.schema)
    if kind is not None:
        return _reading(kind, None, at, is_encoded=side.encoded)
    is_valid, tokens, is_encoded = SchemaCheck(side.schema).is_valid, tokens_of(at), side.encoded

    def accepts(body: bytes) -> bool:
        try:
            value, _ = reached(orjson.loads(body), tokens)
            value = orjson.loads(value) if is_encoded else value
            return value is not MISSING and is_valid(value)
        except _REFUSALS:
            return False

    return accepts


def _reading(kind: Any, test: Test | None, at: str, *, is_encoded: bool) -> Accepts:
    """A decoder of the whole body, if its way to the place leads through objects only."""
    tokens = tokens_of(at)
    if is_encoded or any(token.isdecimal() for token in tokens):
        return _stepping(kind, test, tokens, is_encoded=is_encoded)
    for token in reversed(tokens):
        kind = struct_of({token: kind}, frozenset({token}), forbids=False)
    decode = msgspec.json.Decoder(kind).decode
    depth = len(tokens)

    def accepts(body: bytes) -> bool:
        try:
            value = decode(body)
        except _REFUSALS:
            return False
        if test is None:
            return True
        for _ in range(depth):
            value = value.f0
        return test(value)

    return accepts


def _stepping(
    kind: Any, test: Test | None, tokens: tuple[str, ...], *, is_encoded: bool
) -> Accepts:
    """What stands deep in a body, or in a text of it."""
    decode = msgspec.json.Decoder(kind).decode

    def accepts(body: bytes) -> bool:
        try:
            value, _ = reached(orjson.loads(body), tokens)
            if is_encoded:
                value = decode(value)
            else:
                value = msgspec.convert(value, kind) if value is not MISSING else decode(b"")
        except _REFUSALS:
            return False
        return test is None or test(value)

    return accepts


# ------------------------------------------------------------------- fields


def _kind(field: Field) -> Any:
    """A type that takes all good values of a field; what is not good may pass if `_test` asks."""
    kind = _categories(field) or _plain(field)
    return kind | None if field.allows_null and kind is not Any else kind


def _plain(field: Field) -> Any:
    section = field.section
    if section.type in {"number", "integer"}:
        kind = float if section.type == "number" else int
        found = bounded(kind, section.min, section.max)
        return kind if found is NOT_EXPRESSIBLE else found
    if section.type == "text":
        return lengthy(str, section.min_length, section.max_length)
    if section.type == "list":
        inner = field.element
        elements = list_of(_kind(inner) if inner else Any)
        return lengthy(elements, section.min_length, section.max_length)
    kinds: dict[str, Any] = {
        "boolean": bool,
        "time": datetime | float,
        "object": dict[str, Any],
        "any": Any,
    }
    return kinds[section.type]


def _categories(field: Field) -> Any:
    """A literal type where the categories are texts, or whole numbers."""
    values = field.section.categories
    if values and all(isinstance(each, str) for each in values) and field.section.type != "time":
        return Literal[tuple(values)]
    if values and all(type(each) is int and abs(each) < 2**53 for each in values):
        return Literal[tuple(values)] if field.section.type == "integer" else None
    return None


def _test(field: Field) -> Callable[[Any], bool] | None:
    """What the type does not say of a value that is there; None: nothing."""
    section = field.section
    if section.type == "time" and (section.freshness or section.categories):
        return lambda value: value is None or _is_fresh(field, value)
    if section.type == "list":
        return None if field.element is None or _test(field.element) is None else _by_fault(field)
    if section.type == "any" and not field.allows_null:
        return _by_fault(field)
    is_said = _categories(field) is not None
    if section.categories and not is_said:
        return _by_fault(field)
    if section.pattern:
        return _by_fault(field)
    if section.type in {"number", "integer"} and not is_said:
        kind = float if section.type == "number" else int
        if bounded(kind, section.min, section.max) is NOT_EXPRESSIBLE:
            return _by_fault(field)
    return None


def _by_fault(field: Field) -> Callable[[Any], bool]:
    fault = field.fault
    return lambda value: fault(value) is None


def _is_fresh(field: Field, value: Any) -> bool:
    if field.section.categories:
        return False  # Why: the text itself is gone
    try:
        at_s = timestamp(value) if isinstance(value, datetime) else None
    except (OverflowError, ValueError):
        return False
    return field.fault(value) is None if at_s is None else field.staleness(at_s) is None


def _row_test(fields: dict[str, Field], rules: list[Rule]) -> Test | None:
    """What is asked of one decoded row beside its type."""
    places = {name: f"f{at}" for at, name in enumerate(fields)}
    tests = [(places[name], test) for name, field in fields.items() if (test := _test(field))]
    wanted = sorted(_fields_of(rules))
    if not tests and not rules:
        return None

    def passes(row: Any) -> bool:
        for place, test in tests:
            value = getattr(row, place)
            if value is not UNSET and not test(value):
                return False
        if not rules:
            return True
        values = _values(row, wanted, places)
        return not any(rule.is_broken(values) for rule in rules)

    return passes


def _fields_of(rules: Iterable[Rule]) -> set[str]:
    conditions = (each for rule in rules for each in (rule.check, rule.when) if each is not None)
    return {name for condition in conditions for name in condition.fields}


def _values(row: Any, wanted: list[str], places: dict[str, str]) -> dict[str, Any]:
    values = {}
    for name in wanted:
        value = getattr(row, places[name])
        if isinstance(value, datetime):
            value = timestamp(value)
        if value is not UNSET:
            values[name] = value
    return values


# ------------------------------------------------------------------- formats


def _row(side: ContractSide, fields: dict[str, Field]) -> Any:
    types = {name: _kind(field) for name, field in fields.items()}
    required = frozenset(name for name, field in fields.items() if field.section.required)
    return struct_of(types, required, forbids=side.extra != "allow" and bool(fields))


Made = tuple[Any, "Test | None"] | None


def _rows(side: ContractSide, fields: dict[str, Field], rules: list[Rule]) -> Made:
    if _fields_of(rules) - fields.keys():
        return None
    row = _row(side, fields)
    passes = _row_test(fields, rules)
    kind = row | list_of(row)
    if passes is None:
        return kind, None
    return kind, lambda value: all(map(passes, value)) if isinstance(value, list) else passes(value)


def _are_plain(fields: dict[str, Field], rules: list[Rule]) -> bool:
    """Whether types say it all."""
    return not rules and not any(_test(field) for field in fields.values())


def _columns(side: ContractSide, fields: dict[str, Field], rules: list[Rule]) -> Made:
    if not _are_plain(fields, rules):
        return None
    types: dict[str, Any] = {name: list_of(_kind(field)) for name, field in fields.items()}
    required = frozenset(name for name, field in fields.items() if field.section.required)
    kind = struct_of(types, required, forbids=side.extra != "allow")
    places = [f"f{at}" for at in range(len(fields))]

    def are_level(value: Any) -> bool:
        columns = [getattr(value, place) for place in places]
        lengths = {len(column) for column in columns if column is not UNSET}
        return len(lengths) <= 1 and bool(required or lengths)

    return kind, are_level


def _split(_side: ContractSide, fields: dict[str, Field], rules: list[Rule]) -> Made:
    """In the contract's own order of columns; another one is inspected."""
    if not _are_plain(fields, rules) or not fields:
        return None
    head: Any = tuple[tuple(Literal[name] for name in fields)]  # type: ignore[misc]
    body = list_of(tuple[tuple(_kind(field) for field in fields.values())])  # type: ignore[misc]
    return struct_of(
        {"columns": head, "data": body}, frozenset({"columns", "data"}), forbids=False
    ), None


def _tensors(_side: ContractSide, fields: dict[str, Field], rules: list[Rule]) -> Made:
    """Flat data of one value a row, or of one list a row."""
    if not _are_plain(fields, rules) or not fields:
        return None
    made: dict[Any, Field] = {}
    for at, (name, field) in enumerate(fields.items()):
        inner = field.element if field.section.type == "list" else field
        element: Any = _kind(inner) if inner is not None else Any
        tensor = msgspec.defstruct(
            f"Tensor{at}",
            [("shape", Annotated[list[int], Meta(min_length=1)]), ("data", list_of(element))],
            tag=name,
            tag_field="name",
            gc=False,
        )
        made[tensor] = field
    required = sum(field.section.required for field in made.values())

    def are_whole(tensors: Any) -> bool:
        kinds = {type(tensor) for tensor in tensors}
        if len(kinds) != len(tensors) or not tensors:
            return False
        if sum(made[kind].section.required for kind in kinds) != required:
            return False
        rows = tensors[0].shape[0]
        return all(_fits(tensor, made[type(tensor)], rows) for tensor in tensors)

    return list_of(reduce(or_, made)), are_whole


def _fits(tensor: Any, field: Field, rows: int) -> bool:
    shape = tensor.shape
    if shape[0] != rows or rows < 0:
        return False
    if field.section.type != "list":
        return len(tensor.data) == rows and all(each == 1 for each in shape[1:])
    if len(shape) != 2 or shape[1] < 1 or len(tensor.data) != rows * shape[1]:
        return False
    return field.length_fault(shape[1]) is None
