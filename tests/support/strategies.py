"""Hypothesis strategies for HTTP/1.1 messages, and the two laws of incremental parsers.

`requests()` makes a well-formed request together with what must be understood of it;
`mutated(...)` damages bytes in ways that attackers and networks do. The laws take a
`feed` that parses a list of pieces and returns a comparable outcome.

Rule 1: a generated message is valid by RFC 9112 by construction, not by a parser's word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TARGET_CHARS = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '#"<>\\^`{|}')
SPECIAL_NAMES = {
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "expect",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
}
# What damages a message without looking damaged.
GADGETS = (
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\t",
    b" ",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
    b":",
    b",",
    b";",
    b"chunked",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
)


@dataclass(frozen=True)
class Message:
    """A request's bytes and their meaning."""

    data: bytes
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]  # names in lower case, without framing and Host
    body: bytes


tokens = st.text(TCHAR, min_size=1, max_size=12)
methods = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
targets = st.text(TARGET_CHARS, max_size=40).map(lambda rest: "/" + rest)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\t"), max_size=30
).map(lambda value: value.strip(" \t"))
blanks = st.sampled_from(["", " ", "\t", "  ", " \t "])


@st.composite
def fields(draw: st.DrawFn) -> tuple[tuple[str, str], ...]:
    names = tokens.filter(lambda name: name.lower() not in SPECIAL_NAMES and "_" not in name)
    return tuple(draw(st.lists(st.tuples(names, values), max_size=6)))


@st.composite
def chunked_bodies(draw: st.DrawFn, body: bytes) -> bytes:
    """The body in the chunked coding: cut anywhere, sizes in either case, with leading zeros."""
    cuts = sorted(draw(st.sets(st.integers(0, len(body)), max_size=4)) | {0, len(body)})
    coded = b""
    for start, end in pairwise(cuts):
        size = f"{end - start:{draw(st.sampled_from(['x', 'X', '04x']))}}".encode()
        extension = draw(st.sampled_from([b"", b";a=b", b';a="c"']))
        coded += size + extension + b"\r\n" + body[start:end] + b"\r\n"
    return coded + b"0\r\n\r\n"


@st.composite
def requests(draw: st.DrawFn, max_body: int = 60) -> Message:
    method, target, extra = draw(methods), draw(targets), draw(fields())
    body = draw(st.binary(max_size=max_body))
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.test"]
    lines += [f"{name}:{draw(blanks)}{value}{draw(blanks)}" for name, value in extra]
    coded = body
    if draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        coded = draw(chunked_bodies(body))
    elif body or draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    meaning = tuple((name.lower(), value) for name, value in extra)
    return Message(head + coded, method, target, meaning, body)


@st.composite
def mutated(draw: st.DrawFn, source: st.SearchStrategy[bytes]) -> bytes:
    """Bytes damaged once to three times: a piece put in, taken out, doubled or changed."""
    data = draw(source)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 4)))
        kind = draw(st.sampled_from(["insert", "delete", "double", "flip"]))
        if kind == "insert":
            data = data[:at] + draw(st.sampled_from(GADGETS)) + data[at:]
        elif kind == "delete":
            data = data[:at] + data[to:]
        elif kind == "double":
            data = data[:to] + data[at:to] + data[to:]
        else:
            data = data[:at] + bytes(b ^ 0x20 for b in data[at:to]) + data[to:]
    return data


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """The same bytes in pieces, none of them empty."""
    places = draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=6))
    return cut_at(data, places)


def cut_at(data: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [piece for piece in pieces if piece]


def every_split(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and in two at each place."""
    yield [data]
    yield [data[n : n + 1] for n in range(len(data))]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]


Feed = Callable[[list[bytes]], object]


def assert_splitting_does_not_matter(feed: Feed, data: bytes) -> None:
    """Law 1: any cut of the input gives the same result."""
    whole = feed([data])
    for pieces in every_split(data):
        assert feed(pieces) == whole, f"differs when cut as {pieces}"


def assert_garbage_is_refused_at_the_same_byte(
    feed: Feed, data: bytes, is_refused: Callable[[object], bool]
) -> None:
    """Law 2: fed byte by byte, a prefix is refused exactly when it is refused whole."""
    for end in range(1, len(data) + 1):
        whole = is_refused(feed([data[:end]]))
        bytewise = is_refused(feed([data[n : n + 1] for n in range(end)]))
        assert whole == bytewise, f"the first {end} bytes differ: {data[:end]!r}"
