"""What a group has committed, as whoever asks for a report reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.brokers import BrokerError
from gateway.config.watching import DriftConsumer
from gateway.watch.group.committed import committed
from gateway.watch.reports import reports_of_group
from gateway.watch.tally import Tally
from gateway.watch.view import Counted
from tests.kafka.lines import alone, batch_of, settings
from tests.kafka.members import GROUP, caught_up, member_of, running, sending, state_topic_of
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address
from tests.watch.test_reports import HOUR, REFERENCE, cents_from, training
from tests.watch.world import START, Traffic, bases_of

HOURS = 2


async def test_reports_are_made_of_what_the_group_committed(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic())
    consumer = DriftConsumer(source="kafka", group=GROUP, state_topic=state_topic_of(config.topic))
    drift = replace(training(tmp_path), consumer=consumer)
    (basis,) = bases_of(drift, REFERENCE).all
    traffic = Traffic(rows=2, befall=cents_from(START + HOUR))
    lines = [line for at in range(START, START + HOURS * HOUR) for line in traffic.minute(at)]
    data = b"\n".join([*lines, b""])
    member = member_of(config, lambda: Tally([basis]))
    async with running(member), sending(config, tmp_path) as sink:
        await sink.deliver(batch_of(lines))
        await caught_up(config, 20)

    alone_counted = Tally([basis])
    alone_counted.count(data, START + HOURS * HOUR)
    alone_counted.drain()
    wanted = Counted(alone_counted.values, lambda: 0)
    found = await committed(config, consumer)
    (source,) = wanted.sources(basis)
    assert found.told["counted"] == len(lines)
    span = (START, START + HOURS * HOUR)
    by_name = wanted.profiles(basis, source, *span)
    for name, profile in found.view.profiles(basis, source, *span).items():
        assert profile.state() == by_name[name].state()
    reports = await reports_of_group(tmp_path, drift, ["fraud"], config)
    assert reports.counted == found.told
    await alone()


async def test_topic_that_is_not_there_is_told_and_not_made(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic())
    consumer = DriftConsumer(source="kafka", group=GROUP, state_topic="nowhere")
    for _ in range(2):
        with pytest.raises(BrokerError, match="does not exist"):
            await committed(config, consumer)
