import json
from itertools import product
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given

from gateway._fast.pointer import Pointer
from gateway._fast.shape import Shape
from tests.reference.splice import decode, is_json, is_object, marks_in
from tests.support.json_text import (
    ARRAY,
    FALSE,
    MALFORMED,
    MISSING,
    NAMES,
    NOT_OBJECT,
    NULL,
    NUMBER,
    OBJECT,
    OK,
    STRING,
    TOO_DEEP,
    TRUE,
    TRUNCATED,
    damaged,
    encodings,
    members_of,
    objects,
    span,
)

MARKS = [("type", "image_url"), ("type", "json_schema"), ("é", "😀"), ("", "")]
SHAPE = Shape(NAMES, MARKS)
WHOLE = Pointer("")

WELL_FORMED = [
    b"{}",
    b" \t\r\n{ \t\r\n} \t\r\n",
    b'{"":0}',
    b'{"a":-0,"b":-0.0e-0,"c":1E+2,"d":0.1,"e":123456789012345678901234567890}',
    b'{"a":[],"b":[[]],"c":{},"d":[{}],"e":[null,true,false]}',
    b'{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00"}',
    b'{"a":"\\ud800","b":"\\udc00\\ud800"}',
    b'{"a":1e999,"b":' + b"9" * 5000 + b"}",
    b'{"a":1,"a":2}',
    '{"\u2028\u2029\x7f":"\U0010ffff\ud7ff\ue000"}'.encode(),
    b'{"a":"\x7f"}',
]

MALFORMED_OBJECTS = [
    b"{,}",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b'{"a":1,,"b":2}',
    b'{"a" 1}',
    b'{"a"::1}',
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"{null:1}",
    b'{"a":1 "b":2}',
    b'{"a":1;"b":2}',
    b'{"a":1]',
    b'{"a":[1}',
    b'{"a":[1,]}',
    b'{"a":[,1]}',
    b'{"a":[1 2]}',
    b'{"a":[1:2]}',
    b'{"a":01}',
    b'{"a":-01}',
    b'{"a":+1}',
    b'{"a":.5}',
    b'{"a":5.}',
    b'{"a":1.e5}',
    b'{"a":1e}',
    b'{"a":1e+}',
    b'{"a":--1}',
    b'{"a":-}',
    b'{"a":0x10}',
    b'{"a":1_000}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":nul}',
    b'{"a":True}',
    b'{"a":truee}',
    b'{"a":undefined}',
    b'{"a":"\\x41"}',
    b'{"a":"\\u12g4"}',
    b'{"a":"\\U1234"}',
    b'{"a":"\\\'"}',
    b'{"a":"\n"}',
    b'{"a":"\t"}',
    b'{"a":"\x00"}',
    b'{"a":"\x1f"}',
    b'{"a":1}x',
    b'{"a":1}{}',
    b'{"a":1},',
    b'{"a":1}\x00',
    b'{"a":1} //',
    b"{/**/}",
    b'{"a":1}\xef\xbb\xbf',
    b"{\x0c}",
    b"{\xc2\xa0}",
    b'{"a":"\x80"}',
    b'{"a":"\xc0\x80"}',
    b'{"a":"\xc1\xbf"}',
    b'{"a":"\xe0\x80\x80"}',
    b'{"a":"\xe0\x9f\xbf"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\xf0\x8f\xbf\xbf"}',
    b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xf5\x80\x80\x80"}',
    b'{"a":"\xff"}',
    b'{"a":"\xc3"}',
    b'{"a":"\xe2\x82"}',
    b'{"a":"\xf0\x9f\x98"}',
    b'{"a":"\xe2\x28\xa1"}',
]


def code_of(data: bytes) -> int:
    return SHAPE.look(data)[0]


@pytest.mark.parametrize("data", WELL_FORMED)
def test_a_strict_object_is_accepted(data: bytes) -> None:
    assert is_object(data)
    assert SHAPE.look(data)[:2] == (OK, 0)


@pytest.mark.parametrize("data", MALFORMED_OBJECTS)
def test_anything_else_is_malformed_at_the_byte_that_breaks_it(data: bytes) -> None:
    code, error_at, _, _ = SHAPE.look(data)
    assert not is_json_text(data)
    assert code == MALFORMED
    assert code_of(data[:error_at]) == (OK if is_object(data[:error_at]) else TRUNCATED)
    assert code_of(data[: error_at + 1]) == MALFORMED


def is_json_text(data: bytes) -> bool:
    try:
        return is_json(data)
    except UnicodeDecodeError:
        return False


@given(damaged())
def test_exactly_what_a_strict_decoder_accepts_is_accepted(data: bytes) -> None:
    code = code_of(data)
    assert (code == OK) == is_object(data)
    assert (WHOLE.look(data)[0] == OK) == is_json(data)


@given(damaged())
def test_garbage_is_refused_at_the_same_byte_whatever_follows(data: bytes) -> None:
    code, error_at, _, _ = SHAPE.look(data)
    if code == TRUNCATED:
        assert error_at == len(data)
    if code == MALFORMED:
        assert code_of(data[:error_at]) in (OK, TRUNCATED)
        for tail in (b"", b"}", b'"', b'x"}' * 20):
            assert SHAPE.look(data[: error_at + 1] + tail)[:2] == (MALFORMED, error_at)


@given(encodings())
def test_every_beginning_of_an_object_is_truncated(data: bytes) -> None:
    for end in range(data.rindex(b"}")):
        assert SHAPE.look(data[:end])[:2] == (TRUNCATED, end)


@pytest.mark.parametrize("data", [b"[]", b" [{}]", b'"a"', b"1", b"null", b"x", b"\xef\xbb\xbf{}"])
def test_what_is_no_object_says_so(data: bytes) -> None:
    assert code_of(data) == NOT_OBJECT


@pytest.mark.parametrize("depth", [127, 128])
def test_nesting_up_to_the_limit_is_accepted(depth: int) -> None:
    data = b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"
    assert SHAPE.look(data)[:2] == (OK, 0)
    assert code_of(b'{"a":' * depth + b"0" + b"}" * depth) == OK


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_beyond_the_limit_is_refused_before_memory_is(opening: bytes) -> None:
    assert code_of(b'{"a":' + opening * 100_000) == TOO_DEEP


def test_every_pair_of_bytes_in_a_string_is_judged_as_json_does() -> None:
    for pair in product(range(256), repeat=2):
        data = b'{"a":"' + bytes(pair) + b'"}'
        assert (code_of(data) == OK) == is_object(data), data


def test_every_utf8_lead_is_judged_as_python_does() -> None:
    edges = [0x22, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0]
    for lead in range(0xC0, 0x100):
        for tail in product(edges, repeat=3):
            data = b'{"a":"' + bytes((lead, *tail)) + b'"}'
            assert (code_of(data) == OK) == is_object(data), data


def test_every_short_number_is_judged_as_json_does() -> None:
    """Near the end of the data and far from it, which different code reads."""
    for length in range(1, 5):
        for chars in product(b"019-+.eE/", repeat=length):
            number = bytes(chars)
            expected = is_json(number)
            for pad in (b"", b" " * 40):
                data = b'{"a":' + number + b"}" + pad
                assert (code_of(data) == OK) == expected, data


@pytest.mark.parametrize("digits", [*range(14, 19), *range(29, 36), 63, 64, 65])
def test_long_numbers_end_where_their_digits_do(digits: int) -> None:
    run = b"1" * digits
    for number in (run, b"-" + run, b"0." + run, run + b".5", run + b"e5", b"1e-" + run):
        data = b'{"user":' + number + b', "a": "' + b"x" * 40 + b'"}'
        assert span(data, members_of(data, "user")[0]) == number
        assert code_of(data.replace(number, number + b"-")) == MALFORMED
        assert code_of(data.replace(number, number + b".5.5")) == MALFORMED


@pytest.mark.parametrize("length", [*range(35), *range(60, 70), 79, 80, 81, 143, 144, 145])
@pytest.mark.parametrize("special", [b"\x1f", b"\x80", b"\\x", b'"', b"\\n", b"\xc3\xa9", b"\x7f"])
def test_a_special_byte_is_seen_wherever_a_block_ends(length: int, special: bytes) -> None:
    for rest in (b"", b"y" * 100):
        data = b'{"user":"' + b"x" * length + special + rest + b'"}'
        assert (code_of(data) == OK) == is_object(data)


@pytest.mark.parametrize("length", [*range(20), 30, 31, 32, 33, 64])
@pytest.mark.parametrize("spaces", [b"", b" ", b"  ", b"\n ", b"\t"])
def test_a_member_is_found_however_long_its_key_and_wherever_space_is(
    length: int, spaces: bytes
) -> None:
    name = "".join(chr(ord("a") + n % 26) for n in range(length))
    other = name[:-1] + "!"
    before = spaces + b":" + spaces
    for value in (b'""', b"0", b"12", b"null", b"{}", b'"' + b"v" * 16 + b'"', b'"\\n"'):
        for rest in (b"", b',"z":"' + b"z" * 40 + b'"'):
            pairs = [b'"' + key.encode() + b'"' + before + value for key in (other, name)]
            data = b"{" + spaces + (spaces + b"," + spaces).join(pairs) + rest + b"}"
            member, missing = members_of(data, name, name + "?")
            assert (span(data, member), member[5], missing[5]) == (value, 1, 0)
            for end in range(len(data) - 9, len(data)):
                assert SHAPE.look(data[:end])[:2] == (TRUNCATED, end)


@pytest.mark.parametrize("pad", [b"", b" " * 40])
def test_a_word_is_read_whole(pad: bytes) -> None:
    for word in (b"null", b"true", b"false"):
        for end in range(1, len(word) + 1):
            for text in (word[:end], word[:end] + b"x", word[:end].upper()):
                expected = is_json(text)
                assert (code_of(b'{"a":' + text + b"}" + pad) == OK) == expected
                assert (code_of(b'{"a":[' + text + b"]}" + pad) == OK) == expected


@given(encodings())
def test_spans_decode_to_the_last_value_of_each_name(data: bytes) -> None:
    pairs = decode(data)
    _, _, _, members = SHAPE.look(data)
    for name, member in zip(NAMES, members, strict=True):
        kind, start, end, key_start, member_end, count, escaped = member
        given_values = [value for key, value in pairs if key == name]
        assert count == len(given_values)
        assert (kind == MISSING) == (not given_values)
        if not given_values:
            continue
        assert decode(data[start:end]) == given_values[-1]
        assert json.loads(data[key_start:start].rstrip(b": \t\r\n")) == name
        assert data[end:member_end].strip(b" \t\r\n") == b""
        assert data[member_end : member_end + 1] in b",}"
        assert escaped == (kind == STRING and b"\\" in data[start:end])


@given(objects)
def test_other_decoders_read_the_same_values(value: dict[str, Any]) -> None:
    try:
        data = orjson.dumps(value)
    except TypeError:
        return
    for name, member in zip(NAMES, SHAPE.look(data)[3], strict=True):
        if name in value:
            assert orjson.loads(span(data, member)) == orjson.loads(data)[name]
            assert msgspec.json.decode(span(data, member)) == msgspec.json.decode(data)[name]


@pytest.mark.parametrize(
    "text, kind",
    [
        (b"null", NULL), (b"false", FALSE), (b"true", TRUE), (b"0", NUMBER), (b"-1", NUMBER),
        (b'""', STRING), (b"[]", ARRAY), (b"{}", OBJECT),
    ],
)  # fmt: skip
def test_a_member_tells_its_kind(text: bytes, kind: int) -> None:
    assert members_of(b'{"user":' + text + b"}", "user")[0][0] == kind


def test_a_name_given_twice_counts_twice_and_the_last_span_is_kept() -> None:
    data = b'{"model":"cheap","x":{"model":0},"mode\\u006c":"expensive"}'
    (member,) = members_of(data, "model")
    assert (member[5], span(data, member)) == (2, b'"expensive"')


def test_more_duplicates_than_can_be_counted_stay_many() -> None:
    data = b"{" + b",".join([b'"user":1'] * 600) + b"}"
    assert members_of(data, "user")[0][5] == 255


def test_thirty_two_names_of_one_length_are_told_apart() -> None:
    names = [f"name{n:02}" for n in range(32)]
    data = json.dumps({name: n for n, name in enumerate(names)}).encode()
    assert [int(span(data, member)) for member in members_of(data, *names)] == list(range(32))
    escaped = data.replace(b"n", b"\\u006e")
    assert [int(span(escaped, member)) for member in members_of(escaped, *names)] == list(range(32))


def test_names_of_lengths_that_fall_together_are_told_apart() -> None:
    names = ["a" * 3, "a" * 35, "a" * 67]
    data = json.dumps(dict.fromkeys(names, 1) | {"b" * 35: 2}).encode()
    assert [member[5] for member in members_of(data, *names)] == [1, 1, 1]
    assert members_of(data, "b" * 3, "c" * 35) == [(0,) * 6 + (False,)] * 2


@given(encodings())
def test_marks_are_seen_at_any_depth(data: bytes) -> None:
    assert SHAPE.look(data)[2] == marks_in(decode(data), MARKS)


def test_a_mark_wants_its_key_and_its_value_in_one_member() -> None:
    for text in (
        b'{"type":["image_url"]}',
        b'{"image_url":"type"}',
        b'{"type":"","b":"image_url"}',
    ):
        assert SHAPE.look(b'{"x":[' + text + b"]}")[2] == 0
    assert SHAPE.look(b'{"x":[{"typ\\u0065":"image\\u005furl"}]}')[2] == 1


def test_marks_that_share_a_key_are_told_apart() -> None:
    shape = Shape([], [("kind", "a"), ("sort", "a"), ("kind", "b"), ("kind", "c"), ("sort", "b")])
    for key, value, bits in (
        (b"kind", b"a", 1), (b"kind", b"b", 4), (b"kind", b"c", 8), (b"sort", b"a", 2),
        (b"sort", b"b", 16), (b"sort", b"c", 0), (b"size", b"a", 0), (b"k\\u0069nd", b"b", 4),
    ):  # fmt: skip
        for pad in (b"", b" " * 40):
            assert shape.look(b'{"x":{"' + key + b'":"' + value + b'"}}' + pad)[2] == bits


@pytest.mark.parametrize("value", [b"1", b"null", b"{}", b"[]", b'"x"', b'{"y":1}', b"-0.5"])
def test_a_mark_is_not_waited_for_behind_its_member(value: bytes) -> None:
    for text in (b'[{"type":%b},"image_url"]', b'{"type":%b,"y":"image_url"}', b'{"type":[%b]}'):
        assert SHAPE.look(b'{"x":' + text % value + b',"y":["image_url"]}')[2] == 0
