"""Small expressions in the body of a fallback rule: an answer that looks at its request.

    {$get: /amount}                                     what stands at this JSON pointer
    {$get: /amount, $else: 0}                           … or this, where nothing does
    {$if: [/amount, ">", 1000], $then: review, $else: pass}
                                                        <, <=, ==, !=, >=, >; an order of what
                                                        is no pair of numbers or texts is false

They may stand anywhere in the body, also within each other. A request that is no JSON has
nothing at any pointer.

Rule: an expression that is written wrongly is found when the configuration is read; one that
      is well written has a value for every request. No loops, no arithmetic, no code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

MARKS = frozenset({"$get", "$if", "$then", "$else"})
_SHAPES = ({"$get"}, {"$get", "$else"}, {"$if", "$then"}, {"$if", "$then", "$else"})
_POINTER = re.compile(r"(/[^\n]*)?\Z")
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
}
_CONDITION_PARTS = 3
_NOTHING = object()


def is_expression(body: Any) -> bool:
    """Whether the body is more than a constant."""
    if isinstance(body, dict):
        return bool(MARKS & body.keys()) or any(map(is_expression, body.values()))
    return isinstance(body, list | tuple) and any(map(is_expression, body))


def faults(body: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, sentence) of each expression that is written wrongly."""
    if isinstance(body, list | tuple):
        for index, item in enumerate(body):
            yield from faults(item, f"{path}[{index}]")
    elif isinstance(body, dict):
        if MARKS & body.keys():
            yield from ((path, wrong) for wrong in _wrong(body))
        for name, value in body.items():
            if name not in {"$get", "$if"}:
                yield from faults(value, f"{path}.{name}")


def _wrong(body: dict[str, Any]) -> Iterator[str]:
    if body.keys() not in _SHAPES:
        yield "an expression is {$get, $else} or {$if, $then, $else}, and nothing beside"
        return
    pointer = body.get("$get", "")
    if "$if" in body:
        condition = body["$if"]
        is_sound = isinstance(condition, list | tuple) and len(condition) == _CONDITION_PARTS
        if not is_sound or condition[1] not in {*_ORDERS, "==", "!="}:
            yield 'a condition is [/pointer, "<", value], with <, <=, ==, !=, >= or >'
            return
        pointer = condition[0]
    if not isinstance(pointer, str) or not _POINTER.match(pointer):
        yield "expected a JSON pointer such as /amount"


def evaluated(body: Any, request: Any) -> Any:
    """The body for this request, decoded; the body must be without faults."""
    if isinstance(body, list | tuple):
        return [evaluated(item, request) for item in body]
    if not isinstance(body, dict):
        return body
    if "$get" in body:
        found = _at(request, body["$get"])
        return evaluated(body.get("$else"), request) if found is _NOTHING else found
    if "$if" in body:
        branch = "$then" if _holds(body["$if"], request) else "$else"
        return evaluated(body.get(branch), request)
    return {name: evaluated(value, request) for name, value in body.items()}


def _holds(condition: Any, request: Any) -> bool:
    pointer, word, wanted = condition
    found = _at(request, pointer)
    if word in {"==", "!="}:
        # Why: to Python, true is 1.
        is_equal = bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)
        return is_equal is bool(word == "==")
    are_numbers = _is_number(found) and _is_number(wanted)
    are_texts = isinstance(found, str) and isinstance(wanted, str)
    return (are_numbers or are_texts) and _ORDERS[word](found, wanted)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _at(document: Any, pointer: str) -> Any:
    """What stands at an RFC 6901 pointer, or _NOTHING."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return _NOTHING
    return document
