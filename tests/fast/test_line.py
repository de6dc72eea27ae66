"""Lines of JSON, against the standard library's reader."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway._fast.line import Line, utf8_of

LINE = Line()
SOUND = ('"', "\\", "\n", "\0", "\x7f", "a", "é", "€", "😀")
BROKEN = (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5", b"\x80")
SCRAPS = st.lists(st.sampled_from((*map(str.encode, SOUND), *BROKEN))).map(b"".join)


@given(st.binary() | SCRAPS)
def test_text_becomes_one_line_of_valid_json(text: bytes) -> None:
    line = LINE.build(("text", text))
    assert b"\n" not in line
    assert b"\r" not in line
    read = json.loads(line.decode("utf-8"))
    try:
        assert read == text.decode("utf-8")
    except UnicodeDecodeError:
        assert read.replace("\ufffd", "") == text.decode("utf-8", "ignore")


@given(st.binary() | SCRAPS | st.text().map(str.encode))
def test_utf8_is_measured_up_to_its_first_fault(text: bytes) -> None:
    try:
        text.decode("utf-8")
        valid = len(text)
    except UnicodeDecodeError as fault:
        valid = fault.start
    assert utf8_of(text) == valid


@given(st.recursive(st.none() | st.text(), st.lists, max_leaves=5))
def test_json_keeps_its_meaning_on_one_line(value: object) -> None:
    written = json.dumps(value, indent=1).replace("\n", "\r\n").encode()
    line = LINE.build(("json", written))
    assert json.loads(line) == value
    assert not set(line) & {10, 13}


@given(st.binary())
def test_base64_is_the_standard_one(data: bytes) -> None:
    assert json.loads(LINE.build(("base64", data))) == base64.b64encode(data).decode()


@given(st.integers(0, 2**64 - 1))
@example(0)
@example(99)
@example(100)
def test_numbers_are_exact(number: int) -> None:
    assert LINE.build(number) == str(number).encode()
    assert json.loads(LINE.build(("hex", number))) == f"{number:016x}"


def test_numbers_are_exact_where_a_digit_is_added() -> None:
    edges = {10**n for n in range(20)} | {2**n for n in range(64)}
    for number in {edge + step for edge in edges for step in (-1, 0, 1)}:
        assert LINE.build(number) == str(number).encode()


def test_each_digit_stands_where_it_belongs() -> None:
    for number in (*range(10_000), *range(0, 10**8, 9_973)):
        for digits in (number, number * 10**8 + 12_345_678, 10**16 + number * 10**8):
            assert LINE.build(digits) == str(digits).encode()


@given(st.integers(0, 10**12 - 1), st.integers(1, 12))
def test_decimals_end_with_their_last_digit(places: int, decimals: int) -> None:
    places %= 10**decimals
    text = LINE.build(("decimal", (places / 10**decimals, decimals))).decode()
    assert text == (f"{places / 10**decimals:.{decimals}f}".rstrip("0").rstrip(".") or "0")


@given(st.floats(0, 9e15), st.integers(1, 12))
@example(0.9999999, 3)
@example(1e-7, 9)
def test_decimals_are_rounded_at_the_last_digit(value: float, decimals: int) -> None:
    text = LINE.build(("decimal", (value, decimals))).decode()
    assert abs(float(text) - value) <= 0.500001 * 10**-decimals + math.ulp(value)
    assert not text.endswith((".", "0")) or "." not in text


@pytest.mark.parametrize(
    "value, written",
    [(math.nan, b"0"), (math.inf, b"9000000000000000"), (-1.0, b"0"), (-math.inf, b"0")],
)
def test_what_is_no_number_is_still_json(value: float, written: bytes) -> None:
    assert LINE.build(("decimal", (value, 3))) == written


def plainly(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@given(st.integers(0, 10**8 - 2) | st.integers(0, 9 * 10**15), st.integers(0, 9))
@example(0, 0)
@example(1, 3)
@example(1000, 0)
@example(99_999_998, 0)
@example(99_999_999, 0)
@example(100_000_000, 0)
def test_nanoseconds_are_written_as_microseconds(ns: int, zeros: int) -> None:
    ns -= ns % 10**zeros
    assert LINE.build(("us", float(ns))).decode() == plainly(Decimal(ns).scaleb(-3))


@given(st.floats(0, 1e8))
def test_parts_of_a_nanosecond_are_rounded(ns: float) -> None:
    assert abs(float(LINE.build(("us", ns))) * 1000 - ns) <= 0.5001


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, -math.inf, 1e300])
def test_time_that_is_none_is_written_as_a_decimal(value: float) -> None:
    assert LINE.build(("us", value)) == LINE.build(("decimal", (value / 1000, 3)))


@given(st.integers(0, 2**64 // 1000 - 1))  # microseconds
def test_times_are_utc_to_the_microsecond(us: int) -> None:
    moment = datetime.fromisoformat(json.loads(LINE.build(("time", us * 1000))))
    expected = datetime.fromtimestamp(us // 1_000_000, UTC).replace(microsecond=us % 1_000_000)
    assert moment == expected


def test_a_line_grows_with_what_is_written() -> None:
    assert (
        LINE.build(b"[", ("text", b"\x01" * 100_000), b"]") == b'["' + b"\\u0001" * 100_000 + b'"]'
    )
