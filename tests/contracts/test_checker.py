"""What is accepted, what is wrong by which name, what is repaired."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.contracts import anomalies
from gateway.contracts.checker import complaint
from gateway.contracts.inspection import LOOKS_AFTER, MOST_LOOKS
from tests.contracts.contracts import NOW_S, checked, checker, names_of

PAYMENT: dict[str, Any] = {
    "amount": {"type": "number", "min": 0, "max": 100_000},
    "currency": {"type": "text", "categories": ["EUR", "USD"]},
    "age": "integer",
}
GOOD = {"amount": 12.5, "currency": "EUR", "age": 30}


@pytest.mark.parametrize("body", [GOOD, [GOOD, GOOD], [], [{**GOOD, "amount": 3}]])
def test_good_rows_are_accepted_at_once(body: Any) -> None:
    made = checker(PAYMENT)
    assert made.accepts(json.dumps(body).encode())
    assert checked(made, body) is None


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"amount": -1}, "FLOAT_TYPE_SMALL_FLOAT", "/amount"),
    ({"amount": 100_001}, "FLOAT_TYPE_BIG_FLOAT", "/amount"),
    ({"amount": "12"}, "FLOAT_TYPE_NOT_FLOAT", "/amount"),
    ({"amount": True}, "FLOAT_TYPE_NOT_FLOAT", "/amount"),
    ({"amount": [1]}, "FEATURE_TYPE_UNEXPECTED_REPEATED", "/amount"),
    ({"amount": None}, "FEATURE_TYPE_NO_VALUES", "/amount"),
    ({"age": 1.5}, "INT_TYPE_INT_EXPECTED", "/age"),
    ({"currency": "GBP"}, "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "/currency"),
    ({"currency": 978}, "STRING_TYPE_NOW_INT", "/currency"),
    ({"currency": 9.5}, "STRING_TYPE_NOW_FLOAT", "/currency"),
    ({"tip/a~b": 1}, "SCHEMA_NEW_COLUMN", "/tip~1a~0b"),
]


@pytest.mark.parametrize("change, name, pointer", FAULTS)
def test_fault_has_the_name_that_data_validation_gives_it(
    change: dict[str, Any], name: str, pointer: str
) -> None:
    assert names_of(checked(checker(PAYMENT), {**GOOD, **change})) == [(name, pointer)]


FIELDS: list[tuple[Any, Any, str]] = [
    ("boolean", 2, "BOOL_TYPE_BIG_INT"),
    ("boolean", -1, "BOOL_TYPE_SMALL_INT"),
    ("boolean", "yes", "BOOL_TYPE_UNEXPECTED_STRING"),
    ("boolean", 0.5, "BOOL_TYPE_UNEXPECTED_FLOAT"),
    ("boolean", 1, "UNEXPECTED_DATA_TYPE"),
    ("object", [], "UNEXPECTED_DATA_TYPE"),
    ("any", None, "FEATURE_TYPE_NO_VALUES"),
    ({"type": "integer", "min": 0.5, "max": 2.5}, 0, "INT_TYPE_SMALL_INT"),
    ({"type": "integer", "min": 0.5, "max": 2.5}, 3, "INT_TYPE_BIG_INT"),
    ({"type": "text", "pattern": "[a-z]+"}, "aB", "STRING_TYPE_NO_MATCH"),
    ({"type": "text", "min_length": 2}, "é", "STRING_TYPE_TOO_SHORT"),
    ({"type": "text", "max_length": 2}, "abc", "STRING_TYPE_TOO_LONG"),
    ({"type": "list", "of": "number"}, 3, "VALUE_NESTEDNESS_MISMATCH"),
    ({"type": "list", "of": "number"}, [1, "x"], "FLOAT_TYPE_NOT_FLOAT"),
    ({"type": "list", "of": "number", "max": 1}, [1, 1.5], "FLOAT_TYPE_BIG_FLOAT"),
    ({"type": "list", "min_length": 2}, [1], "FEATURE_TYPE_LOW_NUMBER_VALUES"),
    ({"type": "list", "max_length": 2}, [1, 2, 3], "FEATURE_TYPE_HIGH_NUMBER_VALUES"),
    ("time", "yesterday", "TIME_TYPE_INVALID"),
    ("time", True, "TIME_TYPE_INVALID"),
    ({"type": "time", "freshness": "1h"}, NOW_S - 3601, "TIME_TYPE_STALE"),
    ({"type": "time", "freshness": "1h"}, (NOW_S - 3601) * 1000, "TIME_TYPE_STALE"),
    ({"type": "time", "freshness": "1h"}, "2026-11-17T00:00:00Z", "TIME_TYPE_STALE"),
    ({"type": "time", "freshness": "1h"}, NOW_S + 3601, "TIME_TYPE_IN_FUTURE"),
    ({"type": "number", "categories": [1, 2.5]}, 3, "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
    ({"type": "any", "categories": [1, "a"]}, True, "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
]


@pytest.mark.parametrize("field, value, name", FIELDS)
def test_value_that_a_field_cannot_have_is_named(field: Any, value: Any, name: str) -> None:
    assert names_of(checked(checker({"x": field}), {"x": value})) == [(name, "/x")]


@pytest.mark.parametrize(
    "field, value",
    [
        ("integer", 3.0),
        ("number", 10**30),
        ("any", {"a": 1}),
        ({"type": "integer", "categories": [1, 2]}, 1.0),
        ({"type": "number", "nulls": "5%"}, None),
        ({"type": "number", "required": False, "min": 1}, 1),
        ({"type": "text", "pattern": "[a-z]+"}, "abc"),
        ({"type": "time", "freshness": "1h"}, NOW_S - 60),
        ({"type": "time", "freshness": "1h"}, "2026-11-18T11:06:40+00:00"),
        ({"type": "list", "of": "text"}, []),
    ],
)
def test_value_that_a_field_may_have_is_good(field: Any, value: Any) -> None:
    assert checked(checker({"x": field}), {"x": value}) is None


def test_number_that_is_too_large_for_json_readers_is_infinite() -> None:
    found = checked(checker({"x": "number"}), b'{"x": 1e999}')
    assert names_of(found) == [("FLOAT_TYPE_HAS_INF", "/x")]


def test_missing_everywhere_is_another_anomaly_than_missing_sometimes() -> None:
    made = checker(PAYMENT)
    without = {key: value for key, value in GOOD.items() if key != "age"}
    assert names_of(checked(made, [without])) == [("SCHEMA_MISSING_COLUMN", "/0/age")]
    found = names_of(checked(made, [GOOD, without]))
    assert found == [("FEATURE_TYPE_LOW_FRACTION_PRESENT", "/1/age")]


@pytest.mark.parametrize(
    "body, name, pointer",
    [
        (b"{", "BODY_NOT_JSON", ""),
        (b'{"instances": NaN}', "BODY_NOT_JSON", ""),
        ('{"instances": []}'.encode("utf-16"), "BODY_NOT_JSON", ""),
        (b"[" * 100_000, "BODY_NOT_JSON", ""),
        (b"{}", "SCHEMA_MISSING_COLUMN", "/instances"),
        (b'{"instances": 3}', "UNEXPECTED_DATA_TYPE", "/instances"),
        (b'{"instances": [3]}', "UNEXPECTED_DATA_TYPE", "/instances/0"),
        (b" " * 300_000, "BODY_TOO_LONG", ""),
    ],
)
def test_body_that_has_no_rows_is_a_violation(body: bytes, name: str, pointer: str) -> None:
    found = checked(checker(PAYMENT, at="/instances"), body)
    assert found is not None
    assert names_of(found) == [(name, pointer)]
    assert found.is_refused


def test_each_of_two_members_of_one_name_must_be_good() -> None:
    made = checker({"x": {"type": "number", "max": 5}})
    assert checked(made, b'{"x": 1, "x": 2}') is None
    assert names_of(checked(made, b'{"x": 9, "x": 2}')) == [("NAME_TWICE", "")]


def test_fields_that_are_not_listed_are_flagged_allowed_or_refused() -> None:
    body = {**GOOD, "new": 1}
    flagged = checked(checker(PAYMENT), body)
    assert flagged is not None
    assert not flagged.is_refused
    assert checked(checker(PAYMENT, extra="allow"), body) is None
    refused = checked(checker(PAYMENT, extra="reject"), body)
    assert refused is not None
    assert refused.is_refused


def test_conditions_between_fields_are_judged_where_they_apply() -> None:
    rules = ["start <= end", {"check": "amount > 0", "when": 'kind == "sale"', "name": "paid"}]
    made = checker({}, rules=rules)
    assert names_of(checked(made, {"start": 2, "end": 1})) == [("RULE_VIOLATED", "")]
    assert checked(made, {"kind": "gift", "amount": 0}) is None
    found = checked(made, {"kind": "sale", "amount": 0})
    assert found is not None
    assert [each.field for each in found.anomalies] == ["paid"]


@pytest.mark.parametrize("style", ["quick", "slow"])
def test_conditions_compare_times_as_moments(style: str) -> None:
    fields: dict[str, Any] = {"start": "time", "end": "time"}
    fields |= {"x": "any"} if style == "slow" else {}
    made = checker(fields, rules=["start <= end"])
    more = {"x": None} if style == "slow" else {}
    body = {"start": "2026-11-18T02:00:00+02:00", "end": 1_795_000_000, **more}
    names = [name for name, _ in names_of(checked(made, body))]
    assert "RULE_VIOLATED" not in names
    late = checked(made, {**body, "end": "2026-11-17T23:00:00Z"})
    assert "RULE_VIOLATED" in [name for name, _ in names_of(late)]


def test_repair_puts_defaults_and_leaves_the_rest_as_it_is() -> None:
    fields = {"x": {"type": "number", "min": 0, "default": 0}, "y": "any"}
    made = checker(fields, action="repair", at="/rows")
    body = b'{"id": 12345678901234567890123, "rows": [{"x": -1, "y": 0.1}, {"y": "\\ud800"}]}'
    found = checked(made, body)
    assert found is not None
    assert not found.is_refused
    assert found.body is not None
    assert json.loads(found.body) == {
        "id": 12345678901234567890123,
        "rows": [{"x": 0, "y": 0.1}, {"y": "\ud800", "x": 0}],
    }
    assert {name for name, _ in names_of(found)} == {
        "FLOAT_TYPE_SMALL_FLOAT",
        "FEATURE_TYPE_LOW_FRACTION_PRESENT",
    }


def test_what_has_no_default_is_refused_by_repair() -> None:
    found = checked(checker(PAYMENT, action="repair"), {**GOOD, "amount": -1})
    assert found is not None
    assert found.is_refused


def test_conditions_are_judged_after_repairs() -> None:
    fields = {"x": {"type": "number", "default": 1}, "y": "number"}
    made = checker(fields, action="repair", rules=["x <= y"])
    found = checked(made, {"x": "?", "y": 2})
    assert found is not None
    assert names_of(found) == [("FLOAT_TYPE_NOT_FLOAT", "/x")]


def test_body_with_a_number_that_json_has_not_is_not_repaired() -> None:
    fields = {"x": {"type": "number", "default": 1}}
    found = checked(checker(fields, action="repair", extra="allow"), b'{"x": null, "y": 1e999}')
    assert found is not None
    assert found.body is None
    assert found.is_refused


def test_field_may_be_treated_otherwise_than_the_rest() -> None:
    fields = {"x": {"type": "number", "on_violation": "flag"}, "y": "number"}
    made = checker(fields)
    flagged = checked(made, {"x": "a", "y": 1})
    assert flagged is not None
    assert not flagged.is_refused
    refused = checked(made, {"x": "a", "y": "a"})
    assert refused is not None
    assert refused.is_refused


def test_sentence_names_places_and_what_was_expected_but_no_value() -> None:
    body = [{**GOOD, "amount": "s3cret"}, {**GOOD, "currency": "s3cret", "age": "s3cret"}]
    found = checked(checker(PAYMENT), body)
    assert found is not None
    assert complaint(found.anomalies) == (
        "The request violates its contract: `/0/amount`: expected a number from 0 to 100000,"
        ' got a text; `/1/currency`: expected one of "EUR", "USD", got another;'
        " `/1/age`: expected an integer, got a text."
    )


def test_no_anomaly_holds_a_value() -> None:
    for change, _, _ in FAULTS[:-1]:
        found = checked(checker(PAYMENT), {**GOOD, **dict.fromkeys(change, "s3cret")})
        assert found is not None
        assert "s3cret" not in repr(found.anomalies)


def test_what_refuses_is_not_crowded_out_by_what_is_flagged() -> None:
    body = {**GOOD, **{f"new{n}": 1 for n in range(50)}}
    made = checker({**PAYMENT, "last": "number"})
    found = checked(made, [body, {**GOOD, "last": "x"}])
    assert found is not None
    assert found.is_refused
    assert len(found.anomalies) == 16


@pytest.mark.parametrize("action", ["reject", "repair"])
def test_work_on_a_hostile_body_is_bounded(action: str) -> None:
    fields = {f"f{n}": {"type": "number", "required": False} for n in range(500)}
    made = checker(fields, action=action, extra="reject")
    body = b"[" + b"{}," * 80_000 + b'{"new":1}]'
    found = checked(made, body)
    assert names_of(found) == [("BODY_TOO_LONG", "")]
    assert LOOKS_AFTER < MOST_LOOKS


def test_text_that_holds_json_is_read() -> None:
    made = checker({"label": "text"}, at="/choices/0/content", encoded=True)
    good = {"choices": [{"content": '{"label": "a"}'}]}
    assert made.accepts(json.dumps(good).encode())
    bad = {"choices": [{"content": '{"label": 3}'}]}
    assert names_of(checked(made, bad)) == [("STRING_TYPE_NOW_INT", "/choices/0/content/label")]
    none = {"choices": [{"content": "I cannot"}]}
    assert names_of(checked(made, none)) == [("BODY_NOT_JSON", "/choices/0/content")]


def test_repair_of_a_text_that_holds_json_writes_the_text_anew() -> None:
    fields = {"label": {"type": "text", "default": "other"}}
    made = checker(fields, action="repair", at="/content", encoded=True)
    found = checked(made, {"content": "{}"})
    assert found is not None
    assert found.body is not None
    assert json.loads(json.loads(found.body)["content"]) == {"label": "other"}


def test_every_anomaly_has_a_counter_and_none_two() -> None:
    said = {
        value
        for name, value in vars(anomalies).items()
        if name.isupper() and isinstance(value, str)
    }
    assert said == set(anomalies.NAMES)
    places = [anomalies.slot_of(side, name) for side in anomalies.SIDES for name in anomalies.NAMES]
    assert len(set(places)) == len(places) <= 2 * anomalies.ROOM
    assert [anomalies.slots()[place] for place in places[:2]] == [
        ("input", anomalies.NAMES[0]),
        ("input", anomalies.NAMES[1]),
    ]
    assert anomalies.slot_of("input", "UNHEARD_OF") == -1
