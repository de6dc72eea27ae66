"""Values and positions on the way to the state topic, and back."""

from __future__ import annotations

import pytest
from aiokafka.errors import ProducerFenced

from gateway.profiles.slices import Source
from gateway.watch.changes import Changes, Key
from gateway.watch.group.state_topic import MOST_PARTS, PART_BYTES, Position, State, in_parts
from tests.watch.record_batches import batch
from tests.watch.state_log import StateLog, fetched

FIRST = Key("b", Source("chat", "7"), 100)
HOUR = Key("b", Source("chät", "", "blue"), 60, 60)


async def committed(log: StateLog, changes: Changes, position: Position) -> None:
    writer = log.writer(1)
    await writer.start()
    await writer.commit(changes, position)


async def test_what_was_committed_is_restored() -> None:
    log = StateLog()
    position = Position(next=44, marks={"w0": 9}, told={"counted": 3}, newest=161, lost=2)
    await committed(log, Changes(profiles={FIRST: b"one", HOUR: b"two"}), position)
    kept = await log.restored(1)
    assert kept.profiles == {FIRST: b"one", HOUR: b"two"}
    assert kept.position == position
    assert kept.changes == Changes(
        profiles=kept.profiles, marks={"w0": 9}, told={"counted": 3}, newest=161
    )
    assert log.committed == {1: 44}
    assert (await log.restored(0)).profiles == {}


async def test_later_values_replace_earlier_ones_and_what_is_gone_goes() -> None:
    log = StateLog()
    await committed(log, Changes(profiles={FIRST: b"one", HOUR: b"two"}), Position(next=1))
    await committed(log, Changes(profiles={HOUR: b"new"}, gone=[FIRST]), Position(next=2))
    kept = await log.restored(1)
    assert kept.profiles == {HOUR: b"new"}
    assert kept.position.next == 2


async def test_a_long_value_goes_in_parts_and_comes_back_whole() -> None:
    log = StateLog()
    long, longer = bytes(2 * PART_BYTES + 5), b"x" * (3 * PART_BYTES)
    writer = log.writer(1)
    await writer.start()
    for value in (long, longer, long):
        await writer.commit(Changes(profiles={FIRST: value}), Position())
        assert (await log.restored(1)).profiles == {FIRST: value}
    await writer.commit(Changes(gone=[FIRST]), Position())
    assert (await log.restored(1)).profiles == {}
    # Compacted, nothing but tombstones is left of it.
    left = {key: value for key, value in log.messages if b"profiles" in key}
    assert set(left.values()) == {None}


async def test_a_restored_long_value_is_removed_with_all_its_parts() -> None:
    log = StateLog()
    await committed(log, Changes(profiles={FIRST: bytes(PART_BYTES + 1)}), Position())
    writer = log.writer(1)
    await writer.start()
    writer.know((await log.restored(1)).profiles)
    await writer.commit(Changes(gone=[FIRST]), Position())
    left = {key: value for key, value in log.messages if b"profiles" in key}
    assert set(left.values()) == {None}


async def test_who_was_fenced_commits_nothing() -> None:
    log = StateLog()
    former, owner = log.writer(1), log.writer(1)
    await former.start()
    await owner.start()
    with pytest.raises(ProducerFenced):
        await former.commit(Changes(profiles={FIRST: b"one"}), Position(next=9))
    assert (await log.restored(1)).position.next == 0


async def test_documents_are_kept_beside() -> None:
    log = StateLog()
    writer = log.writer(0)
    await writer.start()
    await writer.commit(Changes(), Position(), {"learned.chat": b"{}"})
    assert log.state().documents == {"learned.chat": b"{}"}


@pytest.mark.parametrize(
    "key",
    [None, b"", b"no JSON", b"7", b"[1]", b'["others","records",0,"profiles",0]', b"\xff"],
)
def test_messages_of_others_are_passed_over(key: bytes | None) -> None:
    state = State(StateLog().scope)
    state.take(fetched(0, batch(0, [b"\x01value"], keys=[key])))
    assert state.kept == {}


def test_a_value_that_cannot_be_kept_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="too long for the state topic"):
        list(in_parts(bytes(MOST_PARTS * PART_BYTES + 1)))
