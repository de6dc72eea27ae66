"""Families of Transfer-Encoding gadgets, generated: every byte at every place that smugglers use.

Each is sent together with `Content-Length: 5`, so whoever takes the field for a coding
and whoever does not disagree about the body. Safe are: refused, or one request whose
body is the five bytes and whose field is plainly another one.
"""

from __future__ import annotations

import pytest

from gateway._fast.head import request as read_request

PLACES = {
    "before the name": b"%bTransfer-Encoding: chunked",
    "in the name": b"Transfer%b-Encoding: chunked",
    "after the name": b"Transfer-Encoding%b: chunked",
    "instead of the colon": b"Transfer-Encoding%bchunked",
    "after the colon": b"Transfer-Encoding:%bchunked",
    "before the coding": b"Transfer-Encoding: %bchunked",
    "in the coding": b"Transfer-Encoding: chun%bked",
    "after the coding": b"Transfer-Encoding: chunked%b",
    "on the line before": b"X: y%bTransfer-Encoding: chunked",
    "on the line before, with CR": b"X: y\r%bTransfer-Encoding: chunked",
    "on the line before, with LF": b"X: y%b\nTransfer-Encoding: chunked",
    "on the line after": b"Transfer-Encoding: chunked\r%bX: y",
    "as a list": b"Transfer-Encoding: chunked,%bchunked",
    "as a parameter": b"Transfer-Encoding: chunked;%b",
    "as another coding": b"Transfer-Encoding: %b, chunked",
}


def request(line: bytes) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + line + b"\r\n\r\n"


def is_safe(data: bytes, line: bytes) -> bool:
    made = read_request(data)
    if isinstance(made, int):
        return True
    fields = [name.lower() for name, _ in made["fields"]]
    has_coding = b"transfer-encoding" in fields or (
        line.lstrip().lower().startswith(b"transfer-encoding:")
    )
    return made["content_length"] == 5 and not made["chunked"] and not has_coding


@pytest.mark.parametrize("place", PLACES)
def test_no_byte_makes_a_coding_that_is_ambiguous(place: str) -> None:
    lines = [PLACES[place].replace(b"%b", bytes([byte])) for byte in range(256)]
    assert [line for line in lines if not is_safe(request(line), line)] == []


@pytest.mark.parametrize("name", [b"Content-Length", b"Host"])
def test_no_byte_beside_a_framing_field_makes_a_second_one(name: bytes) -> None:
    """`Content-Length` beside ours must be refused or plainly another name."""
    unsafe = []
    for byte in range(256):
        for line in (b"%c" + name, name[:4] + b"%c" + name[4:], name + b"%c"):
            spelt = line.replace(b"%c", bytes([byte]))
            made = read_request(request(spelt + b": 0"))
            if isinstance(made, int):
                continue
            names = [field.lower() for field, _ in made["fields"]]
            if names.count(name.lower()) != 1 or made["content_length"] != 5:
                unsafe.append(spelt)
    assert unsafe == []
