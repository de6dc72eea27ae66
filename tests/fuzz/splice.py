"""Any bytes: partial JSON accepts, finds and refuses what a decoder of all of it does."""

import json

from gateway._fast.members import elements, read_string
from gateway._fast.pointer import Pointer
from gateway._fast.shape import Shape
from gateway._fast.splice import apply_edits, removed
from tests.fuzz.loop import run
from tests.reference.splice import Pairs, decode, is_json, marks_in

NAMES = ["model", "stream", "messages", "a", ""]
MARKS = [("type", "image_url"), ("a", "")]
SHAPE = Shape(NAMES, MARKS)
WHOLE = Pointer("")
DEEP = Pointer("/messages/0/content")

SEEDS = [
    b"{}",
    b'{"model":"chat","stream":true,"messages":[{"role":"user","content":"Hi \\u00e9\\n"}]}',
    b'{"messages":[{"content":[{"type":"image_url","image_url":{"url":"data:x"}}]}],"a":""}',
    b' { "a" : [ 1, -2.5e+3, 0.1, 1E9, null, true, false ], "" : { "model" : 1 } } ',
    '{"a":"Größe 你好 😀","mode\\u006c":"\\ud83d\\ude00\\ud800"}'.encode(),
    b'{"input":[-0.0123456789012345,0.98765432109876543,12345678901234567890123456789012345,1]}',
    b'{"a":' + b"[" * 127 + b"]" * 127 + b"}",
]
GADGETS = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"\x00", b"\x1f", b"\x7f",
    b"0", b"-", b".", b"e", b"+", b"null", b"\\u0041", b"\\ud83d", b'\\"', b"\xc3\xa9", b"\xc3",
    b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90", b'"model":1,', b',"a":[',
]  # fmt: skip


def fuzz_one(data: bytes) -> None:
    code, error_at, marks, members = SHAPE.look(data)
    is_valid = is_json(data)
    assert error_at <= len(data)
    assert (WHOLE.look(data)[0] == 0) == (DEEP.look(data)[0] == 0) == is_valid
    value = decode(data) if is_valid else None
    assert (code == 0) == isinstance(value, Pairs)
    if not isinstance(value, Pairs):
        return
    assert marks == marks_in(value, MARKS)
    for name, member in zip(NAMES, members, strict=True):
        given = [inner for key, inner in value if key == name]
        assert member[5] == min(len(given), 255)
        if given:
            check_member(data, value, name, member)


def check_member(
    data: bytes, pairs: Pairs, name: str, member: tuple[int, int, int, int, int, int, bool]
) -> None:
    last = [inner for key, inner in pairs if key == name][-1]
    text = data[member[1] : member[2]]
    assert decode(text) == last
    assert [decode(data[one[1] : one[2]]) for one in elements(data, member)] == (
        last if isinstance(json.loads(text), list) else []
    )
    if type(last) is str:
        try:
            assert read_string(data, member) == last.encode()
        except UnicodeEncodeError:
            assert read_string(data, member) is None
    if member[5] == 1:
        left = decode(apply_edits(data, [removed(data, member)]))
        assert left == [pair for pair in pairs if pair[0] != name]


if __name__ == "__main__":
    run(fuzz_one, SEEDS, GADGETS)
