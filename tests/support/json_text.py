"""JSON text to scan: values in many spellings, damaged ones, and what a scan finds in them."""

import json
from typing import Any

from hypothesis import strategies as st

from gateway._fast.shape import Shape

OK, NOT_OBJECT, MALFORMED, TOO_DEEP, TRUNCATED = 0, -1, -2, -3, -4
MISSING, NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT = range(8)

# (kind, start, end, key_start, member_end, count, escaped)
Member = tuple[int, int, int, int, int, int, bool]

NAMES = ["model", "stream", "user", "é", ""]

GADGETS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\x1f", b"\x7f",
    b"0", b"-", b".", b"e", b"+", b"1e5", b"null", b"true", b"\\u0041", b"\\ud83d", b'\\"',
    b"\xc3\xa9", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90",
    b'"model":1,', b',"a":[', b'{"a":',
]  # fmt: skip

# Why not alphabets of hypothesis: its tables of Unicode, built once a machine, take over a second.
chars = (st.integers(0, 0xD7FF) | st.integers(0xE000, 0x10FFFF)).map(chr)
words = st.sampled_from([*NAMES, "type", "image_url", "json_schema", "a", "b/c", "~", "0"])
texts = (
    words | st.text(chars, max_size=40) | st.text(st.sampled_from('ab"\\\n\té😀\x7f'), max_size=200)
)
numbers = (
    st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -0.0, 1e-7, 1e300])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)
objects = st.dictionaries(texts, values, max_size=6)


def escaped_everywhere(text: str) -> str:
    """The JSON string with each character as an escape."""
    units = text.encode("utf-16-be")
    pairs = [units[n : n + 2].hex() for n in range(0, len(units), 2)]
    return '"' + "".join("\\u" + unit for unit in pairs) + '"'


@st.composite
def encodings(draw: st.DrawFn, source: st.SearchStrategy[Any] = objects) -> bytes:
    """JSON text of a value in one of many spellings."""
    text = json.dumps(
        draw(source),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.none() | st.integers(0, 9)),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", "\r: ")])),
    )
    if draw(st.booleans()):
        name = draw(st.sampled_from(NAMES))
        text = text.replace(json.dumps(name), escaped_everywhere(name))
    return text.encode("utf-8", "surrogatepass")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = draw(encodings())
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        to = at + draw(st.integers(0, 4))
        data = data[:at] + draw(st.sampled_from([b"", *GADGETS])) + data[to:]
    return data


def members_of(data: bytes, *names: str) -> list[Member]:
    code, _, _, members = Shape(names).look(data)
    assert code == OK
    return list(members)


def span(data: bytes, member: Member) -> bytes:
    return data[member[1] : member[2]]
