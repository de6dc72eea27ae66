"""Addresses, phones, cards and accounts; numbers are checked against python-stdnum."""

from __future__ import annotations

import random
import sys

import pytest
import stdnum.iban
import stdnum.luhn

from gateway.payloads import PayloadError, identifiers
from gateway.payloads.identifiers import (
    find_cards,
    find_emails,
    find_ibans,
    find_phones,
    has_luhn_digit,
    has_mod_97,
    is_card,
)

IBANS = [
    "DE89370400440532013000",
    "GB29NWBK60161331926819",
    "CH9300762011623852957",
    "NO9386011117947",
    "MT84MALT011000012345MTLCAST001S",
    "FR1420041010050500013M02606",
]


def texts(find: object, text: str) -> list[str]:
    data = text.encode()
    return [data[start:end].decode() for start, end in find(data)]  # type: ignore[operator]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("mail ann@example.org.", ["ann@example.org"]),
        ("<ann.b+c@mail.example.co.uk>", ["ann.b+c@mail.example.co.uk"]),
        ("'ann@example.org'", ["ann@example.org"]),
        ("zoë@münchen.example", ["zoë@münchen.example"]),
        ("a@b.de,c@d.ch", ["a@b.de", "c@d.ch"]),
        ("x @ y, @handle, a@b, 3@4", []),
        ("@@@...@a.de", []),
    ],
)
def test_addresses_are_found(text: str, wanted: list[str]) -> None:
    assert texts(find_emails, text) == wanted


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\N{NO-BREAK SPACE}1111\N{NO-BREAK SPACE}1111\N{NO-BREAK SPACE}1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "4222 2222 2222 2",
        "6304000000000000",
    ],
)
def test_card_numbers_of_issuers_are_found(number: str) -> None:
    assert texts(find_cards, f"pay with {number}, please") == [number]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # the last digit
        "1790000000123456789",  # nanoseconds
        "9780306406157111",
        "0.4111111111111111",
        "41111111111111111111111",  # too long
        "a4111111111111111",
        "12 34 56 78 90 12 34 56",
    ],
)
def test_other_numbers_are_no_cards(text: str) -> None:
    assert texts(find_cards, text) == []


def test_card_is_found_among_other_numbers() -> None:
    text = "order 12345 4111 1111 1111 1111 2026 and 5555555555554444 378282246310005"
    assert texts(find_cards, text) == [
        "4111 1111 1111 1111",
        "5555555555554444",
        "378282246310005",
    ]


def test_luhn_digit_is_that_of_stdnum() -> None:
    choose = random.Random(1)
    for _ in range(2000):
        digits = str(choose.randrange(10**12, 10**19))
        assert has_luhn_digit(digits.encode()) == stdnum.luhn.is_valid(digits)


def test_one_in_ten_numbers_of_an_issuer_is_a_card() -> None:
    choose = random.Random(2)
    numbers = [b"4%015d" % choose.randrange(10**15) for _ in range(2000)]
    assert 150 < sum(map(is_card, numbers)) < 250


@pytest.mark.parametrize("number", IBANS)
def test_ibans_are_found_however_they_are_grouped(number: str) -> None:
    grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for written in (number, grouped, number.lower()):
        assert texts(find_ibans, f"to {written} by Monday 12") == [written]
        assert texts(find_ibans, f"AB12 {written}") == [written]


def test_iban_with_another_digit_is_none() -> None:
    assert texts(find_ibans, "DE89370400440532013001") == []
    assert texts(find_ibans, "DE8937040044053201300055") == []
    assert texts(find_ibans, "QQ89370400440532013000") == []


def test_remainder_is_that_of_stdnum() -> None:
    choose = random.Random(3)
    for number in IBANS:
        assert has_mod_97(number)
        assert stdnum.iban.is_valid(number)
        changed = list(number)
        changed[choose.randrange(4, len(number))] = "7"
        made = "".join(changed)
        assert has_mod_97(made) == stdnum.iban.is_valid(made, check_country=False)


@pytest.mark.parametrize(
    "number",
    [
        "+41 44 668 18 00",
        "+41446681800",
        "+1 (415) 555-2671",
        "0041 44 668 18 00",
        "(415) 555-2671",
        "415-555-2671",
        "044 668 18 00",
        "(030) 901820",
        "01 42 68 53 00",
        "+44 20 7946 0958",
    ],
)
def test_phone_numbers_are_found(number: str) -> None:
    [found] = texts(find_phones, f"call {number} today")
    assert found.strip("()") in number
    assert sum(map(str.isdigit, found)) == sum(map(str.isdigit, number))


@pytest.mark.parametrize(
    "text",
    [
        "Boston, MA 02110-1301",
        "2026-11-21 13:05:16",
        "3.09078914170",
        "+99912345",
        "12345678",
        "192.168.100.200",
        "1,234,567,890",
    ],
)
def test_other_numbers_are_no_phones(text: str) -> None:
    assert texts(find_phones, text) == []


def test_what_looks_like_a_phone_counts_as_one_beyond_those_that_are_checked() -> None:
    some = " ".join(f"+999 1234 {number:04}," for number in range(100))
    assert len(texts(find_phones, some)) == 100 - identifiers._MOST_PHONES


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "phonenumbers", None)
    identifiers._phonenumbers.cache_clear()
    with pytest.raises(PayloadError, match=r"inference-gateway\[redaction\]"):
        identifiers.require_phone_numbers()
