"""Bodies of several formats as rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contracts.contracts import checked, checker, names_of

FIELDS: dict[str, Any] = {
    "amount": {"type": "number", "max": 10, "default": 0},
    "tags": {"type": "list", "of": "integer", "min_length": 2, "max_length": 2},
}


def tensor(name: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": "FP64", "data": data}


AMOUNT, TAGS = tensor("amount", [2], [1, 2]), tensor("tags", [2, 2], [1, 2, 3, 4])


def kserve(*tensors: Any, action: str = "reject") -> list[tuple[str, str]]:
    made = checker(FIELDS, protocol="kserve", action=action)
    return names_of(checked(made, {"inputs": list(tensors)}))


def test_flat_tensors_are_accepted_at_once() -> None:
    body = json.dumps({"inputs": [TAGS, AMOUNT]}).encode()
    assert checker(FIELDS, protocol="kserve").accepts(body)


@pytest.mark.parametrize(
    "tensors",
    [
        [tensor("amount", [2, 1], [1, 2]), TAGS],
        [tensor("amount", [2, 1], [[1], [2]]), TAGS],
        [AMOUNT, tensor("tags", [2, 2], [[1, 2], [3, 4]])],
        [tensor("amount", [0], []), tensor("tags", [0, 2], [])],
    ],
)
def test_good_tensors_are_good_however_nested(tensors: list[Any]) -> None:
    assert kserve(*tensors) == []


@pytest.mark.parametrize(
    "tensors, name, pointer",
    [
        ([tensor("amount", [2], [1, 20]), TAGS], "FLOAT_TYPE_BIG_FLOAT", "/inputs/0/data/1"),
        (
            [tensor("amount", [2, 1], [[1], [20]]), TAGS],
            "FLOAT_TYPE_BIG_FLOAT",
            "/inputs/0/data/1",
        ),
        (
            [AMOUNT, tensor("tags", [2, 3], [1] * 6)],
            "FEATURE_TYPE_HIGH_NUMBER_VALUES",
            "/inputs/1/data/0",
        ),
        ([AMOUNT], "SCHEMA_MISSING_COLUMN", "/tags"),
        ([], "SCHEMA_MISSING_COLUMN", "/amount"),
        ([tensor("amount", [3], [1, 2]), TAGS], "UNEXPECTED_DATA_TYPE", "/inputs/0/data"),
        ([AMOUNT, AMOUNT, TAGS], "UNEXPECTED_DATA_TYPE", "/inputs/1/name"),
        (
            [tensor("amount", [1], [1]), TAGS],
            "FEATURE_TYPE_LOW_FRACTION_PRESENT",
            "/inputs/0/data/1",
        ),
        ([AMOUNT, TAGS, tensor("new", [2], [1, 2])], "SCHEMA_NEW_COLUMN", "/inputs/2/data/0"),
        ([3], "UNEXPECTED_DATA_TYPE", "/inputs/0"),
    ],
)
def test_wrong_tensor_is_named(tensors: list[Any], name: str, pointer: str) -> None:
    assert (name, pointer) in kserve(*tensors)


@pytest.mark.parametrize("data, shape", [([1, 20], [2]), ([[1], [20]], [2, 1])])
def test_tensor_is_repaired_where_its_value_stands(data: list[Any], shape: list[int]) -> None:
    made = checker(FIELDS, protocol="kserve", action="repair")
    found = checked(made, {"inputs": [tensor("amount", shape, data), TAGS]})
    assert found is not None
    assert found.body is not None
    [repaired, _] = json.loads(found.body)["inputs"]
    assert repaired["data"] == [[1], [0]] if len(shape) > 1 else [1, 0]


def test_whole_tensor_that_is_missing_cannot_be_repaired() -> None:
    found = checked(checker(FIELDS, protocol="kserve", action="repair"), {"inputs": [TAGS]})
    assert found is not None
    assert found.is_refused


SPLIT = {"columns": ["amount", "tags"], "data": [[1, [1, 2]], [2, [3, 4]]]}


def test_split_in_the_order_of_the_contract_is_accepted_at_once() -> None:
    assert checker(FIELDS, format="split").accepts(json.dumps(SPLIT).encode())


@pytest.mark.parametrize(
    "change, name, pointer",
    [
        ({"data": [[1, [1, 2]], [20, [3, 4]]]}, "FLOAT_TYPE_BIG_FLOAT", "/data/1/0"),
        ({"data": [[1]]}, "UNEXPECTED_DATA_TYPE", "/data/0"),
        ({"data": 3}, "UNEXPECTED_DATA_TYPE", "/data"),
        ({"columns": ["amount", "amount"]}, "UNEXPECTED_DATA_TYPE", "/columns"),
        ({"columns": 3}, "UNEXPECTED_DATA_TYPE", "/columns"),
        ({"columns": ["amount", "other"]}, "SCHEMA_MISSING_COLUMN", "/data/0/tags"),
    ],
)
def test_wrong_split_is_named(change: dict[str, Any], name: str, pointer: str) -> None:
    found = names_of(checked(checker(FIELDS, format="split"), {**SPLIT, **change}))
    assert (name, pointer) in found


def test_split_is_good_in_any_order_of_columns() -> None:
    body = {"columns": ["tags", "amount"], "data": [[[1, 2], 1]]}
    assert checked(checker(FIELDS, format="split"), body) is None


def test_columns_of_different_lengths_lack_values() -> None:
    made = checker(FIELDS, format="columns")
    found = checked(made, {"amount": [1, 2], "tags": [[1, 2]]})
    assert names_of(found) == [("FEATURE_TYPE_LOW_FRACTION_PRESENT", "/tags/1")]
    assert names_of(checked(made, {"amount": 3})) == [("UNEXPECTED_DATA_TYPE", "/amount")]
