"""The manual of the configuration, printed from the schema: `python -m gateway.config.manual`.

Each section of the schema is a table; what a key means is the comment beside its field,
so that the two cannot drift apart. `docs/configuration.md` is this text.
"""

from __future__ import annotations

import ast
import inspect
import io
import sys
import tokenize
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Meta, Struct

from gateway.config import recording, rollouts, schema, watching
from gateway.config.effective import plain
from gateway.config.units import Age, Duration, Secret, Share, Size

INTRODUCTION = """\
# Configuration

<!-- Printed by `python -m gateway.config.manual` from the schema; edit the comments there. -->

One YAML file, `gateway.yaml`.
`gateway check -c gateway.yaml` says what is wrong with it, or what will be in force.
Unknown keys, wrong types and broken references are errors, told all at once, with line and path.

* Times carry a unit: `250ms`, `2s`, `5m`, `1h`.
* Shares are written `20%` or `0.2`; sizes `64KiB`, `8MiB` or a number of bytes.
* `${NAME}` takes an environment variable; `${NAME:-default}` has a default for when it is unset or
  empty; `$${` is a literal `${`.
* Prices are USD per million tokens; `request` is USD per request.
* Text that YAML would read as something else needs quotes: `"1.10"`, `"no"`, `"2024-07-18"`.
* Files and directories are relative to where the gateway was started.
* Anchors, aliases and `<<` work; a repeated key is an error.

A running gateway reads the file again when it changes, on `SIGHUP`, and on the admin API's request.
`listen`, `admin`, `workers` and `state` take effect at the next start only.
"""

_WORDS = {
    Duration: "time",
    Age: "time, also in days",
    Size: "size",
    Share: "share",
    Secret: "secret",
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Any: "anything",
}


def manual() -> str:
    """The whole manual as Markdown."""
    comments = _comments()
    parts = [INTRODUCTION]
    for section, names in _sections().items():
        also = f"Also: {', '.join(f'`{name}`' for name in names[:-1])}.\n\n" if names[1:] else ""
        parts.append(f"\n## {names[-1]}\n\n{inspect.getdoc(section)}\n\n{also}")
        parts.append("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
        parts += [_row(section, field, comments) for field in msgspec.structs.fields(section)]
    return "".join(parts)


def _row(
    section: type[Struct], field: msgspec.structs.FieldInfo, comments: dict[tuple[str, str], str]
) -> str:
    kind = typing.get_type_hints(section, include_extras=True)[field.name]
    meaning = comments[section.__name__, field.name].replace("|", "\\|")
    return f"| `{field.encode_name}` | {_kind(kind)} | {_default(field)} | {meaning} |\n"


def _sections() -> dict[type[Struct], list[str]]:
    """Every section in the order of the file, and the paths where it stands."""
    found: dict[type[Struct], list[str]] = {}

    def visit(section: type[Struct], name: str, prefix: str) -> None:
        names = found.pop(section, [])  # moved to the end: where it is said last, it is explained
        found[section] = [*names, name]
        hints = typing.get_type_hints(section, include_extras=True)
        for field in msgspec.structs.fields(section):
            key = field.encode_name
            for suffix, inner in _inner_sections(hints[field.name], ""):
                visit(inner, f"{prefix}{key}{suffix}", f"{prefix}{key}{suffix}.")

    visit(schema.Config, "gateway.yaml", "")
    return found


def _inner_sections(kind: Any, suffix: str) -> Iterator[tuple[str, type[Struct]]]:
    origin = typing.get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield suffix, kind
    elif origin is dict:
        yield from _inner_sections(typing.get_args(kind)[1], f"{suffix}.NAME")
    elif origin is tuple:
        yield from _inner_sections(typing.get_args(kind)[0], f"{suffix}[]")
    elif origin in {Union, types.UnionType}:
        for option in typing.get_args(kind):
            yield from _inner_sections(option, suffix)


def _kind(kind: Any) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {Union, types.UnionType}:
        return " or ".join(_kind(option) for option in inner if option is not type(None))
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin is Annotated:
        return _kind(kind.__origin__) + _bounds(kind.__metadata__[0])
    if origin in {tuple, dict}:
        noun = "list of" if origin is tuple else "names, each with"
        return f"{noun} {_kind(inner[0] if origin is tuple else inner[1])}"
    return _WORDS.get(kind, "mapping")


def _bounds(meta: Meta) -> str:
    if meta.ge is not None:
        return f", {meta.ge} to {meta.le}"
    return f", above {meta.gt} to {meta.le}" if meta.gt is not None else ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else ()
    if isinstance(value, Struct) or value in (None, "", (), {}):
        return ""
    if isinstance(value, tuple):
        if isinstance(value[0], Struct):
            return "see there"
        return f"`[{', '.join(map(str, value))}]`"
    shown = plain(value)
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


def _comments() -> dict[tuple[str, str], str]:
    """(section, key) -> the comment on the field's line, or on the lines above it."""
    found: dict[tuple[str, str], str] = {}
    for module in (schema, recording, rollouts, watching):
        found |= comments_in(inspect.getsource(module))
    return found


def comments_in(source: str) -> dict[tuple[str, str], str]:
    """(section, field) -> its comment, in a module of Structs."""
    by_line: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            by_line[token.start[0]] = token.string.removeprefix("#").split("  # noqa")[0].strip()
            if not token.line[: token.start[1]].strip():
                alone.add(token.start[0])
    sections = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return {
        (section.name, field.target.id): _comment_of(field, by_line, alone)
        for section in sections
        for field in section.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def _comment_of(field: ast.AnnAssign, by_line: dict[int, str], alone: set[int]) -> str:
    last = field.end_lineno or field.lineno
    if last in by_line:
        return by_line[last]
    lines: list[str] = []
    above = field.lineno - 1
    while above in alone:
        lines.insert(0, by_line[above])
        above -= 1
    return " ".join(lines)


if __name__ == "__main__":
    sys.stdout.write(manual())
