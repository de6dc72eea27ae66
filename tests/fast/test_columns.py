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
from gateway._fast.cells import time_of
from gateway._fast.columns import Columns
from gateway._fast.rows import Rows

NUMBER, WORD, TIME, SPAN = 1, 2, 4, 8


def arrays(columns: int, rows: int) -> Any:
    kinds = (np.uint8, np.float64, np.uint64, np.uint32, np.uint32)
    return tuple(np.zeros((columns, rows), kind) for kind in kinds)


def read(columns: Columns, data: bytes, rows: int = 16) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    """Columns of lines, those of the first Rows, their lines, what is said."""
    lines = arrays(len(columns.places), rows)
    targets = [(arrays(len(one.columns), rows), np.zeros(rows, np.int32)) for one in columns.rows]
    said = columns.read(data, 0, lines, targets)
    features, row_lines = targets[0] if targets else (None, None)
    return lines, features, row_lines, said


def features(*columns: tuple[str, int]) -> Columns:
    return Columns([], [Rows("features", columns)])


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
def test_any_rows_are_taken_or_told(given: Any, indent: int | None, ascii_: bool) -> None:
    text = json.dumps({"a": 1, "features": given, "outputs": given}, ensure_ascii=ascii_)
    if indent:
        text = text.replace(", ", " , ").replace(": ", " :  ")
    wanted = [("x", NUMBER | WORD), ("0", NUMBER), ("1", WORD), ("x.y", SPAN), ("z.0", NUMBER)]
    columns = Columns(
        [("/a", NUMBER)],
        [Rows("features", wanted), Rows("outputs", [*wanted, ("", WORD)], is_bare=True)],
    )
    lines, _, _, said = read(columns, text.encode("utf-8", "surrogatepass") + b"\n", 64)
    if any(0xD800 <= ord(one) < 0xE000 for one in text):
        return
    assert said[1] + len(said[2]) == 1
    assert lines[0][0, 0] == 4


@given(st.dictionaries(st.sampled_from("abcd"), st.floats(allow_nan=False, allow_infinity=False)))
def test_an_object_is_one_row(given: dict[str, float]) -> None:
    columns = features(*((name, NUMBER) for name in "abcd"))
    _, (kinds, numbers, *_), _, said = read(columns, json.dumps({"features": given}).encode())
    assert said[3][0][0] == 1
    for at, name in enumerate("abcd"):
        assert (kinds[at, 0] == 4) == (name in given)
        if name in given:
            assert numbers[at, 0] == given[name]


def test_what_is_inside_has_the_outer_name_before_it() -> None:
    columns = features(("p.b", NUMBER), ("p.c.d", NUMBER), ("v.0", NUMBER), ("v.1", NUMBER))
    given = [
        {"p": {"b": 1, "c": {"d": 2, "e": 9}}, "v": [3, 4]},
        {"p": 5, "v": [6, 7, 8]},
        {"p": {"c": []}, "v": [{}, 9]},
        {"p.b": 10, "v.1": 11, "v": "x"},
    ]
    _, (kinds, numbers, *_), _, said = read(columns, json.dumps({"features": given}).encode())
    assert numbers[:, 0].tolist() == [1, 2, 3, 4]
    assert kinds.T.tolist()[:4] == [[4, 4, 4, 4], [0, 0, 6, 6], [0, 0, 7, 4], [4, 0, 6, 6]]
    assert said[3][0][2:4] == (1, [b'"e"'])


@pytest.mark.parametrize(
    "given, rows",
    [(0.5, [0.5]), ([1, 2, 3], [1, 2, 3]), ([[7, 8], [9]], [0, 0]), ([], []), ({"a": 1}, [0])],
)
def test_bare_values_are_rows_of_what_may_be_bare(given: Any, rows: list[float]) -> None:
    wanted = [("", NUMBER), ("0", NUMBER), ("a", NUMBER)]
    columns = Columns([], [Rows("y", wanted, is_bare=True)])
    _, (_, numbers, *_), _, said = read(columns, json.dumps({"y": given}).encode())
    assert (said[3][0][0], said[3][0][4]) == (len(rows), 0)
    assert numbers[0, : len(rows)].tolist() == rows
    sealed = read(columns, b'{"y":"gcm1b.k.s.n.d"}')[3][3][0]
    assert (sealed[0], sealed[4]) == (0, 1)


def test_rows_of_two_members_wait_for_each_other() -> None:
    columns = Columns(
        [("/n", NUMBER)], [Rows("x", [("0", NUMBER)]), Rows("y", [("", NUMBER)], is_bare=True)]
    )
    data = (
        b'{"n":1,"x":[[1],[2]],"y":[1]}\n{"n":2,"x":[[3]],"y":[2,3,4]}\n{"n":3,"y":[5,6,7,8,9]}\n'
    )
    at, seen = 0, []
    while at < len(data):
        lines = arrays(1, 4)
        targets = [(arrays(1, 3), np.zeros(3, np.int32)) for _ in range(2)]
        at, count, _, said = columns.read(data, at, lines, targets)
        seen.append(
            [
                lines[1][0, :count].tolist(),
                *(
                    (rows[1][0, : told[0]].tolist(), row_lines[: told[0]].tolist(), told[1])
                    for (rows, row_lines), told in zip(targets, said, strict=True)
                ),
            ]
        )
    assert seen == [
        [[1], ([1, 2], [0, 0], 0), ([1], [0], 0)],
        [[2], ([3], [0], 0), ([2, 3, 4], [0, 0, 0], 0)],
        [[3], ([], [], 0), ([5, 6, 7], [0, 0, 0], 2)],
    ]


def test_as_many_columns_are_read_as_all_routes_want() -> None:
    columns = features(*((f"x{at}", NUMBER) for at in range(3000)))
    data = json.dumps({"features": {f"x{at}": at for at in range(3000)}}).encode()
    _, (_, numbers, *_), _, _ = read(columns, data, 1)
    assert numbers[:, 0].tolist() == list(range(3000))


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
    assert said[2] == [(9, 14)]
    assert lines[1][0, :2].tolist() == [1.0, 2.0]


def test_a_member_given_twice_is_refused() -> None:
    assert read(Columns([("/a", NUMBER)]), b'{"a":1,"a":2}')[3][2] == [(0, 13)]


def test_reading_goes_on_where_it_stopped() -> None:
    columns = Columns([("/a", NUMBER)])
    data = b"".join(b'{"a":%d}\n' % at for at in range(10))
    at, seen = 0, []
    while at < len(data):
        lines = arrays(1, 3)
        at, count, *_ = columns.read(data, at, lines)
        seen += lines[1][0, :count].tolist()
    assert seen == list(range(10))


@pytest.mark.parametrize(
    "places, columns",
    [
        ([("a", 1)], []),
        ([("", 1)], []),
        ([(f"/{at}", 1) for at in range(60)], []),
        ([], [(f"x{at}", 1) for at in range(9000)]),
        ([], [("x", 1)] * 2),
    ],
)
def test_what_cannot_be_wanted_is_refused(places: Any, columns: Any) -> None:
    with pytest.raises(ValueError, match=r"member|most|places|twice"):
        Columns(places, [Rows("features", columns)])


def test_arrays_of_another_shape_are_refused() -> None:
    columns = Columns([("/a", NUMBER)], [Rows("x", [])])
    with pytest.raises(ValueError, match="a column for each"):
        columns.read(b"{}", 0, arrays(2, 4), [(arrays(0, 4), np.zeros(4, np.int32))])
    with pytest.raises(ValueError, match="each row has its line"):
        columns.read(b"{}", 0, arrays(1, 4), [(arrays(0, 4), np.zeros(3, np.int32))])
    with pytest.raises(ValueError, match="zip"):
        columns.read(b"{}", 0, arrays(1, 4))
