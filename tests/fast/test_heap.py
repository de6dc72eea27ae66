import os
import platform
import resource
import subprocess
import sys

import pytest

# Why two at once: what is freed lies at the heap's end, and is given back, when both are gone.
FAULTS = """
import resource
from gateway._fast import keep_freed
assert {keep} is None or keep_freed()
size, rounds = {size}, {rounds}
def use():
    return bytes(size) + bytes(size)
for _ in range(5):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(rounds):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
ROUNDS = 10
PAGE = resource.getpagesize()

USES_GLIBC = platform.libc_ver()[0] == "glibc" and "asan" not in os.environ.get("LD_PRELOAD", "")

pytestmark = pytest.mark.skipif(not USES_GLIBC, reason="memory does not come from glibc")


def faults(size: int, *, keep: bool) -> float:
    """Page faults a round, of a fresh process that uses and frees `size` bytes four times."""
    code = FAULTS.format(keep=keep or None, size=size, rounds=ROUNDS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / ROUNDS


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_memory_that_was_kept_is_met_once(size: int) -> None:
    assert faults(size, keep=True) < 1


def test_memory_that_was_not_kept_is_met_again_each_time() -> None:
    """What the setting is for; where this fails, it is needed no more."""
    assert faults(100_000, keep=False) > 100_000 / PAGE / 2


def test_large_memory_is_given_back() -> None:
    assert faults(8_000_000, keep=True) > 8_000_000 / PAGE / 2
