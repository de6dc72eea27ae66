"""Where rollouts stand: one transaction for what follows from one look."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import StateError
from gateway.state.database import open_database
from gateway.state.rollouts import KeptDecision, KeptState, RolloutStates


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RolloutStates]:
    engine = open_database(tmp_path)
    yield RolloutStates(engine)
    engine.dispose()


def decision(n: int, rollout: str = "r") -> KeptDecision:
    return KeptDecision(n, rollout, 1_700_000_000_000, "advanced", "{}", f"hash{n}")


def test_states_and_decisions_come_back(store: RolloutStates) -> None:
    assert store.states() == []
    assert store.last() == (0, "")
    store.save([KeptState("b", 1, "x"), KeptState("a", 1, "y")], [decision(1), decision(2, "a")])
    store.save([KeptState("b", 2, "z")], [decision(3)])
    assert store.states() == [KeptState("a", 1, "y"), KeptState("b", 2, "z")]
    assert store.last() == (3, "hash3")
    assert [one.n for one in store.decisions()] == [1, 2, 3]
    assert [one.n for one in store.decisions(rollout="r")] == [1, 3]
    assert store.decisions(after=1, limit=1) == [decision(2, "a")]


@pytest.mark.parametrize(
    "states,decisions",
    [
        ([KeptState("a", 1, "again")], [decision(2)]),  # it is there
        ([KeptState("a", 3, "late")], [decision(2)]),  # somebody wrote version 2 meanwhile
        ([KeptState("new", 2, "odd")], [decision(2)]),  # there is no version 1
        ([KeptState("a", 2, "fits")], [decision(1)]),  # the number is taken
    ],
)
def test_who_was_slower_changes_nothing(
    store: RolloutStates, states: list[KeptState], decisions: list[KeptDecision]
) -> None:
    store.save([KeptState("a", 1, "first")], [decision(1)])
    with pytest.raises(StateError, match="another controller has decided meanwhile"):
        store.save(states, decisions)
    assert store.states() == [KeptState("a", 1, "first")]
    assert store.last() == (1, "hash1")
