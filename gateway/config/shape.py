"""A tree of nodes becomes Structs: each value is checked against the type of its field.

Unlike a decoder that stops at the first fault it goes on and reports all of them,
each with path, line, what was expected and, for a misspelt word, what was meant.

Rule 1: the result is complete and typed when no problem was added; else it is not used.
Rule 2: no message holds a value that came from the environment.

Knows only the few kinds of types that `schema` uses; relations between fields are
checked elsewhere.
"""

from __future__ import annotations

import functools
import textwrap
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from gateway.config.problems import Problems, listed, meant
from gateway.config.source import Node, data
from gateway.config.units import Age, Duration, Secret, Share, Size

_UNITS: tuple[type[Duration | Size | Share], ...] = (Duration, Age, Size, Share)
_FAILED = object()
_SHOWN = 60  # characters of a wrong value that a message repeats


class Field(Struct, frozen=True):
    """One key of a section."""

    name: str  # as it is written in the file
    kind: Any
    is_required: bool
    attribute: str


@functools.cache
def fields_of(section: type[Struct]) -> dict[str, Field]:
    """The keys of a section with their resolved types."""
    hints = typing.get_type_hints(section, include_extras=True)
    return {
        field.encode_name: Field(
            field.encode_name, hints[field.name], _is_required(field), field.name
        )
        for field in msgspec.structs.fields(section)
    }


def _is_required(field: msgspec.structs.FieldInfo) -> bool:
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def build(kind: Any, node: Node, problems: Problems) -> Any:
    """The node as a value of this type; meaningless once a problem was added."""
    origin = typing.get_origin(kind)
    if origin in {Union, types.UnionType}:
        return _build_union(typing.get_args(kind), node, problems)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _build_section(kind, node, problems)
    if origin is dict:
        return _build_mapping(typing.get_args(kind)[1], node, problems)
    if origin is tuple:
        return _build_list(typing.get_args(kind)[0], node, problems)
    return _build_leaf(kind, node, problems)


def _build_union(kinds: tuple[Any, ...], node: Node, problems: Problems) -> Any:
    """Of `A | None`, `str | Section` or `int | word`, the one that the value looks like."""
    if node.value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    for kind in rest:
        is_section = isinstance(kind, type) and issubclass(kind, Struct)
        is_collection = is_section or typing.get_origin(kind) in {tuple, dict}
        if is_collection and (isinstance(node.value, dict | list) or len(rest) == 1):
            return build(kind, node, problems)
    leaves = [kind for kind in rest if not (isinstance(kind, type) and issubclass(kind, Struct))]
    if len(leaves) == 1:
        return _build_leaf(leaves[0], node, problems)
    for kind in leaves:
        value = _leaf_value(kind, node)
        if value is not _FAILED:
            return value
    _add_unexpected(" or ".join(_expectation(kind) for kind in leaves), leaves, node, problems)
    return None


def _build_section(section: type[Struct], node: Node, problems: Problems) -> Any:
    members = {} if node.value is None else node.value
    if not isinstance(members, dict):
        keys = listed(fields_of(section))
        problems.add(
            f"expected a mapping with keys such as {keys}{_got(node)}", node.path, node.line
        )
        return None
    fields = fields_of(section)
    for key, child in members.items():
        if key not in fields:
            problems.add(f"unknown key `{key}`{meant(key, fields)}", child.path, child.line)
    missing = [name for name, field in fields.items() if field.is_required and name not in members]
    for name in missing:
        problems.add(f"`{name}` is missing", node.path, node.line)
    values = {
        field.attribute: build(field.kind, members[name], problems)
        for name, field in fields.items()
        if name in members
    }
    return None if missing else section(**values)


def _build_mapping(kind: Any, node: Node, problems: Problems) -> dict[str, Any]:
    if not isinstance(node.value, dict):
        problems.add(f"expected a mapping of names{_got(node)}", node.path, node.line)
        return {}
    return {key: build(kind, child, problems) for key, child in node.value.items()}


def _build_list(kind: Any, node: Node, problems: Problems) -> tuple[Any, ...]:
    if not isinstance(node.value, list):
        problems.add(f"expected a list, such as [a, b]{_got(node)}", node.path, node.line)
        return ()
    return tuple(build(kind, child, problems) for child in node.value)


def _build_leaf(kind: Any, node: Node, problems: Problems) -> Any:
    value = _leaf_value(kind, node)
    if value is _FAILED:
        _add_unexpected(_expectation(kind), (kind,), node, problems)
        return None
    return value


def _leaf_value(kind: Any, node: Node) -> Any:
    """The value as this leaf type, or _FAILED."""
    if kind is Any:
        return data(node)
    if isinstance(node.value, dict | list):
        return _FAILED
    if kind in _UNITS:
        return _quantity(kind, node.value)
    if kind is Secret:
        text = _scalar(str, node)
        return text if text is _FAILED else Secret(text)
    return _scalar(kind, node)


def _quantity(kind: Any, value: object) -> Any:
    try:
        return kind.parse(value)
    except ValueError:
        return _FAILED


def _scalar(kind: Any, node: Node) -> Any:
    if node.value is None:
        return _FAILED
    # Why both: `port: ${PORT}` is a number, `api_key: ${KEY}` is text even if it is all digits.
    values = (node.value, node.expanded) if node.is_expanded else (node.value,)
    for value in values:
        try:
            return msgspec.convert(value, kind, strict=not node.is_expanded)
        except msgspec.ValidationError:
            continue
    return _FAILED


def _add_unexpected(expected: str, kinds: Sequence[Any], node: Node, problems: Problems) -> None:
    words = [word for kind in kinds for word in _words(kind)]
    hint = meant(str(node.value), words) if words and isinstance(node.value, str) else ""
    hint = hint if "did you mean" in hint else ""
    hint = hint or _quoting_hint(kinds, node)
    got = "" if Secret in kinds else _got(node)
    problems.add(f"expected {expected}{got}{hint}", node.path, node.line)


def _quoting_hint(kinds: Sequence[Any], node: Node) -> str:
    """YAML 1.1 reads `no`, `on` and `1.10` as something other than text."""
    wants_text = any(kind in {str, Secret} or _words(kind) or _is_text(kind) for kind in kinds)
    if not wants_text or not node.is_plain or isinstance(node.value, str | dict | list):
        return ""
    if node.value is None or node.is_expanded:
        return ""
    return f"; YAML reads it as a {_kind_of(node.value)}, write it in quotes"


def _got(node: Node) -> str:
    if isinstance(node.value, dict):
        return ", got a mapping"
    if isinstance(node.value, list):
        return ", got a list"
    if node.value is None:
        return ", got nothing"
    written = textwrap.shorten(node.text, _SHOWN, placeholder="...") or " "
    return f", got `{written}`"


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "date"


def _is_text(kind: Any) -> bool:
    return typing.get_origin(kind) is Annotated and kind.__origin__ is str


def _words(kind: Any) -> list[str]:
    if typing.get_origin(kind) is not Literal:
        return []
    return [word for word in typing.get_args(kind) if isinstance(word, str)]


def _expectation(kind: Any) -> str:
    """What a leaf type takes, in words."""
    if kind in _UNITS:
        return str(kind.expected)
    if typing.get_origin(kind) is Literal:
        words = typing.get_args(kind)
        return f"`{words[0]}`" if len(words) == 1 else "one of " + listed(map(str, words))
    plain_words = {str: "text", Secret: "text", bool: "true or false", int: "a whole number"}
    plain_words |= {float: "a number, such as 0.5"}
    if typing.get_origin(kind) is Annotated:
        meta = next(part for part in kind.__metadata__ if isinstance(part, Meta))
        noun = {int: "a whole number", float: "a number"}.get(kind.__origin__)
        return f"{noun}{_range(meta)}" if noun else _pattern_words(meta)
    return plain_words.get(kind, "a value")


def _range(meta: Meta) -> str:
    if meta.ge is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" above {meta.gt}, at most {meta.le}"


def _pattern_words(meta: Meta) -> str:
    is_path = str(meta.pattern).startswith(("^/", "^(/"))
    return "text that begins with `/`" if is_path else "text of one line, ASCII only"
