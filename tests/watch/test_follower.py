"""The state of all partitions, followed; and how far looks may go."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gateway.profiles.slices import Source
from gateway.watch.changes import Changes, Key
from gateway.watch.group.fetching import EARLIEST, LATEST, Fetched
from gateway.watch.group.follower import STUCK_S, Follower
from gateway.watch.group.state_topic import Position
from tests.watch.record_batches import batch
from tests.watch.state_log import StateLog, fetched


class Records:
    """The records' topic: where its partitions begin and end."""

    def __init__(self, *ends: int) -> None:
        self.last, self.first = dict(enumerate(ends)), dict.fromkeys(range(len(ends)), 0)

    @property
    def partitions(self) -> int:
        return len(self.last)

    async def ends(self, partitions: int, at: int = LATEST) -> dict[int, int]:
        assert partitions == len(self.last)
        return dict(self.first if at == EARLIEST else self.last)


class Log(StateLog):
    """A state topic of one partition that can be followed."""

    partitions = 1

    @property
    def topic(self) -> Any:
        return self

    async def ends(self, partitions: int) -> dict[int, int]:
        return {0: len(self.messages)}

    async def fetch(self, positions: dict[int, int]) -> list[Fetched]:
        at = positions[0]
        some = self.messages[at : at + 2]
        return [fetched(at, batch(at, [v for _, v in some], keys=[k for k, _ in some]))]

    async def commit(self, partition: int, next: int, newest: int) -> None:  # noqa: A002
        writer = self.writer(partition)
        await writer.start()
        key = Key("b", Source("chat"), newest)
        await writer.commit(Changes(profiles={key: b"value"}), Position(next=next, newest=newest))


def follower_of(log: Log, records: Records) -> Follower:
    return Follower(log, records, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "ends, watermark",
    [
        ((5, 7), 120),  # both have caught up: the newest of them
        ((6, 7), 100),  # the first has not
        ((5, 8), 120),  # the second has not, and is the newest
        ((5, 7, 0), 120),  # a third is empty
        ((5, 7, 1), 0),  # of a third nothing is known
    ],
)
async def test_partitions_with_something_to_count_hold_the_watermark(
    ends: tuple[int, ...], watermark: int
) -> None:
    log = Log()
    await log.commit(0, next=5, newest=100)
    await log.commit(1, next=7, newest=120)
    follower = follower_of(log, Records(*ends))
    await follower.follow(0.0)
    assert follower.watermark == follower.view().watermark == watermark


async def test_a_partition_that_stands_still_is_not_waited_for_any_more() -> None:
    log, records = Log(), Records(6, 7)
    await log.commit(0, next=5, newest=100)
    await log.commit(1, next=7, newest=120)
    follower = follower_of(log, records)
    for at_s, watermark in ((0.0, 100), (STUCK_S, 100), (STUCK_S + 1, 120)):
        await follower.follow(at_s)
        assert follower.watermark == watermark
    records.last[0] = 9
    await log.commit(0, next=6, newest=105)
    await follower.follow(STUCK_S + 2)
    assert follower.watermark == 105


async def test_what_retention_took_is_not_waited_for() -> None:
    log, records = Log(), Records(5, 7)
    records.first[0] = 5
    await log.commit(1, next=7, newest=120)
    follower = follower_of(log, records)
    await follower.follow(0.0)
    assert follower.watermark == 120


async def test_only_what_is_new_is_read_and_replaces_what_was() -> None:
    log = Log()
    follower = follower_of(log, Records(9))
    for newest in (3, 4, 4):
        await log.commit(0, next=newest, newest=newest)
        await follower.follow(0.0)
    kept = log.state().kept[0]
    assert [key.minute for key in kept.profiles] == [3, 4]
    assert follower.watermark == 4


@pytest.mark.parametrize("ends, is_settled", [((5, 7), True), ((5, 8), False), ((5, 7, 1), False)])
async def test_the_clock_counts_only_while_every_partition_is_counted_to_its_end(
    ends: tuple[int, ...],
    is_settled: bool,
) -> None:
    log = Log()
    await log.commit(0, next=5, newest=100)
    await log.commit(1, next=7, newest=120)
    follower = follower_of(log, Records(*ends))
    assert follower.view().settled == 0
    await follower.follow(0.0)
    now = int(time.time() // 60) - 10
    assert follower.view().settled in ({now - 1, now} if is_settled else {0})
