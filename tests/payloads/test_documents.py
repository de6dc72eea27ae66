"""JSON values: places, lanes, names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.payloads.documents import Document, decoded
from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import MARK
from gateway.payloads.redaction import RULES

ALL = Patterns(list(RULES.values()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def document(value: Any) -> Document:
    made = decoded(json.dumps(value).encode())
    assert made is not None
    return made


@given(VALUES)
def test_document_is_written_as_it_was_read(value: Any) -> None:
    made = document(value)
    made.survey()
    assert json.loads(made.encoded()) == value


def test_numbers_above_64_bits_stay() -> None:
    assert document({"n": 10**30}).encoded() == b'{"n":' + str(10**30).encode() + b"}"


def test_every_text_has_a_place_in_order() -> None:
    made = document({"a": "1", "b": [{"c": "2"}, "3", ""], "d": 4, "e": 4111111111111111})
    places = made.survey().places
    assert [place.text for place in places] == ["1", "2", "3", "4111111111111111"]
    for place in places:
        place.put("x")
    assert made.root == {"a": "x", "b": [{"c": "x"}, "x", ""], "d": 4, "e": "x"}


def test_document_that_is_a_text_has_a_place() -> None:
    made = document("abc")
    [place] = made.survey().places
    place.put("x")
    assert made.root == "x"


def test_elements_share_a_lane_by_their_index() -> None:
    one, two = document([{"index": 1, "t": "a"}]), document([{"index": 0}, {"index": 1, "t": "b"}])
    [first], [second] = one.survey().places, two.survey().places
    assert first.lane == second.lane
    [other] = document([{"index": 0, "t": "a"}]).survey().places
    assert other.lane != first.lane


def test_lane_of_an_index_that_is_no_number_is_the_place() -> None:
    [place] = document([{"index": [1], "t": "a"}]).survey().places
    assert hash(place.lane) == hash(place.lane)


def test_members_with_the_name_of_a_secret_are_taken_out() -> None:
    made = document(
        {"password": "hunter2", "a": [{"api_key": "a1b2c3d4e5", "token": "word"}], "pwd": 12345}
    )
    names = made.survey().secret_names(ALL)
    assert made.take_out_named(names, ALL) == 3
    mark = "[redacted:secrets]"
    assert made.root == {"password": mark, "a": [{"api_key": mark, "token": "word"}], "pwd": mark}


def test_schema_of_a_tool_may_name_a_password() -> None:
    made = document({"properties": {"password": {"type": "string"}}, "required": ["password"]})
    assert made.take_out_named(made.survey().secret_names(ALL), ALL) == 0


def test_repeats_in_tokens_are_taken_out() -> None:
    made = document(
        {"choices": [{"logprobs": {"content": []}}, {"logprobs": None}], "token_ids": [1]}
    )
    assert made.take_out_repeats() == 2
    assert made.root == {
        "choices": [{"logprobs": MARK}, {"logprobs": None}],
        "token_ids": MARK,
    }
    assert made.take_out_repeats() == 0


def test_members_that_would_be_called_the_same_are_numbered() -> None:
    made = document({"a@b.de": 1, "x": [{"c@d.de": 2, "a@b.de": 3}]})
    made.rename({"a@b.de": "[m]", "c@d.de": "[m]"})
    assert made.root == {"[m]": 1, "x": [{"[m]": 2, "[m] 2": 3}]}


@pytest.mark.parametrize("text", [b"", b"{", b"{]", b"[1,]", b"NaN", b'"\\ud800"x', b"[" * 500])
def test_what_is_no_json_is_no_document(text: bytes) -> None:
    assert decoded(text) is None


@pytest.mark.parametrize(
    "text, expected",
    [
        (b'{"a": [1, "fo', {"a": [1, "fo"]}),
        (b'{"a": 1, "b', {"a": 1}),
        (b'{"a": {"b": "c"}, ', {"a": {"b": "c"}}),
    ],
)
def test_document_that_was_cut_is_as_far_as_it_goes(text: bytes, expected: Any) -> None:
    made = decoded(text, is_cut=True)
    assert made is not None
    assert made.root == expected
