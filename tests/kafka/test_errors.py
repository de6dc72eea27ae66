"""What brokers may answer, by librdkafka's mock cluster: each error, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.recording import Kafka
from gateway.config.units import Duration
from gateway.shipper.sink import SinkError
from tests.kafka.lines import (
    SECOND,
    assert_complete_and_in_order,
    consume,
    deliver,
    records,
    settings,
    sink_for,
)
from tests.support.kafka_mock import (
    DROPPED_CONNECTION,
    INIT_PRODUCER_ID,
    MESSAGE_TOO_LARGE,
    METADATA,
    NOT_ENOUGH_REPLICAS,
    NOT_LEADER,
    OUT_OF_ORDER_SEQUENCE,
    REQUEST_TIMED_OUT,
    TOPIC_AUTHORIZATION_FAILED,
    MockCluster,
)

TOPIC = "records"


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster(2) as made:
        made.create_topic(TOPIC, 3)
        yield made


def config_of(cluster: MockCluster, **more: object) -> Kafka:
    return settings(
        cluster.bootstrap, TOPIC, create=None, **{"timeout": Duration(5 * SECOND), **more}
    )


async def assert_arrived(cluster: MockCluster, last: int) -> None:
    messages = await consume(cluster.bootstrap, TOPIC)
    assert_complete_and_in_order(messages, last)


@pytest.mark.parametrize(
    "codes",
    [
        (NOT_LEADER, NOT_LEADER),
        (REQUEST_TIMED_OUT,),
        (NOT_ENOUGH_REPLICAS,),
        (DROPPED_CONNECTION,),
        (REQUEST_TIMED_OUT, DROPPED_CONNECTION, NOT_LEADER),
    ],
)
async def test_passing_error_is_sat_out_by_the_producer(
    cluster: MockCluster, tmp_path: Path, codes: tuple[int, ...]
) -> None:
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await sink.deliver(records(1, 30))
        cluster.fail(*codes)
        await sink.deliver(records(31, 60))
        await sink.deliver(records(61, 90))
    await assert_arrived(cluster, 90)


@pytest.mark.parametrize("count", [1, 3])
async def test_lost_sequence_is_answered_by_a_new_producer_and_the_whole_batch(
    cluster: MockCluster, tmp_path: Path, count: int
) -> None:
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await sink.deliver(records(1, 30))
        cluster.fail(*[OUT_OF_ORDER_SEQUENCE] * count)
        said = await deliver(sink, records(31, 60))
        assert said
        assert all("OutOfOrderSequenceNumber" in each for each in said)
        await sink.deliver(records(61, 90))
    await assert_arrived(cluster, 90)


async def test_producer_ids_that_are_refused_are_asked_for_again(
    cluster: MockCluster, tmp_path: Path
) -> None:
    cluster.fail(REQUEST_TIMED_OUT, NOT_LEADER, request=INIT_PRODUCER_ID)
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await deliver(sink, records(1, 30))
    await assert_arrived(cluster, 30)


async def test_connection_that_drops_while_topics_are_looked_up_costs_a_try(
    cluster: MockCluster, tmp_path: Path
) -> None:
    cluster.fail(DROPPED_CONNECTION, DROPPED_CONNECTION, request=METADATA)
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await deliver(sink, records(1, 30))
    await assert_arrived(cluster, 30)


async def test_partition_that_moves_to_another_broker_is_followed(
    cluster: MockCluster, tmp_path: Path
) -> None:
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await sink.deliver(records(1, 30))
        for partition in range(3):
            cluster.lead(TOPIC, partition, 1 + partition % 2)
        await sink.deliver(records(31, 60))
        for partition in range(3):
            cluster.lead(TOPIC, partition, 2 - partition % 2)
        await deliver(sink, records(61, 90))
    await assert_arrived(cluster, 90)


async def test_cluster_that_is_down_for_a_while_is_waited_for(
    cluster: MockCluster, tmp_path: Path
) -> None:
    async with sink_for(config_of(cluster, timeout=Duration(SECOND)), tmp_path) as sink:
        await deliver(sink, records(1, 30))
        cluster.down()
        for _ in range(2):
            with pytest.raises(SinkError, match=r"did not acknowledge|no broker answers"):
                await sink.deliver(records(31, 60))
        cluster.up()
        await deliver(sink, records(31, 60))
    await assert_arrived(cluster, 60)


async def test_answer_that_comes_too_late_makes_duplicates_and_no_gap(
    cluster: MockCluster, tmp_path: Path
) -> None:
    async with sink_for(config_of(cluster, timeout=Duration(SECOND)), tmp_path) as sink:
        await deliver(sink, records(1, 30))
        cluster.slow(1500)
        with pytest.raises(SinkError, match="did not acknowledge 30 records within 1 s"):
            await sink.deliver(records(31, 60))
        cluster.slow(0)
        await deliver(sink, records(31, 60))
        await sink.deliver(records(61, 90))
    await assert_arrived(cluster, 90)


async def test_topic_that_may_not_be_written_to_is_told(
    cluster: MockCluster, tmp_path: Path
) -> None:
    async with sink_for(config_of(cluster), tmp_path) as sink:
        cluster.fail(TOPIC_AUTHORIZATION_FAILED, TOPIC_AUTHORIZATION_FAILED)
        with pytest.raises(SinkError, match="this user may not write to the topic"):
            await sink.deliver(records(1, 30))
        await deliver(sink, records(1, 30))
    await assert_arrived(cluster, 30)


async def test_batch_that_is_too_long_is_halved_once(cluster: MockCluster, tmp_path: Path) -> None:
    async with sink_for(config_of(cluster), tmp_path) as sink:
        await sink.deliver(records(1, 30))
        room = sink._room
        cluster.fail(MESSAGE_TOO_LARGE)
        await sink.deliver(records(31, 60))
        assert sink._room < room
        assert sink.dead_letters == 0
        await sink.deliver(records(61, 90))
    await assert_arrived(cluster, 90)
