"""Waiting for something to become true, with a bound: what tests use instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    holds: Callable[[], object], timeout_s: float = 2.0, why: Callable[[], object] = lambda: ""
) -> None:
    """Wait until it holds; an assertion fails when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"it did not become true in time {why()}"
        time.sleep(0.005)
