"""What the supervisor's children have in common: their arguments, their end, their first word.

Rule: a child that lost its supervisor ends as if told to: the kernel sends it SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from gateway._fast import keep_freed

PR_SET_PDEATHSIG = 1  # linux/prctl.h
# glibc's variable; whoever sets it has chosen how much freed memory is kept.
TRIM_SET = "MALLOC_TRIM_THRESHOLD_"
RETIRE = signal.SIGUSR1  # to a worker: a successor accepts already, finish what you have


class WorkerPost(Struct, frozen=True, kw_only=True):
    """All that one worker is told when it starts."""

    slot: int  # which of the configured workers it is
    seat: int  # its place on the board
    board: int  # descriptor
    ready: int  # descriptor; a byte there says that it accepts
    listen: tuple[int, ...]  # descriptors
    data: tuple[int, ...]  # descriptors of all workers' listeners on the data port, by slot
    plan: Path  # file of the offer in force
    control: Path  # the controller's socket
    supervisor: int  # pid
    log_format: str
    log_level: str


def seats_of(slot: int, workers: int) -> tuple[int, ...]:
    """A worker's place on the board, and that of its successor while both are there."""
    return (slot, slot + workers)


class ControllerPost(Struct, frozen=True, kw_only=True):
    """All that the controller is told when it starts."""

    board: int
    ready: int
    listen: tuple[int, ...]  # the admin port
    config: Path  # the file that is watched
    plan: Path
    control: Path
    state: Path
    data_url: str
    slots: int  # workers
    supervisor: int
    started_ns: int  # CLOCK_MONOTONIC, of the supervisor
    log_format: str
    log_level: str


class ShipperPost(Struct, frozen=True, kw_only=True):
    """All that the shipper is told when it starts."""

    ready: int
    plan: Path
    supervisor: int
    log_format: str
    log_level: str


VERBS = {WorkerPost: "worker", ControllerPost: "controller", ShipperPost: "shipper"}


def command(post: WorkerPost | ControllerPost | ShipperPost) -> list[str]:
    """The command line that starts it; readable in `ps`."""
    verb = VERBS[type(post)]
    given = [f"--{name}={_text(value)}" for name, value in msgspec.structs.asdict(post).items()]
    return [sys.executable, "-m", "gateway", verb, *given]


def post_of(kind: type[Any], arguments: Sequence[str]) -> Any:
    """The command line as the post it came from."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in kind.__struct_fields__:
        parser.add_argument(f"--{name}", required=True)
    given = vars(parser.parse_args(arguments))
    for name in {"listen", "data"} & given.keys():
        given[name] = given[name].split(",")
    return msgspec.convert(given, kind, strict=False, dec_hook=lambda kind, value: kind(value))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def keep_memory(environ: Mapping[str, str]) -> None:
    """What comes and goes, bodies or batches, does so in the same memory."""
    if TRIM_SET not in environ:
        keep_freed()


def settle_in(supervisor: int) -> None:
    """Leave the terminal's signals to the supervisor, and end when it ends."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != supervisor:  # Why: it may have ended before the kernel was asked
        sys.exit(0)


def allow_open_files() -> None:
    """Take the hard limit: a proxied request holds two descriptors, and defaults are small."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Why suppressed: macOS calls an endless limit invalid; then the soft one stays.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def say_ready(descriptor: int) -> None:
    """Tell the supervisor; it may have stopped listening."""
    try:
        os.write(descriptor, b"1")
    except BrokenPipeError:
        pass
    finally:
        os.close(descriptor)
