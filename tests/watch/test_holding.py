"""One partition: counted, flushed, lost on the way, and gone on with by the next owner."""

from __future__ import annotations

import msgspec
import pytest
from aiokafka.errors import ProducerFenced
from hypothesis import given
from hypothesis import strategies as st

from gateway.profiles.text_column import Data
from gateway.watch.group.holding import Defect, Holding
from tests.kafka.listing import Listing, listed
from tests.support.loops import LoopThread
from tests.watch.record_batches import attributed, batch
from tests.watch.state_log import StateLog, fetched

STREAM = "w0"
NOW = 29_000_000


def line(seq: int) -> bytes:
    return b'{"stream":"w0","seq":%d}' % seq


class Broken(Listing):
    """Cannot count a line of a certain number."""

    def count(self, lines: Data, now_minute: int) -> int:
        if line(13) in lines:
            raise ZeroDivisionError
        return super().count(lines, now_minute)

    def pass_over(
        self, stream: str, last_seq: int, records: int, sample: bytes, now_minute: int
    ) -> None:
        self._last[stream] = last_seq


async def opened(log: StateLog, tally: Listing | None = None, **more: object) -> Holding:
    holding = Holding(0, log, tally or Listing(), **more)  # type: ignore[arg-type]
    await holding.open()
    return holding


def counted(log: StateLog) -> list[int]:
    return listed(log.state().kept[0].profiles).get(STREAM, [])


async def test_what_was_flushed_is_kept_with_where_to_go_on() -> None:
    log = StateLog()
    holding = await opened(log)
    assert holding.count(fetched(0, batch(0, [line(1), line(2)])), NOW) == 2
    await holding.flush()
    assert counted(log) == [1, 2]
    again = await opened(log)
    assert again.position == 2
    assert not again.is_dirty
    again.count(fetched(2, batch(2, [line(2), line(3)])), NOW)  # a line that came twice
    await again.flush()
    assert counted(log) == [1, 2, 3]


async def test_what_was_not_flushed_is_counted_by_the_next_owner() -> None:
    log = StateLog()
    holding = await opened(log)
    holding.count(fetched(0, batch(0, [line(1)])), NOW)
    await holding.flush()
    holding.count(fetched(1, batch(1, [line(2)])), NOW)
    owner = await opened(log)
    owner.count(fetched(1, batch(1, [line(2)])), NOW)
    await owner.flush()
    with pytest.raises(ProducerFenced):
        await holding.flush()
    assert counted(log) == [1, 2]


async def test_msgpack_is_counted_as_json_is() -> None:
    log = StateLog()
    holding = await opened(log)
    packed = [msgspec.msgpack.encode({"stream": STREAM, "seq": seq}) for seq in (1, 2)]
    holding.count(fetched(0, batch(0, packed)), NOW)
    await holding.flush()
    assert counted(log) == [1, 2]


async def test_what_cannot_be_counted_is_passed_over_alone() -> None:
    log = StateLog()
    holding = await opened(log, Broken())
    holding.count(fetched(0, batch(0, [line(1)])), NOW)
    await holding.flush()
    data = batch(1, [line(12), line(13)]) + batch(3, [line(14)])
    with pytest.raises(Defect) as raised:
        holding.count(fetched(1, data), NOW)
    again = await opened(log, Broken(), passed=[raised.value.records])
    again.count(fetched(1, data + batch(4, [line(15)])), NOW)
    await again.flush()
    assert counted(log) == [1, 15]
    assert again.position == 5


Steps = list[tuple[str, int]]


@given(
    st.lists(
        st.tuples(st.sampled_from(["count", "flush", "fail", "die", "twice"]), st.integers(1, 5)),
        max_size=40,
    )
)
def test_each_line_is_counted_once_whatever_happens(steps: Steps) -> None:
    """A member is killed, a commit fails, a batch is there twice: the list has each line once."""
    with LoopThread() as loop:
        loop.run(_live(steps))


async def _live(steps: Steps) -> None:
    log, topic, seq = StateLog(), list[bytes](), 0
    holding = await opened(log)
    for what, many in [*steps, ("count", 1), ("flush", 1)]:
        if what in ("count", "twice"):
            lines = [line(seq + number) for number in range(1, many + 1)]
            seq += many
            topic += lines * (1 + (what == "twice"))
            at = holding.position
            holding.count(fetched(at, batch(at, topic[at:])), NOW)
        elif what == "flush":
            await holding.flush()
        else:
            if what == "fail":
                log.producers[-1].fail = True
                if holding.is_dirty:
                    with pytest.raises(TimeoutError):
                        await holding.flush()
            holding = await opened(log)
    at = holding.position
    if at < len(topic):
        holding.count(fetched(at, batch(at, topic[at:])), NOW)
        await holding.flush()
    assert counted(log) == list(range(1, seq + 1))
    assert log.state().kept[0].position.next == len(topic)


def test_listing_lists() -> None:
    tally = Listing()
    tally.count(line(1) + b"\n" + line(1) + b"\n", NOW)
    assert listed(tally.drain().profiles) == {STREAM: [1]}


async def test_a_batch_that_cannot_be_read_is_lost_alone() -> None:
    """Its checksum is right, so that it would be the same the next time."""
    log = StateLog()
    holding = await opened(log)
    damaged = attributed(batch(1, [line(2), line(3)]), 4)  # it says zstd, and is not
    holding.count(fetched(0, batch(0, [line(1)]) + damaged + batch(3, [line(4)])), NOW)
    await holding.flush()
    assert counted(log) == [1, 4]
    assert (holding.lost, holding.position) == (2, 4)
