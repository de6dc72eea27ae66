"""Partial JSON by definition: decode all of it, then look."""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

MAX_DEPTH = 128
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Pairs(list[tuple[str, Any]]):
    """An object with its duplicates."""


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def decode(data: bytes, objects: Callable[[list[tuple[str, Any]]], Any] = Pairs) -> Any:
    """The value, numbers as they were written; ValueError when it is not strict JSON."""
    text = data.decode()
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("too deep")
    return json.loads(
        text,
        object_pairs_hook=objects,
        parse_constant=refuse,
        parse_int=Number,
        parse_float=Number,
    )


def is_json(data: bytes) -> bool:
    try:
        decode(data)
    except ValueError:
        return False
    return True


def is_object(data: bytes) -> bool:
    return is_json(data) and isinstance(decode(data), Pairs)


def marks_in(value: Any, marks: list[tuple[str, str]]) -> int:
    """Bit i: a member with the key and string value of marks[i] is somewhere inside."""
    if isinstance(value, Pairs):
        found = 0
        for key, inner in value:
            found |= marks_in(inner, marks)
            for bit, mark in enumerate(marks):
                found |= (type(inner) is str and (key, inner) == mark) << bit
        return found
    if isinstance(value, list):
        found = 0
        for inner in value:
            found |= marks_in(inner, marks)
        return found
    return 0


def point(value: Any, pointer: str) -> Any:
    """What RFC 6901 says the pointer means; KeyError or IndexError when there is nothing."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value[name]
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]*", name):
            value = value[int(name)]
        else:
            raise KeyError(name)
    return value
