"""The last good configuration on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import StateError
from gateway.state.last_good import FILE_NAME, load_last_good, store_last_good


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    assert load_last_good(tmp_path / "state") is None
    store_last_good(tmp_path / "state", "a: ${KEY}\n")
    store_last_good(tmp_path / "state", "b: \u00e9\n")
    assert load_last_good(tmp_path / "state") == "b: \u00e9\n"
    assert (tmp_path / "state" / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / f".{FILE_NAME}.new").mkdir()
    with pytest.raises(StateError, match=r"cannot write to the state directory .*: Is a directory"):
        store_last_good(tmp_path, "x")


def test_text_that_is_unreadable_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff")
    with pytest.raises(StateError, match=r"cannot read"):
        load_last_good(tmp_path)
