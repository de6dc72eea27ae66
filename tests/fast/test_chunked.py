import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway._fast import chunked
from tests.reference import chunked as reference
from tests.support.strategies import (
    assert_garbage_is_refused_at_the_same_byte,
    assert_splitting_does_not_matter,
    chunked_bodies,
    mutated,
)

WIKI = b"4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nx-sum: 1\r\n\r\n"
PARTS = [
    b"0\r\n", b"5\r\n", b"hello", b"\r\n", b"\r\n", b"3;a=b\r\nabc\r\n", b"x-t: 1\r\n", b"x:\r\n",
    b"Host: a\r\n", b"content-length: 1\r\n", b"x : 1\r\n", b" fold\r\n", b"0x3\r\n", b"3 \r\n",
    b"1\n", b";", b"00000000000000000\r\n", b"0000000000003\r\nabc\r\n", b"fffffffffffffff\r\n",
    b"2;" + b"x" * 4095 + b"\r\nab\r\n", b"x: " + b"y" * 8180 + b"\r\n",
]  # fmt: skip

bodies = st.binary(max_size=40).flatmap(chunked_bodies)
collages = st.lists(st.sampled_from(PARTS), max_size=8).map(b"".join)


def feed(pieces: list[bytes]) -> object:
    return chunked.decode(*pieces)


@settings(max_examples=600)
@given(bodies | mutated(bodies) | collages | mutated(collages), st.binary(max_size=4))
def test_any_bytes_are_read_as_the_definition_says(data: bytes, rest: bytes) -> None:
    found = chunked.decode(data + rest)
    assert (None if found == -1 else found) == reference.decode(data + rest)


@settings(max_examples=60)
@given(bodies | mutated(bodies) | mutated(st.just(WIKI)))
def test_splitting_does_not_matter(data: bytes) -> None:
    assert_splitting_does_not_matter(feed, data)


@settings(max_examples=60)
@given(mutated(bodies) | mutated(st.just(WIKI)))
def test_garbage_is_refused_at_the_same_byte(data: bytes) -> None:
    assert_garbage_is_refused_at_the_same_byte(feed, data, lambda found: found == -1)


@given(st.binary(max_size=40), st.data())
def test_what_was_coded_is_decoded(body: bytes, data: st.DataObject) -> None:
    assert chunked.decode(data.draw(chunked_bodies(body)) + b"rest") == (body, b"rest")


@pytest.mark.parametrize("end", range(len(WIKI)))
def test_a_body_that_stops_short_is_not_done(end: int) -> None:
    assert chunked.decode(WIKI[:end]) is None


def test_extensions_and_trailers_are_dropped() -> None:
    assert chunked.decode(WIKI + b"GET /") == (b"Wikipedia", b"GET /")


# RFC 9112 7.1 has the grammar; h11 and llhttp agree on all of these but where said.
@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b" 5\r\n",
        b"5 \r\n",
        b"+5\r\n",
        b"-5\r\n",
        b"0x5\r\n",
        b"5_0\r\n",
        b"5\n",
        b"5\r5",
        b"g\r\n",
        b"\xb2\r\n",
        b"1000000000000000\r\n",  # 16 digits: an overflow somewhere
        b"1\r\nab\r\n",
        b"1\r\na\n",
        b"1\r\na\rx",
        b"1;a\nb\r\n",
        b"1;a\0\r\n",
        b"1;a\x7f\r\n",
        b"0\r\n x: 1\r\n",
        b"0\r\nx : 1\r\n",
        b"0\r\n: 1\r\n",
        b"0\r\nx\r\n",
        b"0\r\nx: 1\n",
        b"0\r\nx: \0\r\n",
        b"0\r\n\rx",
        b"0\r\nContent-Length: 1\r\n",
        b"0\r\ntransfer-encoding: chunked\r\n",
        b"0\r\nHOST: a\r\n",
    ],
)
def test_what_is_not_in_the_grammar_is_refused_at_its_last_byte(data: bytes) -> None:
    assert chunked.decode(data) == -1
    assert chunked.decode(data + b"0\r\n\r\n") == -1


@pytest.mark.parametrize(
    "data",
    [
        b"5\r\nhello\r\n0\r\n\r\n",
        b"00005\r\nhello\r\n000\r\n\r\n",
        b'5 ;a="b;c"\r\nhello\r\n0\r\n\r\n'.replace(b" ", b""),
        b"5;\r\nhello\r\n0;x\r\n\r\n",
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\nx-a: 1\r\ncontent-lengths: 1\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"x" * 300 + b":\r\n\r\n",
    ],
)
def test_what_is_in_the_grammar_is_taken(data: bytes) -> None:
    assert chunked.decode(data) == (b"hello", b"")


@pytest.mark.parametrize("size, is_taken", [(4096, True), (4097, False)])
def test_extensions_of_a_body_are_bounded_together(size: int, is_taken: bool) -> None:
    whole = b"1;" + b"x" * size + b"\r\na\r\n0\r\n\r\n"
    half = b"1;" + b"x" * (size // 2) + b"\r\na\r\n"
    assert (chunked.decode(whole) != -1) is is_taken
    assert chunked.decode(half + half + half + b"0\r\n\r\n") == -1


@pytest.mark.parametrize("size, is_taken", [(8192, True), (8193, False)])
def test_trailers_are_bounded_together(size: int, is_taken: bool) -> None:
    """What counts is every byte from behind the last chunk's line to the final CR."""
    line = b"x: " + b"y" * (size - 3 - 2 - 1) + b"\r\n"
    assert (chunked.decode(b"0\r\n" + line + b"\r\n") != -1) is is_taken


def test_a_chunk_of_the_largest_size_is_waited_for() -> None:
    assert chunked.decode(b"f" * 15 + b"\r\n" + b"x" * 1000) is None


@settings(max_examples=300)
@given(bodies | mutated(bodies) | collages)
def test_chunk_that_is_alone_is_what_the_decoder_makes_of_it(coded: bytes) -> None:
    for data in (coded, coded.removesuffix(b"0\r\n\r\n")):
        at = chunked.alone(data)
        if at:
            assert chunked.decode(data + b"0\r\n\r\n") == (data[at:-2], b"")


@pytest.mark.parametrize("size", [1, 9, 10, 16, 255, 4096, 65536, 0xFFFFF])
def test_usual_chunk_is_alone(size: int) -> None:
    for coded in (b"%x" % size, b"%X" % size):
        assert chunked.alone(coded + b"\r\n" + b"x" * size + b"\r\n") == len(coded) + 2


@pytest.mark.parametrize(
    "data",
    [
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b"1;a\r\nx\r\n",
        b"1\nx\n",
        b"2\r\nx\r\n",
        b"1\r\nx\r\n1\r\nx\r\n",
        b"1\r\nxx\r\n",
        b"-1\r\nx\r\n",
        b"100001\r\n" + b"x" * 0x100001 + b"\r\n",
    ],
)
def test_other_chunks_are_left_to_the_decoder(data: bytes) -> None:
    assert chunked.alone(data) == 0
