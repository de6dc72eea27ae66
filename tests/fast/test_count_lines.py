"""Newlines are counted as `bytes.count` does."""

from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import count_lines


@given(st.lists(st.binary(max_size=70), max_size=40))
def test_counts_every_newline(parts: list[bytes]) -> None:
    data = b"\n".join(parts)
    assert count_lines(data) == data.count(b"\n")


def test_nothing_has_no_lines() -> None:
    assert count_lines(b"") == 0
