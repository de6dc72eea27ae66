import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log.lines import (
    ForgottenLine,
    LineError,
    MalformedLine,
    NewerLine,
    Place,
    decode,
    place_of,
    tombstone,
)
from tests.log.samples import STREAM, feedback, line, record


def test_line_of_each_kind_is_what_was_written() -> None:
    assert decode(line(3)) == record(3)
    assert decode(msgspec.json.encode(feedback(4))) == feedback(4)


@pytest.mark.parametrize("value", [b"1", b'{"deep":[1,{"a":null}]}', b'"x"'])
def test_field_that_is_not_known_is_passed_over(value: bytes) -> None:
    newer = line(1)[:-1] + b',"from_the_future":' + value + b"}"
    newer = newer.replace(b'"timing":{', b'"timing":{"warp_us":' + value + b",")
    assert decode(newer) == record(1)


def test_newer_version_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        NewerLine, match=r"^This line was written by a newer gateway: .* 2, .* 1\.$"
    ):
        decode(line(1).replace(b'"v":1', b'"v":2'))


def test_newer_version_is_refused_even_where_fields_changed_their_type() -> None:
    with pytest.raises(NewerLine):
        decode(b'{"v":9,"kind":"prediction","seq":"one"}')


def test_deleted_line_is_told_from_a_malformed_one() -> None:
    with pytest.raises(ForgottenLine, match="deleted on request"):
        decode(b'{"v":1,"kind":"forgotten","stream":"s","seq":1}')


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"v":1}',
        b'{"v":"1","kind":"prediction"}',
        b'{"v":0,"kind":"prediction"}',
        b'{"v":-1,"kind":"prediction"}',
        b'{"v":1,"kind":"prediction"}',
        b'{"v":1,"kind":"feedback","seq":1}',
        line(1)[:-1],
        line(1) + b"x",
        line(1).replace(b"2026", b"\xff\xfe"),
        b'{"v":1,"kind":"prediction","x":' + b"[" * 100_000,
        b"\0" * 10,
    ],
)
def test_malformed_line_is_refused_in_one_sentence(text: bytes) -> None:
    with pytest.raises(MalformedLine, match=r"^This line is no record: [^\n]*\.$"):
        decode(text)


def test_sentence_shows_nothing_of_the_line() -> None:
    with pytest.raises(MalformedLine) as caught:
        decode(line(1).replace(b'"status":200', b'"status":"sk-secret"'))
    assert "sk-secret" not in str(caught.value)
    assert "status" in str(caught.value)


@given(st.binary(max_size=200))
def test_bytes_by_chance_are_answered_with_a_sentence(text: bytes) -> None:
    with pytest.raises(LineError, match=r"\.$"):
        decode(text)


@given(cut=st.integers(0, len(line(1)) - 1))
def test_half_a_line_is_never_a_record(cut: int) -> None:
    with pytest.raises(MalformedLine):
        decode(line(1)[:cut])


def test_place_is_known_of_versions_that_are_not() -> None:
    assert place_of(line(7).replace(b'"v":1', b'"v":2')) == Place(
        STREAM, 7, "2026-11-21T12:00:07.000000Z"
    )
    with pytest.raises(MalformedLine, match="no place in the log"):
        place_of(b'{"v":1}')


def test_tombstone_keeps_place_and_length_and_nothing_else() -> None:
    written = line(7, request_id="of-a-person")
    grave = tombstone(written)
    assert len(grave) == len(written)
    assert place_of(grave) == place_of(written)
    assert set(msgspec.json.decode(grave)) == {"v", "kind", "stream", "seq", "time"}
    with pytest.raises(ForgottenLine):
        decode(grave)
