"""Record batches of an answer: what is committed, what is whole, what is damaged."""

from __future__ import annotations

import msgspec
import pytest

from gateway.watch.group.fetching import read_batches
from gateway.watch.group.pile import Pile
from tests.watch.record_batches import ABORT, COMMIT, attributed, batch, marker


def values(data: bytes, position: int = 0, aborted: tuple[tuple[int, int], ...] = ()) -> bytes:
    """The lines of all batches, and the offset behind them as the last one."""
    batches, behind = read_batches(data, position, aborted)
    found = [value or b"" for one in batches for _key, value in one.entries(position)]
    return b"".join(value + b"\n" for value in found) + b"%d" % behind


@pytest.mark.parametrize("codec", range(5), ids=["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_is_read(codec: int) -> None:
    many = [b"value %d" % number for number in range(200)]
    assert values(batch(7, many, codec=codec)) == b"\n".join(many) + b"\n207"


def test_a_batch_that_begins_before_the_position_is_read_from_there() -> None:
    data = batch(10, [b"a", b"b", b"c"]) + batch(13, [b"d"])
    assert values(data, 12) == b"c\nd\n14"
    assert values(data, 13) == b"d\n14"


def test_the_last_batch_may_be_cut_off_and_comes_again() -> None:
    whole = batch(0, [b"a"]) + batch(1, [b"b"])
    for cut in range(len(batch(0, [b"a"])), len(whole)):
        assert values(whole[:cut]) == b"a\n1"


def test_what_was_aborted_is_not_there_and_what_was_committed_is() -> None:
    data = (
        batch(0, [b"aborted"], producer=1, is_transactional=True)
        + batch(1, [b"committed"], producer=2, is_transactional=True)
        + marker(2, 1, ABORT)
        + marker(3, 2, COMMIT)
        + batch(4, [b"next of 1"], producer=1, is_transactional=True)
        + marker(5, 1, COMMIT)
        + batch(6, [b"again"], producer=1, is_transactional=True)
        + batch(7, [b"plain"], producer=1)
        + marker(8, 1, ABORT)
    )
    assert values(data, 0, ((1, 0), (1, 6))) == b"committed\nnext of 1\nplain\n9"


def test_a_wrong_checksum_is_refused() -> None:
    data = bytearray(batch(0, [b"a", b"b"]))
    data[-3] ^= 1
    with pytest.raises(ValueError, match="the checksum of a record batch is wrong"):
        read_batches(bytes(data), 0, ())


def test_what_cannot_be_decompressed_is_refused_where_it_is_wanted() -> None:
    whole = batch(0, [b"a" * 100], codec=4)
    (one,), behind = read_batches(whole, 0, ())
    broken = msgspec.structs.replace(one, data=one.data[:-9])
    with pytest.raises(ValueError, match="a record batch cannot be decompressed"):
        Pile().add(broken, 0)
    assert behind == 1


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(ValueError, match="codec of number 7, which is not known"):
        read_batches(attributed(batch(0, [b"a"]), 7), 0, ())


def test_another_message_format_is_refused() -> None:
    data = bytearray(batch(0, [b"a"]))
    data[16] = 1
    with pytest.raises(ValueError, match="message format 1; 2 is what is read"):
        read_batches(bytes(data), 0, ())


def test_an_answer_without_anything_leaves_the_position() -> None:
    assert values(b"", 42) == b"42"
    assert values(b"\0" * 30, 42) == b"42"


@pytest.mark.parametrize("codec", [3, 4], ids=["lz4", "zstd"])
def test_a_large_batch_is_read_among_small_ones(codec: int) -> None:
    large = [b"%d" % number * 500 for number in range(1000)]  # past the room that is kept
    for many in ([b"a"], large, [b"b"], large, [b"c"]):
        assert values(batch(0, many, codec=codec)) == b"\n".join(many) + b"\n%d" % len(many)


def test_a_damaged_frame_of_lz4_is_refused() -> None:
    (one,), _ = read_batches(batch(0, [b"a" * 100], codec=3), 0, ())
    for data in (one.data[:-9], one.data[4:]):
        with pytest.raises(ValueError, match="a record batch cannot be decompressed"):
            msgspec.structs.replace(one, data=data).records()
