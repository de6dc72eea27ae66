"""What a member does beside counting: fields that are learned are the same for all of the group."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.brokers import Brokers
from gateway.config.recording import Kafka, KafkaCreate
from gateway.config.watching import Drift, DriftConsumer, DriftReference, DriftRule
from gateway.watch.group.state_topic import Kept
from gateway.watch.group.watcher import Watcher
from gateway.watch.learner import LEARN_LINES
from tests.kafka.lines import alone, batch_of, record, settings
from tests.kafka.members import (
    GROUP,
    HURRY,
    caught_up,
    eventually,
    kept_of,
    running,
    sending,
    state_topic_of,
)
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address

MORE = 1000  # lines, after those that are learned from


WEEK = DriftReference(kind="last_week")
STRETCH = DriftReference(
    kind="pinned", since="2026-11-21T12:00:01Z", until="2026-11-21T12:00:04Z", route="chat"
)


def watcher_of(config: Kafka, folder: Path, reference: DriftReference = WEEK) -> Watcher:
    """Against last week, so that the first traffic says what the fields are; or another."""
    drift = Drift(
        references={"then": reference},
        rules={"inputs": DriftRule(reference="then", routes=("chat",))},
        consumer=DriftConsumer(
            source="kafka", group=GROUP, state_topic=state_topic_of(config.topic)
        ),
    )
    return Watcher(Brokers(config), drift, ["chat"], bases=folder, pace=HURRY)


def counted_of(kept: dict[int, Kept]) -> int:
    return sum(one.position.told.get("counted", 0) for one in kept.values())


@pytest.mark.slow
async def test_what_the_leader_learns_is_what_all_count_on(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=2))
    first, second = (watcher_of(config, tmp_path / name) for name in "ab")
    async with running(first), running(second), sending(config, tmp_path) as sink:
        await eventually(lambda: len(first.member.held) == len(second.member.held) == 1)
        assert first.bases.learning == second.bases.learning == ("chat",)
        # Why twice as many: the leader sees its own partition only.
        for at in range(1, 2 * LEARN_LINES + 1000, 1000):
            lines = [record(seq, finish_reason="stop") for seq in range(at, at + 1000)]
            await sink.deliver(batch_of(lines, at))
        await eventually(lambda: first.bases.all and second.bases.all)
        assert first.bases.all == second.bases.all
        (basis,) = first.bases.all
        assert basis.origin == "learned"
        before = sum(
            one.position.told.get("counted", 0) for one in (await kept_of(config)).values()
        )
        at = 3 * LEARN_LINES
        lines = [record(seq, finish_reason="stop") for seq in range(at, at + MORE)]
        await sink.deliver(batch_of(lines, at))
        await caught_up(config, 20)
    kept = await kept_of(config)
    assert counted_of(kept) - before >= MORE
    assert {key.basis for one in kept.values() for key in one.profiles} == {basis.name}
    again = watcher_of(config, tmp_path / "c")
    async with running(again):
        await eventually(lambda: again.bases.all)
        assert again.bases.all == first.bases.all
        assert not again.bases.learning
    await alone()


@pytest.mark.slow
async def test_the_leader_pins_a_stretch_of_the_topic_for_all(
    kafka: Address, tmp_path: Path
) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=2))
    first, second = (watcher_of(config, tmp_path / name, STRETCH) for name in "ab")
    async with sending(config, tmp_path) as sink:
        # Milliseconds of 12:00:00 by their numbers, and others of the time that are not meant.
        meant = [record(seq, finish_reason="stop") for seq in range(1, 6000)]
        await sink.deliver(batch_of(meant, 1))
        other = [record(seq, stream="b", route="other") for seq in range(1, 6000)]
        await sink.deliver(batch_of(other, 1, "b"))
    async with running(first), running(second):
        await eventually(lambda: first.bases.all and second.bases.all)
        assert first.bases.all == second.bases.all
        (basis,) = first.bases.all
        assert basis.origin == "pinned"
        assert basis.reference.rows == 3000
        assert basis.reference.begun == "2026-11-21T12:00:01.000000Z"
        assert basis.reference.ended == "2026-11-21T12:00:03.999000Z"
        assert not first.bases.problems
        assert not first.unpinned
    again = watcher_of(config, tmp_path / "c", STRETCH)
    async with running(again):
        await eventually(lambda: again.bases.all)
        assert again.bases.all == first.bases.all
    await alone()


@pytest.mark.slow
async def test_stretch_that_the_topic_does_not_have_is_told(kafka: Address, tmp_path: Path) -> None:
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=2))
    gone = DriftReference(kind="pinned", since="2026-01-01T00:00:00Z", until="2026-01-02T00:00:00Z")
    watcher = watcher_of(config, tmp_path, gone)
    async with sending(config, tmp_path) as sink:
        await sink.deliver(batch_of([record(seq) for seq in range(1, 100)], 1))
    async with running(watcher):
        await eventually(lambda: watcher.unpinned)
        (sentence,) = watcher.unpinned.values()
    assert sentence.startswith("drift.references.then: no record of the route `chat` of that time")
    await alone()
