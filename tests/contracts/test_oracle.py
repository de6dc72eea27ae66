"""Contracts against python-jsonschema, which knows nothing of ours, on generated data.

What the compact fields say is written as JSON Schema here; both must agree on every body.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.contracts import checked, checker

KINDS = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "text": "string",
    "object": "object",
    "list": "array",
}
NAMES = st.sampled_from(["a", "b", "c d", "é/~"])
SMALL = st.integers(-3, 3)
TEXTS = st.sampled_from(["", "x", "yy", "éé", "zzz"])


@st.composite
def bounded_fields(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    field: dict[str, Any] = {"type": kind, "required": draw(st.booleans())}
    field["nulls"] = draw(st.sampled_from([0.0, 0.5]))
    if kind in {"number", "integer"}:
        low = draw(st.none() | SMALL | st.sampled_from([-1.5, 0.5]))
        high = draw(st.none() | SMALL | st.sampled_from([-1.5, 0.5]))
        field |= {"min": low, "max": high}
        if low is not None and high is not None and low > high:
            field["min"] = None
    if kind in {"text", "list"}:
        low = draw(st.none() | st.integers(0, 2))
        field |= {"min_length": low, "max_length": draw(st.none() | st.integers(low or 0, 3))}
    if kind == "text" and draw(st.booleans()):
        field["categories"] = draw(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
    if kind == "integer" and draw(st.booleans()):
        field["categories"] = draw(st.lists(SMALL, min_size=1, max_size=3, unique=True))
    if kind == "list":
        field["of"] = draw(st.sampled_from(["any", "number", "integer", "text", "boolean"]))
    return field


FIELDS = st.dictionaries(NAMES, bounded_fields(), min_size=1, max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | SMALL | st.sampled_from([0.5, -1.5, 1.0, 2.0]) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
ROWS = st.dictionaries(NAMES | st.just("new"), VALUES, max_size=4)


def schema_of(fields: dict[str, Any], *, extra: bool) -> dict[str, Any]:
    """What the fields of a row say, as JSON Schema."""
    row = {
        "type": "object",
        "properties": {name: value_schema(field) for name, field in fields.items()},
        "required": [name for name, field in fields.items() if field["required"]],
        "additionalProperties": extra,
    }
    return {"anyOf": [row, {"type": "array", "items": row}]}


def value_schema(field: dict[str, Any]) -> dict[str, Any]:
    kind = field["type"]
    length = ("minItems", "maxItems") if kind == "list" else ("minLength", "maxLength")
    keys = {"min": "minimum", "max": "maximum", "min_length": length[0], "max_length": length[1]}
    said: dict[str, Any] = {"type": KINDS[kind]}
    said |= {keys[key]: field[key] for key in keys if field.get(key) is not None}
    if kind == "list" and field["of"] != "any":
        said["items"] = {"type": KINDS[field["of"]]}
    if "categories" in field:
        said["enum"] = field["categories"]
    return {"anyOf": [said, {"type": "null"}]} if field["nulls"] else said


@settings(max_examples=120)
@given(fields=FIELDS, body=ROWS | st.lists(ROWS, max_size=3) | VALUES, extra=st.booleans())
def test_compact_fields_judge_as_their_json_schema(
    fields: dict[str, Any], body: Any, extra: bool
) -> None:
    made = checker(fields, extra="allow" if extra else "reject")
    is_valid = jsonschema.Draft202012Validator(schema_of(fields, extra=extra)).is_valid(body)
    found = checked(made, body)
    assert (found is None) == is_valid
    if made.accepts(json.dumps(body).encode()):
        assert made.inspection.inspect(json.dumps(body).encode()).anomalies == ()


@settings(max_examples=80)
@given(fields=FIELDS, rows=st.lists(ROWS, max_size=3), style=st.sampled_from(["columns", "split"]))
def test_other_formats_judge_as_rows_do(
    fields: dict[str, Any], rows: list[dict[str, Any]], style: str
) -> None:
    names = sorted({name for row in rows for name in row})
    full = [{name: row.get(name) for name in names} for row in rows]
    columns = {name: [row[name] for row in full] for name in names}
    split = {"columns": names, "data": [[row[name] for name in names] for row in full]}
    wanted = checked(checker(fields, extra="reject"), full)
    found = checked(
        checker(fields, extra="reject", format=style), columns if style == "columns" else split
    )
    if full and names:
        assert (found is None) == (wanted is None)
        if found is not None and wanted is not None:
            assert {(each.name, each.field) for each in found.anomalies} == {
                (each.name, each.field) for each in wanted.anomalies
            }


LEAVES = st.sampled_from(
    [
        True,
        {"type": "boolean"},
        {"type": "null"},
        {"type": "number", "minimum": 0},
        {"type": "number", "exclusiveMaximum": 1},
        {"type": "integer", "minimum": 0.5, "maximum": 2.5},
        {"type": "integer", "exclusiveMinimum": 0.5},
        {"type": ["integer", "null"]},
        {"type": "string", "enum": ["x", "yy"]},
        {"type": "string", "minLength": 1, "maxLength": 2},
        {"type": "string", "const": "x"},
        {"type": "string", "pattern": "^x"},
        {"enum": [1, "x", None]},
        {"type": "number", "multipleOf": 0.5},
        {"type": ["string", "number"]},
        {"not": {"type": "string"}},
    ]
)
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            lambda properties, required, extra: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": extra,
            },
            st.dictionaries(NAMES, inner, max_size=3),
            st.lists(NAMES, max_size=2, unique=True),
            st.booleans(),
        )
        | st.builds(lambda items: {"type": "array", "items": items, "minItems": 1}, inner)
    ),
    max_leaves=4,
)


@settings(max_examples=120)
@given(schema=SCHEMAS, body=VALUES | ROWS | st.lists(ROWS, max_size=2))
def test_json_schema_judges_as_its_reference_does(schema: Any, body: Any) -> None:
    is_valid = jsonschema.Draft202012Validator(schema).is_valid(body)
    made = checker(schema=schema)
    found = checked(made, body)
    assert (found is None) == is_valid
    if made.accepts(json.dumps(body).encode()):
        assert is_valid


@settings(max_examples=80)
@given(fields=FIELDS, body=ROWS | st.lists(ROWS, max_size=3))
def test_what_repair_lets_through_is_good(fields: dict[str, Any], body: Any) -> None:
    defaults = {"number": 0, "integer": 0, "boolean": False, "text": "x", "list": [], "object": {}}
    made: dict[str, Any] = {}
    for name, field in fields.items():
        default = field.get("categories", [defaults[field["type"]]])[0]
        allowed = {**field, "min": None, "max": None, "min_length": None, "max_length": None}
        if field["type"] not in {"number", "integer"}:
            del allowed["min"], allowed["max"]
        if field["type"] not in {"text", "list"}:
            del allowed["min_length"], allowed["max_length"]
        made[name] = {**allowed, "default": default}
    repairing = checker(made, action="repair")
    found = checked(repairing, body)
    assert found is None or not found.is_refused
    if found is not None and found.body is not None:
        again = repairing.check(found.body)
        assert again is None or {each.name for each in again.anomalies} == {"SCHEMA_NEW_COLUMN"}


@settings(max_examples=150)
@given(
    body=st.binary(max_size=30)
    | (VALUES | ROWS).map(lambda value: json.dumps({"at": value}).encode())
    | st.sampled_from([b'{"at":{"columns":["a"],"data":[[1,2]]}}', b'{"at":"\\ud800"}'])
    | st.lists(
        st.fixed_dictionaries({}, optional={"name": NAMES, "shape": VALUES, "data": VALUES})
    ).map(lambda value: json.dumps({"at": value}).encode()),
    style=st.sampled_from(["rows", "columns", "split", "kserve"]),
    encoded=st.booleans(),
)
def test_no_body_makes_a_check_fail(body: bytes, style: str, encoded: bool) -> None:
    fields = {
        "a": {"type": "time", "freshness": "1h"},
        "b": {"type": "text", "pattern": "[a-z]*", "default": "x"},
        "c d": {"type": "list", "of": "number"},
    }
    rules = ["a < b", 'row["c d"] == 1 or b in ["x"]']
    for action in ("reject", "repair", "flag"):
        made = checker(fields, action=action, at="/at", format=style, encoded=encoded, rules=rules)
        found = made.check(body)
        if found is not None:
            assert len(found.anomalies) <= 16
            assert all(each.sentence for each in found.anomalies)
