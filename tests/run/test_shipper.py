from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gateway.run import child, shipper


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is set meanwhile."""
    made: list[str] = []
    monkeypatch.setattr(child, "keep_freed", lambda: made.append("keep_freed"))
    yield made
    gc.unfreeze()


def test_freed_memory_is_kept_and_what_is_loaded_is_not_looked_through(settings: list[str]) -> None:
    shipper.spare_memory({})
    assert settings == ["keep_freed"]
    assert gc.get_freeze_count() > 0


def test_whoever_set_glibcs_variable_has_chosen(settings: list[str]) -> None:
    shipper.spare_memory({child.TRIM_SET: "131072"})
    assert settings == []
