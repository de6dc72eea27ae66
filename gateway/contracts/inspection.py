"""The slow no: every value of a body looked at, what is wrong named and, where asked, repaired.

Only bodies that were not accepted at once come here.

Rule 1: of one kind of anomaly of one field the first place is told, and at most MOST in all.
Rule 2: `repair` puts a default where it stands; what cannot be repaired refuses.
Rule 3: conditions are judged after repairs.
Cost: about 0.5 µs a value, and a standard-library decode that notices names that stand twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from gateway.config.expressions import Condition
from gateway.config.watching import ContractRule, ContractSide
from gateway.contracts import anomalies as names
from gateway.contracts.anomalies import MOST, Anomaly, kind_of
from gateway.contracts.rows import MISSING, Misfit, Row, rows_of
from gateway.contracts.schemas import SchemaCheck
from gateway.contracts.values import Clock, Field, seconds_of

MOST_LOOKS = 200_000  # values of one body that are looked at …
LOOKS_AFTER = 5_000  # … and behind the first that is wrong, where nothing is repaired
FIRST_ROWS = 100  # that tell a field that is always missing from one that sometimes is

Found = dict[tuple[str, str], Anomaly]


class Inspected(Struct, frozen=True):
    """What was found in one body."""

    anomalies: tuple[Anomaly, ...]
    body: bytes | None = None  # as repaired

    @property
    def is_refused(self) -> bool:
        return any(anomaly.refuses for anomaly in self.anomalies)


class Rule(Struct, frozen=True):
    """A condition between fields, with what becomes of rows that break it."""

    name: str
    check: Condition
    when: Condition | None
    refuses: bool

    def is_broken(self, row: dict[str, Any]) -> bool:
        """Whether it applies, and says no."""
        if self.when is not None and self.when.holds(row) is not True:
            return False
        return self.check.holds(row) is False


def rules_of(side: ContractSide, action: str) -> list[Rule]:
    """The conditions of a side."""
    sections = [ContractRule(check=each) if isinstance(each, str) else each for each in side.rules]
    return [
        Rule(
            name=each.name or each.check,
            check=Condition(each.check),
            when=Condition(each.when) if each.when else None,
            refuses=(each.on_violation or action) != "flag",
        )
        for each in sections
    ]


class Inspection:
    """One side of a contract, for bodies that may be wrong."""

    def __init__(
        self, side: ContractSide, *, action: str, at: str, style: str, now_s: Clock
    ) -> None:
        self._side, self._action, self._at, self._style = side, action, at, style
        self.fields = {name: Field(name, section, now_s) for name, section in side.fields.items()}
        self.rules = rules_of(side, action)
        self._tokens = tokens_of(at)
        self._lists = frozenset(
            name for name, field in self.fields.items() if field.section.type == "list"
        )
        self._schema = None if side.schema is None else SchemaCheck(side.schema)
        self._refuses = action != "flag"
        actions = {field.section.on_violation for field in self.fields.values()}
        self._repairs = "repair" in {action, *actions}

    def too_long(self, limit: int) -> Inspected:
        """A body that is too long to be looked at."""
        expected = f"a body of at most {limit} bytes, as far as it is checked"
        return Inspected((self._whole(names.TOO_LONG, "", expected, ""),))

    def inspect(self, body: bytes) -> Inspected:
        """Whatever is wrong with a body."""
        twice: list[str] = []
        try:
            whole = _decoded(body.decode(), twice)
        except (ValueError, RecursionError):
            return Inspected((self._whole(names.UNREADABLE, "", "JSON", ""),))
        found: Found = {}
        is_repaired = self._inspect_place(whole, twice, found)
        if twice:
            self._note(found, self._whole(names.TWICE, "", "each name of an object once", ""), "")
        repaired = _encoded(whole) if is_repaired else None
        if is_repaired and repaired is None:
            self._note(found, self._whole(names.UNREADABLE, "", "numbers that JSON has", ""), "")
        return Inspected(tuple(found.values()), repaired)

    def _inspect_place(self, whole: Any, twice: list[str], found: Found) -> bool:
        """Whether something was repaired."""
        value, place = reached(whole, self._tokens)
        if value is MISSING:
            self._note(found, self._whole(names.MISSING, place, "a value", ""), "")
            return False
        if not self._side.encoded:
            return self._inspect_value(value, found)
        try:
            inner = _decoded(value, twice) if isinstance(value, str) else None
        except (ValueError, RecursionError):
            inner = None
        if inner is None:
            wrong = self._whole(
                names.UNREADABLE, self._at, "a text that holds JSON", kind_of(value)
            )
            self._note(found, wrong, "")
            return False
        is_repaired = self._inspect_value(inner, found)
        text = _encoded(inner) if is_repaired else None
        return text is not None and put(whole, self._tokens, text.decode())

    def _inspect_value(self, value: Any, found: Found) -> bool:
        if self._schema is not None:
            for anomaly in self._schema.anomalies(value, self._at, refuses=self._refuses):
                self._note(found, anomaly, anomaly.field)
        if not self.fields and not self.rules:
            return False
        rows = rows_of(value, self._style, self._at, self._lists)
        if isinstance(rows, Misfit):
            got = "nothing" if rows.value is None else kind_of(rows.value)
            wrong = self._whole(names.UNEXPECTED_TYPE, rows.pointer, rows.expected, got)
            self._note(found, wrong, "")
            return False
        return self._inspect_rows(rows, found)

    def _inspect_rows(self, rows: Sequence[Row], found: Found) -> bool:
        """Why bounded: a body of empty objects asks for far more looks than it has bytes."""
        is_repaired = False
        nowhere = self._nowhere(rows)
        looks = first = 0
        for row in rows:
            if found and not first:
                first = looks
            looks += len(self.fields) + 1
            if first and looks - first > LOOKS_AFTER and not self._repairs:
                break
            if looks > MOST_LOOKS:
                wrong = self._whole(names.TOO_LONG, self._at, "fewer values in one body", "")
                self._note(found, wrong, "")
                break
            is_repaired |= self._inspect_row(row, nowhere, found)
        return is_repaired

    def _nowhere(self, rows: Sequence[Row]) -> frozenset[str]:
        """Fields that the first rows all lack."""
        first = rows[:FIRST_ROWS]
        return frozenset(
            name
            for name, field in self.fields.items()
            if field.section.required and all(row.get(name) is MISSING for row in first)
        )

    def _inspect_row(self, row: Row, nowhere: frozenset[str], found: Found) -> bool:
        is_repaired = False
        for name, field in self.fields.items():
            value = row.get(name)
            fault = _absence(field, nowhere) if value is MISSING else field.fault(value)
            if fault is not None:
                is_repaired |= self._deal_with(row, field, value, fault, found)
        if self.fields and self._side.extra != "allow":
            self._note_extra(row, found)
        if self.rules:
            self._judge(row, found)
        return is_repaired

    def _deal_with(
        self, row: Row, field: Field, value: Any, fault: tuple[str, str],
        found: Found,
    ) -> bool:  # fmt: skip
        """Note what is wrong with a value, and repair it where that is asked for."""
        action = field.section.on_violation or self._action
        default = field.section.default
        is_repaired = action == "repair" and default is not None and row.put(field.name, default)
        name, expected = fault
        anomaly = Anomaly(
            name=name,
            field=field.name,
            pointer=row.pointer(field.name),
            expected=expected,
            got="nothing" if value is MISSING else kind_of(value),
            refuses=action != "flag" and not is_repaired,
        )
        self._note(found, anomaly, field.name)
        return is_repaired

    def _note_extra(self, row: Row, found: Found) -> None:
        extra = (name for name in row.names() if name not in self.fields)
        for name in islice(extra, MOST):
            anomaly = Anomaly(
                name=names.NEW,
                field=name,
                pointer=row.pointer(name),
                expected="only fields of the contract",
                refuses=self._side.extra == "reject",
                is_clients=True,
            )
            self._note(found, anomaly, name)

    def _judge(self, row: Row, found: Found) -> None:
        values = row_values(row, self.rules, self.fields)
        for rule in self.rules:
            if rule.is_broken(values):
                first = min(rule.check.fields, default="")
                anomaly = Anomaly(
                    name=names.RULE,
                    field=rule.name,
                    pointer=row.pointer(first).rpartition("/")[0],
                    expected=rule.check.text,
                    refuses=rule.refuses,
                )
                self._note(found, anomaly, rule.name)

    def _whole(self, name: str, pointer: str, expected: str, got: str) -> Anomaly:
        return Anomaly(
            name=name, field="", pointer=pointer, expected=expected, got=got, refuses=self._refuses
        )

    def _note(self, found: Found, anomaly: Anomaly, field: str) -> None:
        """Rule: what refuses is never crowded out by what only is flagged."""
        key = (anomaly.name, field)
        known = found.get(key)
        if known is None and len(found) >= MOST:
            if not anomaly.refuses:
                return
            harmless = [each for each in found if not found[each].refuses]
            if not harmless:
                return
            del found[harmless[-1]]
        if known is None or (anomaly.refuses and not known.refuses):
            found[key] = anomaly


def _absence(field: Field, nowhere: frozenset[str]) -> tuple[str, str] | None:
    if not field.section.required:
        return None
    name = names.MISSING if field.name in nowhere else names.SOMETIMES_MISSING
    return name, field.expected


def row_values(row: Row, rules: Iterable[Rule], fields: dict[str, Field]) -> dict[str, Any]:
    """What conditions look at; times are seconds."""
    wanted = {
        name
        for rule in rules
        for condition in (rule.check, rule.when)
        if condition is not None
        for name in condition.fields
    }
    values = {name: row.get(name) for name in wanted}
    return {
        name: seconds_of(value) if name in fields and fields[name].section.type == "time" else value
        for name, value in values.items()
        if value is not MISSING
    }


def tokens_of(pointer: str) -> tuple[str, ...]:
    """The names and places of an RFC 6901 pointer."""
    parts = pointer.split("/")[1:]
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in parts)


def reached(value: Any, tokens: Iterable[str]) -> tuple[Any, str]:
    """What stands there, or MISSING, and how far the way went."""
    place = ""
    for token in tokens:
        place += f"/{names.escaped(token)}"
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and token.isdecimal() and int(token) < len(value):
            value = value[int(token)]
        else:
            return MISSING, place
    return value, place


def put(whole: Any, tokens: Sequence[str], value: Any) -> bool:
    """Put a value where the tokens lead; False for the root itself."""
    if not tokens:
        return False
    parent, _ = reached(whole, tokens[:-1])
    if isinstance(parent, list):
        parent[int(tokens[-1])] = value
    else:
        parent[tokens[-1]] = value
    return True


def _decoded(text: str, twice: list[str]) -> Any:
    """A text of JSON; `twice` grows where an object has a name twice. Raises ValueError."""
    return json.loads(
        text, object_pairs_hook=lambda pairs: _object(pairs, twice), parse_constant=_no_constant
    )


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice.append("")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(text)


def _encoded(value: Any) -> bytes | None:
    """None: it holds a number that JSON has not."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        return None
