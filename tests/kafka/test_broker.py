"""The broker of the tests: shared by processes, killed and started again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka import ROOT, do_without, new_topic
from tests.support.kafka_broker import Address, Broker, answers, free_ports
from tests.support.kafka_jars import KafkaUnavailable, locked

ASKS = "from tests.support.kafka import shared_broker\nwith shared_broker() as a: print(a.plain)"


def test_shared_broker_answers(kafka: Address) -> None:
    assert answers(kafka.plain)


def test_shared_broker_is_the_same_for_another_process(kafka: Address) -> None:
    if not kafka.sasl:
        pytest.skip("GATEWAY_TEST_KAFKA names the broker")
    done = subprocess.run(
        [sys.executable, "-c", ASKS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == kafka.plain


def test_killed_broker_answers_again_at_its_address(killable_kafka: Broker) -> None:
    assert answers(killable_kafka.bootstrap)
    killable_kafka.kill()
    assert not answers(killable_kafka.bootstrap)
    killable_kafka.start()
    assert answers(killable_kafka.bootstrap)


def test_lock_that_another_holds_is_waited_for_only_so_long(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "lock", 1),
        pytest.raises(KafkaUnavailable, match="held a lock"),
        locked(tmp_path / "lock", 0.1),
    ):
        pass


def test_tests_without_a_broker_are_skipped_but_fail_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no `java`"):
        do_without(KafkaUnavailable("there is no `java`"))
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no `java`"):
        do_without(KafkaUnavailable("there is no `java`"))


def test_ports_are_free_and_not_ephemeral() -> None:
    ports = free_ports(6)
    assert len(set(ports)) == 6
    assert all(20_000 <= port < 32_000 for port in ports)


def test_topics_have_names_of_their_own() -> None:
    assert new_topic() != new_topic()
