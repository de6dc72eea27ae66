"""What identifies a person in a text: e-mail addresses, phone numbers, cards and accounts.

Each search has two steps: a loose shape, found by RE2, then a check that ordinary numbers
fail: the Luhn digit and the issuers' ranges for cards (ISO/IEC 7812), modulo 97 and the
length of the country for IBANs (ISO 13616), the numbering plans in the library
`phonenumbers` for phones.

Rule 1: a check looks at a number's own digits, and only so many of a text are checked
        (_MOST_NUMBERS, _MOST_PHONES); what looks like one beyond these counts as one.

Not found: numbers in words, in other scripts' digits, or without a shape (a national phone
number of seven digits). Knows nothing of JSON; `patterns` runs it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator
from types import ModuleType

from gateway.payloads.faults import PayloadError
from gateway.payloads.patterns import Rule, expression

# Between groups of digits: space, hyphen, no-break and thin spaces, dashes.
_GAP = rb"(?:[ -]|\xc2\xa0|\xe2\x80[\x80-\x95\xaf])"
_ESCAPED_GAP = rb"(?:[ -]|\xc2\xa0|\xe2\x80[\x80-\x95\xaf]|\\u00[aA]0|\\u20[012][0-9a-fA-F])"
_SPELLED = rb"\\u00[2-7]"  # JSON that spells ordinary characters by their number
_GAPS = re.compile(_GAP)

_LOCAL = rb"[A-Za-z0-9\x80-\xfe!#$%&'*+/=?^_`{|}~.-]"
_LABEL = rb"[A-Za-z0-9\x80-\xfe-]"
_EMAIL_SEARCH = expression(_LOCAL + rb"+@(?:" + _LABEL + rb"+\.)+[A-Za-z\x80-\xfe-]{2,}")
_LOCAL_STRIPPED = b"!#$%&'*+/=?^`{|}~.-"  # in front of an address: punctuation of the sentence


def find_emails(text: bytes) -> Iterator[tuple[int, int]]:
    for start, end in _EMAIL_SEARCH.spans(text):
        local = text[start : text.index(b"@", start)].lstrip(_LOCAL_STRIPPED)
        if local:
            yield text.index(b"@", start) - len(local), end


_CARD_SEARCH = expression(rb"(?:\b|_)\d(?:" + _GAP + rb"?\d){11,}\b")
# By the issuer's range: the lengths its numbers have.
_ISSUERS: tuple[tuple[re.Pattern[bytes], frozenset[int]], ...] = tuple(
    (re.compile(prefix), frozenset(lengths))
    for prefix, lengths in (
        (rb"4", (13, 16, 19)),  # Visa
        (rb"5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)", (16,)),  # Mastercard
        (rb"3[47]", (15,)),  # American Express
        (rb"6(?:011|4[4-9]|5)", (16, 17, 18, 19)),  # Discover
        (rb"3(?:0[0-5]|[68-9])", (14, 15, 16, 17, 18, 19)),  # Diners Club
        (rb"35(?:2[89]|[3-8])", (16, 17, 18, 19)),  # JCB
        (rb"62|81", (16, 17, 18, 19)),  # UnionPay
        (rb"5[06-9]|6[0-9]", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
        (rb"220[0-4]", (16, 17, 18, 19)),  # Mir
    )
)
_FRACTION = re.compile(rb"\d\.\Z")  # in front of it
_LONGEST_CARD = 19
_MOST_NUMBERS = 1000  # Cost: 1 to 5 us each


def find_cards(text: bytes) -> Iterator[tuple[int, int]]:
    """Card numbers, also among other numbers that a space or hyphen joins to them."""
    checked = 0
    for start, end in _CARD_SEARCH.spans(text):
        if _FRACTION.search(text, max(start - 2, 0), start):
            continue
        groups = [one.span() for one in re.finditer(rb"\d+", text[start:end])]
        checked += len(groups)
        if checked > _MOST_NUMBERS:
            yield start + groups[0][0], end
            continue
        yield from (
            (start + groups[first][0], start + groups[last][1])
            for first, last in _cards_of(text[start:end], groups)
        )


def _cards_of(text: bytes, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """First and last group of each card number among groups of digits."""
    first = 0
    while first < len(groups):
        last = _card_from(text, groups, first)
        if last >= 0:
            yield first, last
        first = max(first, last) + 1


def _card_from(text: bytes, groups: list[tuple[int, int]], first: int) -> int:
    """The last group of the card number that begins with this one; -1 none does."""
    digits, found, shortest = b"", -1, _LONGEST_CARD
    for place in range(first, len(groups)):
        start, end = groups[place]
        if len(digits) + end - start > _LONGEST_CARD:
            break
        digits += text[start:end]
        # cards are printed in groups of three to six digits, but for the last, or typed singly
        if (shortest > 2 or len(digits) == place - first + 1) and is_card(digits):
            found = place
        shortest = min(shortest, end - start)
    return found


def is_card(digits: bytes) -> bool:
    """Whether an issuer could have given out this number."""
    size = len(digits)
    of_issuer = any(size in lengths and prefix.match(digits) for prefix, lengths in _ISSUERS)
    return of_issuer and has_luhn_digit(digits)


def has_luhn_digit(digits: bytes) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right counts double."""
    numbers = [byte - 48 for byte in reversed(digits)]
    doubled = (sum(divmod(2 * number, 10)) for number in numbers[1::2])
    return (sum(numbers[::2]) + sum(doubled)) % 10 == 0


# ISO 13616 registry: characters of an IBAN, by country.
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE",
    18: "DK FI FK FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BI DJ FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_CHARS = {code: size for size, codes in _IBAN_COUNTRIES.items() for code in codes.split()}
_IBAN_SEARCH = expression(rb"(?i:\b[A-Z]{2})\d{2}")
_IBAN_BODY = re.compile(rb"(?:" + _GAP + rb"?[A-Za-z0-9]){0,34}")
_LETTERS = re.compile(rb"[A-Za-z0-9]")


def find_ibans(text: bytes) -> Iterator[tuple[int, int]]:
    checked = done = 0
    for start, _ in _IBAN_SEARCH.spans(text):
        wanted = _IBAN_CHARS.get(text[start : start + 2].decode().upper(), 0)
        if start < done or not wanted:
            continue
        checked += 1
        end = _iban_end(text, start, wanted, is_checked=checked <= _MOST_NUMBERS)
        if end:
            done = end
            yield start, end


def _iban_end(text: bytes, start: int, wanted: int, *, is_checked: bool) -> int:
    """Where an IBAN of so many characters ends that begins here; 0 there is none."""
    written = _IBAN_BODY.match(text, start)
    whole = written[0] if written else b""
    number = _GAPS.sub(b"", whole)[:wanted]
    if len(number) < wanted:
        return 0
    if not is_checked:
        return start + len(whole)
    if not has_mod_97(number.decode()):
        return 0
    *_, last = itertools.islice(_LETTERS.finditer(whole), wanted)
    end = start + last.end()
    return 0 if text[end : end + 1].isalnum() else end


def has_mod_97(number: str) -> bool:
    """ISO 7064, MOD 97-10: letters count from 10, the first four characters go to the end."""
    return int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1


_SEPARATED = rb"(?:[ ./()-]{1,3}|\xc2\xa0|\xe2\x80[\x80-\x95\xaf])"
_PHONE_SEARCH = expression(
    b"|".join(
        (
            rb"(?:\+|\b00)[1-9](?:" + _SEPARATED + rb"?\d){6,14}\b",  # international
            rb"(?:\(|\b)[2-9]\d{2}\)?[ .-]{0,2}[2-9]\d{2}[ .-]\d{4}\b",  # North America
            rb"(?:\(0|\b0)[1-9](?:" + _SEPARATED + rb"?\d){7,9}\b",  # much of Europe
        )
    )
)
_ZIP_CODE = re.compile(r"\d{5}-\d{4}\Z")  # of North America
_EUROPE = ("GB", "DE", "FR", "IT", "NL", "AT", "CH")  # where national numbers begin with 0
_MOST_PHONES = 32  # Cost: 20 to 200 us each
_NO_LIBRARY = (
    "phone numbers cannot be found because `phonenumbers` is not installed; "
    "run `pip install 'inference-gateway[redaction]'`"
)


def find_phones(text: bytes) -> Iterator[tuple[int, int]]:
    for checked, (start, end) in enumerate(_PHONE_SEARCH.spans(text)):
        number = text[start:end].decode("utf-8", "replace")
        if _FRACTION.search(text, max(start - 2, 0), start) or _ZIP_CODE.match(number):
            continue
        if checked >= _MOST_PHONES or is_phone(number):
            yield start, end


@functools.lru_cache(maxsize=4096)
def is_phone(number: str) -> bool:
    """Whether a numbering plan has room for this number."""
    if number.startswith(("+", "00")):
        return _is_in_plan("+" + number.lstrip("+0"), None)
    regions = _EUROPE if number.lstrip("(").startswith("0") else ("US",)
    return any(_is_in_plan(number, region) for region in regions)


def _is_in_plan(number: str, region: str | None) -> bool:
    library = _phonenumbers()
    try:
        parsed = library.parse(number, region)
    except library.NumberParseException:
        return False
    is_in: Callable[[object], bool] = (
        library.is_valid_number if region else library.is_possible_number
    )
    return is_in(parsed)


@functools.cache
def _phonenumbers() -> ModuleType:
    try:
        import phonenumbers  # noqa: PLC0415  # 30 ms and 8 MB, for those who ask for it
    except ImportError as error:
        raise PayloadError(_NO_LIBRARY) from error
    return phonenumbers


def require_phone_numbers() -> None:
    """Raise PayloadError if phone numbers cannot be found here."""
    _phonenumbers()


EMAIL = Rule("email", b"@|" + _SPELLED, find_emails)
CARD = Rule("card", rb"\d(?:" + _ESCAPED_GAP + rb"?\d){11}|" + _SPELLED, find_cards)
IBAN = Rule(
    "iban", rb"[A-Za-z]{2}\d{2}(?:" + _ESCAPED_GAP + rb"?[A-Za-z0-9]){11}|" + _SPELLED, find_ibans
)
# Why: a phone number has at least seven digits, the shortest gaps between them or none.
PHONE = Rule(
    "phone", rb"\d(?:(?:[ ./()-]|\\/|" + _ESCAPED_GAP + rb"){0,3}\d){6}|" + _SPELLED, find_phones
)
