"""Columns hold what a JSON decoder finds; nothing is read that is not there."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import hash_of
from gateway._fast.columns import Columns, time_of

NUMBER, WORD, TIME, SPAN = 1, 2, 4, 8


def arrays(columns: int, rows: int) -> Any:
    kinds = (np.uint8, np.float64, np.uint64, np.uint32, np.uint32)
    return tuple(np.zeros((columns, rows), kind) for kind in kinds)


def read(columns: Columns, data: bytes, rows: int = 16) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    lines, features = arrays(len(columns.places), rows), arrays(len(columns.fields), rows)
    row_lines = np.zeros(rows, np.int32)
    said = columns.read(data, 0, lines, features, row_lines)
    return lines, features, row_lines, said


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values, st.sampled_from([None, 1]), st.booleans())
def test_any_features_are_taken_or_told(features: Any, indent: int | None, ascii_: bool) -> None:
    text = json.dumps({"a": 1, "features": features}, ensure_ascii=ascii_)
    if indent:
        text = text.replace(", ", " , ").replace(": ", " :  ")
    columns = Columns(
        [("/a", NUMBER)], [("x", NUMBER | WORD), ("0", NUMBER), ("1", WORD)], "features"
    )
    lines, _, _, said = read(columns, text.encode("utf-8", "surrogatepass") + b"\n", 64)
    if any(0xD800 <= ord(one) < 0xE000 for one in text):
        return
    assert said[1] + len(said[3]) == 1
    assert lines[0][0, 0] == 4


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(allow_nan=False, allow_infinity=False)))
def test_an_object_is_one_row(features: dict[str, float]) -> None:
    columns = Columns([], [(name, NUMBER) for name in "abcd"], "features")
    _, (kinds, numbers, *_), _, said = read(columns, json.dumps({"features": features}).encode())
    assert said[2] == 1
    for at, name in enumerate("abcd"):
        assert (kinds[at, 0] == 4) == (name in features)
        if name in features:
            assert numbers[at, 0] == features[name]


def test_words_are_hashes_of_what_is_meant() -> None:
    columns = Columns([("/a", WORD), ("/b/c", WORD), ("/d/1", WORD)])
    data = b'{"a":"x\\u00e9","b":{"z":[{}],"c":7},"d":[1,"two"]}'
    (kinds, _, words, starts, ends), _, _, _ = read(columns, data)
    assert words[:, 0].tolist() == [hash_of("xé".encode()), hash_of(b"7"), hash_of(b"two")]
    assert [data[s:e] for s, e in zip(starts[:, 0], ends[:, 0], strict=True)] == [
        b'"x\\u00e9"',
        b"7",
        b'"two"',
    ]
    assert kinds[:, 0].tolist() == [5, 4, 5]


def test_times_are_microseconds() -> None:
    assert time_of(b"1970-01-01T00:00:00.000001Z") == 1
    assert time_of(b"2026-11-21T12:34:56.789012Z") == 1_795_264_496_789_012
    assert time_of(b"2024-02-29T00:00:00.000000Z") == 1_709_164_800_000_000
    assert math.isnan(time_of(b"2026-11-21 12:34:56.789012Z"))
    assert math.isnan(time_of(b"yesterday"))


def test_a_line_that_is_cut_is_told_with_its_span() -> None:
    columns = Columns([("/a", NUMBER)])
    lines, _, _, said = read(columns, b'{"a":1}\n\n{"a":\n{"a":2}')
    assert said[:2] == (22, 2)
    assert said[3] == [(9, 14)]
    assert lines[1][0, :2].tolist() == [1.0, 2.0]


def test_a_member_given_twice_is_refused() -> None:
    assert read(Columns([("/a", NUMBER)]), b'{"a":1,"a":2}')[3][3] == [(0, 13)]


def test_reading_goes_on_where_it_stopped() -> None:
    columns = Columns([("/a", NUMBER)])
    data = b"".join(b'{"a":%d}\n' % at for at in range(10))
    at, seen = 0, []
    while at < len(data):
        lines, rows = arrays(1, 3), arrays(0, 3)
        at, count, *_ = columns.read(data, at, lines, rows, np.zeros(3, np.int32))
        seen += lines[1][0, :count].tolist()
    assert seen == list(range(10))


@pytest.mark.parametrize(
    "places, fields",
    [
        ([("a", 1)], []),
        ([("", 1)], []),
        ([(f"/{at}", 1) for at in range(60)], []),
        ([], [("x", 1)] * 600),
    ],
)
def test_what_cannot_be_wanted_is_refused(places: Any, fields: Any) -> None:
    with pytest.raises(ValueError, match=r"member|most|places|features"):
        Columns(places, fields, "features")


def test_arrays_of_another_shape_are_refused() -> None:
    columns = Columns([("/a", NUMBER)])
    with pytest.raises(ValueError, match="a column for each"):
        columns.read(b"{}", 0, arrays(2, 4), arrays(0, 4), np.zeros(4, np.int32))
    with pytest.raises(ValueError, match="each row has its line"):
        columns.read(b"{}", 0, arrays(1, 4), arrays(0, 4), np.zeros(3, np.int32))
