"""What experiments need of bodies: patches."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dataplane.experiments import merged


@pytest.mark.parametrize(
    "under, over, result",
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({"a": "foo"}, "bar", "bar"),
    ],
)
def test_patches_are_those_of_rfc_7396(under: Any, over: Any, result: Any) -> None:
    assert merged(under, over) == result
