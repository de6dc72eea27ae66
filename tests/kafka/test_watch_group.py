"""The consumer group that counts, against a real broker."""

from __future__ import annotations

from pathlib import Path

from gateway.watch.state_topic import Kept
from tests.kafka.lines import alone, records, settings
from tests.kafka.listing import listed
from tests.kafka.members import caught_up, kept_of, member_of, running, sending
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address


def everything(kept: dict[int, Kept]) -> list[int]:
    """All lines that were counted, of one stream."""
    return sorted(
        seq for one in kept.values() for seqs in listed(one.profiles).values() for seq in seqs
    )


async def test_one_member_counts_everything_once(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic())
    async with running(member_of(config)) as member, sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 3000))
        await sink.deliver(records(2001, 3000))  # a batch that came twice
        await sink.deliver(records(3001, 4000))
        await caught_up(config, 20)
    assert everything(await kept_of(config)) == list(range(1, 4001))
    assert member.status.lines == 5000
    assert not member.status.sentence
    await alone()
