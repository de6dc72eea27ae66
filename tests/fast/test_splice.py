import json
import math
from itertools import product
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import splice
from gateway._fast.splice import Pointer, Shape
from tests.reference.splice import Pairs, decode, is_json, is_object, marks_in, point

OK, NOT_OBJECT, MALFORMED, TOO_DEEP, TRUNCATED = 0, -1, -2, -3, -4
MISSING, NULL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT = range(8)

# (kind, start, end, key_start, member_end, count, escaped)
Member = tuple[int, int, int, int, int, int, bool]

NAMES = ["model", "stream", "user", "é", ""]
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


def code_of(data: bytes) -> int:
    return SHAPE.look(data)[0]


def members_of(data: bytes, *names: str) -> list[Member]:
    code, _, _, members = Shape(names).look(data)
    assert code == OK
    return list(members)


def span(data: bytes, member: Member) -> bytes:
    return data[member[1] : member[2]]


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


def test_a_surrogate_alone_equals_no_name() -> None:
    assert members_of(b'{"\\ud800":1}', "\ufffd", "")[0][0] == MISSING


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


def test_an_object_inside_is_scanned_with_the_same_offsets() -> None:
    data = b'{"a":1, "user" : {"model": "x", "stream":true} }'
    (outer,) = members_of(data, "user")
    code, _, _, members = SHAPE.look(data, outer[1], outer[2])
    assert code == OK
    assert [span(data, member) for member in members[:2]] == [b'"x"', b"true"]


def test_a_shape_refuses_more_than_it_can_hold() -> None:
    with pytest.raises(ValueError, match="at most 32 names"):
        Shape([str(n) for n in range(33)])
    with pytest.raises(ValueError, match="at most 32 names and 16 marks"):
        Shape([], [("a", "b")] * 17)
    with pytest.raises(ValueError, match="given twice"):
        Shape(["a", "a"])


# Pointers.


@given(values.flatmap(lambda value: st.tuples(st.just(value), st.lists(words, max_size=4))))
def test_a_pointer_finds_what_rfc_6901_says(case: tuple[Any, list[str]]) -> None:
    value, tokens = case
    data = json.dumps(value).encode()
    text = "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)
    code, member = Pointer(text).look(data)
    assert code == OK
    try:
        expected = point(value, text)
    except (KeyError, IndexError):
        assert member[0] == MISSING
    else:
        assert json.loads(span(data, member)) == expected


RFC_6901 = {
    "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5,
    'k"l': 6, " ": 7, "m~n": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", RFC_6901), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1),
        ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8),
    ],
)  # fmt: skip
def test_the_examples_of_rfc_6901_hold(text: str, expected: object) -> None:
    data = json.dumps(RFC_6901, indent=1).encode()
    code, member = Pointer(text).look(data)
    assert (code, json.loads(span(data, member))) == (OK, expected)


@pytest.mark.parametrize("text", ["/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/-1", "/foo/0/0"])
def test_a_pointer_to_nothing_finds_nothing(text: str) -> None:
    assert Pointer(text).look(json.dumps(RFC_6901).encode()) == (OK, (0,) * 6 + (False,))


def test_a_pointer_takes_the_last_of_two() -> None:
    data = b'{"a":{"b":1},"a":{"b":2}}'
    assert span(data, Pointer("/a/b").look(data)[1]) == b"2"


@given(damaged())
def test_a_pointer_refuses_malformed_text_wherever_it_points(data: bytes) -> None:
    assert (Pointer("/model/0").look(data)[0] == OK) == is_json(data)


@pytest.mark.parametrize("text", ["foo", "~", " /a", "/a" * 17])
def test_a_wrong_pointer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a JSON pointer"):
        Pointer(text)


@given(st.lists(values, max_size=6).flatmap(lambda v: encodings(st.just({"a": v}))))
def test_elements_come_one_by_one(data: bytes) -> None:
    found = splice.elements(data, members_of(data, "a")[0])
    assert [decode(span(data, element)) for element in found] == decode(data)[0][1]
    assert all(
        element[6] == (element[0] == STRING and b"\\" in span(data, element)) for element in found
    )


def test_what_is_no_array_has_no_elements() -> None:
    data = b'{"a":"[1]","b":{"c":[1]}}'
    assert [splice.elements(data, member) for member in members_of(data, "a", "b", "c")] == [[]] * 3


# Values.


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
    assert splice.read_integer(data, members_of(data, "n")[0]) == expected


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**120), 10**120))
def test_a_number_reads_as_python_reads_it(value: float) -> None:
    data = json.dumps({"n": value}).encode()
    assert splice.read_double(data, members_of(data, "n")[0]) == float(value)


@pytest.mark.parametrize("text", ['"1"', "null", "true", "1" * 128])
def test_what_is_no_number_is_not_a_number(text: str) -> None:
    data = b'{"n":' + text.encode() + b"}"
    assert math.isnan(splice.read_double(data, members_of(data, "n")[0]))


@given(
    st.text(chars, max_size=30) | st.text(st.sampled_from('"\\/\b\f\n\r\té😀\x00'), max_size=30),
    st.booleans(),
)
def test_a_string_reads_as_its_text(text: str, is_plain: bool) -> None:
    quoted = json.dumps(text, ensure_ascii=False) if is_plain else escaped_everywhere(text)
    data = b'{"s":' + quoted.encode() + b"}"
    (member,) = members_of(data, "s")
    assert splice.read_string(data, member) == text.encode()
    assert splice.equals(data, member, text.encode())
    assert not splice.equals(data, member, text.encode() + b"x")
    assert not splice.equals(data, member, text.encode()[1:] + b"\xff")


@pytest.mark.parametrize(
    "text",
    ["\\ud800", "\\udc00", "x\\ud800x", "\\ud800\\ud800", "\\ud800\\u0041", "\\ud83d\\n"],
)
def test_a_surrogate_alone_has_no_text(text: str) -> None:
    data = b'{"s":"' + text.encode() + b'"}'
    (member,) = members_of(data, "s")
    assert splice.read_string(data, member) is None
    assert not splice.equals(data, member, b"")


def test_what_is_no_string_has_no_text() -> None:
    data = b'{"s":["a"]}'
    (member,) = members_of(data, "s")
    assert splice.read_string(data, member) is None
    assert not splice.equals(data, member, b"a")


def test_a_member_of_other_data_is_refused() -> None:
    with pytest.raises(ValueError, match="outside the data"):
        splice.read_string(b"{}", (STRING, 5, 10, 1, 11, 1, False))


# Edits.


def changed(pairs: Pairs, data: bytes, names: list[str], operations: list[str]) -> list[Any]:
    """The edits, made to the pairs as well."""
    edits = []
    for name, operation in zip(names, operations, strict=True):
        (member,) = members_of(data, name)
        if member[5] != 1:
            continue
        at = [key for key, _ in pairs].index(name)
        if operation == "replace":
            edits.append(splice.replaced(data, member, b'["new"]'))
            pairs[at] = (name, ["new"])
        elif operation == "swap":
            edits.append(splice.swapped(data, member, b'"new":[1]'))
            pairs[at] = ("new", ["1"])
        else:
            edits.append(splice.removed(data, member))
            del pairs[at]
    return edits


@given(
    encodings(),
    st.permutations(NAMES),
    st.lists(st.sampled_from(["replace", "swap", "remove"]), max_size=4),
    st.booleans(),
)
def test_edits_equal_decoding_changing_and_encoding(
    data: bytes, names: list[str], operations: list[str], is_inserting: bool
) -> None:
    pairs = decode(data)
    first = pairs[0][0] if pairs else None
    edits = changed(pairs, data, names[: len(operations)], operations)
    if is_inserting:
        edits.append(splice.inserted(data, data.index(b"{"), b'"put":true,'))
        pairs.insert(0, ("put", True))
    try:
        out = splice.apply_edits(data, edits)
    except ValueError:
        # Only where the first member goes together with its neighbour on either side.
        touching = [operation for operation in operations if operation != "replace"]
        assert len(touching) + is_inserting > 1
        assert first in names[: len(operations)]
        return
    assert decode(out) == pairs


@pytest.mark.parametrize("data", [b"{}", b"{ \n}", b'{"a":1}', b' \n{ "a":1}', b'{"a":{}}'])
def test_a_member_is_inserted_first(data: bytes) -> None:
    out = splice.apply_edits(data, [splice.inserted(data, data.index(b"{"), b'"k":"v",')])
    assert decode(out) == [("k", "v"), *decode(data)]


@pytest.mark.parametrize(
    "data, expected",
    [
        (b'{"user":1}', b"{}"),
        (b'{ "user" : 1 }', b"{}"),
        (b'{"user":1,"b":2}', b'{"b":2}'),
        (b'{"a":0,"user":1}', b'{"a":0}'),
        (b'{"a":0 , "user":1 , "b":2}', b'{"a":0  , "b":2}'),
        (b'{"a":{},"user":[1,{}]}', b'{"a":{}}'),
    ],
)
def test_a_member_is_removed_with_its_comma(data: bytes, expected: bytes) -> None:
    edit = splice.removed(data, members_of(data, "user")[0])
    assert splice.apply_edits(data, [edit]) == expected


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 2, b""), (1, 1, b"")], [(1, 0, b"x"), (1, 1, b"")], [(1, 0, b"x"), (1, 0, b"y")],
        [(5, 2, b"")], [(7, 0, b"")], [(0, 7, b"")], [(0, 6, b""), (2, 1, b"x")],
    ],
)  # fmt: skip
def test_edits_that_overlap_or_lie_outside_are_refused(edits: list[tuple[int, int, bytes]]) -> None:
    with pytest.raises(ValueError, match="edits overlap"):
        splice.apply_edits(b"abcdef", edits)


def test_edits_that_only_touch_are_applied() -> None:
    assert splice.apply_edits(b"abcdef", [(2, 2, b""), (0, 2, b"xyz"), (6, 0, b"!")]) == b"xyzef!"


def test_too_many_edits_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 64"):
        splice.apply_edits(b"a" * 100, [(n, 0, b"") for n in range(65)])
