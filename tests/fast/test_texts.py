import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import members
from tests.support.json_text import MISSING, chars, escaped_everywhere, members_of


def test_a_surrogate_alone_equals_no_name() -> None:
    assert members_of(b'{"\\ud800":1}', "\ufffd", "")[0][0] == MISSING


@given(
    st.text(chars, max_size=30) | st.text(st.sampled_from('"\\/\b\f\n\r\té😀\x00'), max_size=30),
    st.booleans(),
)
def test_a_string_reads_as_its_text(text: str, is_plain: bool) -> None:
    quoted = json.dumps(text, ensure_ascii=False) if is_plain else escaped_everywhere(text)
    data = b'{"s":' + quoted.encode() + b"}"
    (member,) = members_of(data, "s")
    assert members.read_string(data, member) == text.encode()
    assert members.equals(data, member, text.encode())
    assert not members.equals(data, member, text.encode() + b"x")
    assert not members.equals(data, member, text.encode()[1:] + b"\xff")


@pytest.mark.parametrize(
    "text",
    ["\\ud800", "\\udc00", "x\\ud800x", "\\ud800\\ud800", "\\ud800\\u0041", "\\ud83d\\n"],
)
def test_a_surrogate_alone_has_no_text(text: str) -> None:
    data = b'{"s":"' + text.encode() + b'"}'
    (member,) = members_of(data, "s")
    assert members.read_string(data, member) is None
    assert not members.equals(data, member, b"")


def test_what_is_no_string_has_no_text() -> None:
    data = b'{"s":["a"]}'
    (member,) = members_of(data, "s")
    assert members.read_string(data, member) is None
    assert not members.equals(data, member, b"a")
