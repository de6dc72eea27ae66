"""TLS and SASL against a real broker, and the sentences for what is wrong."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gateway.config.recording import Kafka, KafkaSasl, KafkaTls
from gateway.config.units import Secret
from gateway.shipper.sink import SinkError
from tests.kafka.lines import (
    assert_complete_and_in_order,
    consume,
    records,
    settings,
    sink_for,
)
from tests.support.certificates import Authority
from tests.support.kafka import new_topic
from tests.support.kafka_broker import USERS, Address

MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
WRONG = "wrong-password-7c1f"


def sasl(mechanism: str = "SCRAM-SHA-512", password: str = USERS["gateway"]) -> KafkaSasl:
    return KafkaSasl(
        mechanism=mechanism,  # type: ignore[arg-type]
        username="gateway",
        password=Secret(password),
    )


async def assert_delivers(config: Kafka, broker: str, folder: Path) -> None:
    async with sink_for(config, folder) as sink:
        await sink.deliver(records(1, 20))
    assert_complete_and_in_order(await consume(broker, config.topic), 20)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_user_with_the_right_password_may_write(
    secured_kafka: Address, tmp_path: Path, mechanism: str
) -> None:
    config = settings(secured_kafka.sasl, new_topic(), sasl=sasl(mechanism))
    await assert_delivers(config, secured_kafka.plain, tmp_path)


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_wrong_password_is_told_without_the_password(
    secured_kafka: Address,
    tmp_path: Path,
    mechanism: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = settings(secured_kafka.sasl, new_topic(), sasl=sasl(mechanism, WRONG))
    async with sink_for(config, tmp_path) as sink:
        with (
            caplog.at_level(logging.DEBUG),
            pytest.raises(SinkError, match="refuses user and password of gateway") as caught,
        ):
            await sink.deliver(records(1, 1))
    assert mechanism in str(caught.value)
    assert WRONG not in str(caught.value)
    assert WRONG not in caplog.text


async def test_encrypted_connection_carries_records(secured_kafka: Address, tmp_path: Path) -> None:
    tls = KafkaTls(ca=secured_kafka.ca)
    config = settings(secured_kafka.tls, new_topic(), tls=tls)
    await assert_delivers(config, secured_kafka.plain, tmp_path)


async def test_tls_and_sasl_go_together(secured_kafka: Address, tmp_path: Path) -> None:
    config = settings(
        secured_kafka.sasl_tls, new_topic(), tls=KafkaTls(ca=secured_kafka.ca), sasl=sasl("PLAIN")
    )
    await assert_delivers(config, secured_kafka.plain, tmp_path)


async def test_our_certificate_is_shown_where_it_is_asked_for(
    secured_kafka: Address, tmp_path: Path
) -> None:
    tls = KafkaTls(
        ca=secured_kafka.ca,
        certificate=secured_kafka.client_certificate,
        key=secured_kafka.client_key,
    )
    config = settings(secured_kafka.mutual, new_topic(), tls=tls)
    await assert_delivers(config, secured_kafka.plain, tmp_path)


async def assert_says(config: Kafka, folder: Path, sentence: str) -> None:
    async with sink_for(config, folder) as sink:
        with pytest.raises(SinkError, match=sentence):
            await sink.deliver(records(1, 1))


async def test_missing_client_certificate_is_told(secured_kafka: Address, tmp_path: Path) -> None:
    config = settings(secured_kafka.mutual, new_topic(), tls=KafkaTls(ca=secured_kafka.ca))
    await assert_says(config, tmp_path, "agree on TLS|closes the connection|connection was closed")


async def test_broker_of_another_authority_is_not_trusted(
    secured_kafka: Address, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    config = settings(secured_kafka.tls, new_topic(), tls=KafkaTls(ca=str(stranger.ca_file)))
    await assert_says(config, tmp_path, "the certificate of 127.0.0.1:.* is not trusted")


async def test_plain_connection_to_a_tls_listener_is_told(
    secured_kafka: Address, tmp_path: Path
) -> None:
    config = settings(secured_kafka.tls, new_topic())
    await assert_says(config, tmp_path, "closes the connection; does it want TLS or SASL")


async def test_connection_without_credentials_to_a_sasl_listener_is_told(
    secured_kafka: Address, tmp_path: Path
) -> None:
    config = settings(secured_kafka.sasl, new_topic())
    await assert_says(config, tmp_path, "closes the connection; does it want TLS or SASL")


async def test_tls_to_a_plain_listener_is_told(secured_kafka: Address, tmp_path: Path) -> None:
    config = settings(secured_kafka.plain, new_topic(), tls=KafkaTls(ca=secured_kafka.ca))
    await assert_says(config, tmp_path, "TLS|closes the connection|no broker answers")


async def test_unreadable_certificate_is_told_and_may_be_put_there_later(
    secured_kafka: Address, tmp_path: Path
) -> None:
    ca = tmp_path / "ca.pem"
    config = settings(secured_kafka.tls, new_topic(), tls=KafkaTls(ca=str(ca)))
    async with sink_for(config, tmp_path) as sink:
        with pytest.raises(SinkError, match=r"cannot read the certificates .*ca\.pem: No such"):
            await sink.deliver(records(1, 5))
        ca.write_text(Path(secured_kafka.ca).read_text())
        await sink.deliver(records(1, 5))
