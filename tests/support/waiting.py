"""Waiting for something to become true, with a bound: what tests use instead of sleeping.

What holds may be a question to an admin port: asked two hundred times a second it takes the
cores from what is waited for. So it is asked less often the longer it takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SHORTEST_S, LONGEST_S = 0.002, 0.05  # between two questions


def until(
    holds: Callable[[], object], timeout_s: float = 2.0, why: Callable[[], object] = lambda: ""
) -> None:
    """Wait until it holds; an assertion fails when it does not in time."""
    deadline, pause_s = time.monotonic() + timeout_s, SHORTEST_S
    while not holds():
        assert time.monotonic() < deadline, f"it did not become true in time {why()}"
        time.sleep(pause_s)
        pause_s = min(1.25 * pause_s, LONGEST_S)
