import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.scratch import Scratch

ROOM = 131_072
numbers = st.integers(0, 2**64 - 1)


def built(*parts: bytes | int | tuple[str, int]) -> bytes:
    return Scratch().build(*parts)


@given(numbers)
def test_a_number_is_written_in_decimal(number: int) -> None:
    assert built(number) == str(number).encode()


@given(numbers)
def test_hexadecimal_has_sixteen_digits(number: int) -> None:
    assert built(("hex", number)) == f"{number:016x}".encode()


@given(st.integers(0, 10**15))
def test_milliseconds_have_three_decimals_and_are_never_rounded_up(ns: int) -> None:
    us = ns // 1000
    assert built(("ms", ns)) == f"{us // 1000}.{us % 1000:03}".encode()


@given(numbers)
def test_dollars_have_nine_decimals(nano: int) -> None:
    assert built(("usd", nano)) == f"{nano // 10**9}.{nano % 10**9:09}".encode()


def test_a_date_is_one_of_http() -> None:
    """RFC 9110 5.6.7: IMF-fixdate."""
    pattern = (
        rb"date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d "
        rb"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT\r\n"
    )
    assert re.fullmatch(pattern, built(("date", 0)))


@given(st.lists(st.binary(max_size=20) | numbers, max_size=10))
def test_parts_stand_side_by_side(parts: list[bytes | int]) -> None:
    expected = b"".join(part if isinstance(part, bytes) else b"%d" % part for part in parts)
    scratch = Scratch()
    for _ in range(2):
        assert scratch.build(*parts) == expected


@pytest.mark.parametrize("size, fits", [(ROOM, True), (ROOM + 1, False)])
def test_what_does_not_fit_is_left_out_and_noted(size: int, fits: bool) -> None:
    scratch = Scratch()
    assert len(scratch.build(b"x" * size)) == (ROOM if fits else 0)
    assert scratch.overflowed is not fits


def test_nothing_is_written_beyond_the_end() -> None:
    scratch = Scratch()
    made = scratch.build(b"x" * (ROOM - 3), 1234, ("ms", 1), ("usd", 1), ("hex", 1), b"yyyy")
    assert made.startswith(b"x" * (ROOM - 3))
    assert len(made) <= ROOM
    assert scratch.overflowed
