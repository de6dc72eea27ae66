"""Lines that are like others are read as those that are not: to the bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.columns import Columns
from gateway._fast.rows import Rows

NUMBER, WORD, TIME, SPAN = 1, 2, 4, 8
ROOM = 256

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.sampled_from(["x", "z", '"gcm1', "2026-11-21T12:00:00.000000Z", "\n\\n", "é" * 17])
)
names = st.sampled_from(["x", "y", "z", "name", "data", "other"])
shapes = st.recursive(
    st.just(...) | scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
tensors = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["x", "z", ...]),
            "shape": st.just([2]),
            "data": st.just([...] * 2),
        }
    ),
    min_size=1,
    max_size=2,
)


def columns() -> Columns:
    wanted = [("x", NUMBER | WORD), ("0", NUMBER), ("1", WORD), ("x.y", SPAN)]
    wanted += [("z.0", NUMBER), ("z.1", NUMBER)]
    return Columns(
        [("/seq", NUMBER), ("/time", TIME | SPAN), ("/a/x", WORD), ("/features/x", NUMBER)],
        [Rows("features", wanted), Rows("outputs", [*wanted, ("", WORD)], is_bare=True)],
    )


def arrays(count: int) -> Any:
    kinds = (np.uint8, np.float64, np.uint64, np.uint32, np.uint32)
    return tuple(np.zeros((count, ROOM), kind) for kind in kinds)


def read(reader: Columns, data: bytes, start: int = 0) -> tuple[list[Any], list[Any], Any]:
    """(columns of lines and of rows, lines of the rows, what is said)."""
    lines = arrays(len(reader.places))
    targets = [(arrays(len(one.columns)), np.zeros(ROOM, np.int32)) for one in reader.rows]
    after, taken, malformed, said = reader.read(data, start, lines, targets)
    assert after == len(data)
    counts = [taken, *(one[0] for one in said)]
    cells = [
        [array[:, :count] for array in part]
        for part, count in zip([lines, *(one for one, _ in targets)], counts, strict=True)
    ]
    row_lines = [rows[: one[0]] for (_, rows), one in zip(targets, said, strict=True)]
    return cells, row_lines, (taken, malformed, said)


def one_by_one(data: bytes) -> tuple[list[Any], list[Any], Any]:
    """The same by readers that have seen no other line."""
    parts: list[list[Any]] = [[], [], []]
    row_lines: list[list[Any]] = [[], []]
    taken, malformed, at = 0, list[tuple[int, int]](), 0
    said: list[list[Any]] = [[0, 0, 0, [], 0], [0, 0, 0, [], 0]]
    for line in data.splitlines(keepends=True):
        cells, rows, (count, wrong, told) = read(columns(), data[: at + len(line)], at)
        at += len(line)
        for part, own in zip(parts, cells, strict=True):
            part.append(own)
        for every, row in zip(row_lines, rows, strict=True):
            every.append(row + taken)
        for whole, own in zip(said, told, strict=True):
            for place in (0, 1, 2, 4):
                whole[place] += own[place]
            whole[3] += [name for name in own[3] if name not in whole[3]]
        taken += count
        malformed += wrong
    joined = [[np.concatenate(each, axis=1) for each in zip(*part, strict=True)] for part in parts]
    return joined, [np.concatenate(each) for each in row_lines], (taken, malformed, said)


def filled(shape: Any, data: st.DataObject) -> Any:
    """The shape with a scalar wherever it leaves one open."""
    if shape is ...:
        return data.draw(scalars)
    if isinstance(shape, list):
        return [filled(one, data) for one in shape]
    if isinstance(shape, dict):
        return {name: filled(one, data) for name, one in shape.items()}
    return shape


def assert_the_same(data: bytes) -> Columns:
    reader = columns()
    cells, row_lines, said = read(reader, data)
    expected, expected_lines, expected_said = one_by_one(data)
    for part, others in zip(cells, expected, strict=True):
        for own, other in zip(part, others, strict=True):
            np.testing.assert_array_equal(own, other)
    for own, other in zip(row_lines, expected_lines, strict=True):
        np.testing.assert_array_equal(own, other)
    assert said[:2] == expected_said[:2]
    assert [[*one[:3], one[4]] for one in said[2]] == [
        [*one[:3], one[4]] for one in expected_said[2]
    ]
    assert [one[3] for one in said[2]] == [one[3][:16] for one in expected_said[2]]
    return reader


@given(
    st.lists(
        st.fixed_dictionaries(
            {"seq": st.just(...), "time": st.just(...)},
            optional={
                "a": shapes,
                "features": shapes | tensors,
                "outputs": shapes | tensors | st.just(...),
            },
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
    st.data(),
)
def test_lines_of_the_same_shapes(kinds: list[Any], is_ascii: bool, data: st.DataObject) -> None:
    lines = []
    for _ in range(data.draw(st.integers(2, 8))):
        line = json.dumps(
            filled(data.draw(st.sampled_from(kinds)), data),
            ensure_ascii=is_ascii,
            separators=(",", ":"),
        ).encode()
        if data.draw(st.integers(0, 5)) == 0:  # broken, or not
            at = data.draw(st.integers(0, len(line) - 1))
            put = data.draw(
                st.sampled_from(b'{}[]",:0.-e\\ \x01\xc3tn').map(lambda one: bytes([one]))
            )
            line = line[:at] + put + line[at + data.draw(st.integers(0, 1)) :]
        lines.append(line)
    assert_the_same(b"\n".join(lines) + b"\n")


def line(seq: int, *, x: Any = 1.5) -> bytes:
    features = json.dumps({"x": x, "unknown": "é", "y": True}, ensure_ascii=False)
    return b'{"seq":%d,"a":{"x":"word"},"features":%s,"outputs":0.%d}' % (
        seq,
        features.encode(),
        seq,
    )


def test_lines_that_are_alike_are_compared() -> None:
    reader = assert_the_same(b"\n".join(line(seq) for seq in range(1, 41)))
    assert reader.compared == 38  # the first one is scanned, and one more for its unknown names


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"seq":01,',
        b'{"seq":1.,',
        b'{"seq":-,',
        b'{"seq":1e,',
        b'{"seq":nul,',
        b'{"seq":"\x01",',
        b'{"seq":"\xc3",',
        b'{"seq":"\\x",',
        b'{"seq":,',
        b'{"seq":]1,',
        b'{"seq":1 1,',
        b'{"seq":"',
    ],
)
def test_what_is_no_scalar_is_malformed_in_a_line_like_others(wrong: bytes) -> None:
    reader = columns()
    good = line(1)
    data = b"\n".join([good] * 3 + [good.replace(b'{"seq":1,', wrong)] + [good])
    _, _, (taken, malformed, _) = read(reader, data)
    assert (taken, len(malformed)) == (4, 1)


def test_lines_that_are_cut_anywhere_are_malformed() -> None:
    good = line(1)
    for length in range(1, len(good)):
        _, _, (taken, malformed, _) = read(columns(), b"\n".join([good, good, good[:length]]))
        assert (taken, len(malformed)) == (2, 1)


def test_lines_that_are_never_alike_are_scanned_and_forgotten() -> None:
    lines = [b'{"seq":%d,"a":{"x%d":1}}' % (seq, seq) for seq in range(200)]
    reader = columns()
    for _ in range(20):
        assert read(reader, b"\n".join(lines))[2][:2] == (200, [])
    alike = b"\n".join(line(seq) for seq in range(200))
    before = reader.compared
    for _ in range(20):
        read(reader, alike)
    assert reader.compared > before + 3000
    assert_the_same(b"\n".join([*lines, *lines[:50]]))
