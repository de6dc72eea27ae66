"""Bodies of forms."""

from __future__ import annotations

from urllib.parse import parse_qs, quote_plus

import pytest

from gateway.payloads.forms import Form
from gateway.payloads.patterns import Patterns
from gateway.payloads.pointers import Pointer
from gateway.payloads.redaction import RULES
from gateway.payloads.texts import Texts
from tests.payloads.canaries import CANARIES, LOT, betrayed

ALL = Patterns(list(RULES.values()))
FORM = Form([Pointer("/prompt")], ALL)
TYPE = b'multipart/form-data; boundary="x y"'


def part(head: str, body: str) -> bytes:
    return f"--x y\r\n{head}\r\n\r\n{body}\r\n".encode()


def field(name: str, value: str, more: str = "") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"{more}', value)


def multipart(*parts: bytes) -> tuple[str, int]:
    found = FORM.multipart(b"".join(parts) + b"--x y--\r\n", TYPE, Texts(ALL))
    assert found is not None
    return found[0].decode(), found[1]


def test_ordinary_fields_stay_as_they_are() -> None:
    parts = field("model", "whisper"), field("language", "de")
    assert multipart(*parts) == ((b"".join(parts) + b"--x y--").decode(), 0)


@pytest.mark.parametrize("name", CANARIES)
def test_canary_in_a_field_is_taken_out(name: str) -> None:
    made, count = multipart(field("a", f"it is {CANARIES[name][1]}\nso"), field("b", "x"))
    assert count >= 1
    assert not betrayed(name, made)
    assert "it is " in made
    assert made.count("--x y") == 3


def test_file_is_left_out() -> None:
    head = (
        'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav'
    )
    made, count = multipart(field("model", "whisper"), part(head, "RIFF\x00\x01"))
    assert count == 1
    assert "RIFF" not in made
    assert "[left out]" in made
    assert 'filename="a.wav"' in made


def test_field_of_another_type_is_left_out() -> None:
    made, _ = multipart(field("data", "abc", "\r\nContent-Type: application/octet-stream"))
    assert "abc" not in made


def test_field_that_a_pointer_names_is_taken_out() -> None:
    made, count = multipart(field("prompt", "private"), field("password", "hunter2"))
    assert count == 2
    assert "private" not in made
    assert "hunter2" not in made


def test_name_of_a_file_is_cleaned() -> None:
    made, _ = multipart(field("file", "x", '; filename="ann@example.org.txt"'))
    assert "ann@" not in made


def test_what_stands_outside_of_the_parts_goes() -> None:
    data = f"password={LOT}\r\n".encode() + field("a", "b") + b"--x y--\r\n" + LOT.encode()
    found = FORM.multipart(data, TYPE, Texts(ALL))
    assert found is not None
    assert LOT.encode() not in found[0]


@pytest.mark.parametrize(
    "data, content_type",
    [
        (b"--x y\r\n\r\n\r\n--x y--", b"multipart/form-data"),
        (b"--other\r\n\r\n", TYPE),
        (b"", TYPE),
    ],
)
def test_what_is_not_what_it_says_is_not_read(data: bytes, content_type: bytes) -> None:
    assert FORM.multipart(data, content_type, Texts(ALL)) is None


@pytest.mark.parametrize("name", CANARIES)
def test_canary_in_an_encoded_field_is_taken_out(name: str) -> None:
    planted = quote_plus(f"it is {CANARIES[name][1]}")
    data, count = FORM.encoded(f"a={planted}&b=1+2&c".encode(), Texts(ALL))
    assert count >= 1
    assert not betrayed(name, data.decode())
    assert data.endswith(b"&b=1+2&c")
    assert parse_qs(data.decode())["a"][0].startswith("it is ")


def test_encoded_fields_are_known_by_name() -> None:
    data, count = FORM.encoded(b"prompt=private&password=hunter2&x=1", Texts(ALL))
    assert count == 2
    assert parse_qs(data.decode()) == {
        "prompt": ["[redacted]"],
        "password": ["[redacted:secrets]"],
        "x": ["1"],
    }


def test_marks_are_not_taken_out_again() -> None:
    once, _ = FORM.encoded(b"prompt=private&password=hunter2", Texts(ALL))
    assert FORM.encoded(once, Texts(ALL)) == (once, 0)
