"""A line is new once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.watch.marks import Marks, by_stream

NAMES = ["a", "b", "c"]
LINES = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=40)


def fresh(marks: Marks, lines: list[tuple[int, int]]) -> list[bool]:
    words = np.array([which for which, _ in lines], np.uint64)
    numbers = np.array([number for _, number in lines], np.int64)
    every = np.arange(len(lines))
    found = marks.fresh(words, numbers, every, lambda at: NAMES[lines[at][0]])
    return [bool(one) for one in found]


@given(LINES, st.integers(0, 40))
def test_a_line_is_new_if_its_number_is_above_all_before_it(
    lines: list[tuple[int, int]], cut: int
) -> None:
    marks, highest, wanted = Marks(), [0, 0, 0], []
    for which, number in lines:
        wanted.append(number > highest[which])
        highest[which] = max(highest[which], number)
    assert fresh(marks, lines[:cut]) + fresh(marks, lines[cut:]) == wanted
    assert marks.last == {NAMES[at]: last for at, last in enumerate(highest) if last}


def test_streams_are_bounded_and_the_last_seen_stay() -> None:
    marks = Marks(most=2)
    assert fresh(marks, [(0, 5), (1, 5), (0, 6), (2, 5)]) == [True] * 4
    fresh(marks, [(1, 7)])
    fresh(marks, [(0, 1)])
    assert marks.forgotten == 2
    assert list(marks.last) == ["b", "a"]


def test_lines_without_a_place_are_left_out() -> None:
    words = np.array([1, 2, 1, 2], np.uint64)
    assert [part.tolist() for part in by_stream(words, np.array([1, 2, 3]))] == [[1, 3], [2]]
