"""The history of configurations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from gateway.errors import StateError
from gateway.state import history as history_module
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry


@pytest.fixture
def history(tmp_path: Path) -> Iterator[ConfigHistory]:
    engine = open_database(tmp_path)
    yield ConfigHistory(engine)
    engine.dispose()


def entry(
    hash_: str, outcome: Literal["applied", "refused"] = "applied", text: str = "a: 1"
) -> Entry:
    return Entry(at_ms=1_700_000_000_000, author="file", hash=hash_, outcome=outcome, text=text)


def test_entries_come_back_newest_first(history: ConfigHistory) -> None:
    for name in ("aaaa1", "bbbb2", "cccc3"):
        history.append(entry(name))
    assert [one.hash for one in history.latest()] == ["cccc3", "bbbb2", "aaaa1"]
    assert [one.hash for one in history.latest(1)] == ["cccc3"]
    newest = history.latest(1)[0]
    assert msgspec.structs.replace(newest, id=0) == entry("cccc3")


def test_latest_good_skips_what_was_refused(history: ConfigHistory) -> None:
    assert history.latest_good() is None
    history.append(entry("aaaa1"))
    history.append(entry("bbbb2", "refused"))
    good = history.latest_good()
    assert good is not None
    assert good.hash == "aaaa1"


def test_prefix_finds_the_latest_of_one_hash(history: ConfigHistory) -> None:
    history.append(entry("abcd1111", text="old"))
    history.append(entry("abcd1111", text="new"))
    assert history.get("abcd").text == "new"


@pytest.mark.parametrize(
    "prefix, message",
    [
        ("abc", "give at least 4 characters"),
        ("%%%%", "give at least 4 characters"),
        ("eeee", "no configuration in the history has a hash that begins with eeee"),
        ("abcd", "2 configurations have a hash that begins with abcd"),
    ],
)
def test_prefix_that_finds_none_or_several_is_refused(
    history: ConfigHistory, prefix: str, message: str
) -> None:
    history.append(entry("abcd1111"))
    history.append(entry("abcd2222"))
    with pytest.raises(StateError, match=message):
        history.get(prefix)


def test_history_is_bounded_but_keeps_the_last_good_one(
    history: ConfigHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "MOST_ENTRIES", 3)
    history.append(entry("good1"))
    for number in range(5):
        history.append(entry(f"bad{number}", "refused"))
    assert [one.hash for one in history.latest()] == ["bad4", "bad3", "bad2", "good1"]


def test_history_without_a_good_one_is_bounded_too(
    history: ConfigHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "MOST_ENTRIES", 2)
    for number in range(5):
        history.append(entry(f"bad{number}", "refused"))
    assert [one.hash for one in history.latest()] == ["bad4", "bad3"]
