"""Numbers of JSON text are the doubles that Python reads."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import decimals


def assert_read(text: str) -> None:
    value, length = decimals.read(text.encode())
    assert length == len(text)
    assert struct.pack("d", value) == struct.pack("d", float(text)), text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_is_read_back(value: float) -> None:
    text = repr(value)
    assert_read(text)
    assert_read(f"{value:.17e}")
    if abs(value) < 1e15:
        assert_read(f"{value:.25f}")


@given(st.integers(0, 10**24), st.integers(-400, 400))
def test_digits_and_exponents_of_any_size_are_rounded_to_the_nearest(
    digits: int, power: int
) -> None:
    assert_read(f"{digits}e{power}")
    assert_read(f"-0.{digits:024}E+{abs(power)}")


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-0", "0.0", "-0.0e5", "1e23", "9007199254740993", "9007199254740993.0"),
        *("1e-400", "1e400", "4.9e-324", "2.2250738585072014e-308", "1" + "0" * 300),
        *("0." + "0" * 30 + "1", "18446744073709551616", "9999999999999999999", "5e-324"),
        *("1.00000000000000011102230246251565404236316680908203125", "1e60", "1e-60", "7e61"),
    ],
)
def test_awkward_numbers_are_read(text: str) -> None:
    assert_read(text)


def test_what_comes_behind_a_number_is_left() -> None:
    assert decimals.read(b"12.5,7") == (12.5, 4)


def test_more_digits_than_anybody_means_are_no_number() -> None:
    value, length = decimals.read(b"1" * 600)
    assert value != value  # noqa: PLR0124 - NaN
    assert length == 600


numbers = (
    st.integers(-(10**18), 10**18).map(str)
    | st.decimals(-(10**9), 10**9, places=7, allow_nan=False).map(lambda one: f"{one:f}")
    | st.builds(
        lambda sign, whole, below: f"{sign}{whole}.{below}",
        st.sampled_from(["", "-"]),
        st.integers(0, 10**9),
        st.from_regex(r"[0-9]{1,9}", fullmatch=True),
    )
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
)


@given(numbers, st.binary(max_size=20))
def test_a_number_whose_end_is_known_is_read_so_wherever_it_stands(
    text: str, before: bytes
) -> None:
    data = before + text.encode() + b"9"
    value = decimals.read_between(data, len(before), len(data) - 1)
    assert struct.pack("d", value) == struct.pack("d", float(text)), text
