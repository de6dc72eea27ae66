"""Record batches of the log's lines, read back by their definition."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.kafka import Pack, Packer, milliseconds_in, murmur2_of
from tests.reference import kafka as reference

STREAM = b"w1-0123456789abcdef"
ROOM = 1 << 20
NOW_MS = 1_700_000_000_000
# Apache's own: org.apache.kafka.common.utils.UtilsTest, testMurmur2.
VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def line(number: int = 1, **members: Any) -> bytes:
    record = {
        "v": 1,
        "id": f"id-{number}",
        "request_id": f"request-{number}",
        "time": "2026-11-21T12:00:00.250000Z",
        "kind": "prediction",
        "gateway": "g",
        "timing": {"total_us": 3, "id": "inner"},
        "request": {"bytes": 1, "body": ["}", '"route":"no"', {"route": "deep"}]},
        "route": "chat",
        "user": "anna",
    }
    record |= members
    given = {name: value for name, value in record.items() if value is not None}
    return json.dumps(given, separators=(",", ":"), ensure_ascii=False).encode()


def packer(key: str = "request_id", most_bytes: int = ROOM) -> Packer:
    return Packer(key.encode(), b"/gateway/g", b"application/json", most_bytes)


def packed(
    *lines: bytes, key: str = "request_id", records: int = 4, feedback: int = 4, **more: Any
) -> tuple[list[Pack], list[tuple[int, str]]]:
    data = b"".join(each + b"\n" for each in lines)
    room = more.pop("room", ROOM)
    most = more.pop("most_bytes", ROOM)
    found = packer(key, most).pack(data, STREAM, records, feedback, room, NOW_MS, **more)
    assert found is not None
    return found


def messages(pack: Pack) -> list[reference.Message]:
    found = reference.messages_in(bytes(pack.data[reference.HEADER_BYTES :]), pack.first_ms)
    assert len(found) == pack.count
    return found


def only(*lines: bytes, **more: Any) -> reference.Message:
    (pack,), refused = packed(*lines, **more)
    assert not refused
    (message,) = messages(pack)
    return message


@pytest.mark.parametrize("text", VECTORS)
def test_hash_is_the_one_of_kafkas_clients(text: bytes) -> None:
    assert murmur2_of(text) == VECTORS[text] % 2**32


@given(st.binary(max_size=70))
def test_hash_agrees_with_its_definition(data: bytes) -> None:
    assert murmur2_of(data) == reference.murmur2(data)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 12, 31)))  # noqa: DTZ001
def test_time_is_read_to_the_millisecond(time: datetime) -> None:
    exact = time.replace(tzinfo=UTC)
    text = exact.isoformat(timespec="microseconds").replace("+00:00", "Z")
    since = exact - datetime(1970, 1, 1, tzinfo=UTC)
    assert milliseconds_in(text.encode()) == since // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text, ms",
    [
        (b"1970-01-01T00:00:00Z", 0),
        (b"1970-01-01T00:00:00.5Z", 500),
        (b"1970-01-01T00:00:01.0019Z", 1001),
        (b"2024-02-29T00:00:00Z", 1709164800000),
        (b"1970-01-01T00:00:00", -1),
        (b"1970-01-01T00:00:00+00:00", -1),
        (b"1970-13-01T00:00:00Z", -1),
        (b"yesterday", -1),
        (b"", -1),
    ],
)
def test_time_is_none_unless_it_is_utc(text: bytes, ms: int) -> None:
    assert milliseconds_in(text) == ms


def test_record_has_the_line_as_its_value_and_the_event_in_its_headers() -> None:
    message = only(line(7))
    assert message.value == line(7)
    assert message.time_ms == 1795262400250
    assert message.headers == [
        ("ce_specversion", b"1.0"),
        ("ce_source", b"/gateway/g"),
        ("content-type", b"application/json"),
        ("ce_id", b"id-7"),
        ("ce_type", b"gateway.prediction"),
        ("ce_time", b"2026-11-21T12:00:00.250000Z"),
    ]


@pytest.mark.parametrize(
    "key, expected",
    [
        ("id", b"id-1"),
        ("request_id", b"request-1"),
        ("route", b"chat"),
        ("user", b"anna"),
        ("backend", None),
        ("", None),
    ],
)
def test_key_is_the_member_that_was_asked_for(key: str, expected: bytes | None) -> None:
    (pack,), _ = packed(line(), key=key, records=7)
    (message,) = messages(pack)
    assert message.key == expected
    assert pack.partition == reference.partition(expected or STREAM, 7)


@pytest.mark.parametrize(
    "key, expected",
    [("id", b"id-1"), ("request_id", b"request-1"), ("route", b"request-1"), ("", None)],
)
def test_feedback_has_a_topic_of_its_own_and_the_key_of_its_request(
    key: str, expected: bytes | None
) -> None:
    (pack,), _ = packed(line(kind="feedback", route=None), key=key, records=3, feedback=5)
    assert pack.is_feedback
    assert pack.partition == reference.partition(expected or STREAM, 5)
    (message,) = messages(pack)
    assert message.key == expected
    assert ("ce_type", b"gateway.feedback") in message.headers


def test_nothing_is_packed_while_the_partitions_for_feedback_are_not_known() -> None:
    data = line(1) + b"\n" + line(2, kind="feedback") + b"\n"
    assert packer().pack(data, STREAM, 4, 0, ROOM, NOW_MS) is None
    assert packer().pack(line(1) + b"\n", STREAM, 4, 0, ROOM, NOW_MS) is not None


def test_escapes_are_undone_in_keys_and_headers_alone() -> None:
    text = 'a"\\\n\u00e9\U0001f600'
    record = json.dumps({"id": text, "request_id": text, "time": "t", "kind": "refusal"})
    compact = record.replace(", ", ",").replace(": ", ":").encode()
    message = only(compact)
    assert message.key == text.encode()
    assert dict(message.headers)["ce_id"] == text.encode()
    assert message.value == compact


def test_lines_of_a_partition_keep_their_order_over_full_packs() -> None:
    lines = [line(number) for number in range(400)]
    packs, refused = packed(*lines, room=20_000)
    assert not refused
    assert all(len(pack.data) <= 20_000 for pack in packs)
    by_partition: dict[int, list[bytes]] = {}
    for pack in packs:
        by_partition.setdefault(pack.partition, []).extend(
            message.value for message in messages(pack)
        )
    for partition, values in by_partition.items():
        assert values == [
            each
            for number, each in enumerate(lines)
            if reference.partition(b"request-%d" % number, 4) == partition
        ]
    assert sum(map(len, by_partition.values())) == 400


def test_line_beyond_the_room_comes_alone() -> None:
    big = line(2, user="x" * 30_000)
    packs, _ = packed(line(1), big, line(3), records=1, room=10_000)
    assert [pack.count for pack in packs] == [1, 1, 1]
    assert [pack.first_line for pack in packs] == [0, 1, 2]
    assert messages(packs[1])[0].value == big


def test_times_are_told_by_the_first_also_backwards() -> None:
    times = ["12:00:05.5", "12:00:01.25", "12:00:09"]
    lines = [line(n, time=f"2026-11-21T{time}Z") for n, time in enumerate(times)]
    (pack,), _ = packed(*lines, records=1)
    assert (pack.first_ms, pack.last_ms) == (1795262405500, 1795262409000)
    assert [each.time_ms for each in messages(pack)] == [
        1795262405500,
        1795262401250,
        1795262409000,
    ]


def test_record_without_a_readable_time_has_the_present_one() -> None:
    assert only(line(time="soon")).time_ms == NOW_MS


def test_line_over_the_limit_is_refused_and_the_others_go() -> None:
    packs, refused = packed(line(0), line(1, user="x" * 900), line(2), records=1, most_bytes=500)
    assert refused == [(1, "longer than max_message")]
    assert [message.value for message in messages(packs[0])] == [line(0), line(2)]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b"\0\0\0",
        b'{"id":"a"}',
        b'{"id":"a","time":"t"}',
        b'{"id":1,"request_id":"r","time":"t","kind":"k"}',
        b'{"id":"","request_id":"r","time":"t","kind":"k"}',
        b'{"id":"a","request_id":"r","time":"t","kind":"k',
        b'{"id":"a","request_id":"\\x","time":"t","kind":"k"}',
        b'{"id":"\\ud800","request_id":"r","time":"t","kind":"k"}',
        b'{"id":"a","time":"t","kind"',
        b'{"id":"a","time":"t","kind":',
        b'{"id":"a","time":"t","request":{"a":["',
    ],
)
def test_line_that_is_no_record_is_refused(bad: bytes) -> None:
    packs, refused = packed(line(0), bad, line(2), records=1)
    assert refused == [(1, "not a record")]
    assert [message.value for message in messages(packs[0])] == [line(0), line(2)]


@given(st.binary(max_size=300).map(lambda data: data.replace(b"\n", b"")), st.integers(0, 300))
def test_damaged_lines_are_packed_as_they_are_or_refused(junk: bytes, at: int) -> None:
    whole = line(1)
    damaged = whole[:at] + junk + whole[at + len(junk) :]
    for key in ("request_id", "route"):
        packs, refused = packed(damaged, key=key)
        assert len(packs) + len(refused) == 1
        assert [message.value for pack in packs for message in messages(pack)] in ([], [damaged])


def test_line_without_its_newline_is_packed_too() -> None:
    packs, _ = packer().pack(line(1), STREAM, 1, 1, ROOM, NOW_MS) or ([], [])
    assert messages(packs[0])[0].value == line(1)


def test_skipped_lines_are_left_out() -> None:
    (pack,), refused = packed(line(0), line(1), line(2), records=1, skipped={0, 2})
    assert not refused
    assert pack.first_line == 1
    assert [message.value for message in messages(pack)] == [line(1)]


def test_values_stand_for_the_lines() -> None:
    packs, refused = packed(line(0), line(1), records=1, values=[b"zero", None])
    assert refused == [(1, "not a record")]
    (message,) = messages(packs[0])
    assert (message.key, message.value) == (b"request-0", b"zero")


def test_record_grows_with_its_lengths() -> None:
    """Each length that changes how long a length is."""
    for size in (0, 30, 60, 61, 62, 63, 64, 127, 128, 8190, 8191, 8192, 8193, 70_000):
        text = "k" * size
        message = only(line(1, request_id=text or "r", user=text))
        assert message.key == (text or "r").encode()
