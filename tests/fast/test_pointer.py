import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.pointer import Pointer
from tests.reference.splice import is_json, point
from tests.support.json_text import MISSING, OK, damaged, span, values, words


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
