"""One message to a topic of a cluster that may refuse it."""

from __future__ import annotations

from gateway.config.recording import Kafka
from gateway.notices.courier import Parcel
from gateway.run.alerts import AlertTopic
from tests.support.kafka_mock import TOPIC_AUTHORIZATION_FAILED, MockCluster

PARCEL = Parcel(key="alert-1-1", event="opened", about="alert 1", body=b"{}")


async def test_message_is_acknowledged() -> None:
    with MockCluster() as cluster:
        cluster.create_topic("alerts", 1)
        kafka = Kafka(bootstrap=cluster.bootstrap)
        assert (await AlertTopic(kafka, "alerts")(PARCEL)).is_told


async def test_topic_that_is_not_there_is_a_sentence() -> None:
    with MockCluster() as cluster:
        outcome = await AlertTopic(Kafka(bootstrap=cluster.bootstrap), "alerts")(PARCEL)
    assert not outcome.is_told
    assert "alerts" in outcome.sentence


async def test_broker_that_refuses_is_a_sentence() -> None:
    with MockCluster() as cluster:
        cluster.create_topic("alerts", 1)
        cluster.fail(TOPIC_AUTHORIZATION_FAILED)
        outcome = await AlertTopic(Kafka(bootstrap=cluster.bootstrap), "alerts")(PARCEL)
    assert not outcome.is_told
    assert outcome.sentence == "this user may not write to the topic"


async def test_no_brokers_are_final() -> None:
    assert (await AlertTopic(None, "alerts")(PARCEL)).is_final
