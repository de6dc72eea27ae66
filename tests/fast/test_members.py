import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import members
from tests.reference.splice import decode
from tests.support.json_text import STRING, encodings, members_of, span, values


@given(st.lists(values, max_size=6).flatmap(lambda v: encodings(st.just({"a": v}))))
def test_elements_come_one_by_one(data: bytes) -> None:
    found = members.elements(data, members_of(data, "a")[0])
    assert [decode(span(data, element)) for element in found] == decode(data)[0][1]
    assert all(
        element[6] == (element[0] == STRING and b"\\" in span(data, element)) for element in found
    )


def test_what_is_no_array_has_no_elements() -> None:
    data = b'{"a":"[1]","b":{"c":[1]}}'
    assert [members.elements(data, member) for member in members_of(data, "a", "b", "c")] == [
        []
    ] * 3


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0), ("7", 7), ("999999999999999999", 999999999999999999),
        ("1000000000000000000", -1), ("-1", -1), ("-0", -1), ("1.0", -1), ("1e3", -1),
        ('"1"', -1), ("null", -1), ("[1]", -1),
    ],
)  # fmt: skip
def test_an_integer_is_digits_alone(text: str, expected: int) -> None:
    data = b'{"n":' + text.encode() + b"}"
    assert members.read_integer(data, members_of(data, "n")[0]) == expected


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**120), 10**120))
def test_a_number_reads_as_python_reads_it(value: float) -> None:
    data = json.dumps({"n": value}).encode()
    assert members.read_double(data, members_of(data, "n")[0]) == float(value)


@pytest.mark.parametrize("text", ['"1"', "null", "true", "1" * 128])
def test_what_is_no_number_is_not_a_number(text: str) -> None:
    data = b'{"n":' + text.encode() + b"}"
    assert math.isnan(members.read_double(data, members_of(data, "n")[0]))


def test_a_member_of_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the data"):
        members.read_string(b"{}", (STRING, 5, 10, 1, 11, 1, False))
