"""What is loaded without the collector, and what a process leaves to the system at its end."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.loading import loading


def test_collector_rests_within_and_goes_on_afterwards() -> None:
    assert gc.isenabled()
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_collector_goes_on_after_something_that_cannot_be_loaded() -> None:
    with pytest.raises(ImportError), loading():
        importlib.import_module("gateway.nothing")
    assert gc.isenabled()


def test_collector_that_was_at_rest_stays_so() -> None:
    with loading():
        with loading():
            pass
        assert not gc.isenabled()


def left(program: str, stdout: int | None = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"from gateway.__main__ import leave\n{program}"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def test_process_that_leaves_has_printed_and_ends_with_its_code() -> None:
    done = left("import atexit; atexit.register(print, 'late'); print('said'); leave(7)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "said\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_what_cannot_be_printed_is_told_and_not_good() -> None:
    with Path("/dev/full").open("w") as full:
        done = left("print('said'); leave(0)", full.fileno())
    assert done.returncode != 0
    assert "No space left on device" in done.stderr


def test_verb_ends_with_its_code() -> None:
    for arguments, code in ((["chek"], 2), (["check", "-c", "/nowhere"], 1)):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments], capture_output=True, check=False
        )
        assert done.returncode == code
