"""Conditions between the fields of a row: `start <= end`, `total == price * count`.

Names are fields (`row["of another kind"]` where a name is no word), texts are in quotes;
`== != < <= > >= in`, `not in`, `and`, `or`, `not`, and `+ - * /` on numbers. Written in Python's
grammar, of which everything else is refused; nothing is ever run by Python itself.

Rule 1: what is written wrongly is found when the configuration is read.
Rule 2: a condition holds, does not hold, or says nothing (None): of a row that lacks a field,
        or has one of another kind than is compared. Whoever asks takes None for no violation.
        `and`, `or` and `not` follow: None only where the rest does not decide (Kleene).
Rule 3: numbers are computed as floats, so that no product of a client's grows without bound.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

Row = Mapping[str, Any]
Value = Callable[[Row], Any]
Holds = Callable[[Row], "bool | None"]

MOST_NODES = 100
_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_ROW = "row"
_NUMBERS = frozenset({int, float})
# Why: sums of decimals, such as 0.1 + 0.2 == 0.3, are what people mean by equal.
_SAME = 1e-9


class ExpressionError(ValueError):
    """What is wrong with an expression, in words."""


class Condition:
    """One condition, ready to be asked of rows."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: set[str] = set()
        self.holds: Holds = self._condition(_parsed(text))

    def _condition(self, node: ast.expr) -> Holds:
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(each) for each in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self._condition(node.operand)
            return lambda row: None if (found := inner(row)) is None else not found
        if isinstance(node, ast.Compare):
            return self._comparisons(node)
        raise ExpressionError("expected a comparison, such as `start <= end`")

    def _comparisons(self, node: ast.Compare) -> Holds:
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        parts = [self._comparison(left, each, right) for left, each, right in pairs]
        return parts[0] if len(parts) == 1 else _all(parts)

    def _comparison(self, left: ast.expr, order: ast.cmpop, right: ast.expr) -> Holds:
        one = self._value(left)
        if isinstance(order, ast.In | ast.NotIn):
            return _among(one, _constants(right), wanted=isinstance(order, ast.In))
        other = self._value(right)
        if isinstance(order, ast.Eq | ast.NotEq):
            wanted = isinstance(order, ast.Eq)
            return lambda row: _is_equal(one(row), other(row), wanted=wanted)
        if type(order) not in _ORDERS:
            raise ExpressionError("compare with ==, !=, <, <=, >, >=, in or not in")
        compare = _ORDERS[type(order)]
        return lambda row: _in_order(compare, one(row), other(row))

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
            constant = node.value
            return lambda _row: constant
        name = _field_of(node)
        if name is not None:
            self.fields.add(name)
            return lambda row: row.get(name)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._value(node.operand)
            return lambda row: _computed(operator.sub, 0.0, inner(row))
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            compute = _ARITHMETIC[type(node.op)]
            one, other = self._value(node.left), self._value(node.right)
            return lambda row: _computed(compute, one(row), other(row))
        raise ExpressionError("expected fields, numbers, texts in quotes, and + - * / on numbers")


def fault_of(text: str) -> str:
    """What is wrong with an expression; "" if nothing is."""
    try:
        Condition(text)
    except ExpressionError as error:
        return str(error)
    return ""


def _parsed(text: str) -> ast.expr:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError("this is no condition such as `start <= end`") from None
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise ExpressionError(f"a condition has at most {MOST_NODES} parts")
    return tree


def _field_of(node: ast.expr) -> str | None:
    """`amount`, or `row["amount"]`."""
    if isinstance(node, ast.Name):
        return node.id
    if (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id == _ROW
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    ):
        return node.slice.value
    return None


def _constants(node: ast.expr) -> tuple[Any, ...]:
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        values = [each.value for each in node.elts if isinstance(each, ast.Constant)]
        if len(values) == len(node.elts):
            return tuple(values)
    raise ExpressionError('`in` is followed by a list of constants, such as ["EUR", "USD"]')


def _all(parts: list[Holds]) -> Holds:
    def holds(row: Row) -> bool | None:
        found = [part(row) for part in parts]
        return False if False in found else None if None in found else True

    return holds


def _any(parts: list[Holds]) -> Holds:
    def holds(row: Row) -> bool | None:
        found = [part(row) for part in parts]
        return True if True in found else None if None in found else False

    return holds


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBERS


def _is_equal(one: Any, other: Any, *, wanted: bool) -> bool | None:
    if type(one) in _NUMBERS and type(other) in _NUMBERS:
        return _is_near(one, other) is wanted
    is_single = isinstance(one, str | bool)
    return (one == other) is wanted if is_single and type(one) is type(other) else None


def _is_near(one: float, other: float) -> bool:
    return bool(one == other or abs(one - other) <= _SAME * max(abs(one), abs(other)))


def _in_order(compare: Callable[[Any, Any], bool], one: Any, other: Any) -> bool | None:
    # Cost: the first line is for numbers, which most rows have.
    if type(one) in _NUMBERS and type(other) in _NUMBERS:
        return compare(one, other)
    return compare(one, other) if type(one) is type(other) is str else None


def _among(value: Value, known: tuple[Any, ...], *, wanted: bool) -> Holds:
    def holds(row: Row) -> bool | None:
        found = value(row)
        if not isinstance(found, str | int | float):
            return None
        return any(_is_equal(found, each, wanted=True) for each in known) is wanted

    return holds


def _computed(compute: Callable[[float, float], float], one: Any, other: Any) -> float | None:
    if not _is_number(one) or not _is_number(other):
        return None
    try:
        return compute(float(one), float(other))
    except (ZeroDivisionError, OverflowError):
        return None
