"""What all tests share: nothing of theirs outlives them."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Why: on a busy machine an example takes as long as it takes; only its result is judged.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Why: what is collected and imported stays to the end, and is looked through dozens of times.
gc.disable()

_CHILDREN = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")


def _children() -> set[int]:
    return {int(pid) for pid in _CHILDREN.read_text().split()} if _CHILDREN.exists() else set()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _no_process_is_left_behind() -> Iterator[None]:
    """A process that a test started and did not end is killed, and the test fails."""
    before = _children()
    yield
    left = _children() - before
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not left, f"processes left behind: {sorted(left)}"
