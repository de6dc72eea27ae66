"""The consumer group that counts, against a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from aiokafka.errors import KafkaError

from gateway.config.recording import KafkaCreate, KafkaSasl, KafkaTls
from gateway.config.units import Duration, Secret
from gateway.profiles.recorded import from_lines
from gateway.watch.basis import Basis
from gateway.watch.changes import Sample, decoded
from gateway.watch.group.holding import Holding
from gateway.watch.group.state_topic import Kept
from gateway.watch.tally import Tally
from tests.kafka.lines import SECOND, alone, create_topic, deliver, record, records, settings
from tests.kafka.listing import Listing, listed
from tests.kafka.members import (
    caught_up,
    connected,
    eventually,
    kept_of,
    member_of,
    produce,
    remove_before,
    running,
    sending,
    state_topic_of,
)
from tests.support.kafka import new_topic
from tests.support.kafka_broker import USERS, Address, Broker


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


async def test_malformed_messages_are_counted_and_hold_up_nothing(
    kafka: Address, tmp_path: Path
) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=1))
    aside: list[Sample] = []
    lines = [record(seq, finish_reason="stop") for seq in range(1, 50)]
    reference = from_lines(lines, "chat", signals=("/finish_reason",))
    basis = Basis(name=reference.hash, route="chat", origin="training", reference=reference)
    messages = [
        record(1, finish_reason="stop"),
        b"no JSON\nand a second line",
        b"",
        None,
        b"\xff\xfe",
        msgspec.msgpack.encode(msgspec.json.decode(record(2, finish_reason="stop"))),
        b"\x81\xa1a",  # MessagePack that is cut off
        record(3, finish_reason="stop").replace(b'"v":', b'"v":99'),
        record(4, finish_reason="stop"),
    ]
    async with running(member_of(config, lambda: Tally([basis]), aside=aside.extend)) as member:
        await produce(config, messages)
        await caught_up(config, 20)
    kept = (await kept_of(config))[0]
    assert kept.position.told == {"counted": 3, "malformed": 5, "version": 1}
    (value,) = kept.profiles.values()
    assert decoded(value, reference)["/finish_reason"].rows == 3
    assert {sample.reason for sample in aside} == {"malformed", "version"}
    assert member.status.lines == len(messages)


async def test_partitions_move_to_who_comes_and_back_when_it_goes(
    kafka: Address, tmp_path: Path
) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=4))
    async with running(member_of(config)) as first, sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 1000))
        async with running(member_of(config)) as second:
            await eventually(lambda: len(first.held) == len(second.held) == 2)
            assert first.held.keys() | second.held.keys() == {0, 1, 2, 3}
            assert first.leads != second.leads
            await sink.deliver(records(1001, 2000))
            await caught_up(config, 20)
        await eventually(lambda: len(first.held) == 4)
        await sink.deliver(records(2001, 3000))
        await caught_up(config, 20)
    assert everything(await kept_of(config)) == list(range(1, 3001))
    assert not first.status.fenced
    await alone()


async def test_a_topic_that_is_not_there_is_said_and_waited_for(
    kafka: Address, tmp_path: Path
) -> None:
    config = settings(kafka.plain, new_topic(), create=None)
    async with running(member_of(config)) as member:
        await eventually(lambda: "does not exist" in member.status.sentence)
        assert config.topic in member.status.sentence
        await create_topic(kafka.plain, config.topic)
        await create_topic(kafka.plain, state_topic_of(config.topic), cleanup_policy="compact")
        await eventually(lambda: len(member.held) == 3)
    await alone()


async def test_a_state_topic_that_forgets_is_refused(kafka: Address) -> None:
    config = settings(kafka.plain, new_topic())
    await create_topic(kafka.plain, state_topic_of(config.topic), cleanup_policy="delete")
    async with running(member_of(config)) as member:
        await eventually(lambda: "is not compacted" in member.status.sentence)
        assert not member.held


async def test_what_the_topic_has_lost_is_told(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=1))
    async with sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 100))
        async with running(member_of(config)):
            await caught_up(config, 20)
        await sink.deliver(records(101, 200))
        await remove_before(config, 150)
        async with running(member_of(config)) as member:
            await caught_up(config, 20)
            await eventually(lambda: member.status.lost == 50)
    assert everything(await kept_of(config)) == [*range(1, 101), *range(151, 201)]


@pytest.mark.slow
async def test_a_broker_that_is_away_is_waited_for(killable_kafka: Broker, tmp_path: Path) -> None:
    config = settings(killable_kafka.bootstrap, new_topic(), timeout=Duration(3 * SECOND))
    async with running(member_of(config)) as member, sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 1000))
        await eventually(lambda: member.status.lines == 1000)
        killable_kafka.kill()
        await eventually(lambda: member.status.sentence)
        assert "no broker answers at" in member.status.sentence or "Kafka" in member.status.sentence
        await asyncio.to_thread(killable_kafka.start)
        await deliver(sink, records(1001, 2000))
        await caught_up(config, 60)
        await eventually(lambda: not member.status.sentence)
    assert everything(await kept_of(config)) == list(range(1, 2001))
    await alone()


async def test_tls_and_sasl_are_those_of_the_log(secured_kafka: Address, tmp_path: Path) -> None:
    sasl = KafkaSasl(username="gateway", password=Secret(USERS["gateway"]))
    config = settings(
        secured_kafka.sasl_tls, new_topic(), tls=KafkaTls(ca=secured_kafka.ca), sasl=sasl
    )
    async with running(member_of(config)), sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 100))
        await caught_up(config, 20)
    assert everything(await kept_of(config)) == list(range(1, 101))


async def test_wrong_credentials_are_said_without_the_password(secured_kafka: Address) -> None:
    sasl = KafkaSasl(username="gateway", password=Secret("marigold-9"))
    config = settings(secured_kafka.sasl, new_topic(), sasl=sasl)
    async with running(member_of(config)) as member:
        await eventually(lambda: member.status.sentence)
        assert "refuses user and password of gateway" in member.status.sentence
        assert "marigold" not in member.status.sentence
    await alone()


async def test_who_lost_a_partition_commits_nothing_more(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=1))
    async with sending(config, tmp_path) as sink:
        await sink.deliver(records(1, 100))
        async with connected(config) as (topic, state):
            former, owner = (Holding(0, state, Listing()) for _ in range(2))
            await former.open()
            (fetched,) = await topic.fetch({0: 0})
            former.count(fetched, 30_000_000)
            await owner.open()
            assert owner.position == 0
            owner.count(fetched, 30_000_000)
            await owner.flush()
            with pytest.raises(KafkaError):
                await former.flush()
            await former.close()
            await sink.deliver(records(101, 200))
            (fetched,) = await topic.fetch({0: owner.position})
            owner.count(fetched, 30_000_000)
            await owner.flush()
            await owner.close()
    assert everything(await kept_of(config)) == list(range(1, 201))
    await alone()
