"""A process that dies, or a disk that is full, at a chosen step on files."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

STEPS = ("ftruncate", "fsync", "rename", "unlink", "write", "open")


class Killed(BaseException):
    """The end of the process, as far as the code under test can tell."""


class Steps:
    """Counts the steps on files; at one of them, something else happens."""

    def __init__(self, at: int, instead: Callable[[str, Callable[..., Any], Any], Any]) -> None:
        self.seen = 0
        self._at = at
        self._instead = instead

    def wrap(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def step(*arguments: Any, **named: Any) -> Any:
            self.seen += 1
            if self.seen == self._at or (self._at < 0 and self.seen >= -self._at):
                return self._instead(name, lambda: real(*arguments, **named), arguments)
            return real(*arguments, **named)

        return step


@contextmanager
def steps(at: int, instead: Callable[[str, Callable[..., Any], Any], Any]) -> Iterator[Steps]:
    """`instead` of step number `at`, from 1; of every step from there on if `at` is negative."""
    counted = Steps(at, instead)
    with ExitStack() as patches:
        for name in STEPS:
            patches.enter_context(mock.patch.object(os, name, counted.wrap(name)))
        yield counted


def dies_before(_name: str, _real: Callable[[], Any], _arguments: Any) -> Any:
    raise Killed


def dies_after(_name: str, real: Callable[[], Any], _arguments: Any) -> Any:
    real()
    raise Killed


def dies_half_way(name: str, real: Callable[[], Any], arguments: Any) -> Any:
    """Half of what was to be written is there."""
    if name == "write":
        fd, content = arguments
        os.pwrite(fd, bytes(content[: len(content) // 2]), os.lseek(fd, 0, os.SEEK_CUR))
    raise Killed


def disk_is_full(name: str, real: Callable[[], Any], arguments: Any) -> Any:
    """What needs room fails; a write after it took half."""
    if name == "write" and len(arguments[1]) > 1:
        fd, content = arguments
        os.pwrite(fd, bytes(content[: len(content) // 2]), os.lseek(fd, 0, os.SEEK_CUR))
    elif name in {"ftruncate", "unlink"} or (name == "open" and not arguments[1] & os.O_CREAT):
        return real()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def disk_fails(_name: str, _real: Callable[[], Any], _arguments: Any) -> Any:
    raise OSError(errno.EIO, os.strerror(errno.EIO))
