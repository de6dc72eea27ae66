"""JSON Schema: errors of a body as anomalies, and what of a schema msgspec can express.

`typed` gives a type whose decoder takes only what the schema allows (acceptance, Rule 1), or
None. Whatever a keyword means that is not known here, jsonschema-rs decides.

https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.config.json_schema import validator_of
from gateway.contracts import anomalies as names
from gateway.contracts.anomalies import MOST, Anomaly, escaped, kind_of

_NAMES = {
    "type": names.UNEXPECTED_TYPE,
    "required": names.MISSING,
    "additionalProperties": names.NEW,
    "unevaluatedProperties": names.NEW,
    "enum": names.NO_CATEGORY,
    "const": names.NO_CATEGORY,
    "minimum": names.SMALL,
    "exclusiveMinimum": names.SMALL,
    "maximum": names.BIG,
    "exclusiveMaximum": names.BIG,
    "minItems": names.SHORT_LIST,
    "maxItems": names.LONG_LIST,
    "minLength": names.SHORT_TEXT,
    "maxLength": names.LONG_TEXT,
    "pattern": names.NO_MATCH,
}
_LONGEST = 120  # characters of a keyword's value that a sentence repeats
# What msgspec need not know: these restrict nothing.
_SILENT = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
     "$comment", "$id"}
)  # fmt: skip
_EXACT = 2**53  # integers up to here are the same as floats
_NOT: Any = object()  # no type of msgspec's says the same


class SchemaCheck:
    """A JSON Schema that is asked what is wrong with a value."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._validator = validator_of(schema)
        self.is_valid: Callable[[Any], bool] = self._validator.is_valid

    def anomalies(self, value: Any, place: str, *, refuses: bool) -> Iterator[Anomaly]:
        """What is wrong, the first MOST."""
        try:
            errors = list(islice(self._validator.iter_errors(value), MOST))
        except ValueError as error:  # a value that jsonschema-rs cannot read
            errors = []
            expected = f"what its JSON Schema can judge ({type(error).__name__})"
            yield Anomaly(name=names.SCHEMA, field="", pointer=place, expected=expected,
                          refuses=refuses)  # fmt: skip
        for each in errors:
            yield self._anomaly(each, place, refuses)

    def _anomaly(self, error: Any, place: str, refuses: bool) -> Anomaly:
        path = [str(part) for part in error.instance_path]
        keyword = _keyword(error.schema_path)
        got = kind_of(error.instance)
        if keyword == "required":
            path.append(error.kind.property)
            got = "nothing"
        elif keyword in {"additionalProperties", "unevaluatedProperties"}:
            path.append(str(error.kind.unexpected[0]))
            got = ""
        return Anomaly(
            name=_NAMES.get(keyword, names.SCHEMA),
            field=path[-1] if path else "",
            pointer=place + "".join(f"/{escaped(part)}" for part in path),
            expected=self._expected(keyword, error.schema_path),
            got=got,
            refuses=refuses,
            is_clients=True,
        )

    def _expected(self, keyword: str, path: list[Any]) -> str:
        """What the schema says there; Rule: nothing of the value."""
        if keyword == "required":
            return "a value"
        if keyword in {"additionalProperties", "unevaluatedProperties"}:
            return "only fields of the schema"
        said: Any = self._schema
        for part in path:
            try:
                said = said[part]
            except (KeyError, IndexError, TypeError):
                return f"what `{keyword}` of its JSON Schema says"
        text = msgspec.json.encode(said).decode()
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        return f"{keyword} {text}"


def _keyword(path: list[Any]) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def typed(schema: Any) -> Any:
    """A type of msgspec's that takes nothing but what the schema allows; None: there is none."""
    found = _typed(schema)
    return None if found is _NOT else found


def _typed(schema: Any) -> Any:
    if schema is True:
        return Any
    if not isinstance(schema, dict):
        return _NOT
    rules = {key: value for key, value in schema.items() if key not in _SILENT}
    if str(rules.pop("$schema", "2020-12")).rstrip("#").find("2020-12") < 0:
        return _NOT  # Why: older drafts give some keywords another meaning
    kind = rules.pop("type", None)
    if isinstance(kind, list) and len(kind) == 2 and "null" in kind:
        other = kind[0] if kind[1] == "null" else kind[1]
        inner = _KINDS.get(other, _nothing)(rules)
        return _NOT if inner is _NOT or "enum" in rules or "const" in rules else inner | None
    return _KINDS[kind](rules) if isinstance(kind, str) and kind in _KINDS else _NOT


def _nothing(_rules: dict[str, Any]) -> Any:
    return _NOT


def _boolean(rules: dict[str, Any]) -> Any:
    return _NOT if rules else bool


def _null(rules: dict[str, Any]) -> Any:
    return _NOT if rules else None


def _number(rules: dict[str, Any]) -> Any:
    if not rules.keys() <= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}:
        return _NOT
    return bounded(float, *_bounds(rules)) if _have_sense(rules) else _NOT


def _integer(rules: dict[str, Any]) -> Any:
    if not rules.keys() <= {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}:
        return _NOT
    if not _have_sense(rules):
        return _NOT
    low, high, above, below = _bounds(rules)
    return bounded(int, low, high, above, below)


def _have_sense(rules: dict[str, Any]) -> bool:
    bounds = rules.values()
    are_numbers = all(_is_number(each) for each in bounds)
    both = {"minimum", "exclusiveMinimum"} <= rules.keys()
    return are_numbers and not both and not {"maximum", "exclusiveMaximum"} <= rules.keys()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bounds(rules: dict[str, Any]) -> tuple[float | None, ...]:
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    return tuple(rules.get(key) for key in keys)


def bounded(
    kind: type, low: float | None, high: float | None,
    above: float | None = None, below: float | None = None,
) -> Any:  # fmt: skip
    """`kind` with bounds; _NOT where msgspec cannot have them exactly."""
    given = {"ge": low, "le": high, "gt": above, "lt": below}
    bounds = {key: value for key, value in given.items() if value is not None}
    if not all(math.isfinite(each) and abs(each) <= _EXACT for each in bounds.values()):
        return _NOT
    if kind is int:
        bounds = {key: _whole(key, value) for key, value in bounds.items()}
    else:
        bounds = {key: float(value) for key, value in bounds.items()}
    meta: Any = Meta
    return Annotated[kind, meta(**bounds)] if bounds else kind


def _whole(key: str, value: float) -> int:
    """The bound among integers that means the same."""
    rounds_up = key in {"ge", "lt"}
    return math.ceil(value) if rounds_up else math.floor(value)


def _string(rules: dict[str, Any]) -> Any:
    if "enum" in rules or "const" in rules:
        values = rules.get("enum", [rules.get("const")])
        alone = len(rules) == 1 and isinstance(values, list) and values
        return Literal[tuple(values)] if alone and all(map(_is_text, values)) else _NOT
    if not rules.keys() <= {"minLength", "maxLength"}:
        return _NOT
    return lengthy(str, rules.get("minLength"), rules.get("maxLength"))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def lengthy(kind: Any, least: int | None, most: int | None) -> Any:
    """A text or list with bounds of its length."""
    given = {"min_length": least, "max_length": most}
    bounds = {key: int(value) for key, value in given.items() if value is not None}
    meta: Any = Meta
    return Annotated[kind, meta(**bounds)] if bounds else kind


def list_of(kind: Any) -> Any:
    """`list[kind]`, of a type that is only known now."""
    return GenericAlias(list, (kind,))


def _array(rules: dict[str, Any]) -> Any:
    if not rules.keys() <= {"items", "minItems", "maxItems"}:
        return _NOT
    inner = _typed(rules.get("items", True))
    if inner is _NOT:
        return _NOT
    return lengthy(list_of(inner), rules.get("minItems"), rules.get("maxItems"))


def _object(rules: dict[str, Any]) -> Any:
    if not rules.keys() <= {"properties", "required", "additionalProperties"}:
        return _NOT
    extra = rules.get("additionalProperties", True)
    properties, required = rules.get("properties", {}), rules.get("required", [])
    if not isinstance(extra, bool) or not isinstance(properties, dict):
        return _NOT
    types = {name: _typed(inner) for name, inner in properties.items()}
    types |= {name: Any for name in required if name not in types and extra}
    if any(each is _NOT for each in types.values()) or set(required) - types.keys():
        return _NOT
    return struct_of(types, frozenset(required), forbids=not extra)


def struct_of(types: dict[str, Any], required: frozenset[str], *, forbids: bool) -> Any:
    """A Struct with these members, whatever their names; attribute `fN` is the N-th."""
    members: list[Any] = []
    for at, (name, kind) in enumerate(types.items()):
        if name in required:
            members.append((f"f{at}", kind))
        elif kind is Any:
            members.append((f"f{at}", kind, UNSET))
        else:
            members.append((f"f{at}", kind | UnsetType, UNSET))
    return msgspec.defstruct(
        "Row",
        sorted(members, key=len),
        rename={f"f{at}": name for at, name in enumerate(types)},
        forbid_unknown_fields=forbids,
        gc=False,
    )


_KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "boolean": _boolean,
    "null": _null,
    "number": _number,
    "integer": _integer,
    "string": _string,
    "array": _array,
    "object": _object,
}
NOT_EXPRESSIBLE = _NOT
