"""Contracts proposed from recorded traffic."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import yaml

from gateway.config import parse
from gateway.contracts.checker import Checker
from gateway.contracts.draft import learn, yaml_of
from gateway.contracts.inference import Inference, upper_share
from gateway.contracts.rows import rows_of

RANDOM = random.Random(5)


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "amount": round(RANDOM.uniform(1, 900), 2),
            "currency": RANDOM.choice(["EUR", "USD"]),
            "age": RANDOM.randint(18, 90),
            "who": f"user-{RANDOM.random()}",
            "at": "2026-11-21T10:00:00Z",
            "vector": [0.5, 1.5, 2.5],
            "tip": None if at % 50 == 0 else 1,
            **({"note": "x"} if at % 3 else {}),
        }
        for at in range(count)
    ]


def fields_of(values: list[dict[str, Any]]) -> dict[str, Any]:
    inference = Inference()
    found = rows_of(values, "rows", "", frozenset())
    assert isinstance(found, list)
    inference.add(found)
    return inference.fields()


def line(**record: Any) -> bytes:
    return json.dumps({"outcome": "ok", **record}).encode()


def recorded(body: Any) -> bytes:
    return line(request={"type": "json", "body": body})


def test_fields_say_what_all_rows_had_in_common() -> None:
    fields = fields_of(rows(300))
    assert fields["amount"]["type"] == "number"
    assert (fields["amount"]["min"], fields["amount"]["max"] >= 1500) == (0, True)
    assert fields["age"]["type"] == "integer"
    assert fields["currency"] == {"type": "text", "categories": ["EUR", "USD"]}
    assert fields["who"]["type"] == "text"
    assert "categories" not in fields["who"]
    assert fields["at"] == {"type": "time"}
    assert fields["vector"] == {"type": "list", "of": "number", "min_length": 3, "max_length": 3}
    assert fields["tip"]["nulls"] == "5%"
    assert fields["note"]["required"] is False


def test_few_rows_restrict_little() -> None:
    assert fields_of([{"a": 1, "b": "x"}]) == {
        "a": {"type": "integer"},
        "b": {"type": "text", "max_length": 2},
    }


def test_text_whose_values_are_mostly_new_has_no_categories() -> None:
    values = [{"a": "usual"}] * 90 + [{"a": f"new-{n}"} for n in range(10)]
    assert "categories" not in fields_of(values)["a"]


def test_values_of_several_kinds_are_of_any() -> None:
    assert fields_of([{"a": 1}, {"a": "x"}])["a"]["type"] == "any"
    assert fields_of([{"a": 1}, {"a": 1.5}])["a"]["type"] == "number"


@pytest.mark.parametrize("low, high", [(-5.0, -1.0), (-5.0, 5.0), (100.0, 101.0), (0.0, 0.0)])
def test_range_has_room_on_both_sides_but_not_beyond_zero(low: float, high: float) -> None:
    field = fields_of([{"a": low}, {"a": high}] * 20)["a"]
    assert field["min"] <= low
    assert field["max"] >= high
    assert not (low >= 0 > field["min"])
    assert not (high <= 0 < field["max"])


@pytest.mark.parametrize(
    "body, at, style",
    [
        ({"instances": [{"a": 1}]}, "/instances", "rows"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, "/dataframe_split", "split"),
        ({"inputs": {"a": [1, 2]}}, "/inputs", "columns"),
        (
            {"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}]},
            "/inputs",
            "kserve",
        ),
        ({"a": 1}, "", "rows"),
    ],
)
def test_rows_are_found_where_model_servers_have_them(body: Any, at: str, style: str) -> None:
    draft = learn([recorded(body), recorded(body)], "input", "")
    assert draft is not None
    assert (draft.at, draft.style, draft.records) == (at, style, 2)
    assert list(draft.inference.fields()) == ["a"]


def test_features_are_taken_before_bodies() -> None:
    draft = learn([line(features=[{"a": 1}])], "input", "/my/rows")
    assert draft is not None
    assert (draft.at, list(draft.inference.fields())) == ("/my/rows", ["a"])


@pytest.mark.parametrize(
    "protocol, given, at",
    [("http", "", "/predictions"), ("kserve", "", "/outputs"), ("http", "/my/rows", "/my/rows")],
)
def test_predictions_are_taken_before_answers(protocol: str, given: str, at: str) -> None:
    kept = [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1]}]
    said = kept if protocol == "kserve" else [{"a": 1}]
    body = {"type": "json", "body": {"b": 1}}
    draft = learn([line(protocol=protocol, predictions=said, response=body)], "output", given)
    assert draft is not None
    assert (draft.at, list(draft.inference.fields())) == (at, ["a"])
    failed = {"outcome": "upstream_5xx", "protocol": protocol, "predictions": said}
    assert learn([json.dumps(failed).encode()], "output", given) is None


def test_what_was_cut_redacted_or_failed_is_not_learnt_from() -> None:
    lines = [
        line(request={"type": "text", "body": "{"}),
        line(request={"type": "json", "body": {"a": 1}, "redacted": 1}),
        json.dumps({"outcome": "upstream_5xx", "request": {"type": "json", "body": 1}}).encode(),
    ]
    assert learn(lines, "input", "") is None


def test_proposal_is_a_configuration_that_its_own_traffic_keeps() -> None:
    bodies = [{"instances": rows(3)} for _ in range(60)]
    answers = [line(response={"type": "json", "body": {"predictions": [{"p": 0.5}]}})]
    sides = {
        "input": learn([recorded(body) for body in bodies], "input", ""),
        "output": learn(answers, "output", ""),
    }
    text = yaml_of("fraud: 1", {name: side for name, side in sides.items() if side}, "1")
    section = yaml.safe_load(text)["routes"]["fraud: 1"]
    assert section["contract"]["output"]["fields"] == {"p": "number"}
    settings = {
        "backends": {"one": {"protocol": "http", "url": "http://one.test"}},
        "routes": {"fraud": {"backends": ["one"], **section}},
    }
    contract = parse(json.dumps(settings), {}).config.routes["fraud"].contract
    assert contract is not None
    made = Checker(contract, "input", "http")
    assert not [body for body in bodies if made.check(json.dumps(body).encode())]


def test_share_that_is_likely_not_exceeded_covers_it_as_often_as_it_says() -> None:
    share, of = 0.05, 200
    exceeded = 0
    for _ in range(2000):
        count = sum(RANDOM.random() < share for _ in range(of))
        exceeded += upper_share(count, of) < share
    assert exceeded / 2000 < 0.025
