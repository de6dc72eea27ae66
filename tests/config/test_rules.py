"""Small expressions of fallback rules."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.rules import evaluated, faults, is_expression

LABEL = {"$if": ["/amount", ">", 1000], "$then": "review", "$else": "pass"}


@pytest.mark.parametrize(
    "body, request_, answer",
    [
        ({"a": [1, "x"]}, {}, {"a": [1, "x"]}),
        ({"label": LABEL}, {"amount": 1001}, {"label": "review"}),
        ({"label": LABEL}, {"amount": 1000}, {"label": "pass"}),
        ({"label": LABEL}, {"amount": "1001"}, {"label": "pass"}),
        ({"label": LABEL}, {"amount": True}, {"label": "pass"}),
        ({"label": LABEL}, None, {"label": "pass"}),
        ({"$get": "/a/1/b"}, {"a": [0, {"b": 7}]}, 7),
        ({"$get": "/a/2"}, {"a": [0]}, None),
        ({"$get": "/a", "$else": {"$get": "/b", "$else": 3}}, {}, 3),
        ({"$get": "/x~1y~0z"}, {"x/y~z": 1}, 1),
        ({"$get": ""}, {"whole": 1}, {"whole": 1}),
        ({"$if": ["/a", "==", 1], "$then": 1}, {"a": 1.0}, 1),
        ({"$if": ["/a", "==", 1], "$then": 1}, {"a": True}, None),
        ({"$if": ["/a", "!=", 1], "$then": 1}, {}, 1),
        ({"$if": ["/a", "<", "b"], "$then": 1, "$else": 0}, {"a": "a"}, 1),
    ],
)
def test_an_expression_has_its_value(body: Any, request_: Any, answer: Any) -> None:
    assert list(faults(body, "b")) == []
    assert evaluated(body, request_) == answer


@pytest.mark.parametrize(
    "body, path",
    [
        ({"$get": "amount"}, "b"),
        ({"$get": 3}, "b"),
        ({"x": [{"$if": ["/a", "=", 1], "$then": 1}]}, "b.x[0]"),
        ({"$if": ["/a", ">"], "$then": 1}, "b"),
        ({"$if": "/a > 1", "$then": 1}, "b"),
        ({"$if": ["/a", ">", 1]}, "b"),
        ({"$then": 1}, "b"),
        ({"$get": "/a", "label": 1}, "b"),
        ({"$if": ["/a", ">", 1], "$then": {"$get": "x"}}, "b.$then"),
    ],
)
def test_what_is_written_wrongly_is_found(body: Any, path: str) -> None:
    assert [place for place, _ in faults(body, "b")] == [path]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_constant_is_itself_whatever_is_asked(body: Any, request_: Any) -> None:
    if not is_expression(body):
        assert evaluated(body, request_) == body


@given(JSON, st.sampled_from(["<", "<=", "==", "!=", ">=", ">"]), JSON)
def test_every_request_has_an_answer(request_: Any, word: str, wanted: Any) -> None:
    body = {"$if": ["/a", word, wanted], "$then": 1, "$else": 0}
    assert evaluated(body, request_) in {0, 1}
