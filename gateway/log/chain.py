"""The file under the manifest: lines that each hold the hash of the one before, and their end.

A line of `manifest.ndjson` is `{…entry…,"prev":"…","hash":"…"}`: `prev` is the hash of the
line before (zeros at first), `hash` the SHA-256 of the line's own bytes without the member
`hash`. `head.json` holds the number of lines and the last hash, so that a manifest whose
end was cut off shows. It is replaced after each line; one line it may lag behind.

Rule 1: a line and its durability are one step: `append` returns when both are there, else it raises
        and nothing was appended. The head may then lag; the next step brings it up first.
Rule 2: appends take turns by flock on the manifest, whichever process makes them.
Rule 3: what was found broken is never made whole again: an entry `broken` says it for ever.
Rule 4: an unfinished last line is what a crash leaves; it is cut off, and nothing else ever is.

Knows nothing of segments; `manifest` gives the entries their meaning.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway._fast import count_lines
from gateway.log.files import (
    LogError,
    locked,
    replace_durably,
    sync_directory,
    why,
    write_all,
)

MANIFEST_NAME = "manifest.ndjson"
HEAD_NAME = "head.json"
START = "0" * 64  # `prev` of the first line

_LINE = re.compile(rb'(\{.+,"prev":"([0-9a-f]{64})"),"hash":"([0-9a-f]{64})"\}', re.DOTALL)
_HEAD = re.compile(rb'\{"count":(0|[1-9][0-9]*),"hash":"([0-9a-f]{64})"\}\n')
_LOOK_BACK_BYTES = 64 * 1024


class Head(Struct, frozen=True):
    """Where the chain ends."""

    count: int  # lines
    hash: str  # of the last

    def encoded(self) -> bytes:
        return b'{"count":%d,"hash":"%s"}\n' % (self.count, self.hash.encode())


class Link(Struct, frozen=True):
    """What one line says of itself."""

    prev: str
    hash: str
    is_true: bool  # the hash is that of the line


def link_of(line: bytes) -> Link | None:
    """The link of a line without its newline; None where it has none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    claimed = match[3].decode()
    return Link(match[2].decode(), claimed, _hash(match[1]) == claimed)


def read_head(directory: Path) -> Head | None:
    """The head; None where it is not there or not readable as one."""
    try:
        match = _HEAD.fullmatch((directory / HEAD_NAME).read_bytes())
    except FileNotFoundError:
        return None
    return Head(int(match[1]), match[2].decode()) if match else None


class Chain:
    """The manifest's file and its head, for appending."""

    def __init__(self, directory: Path, broken: Callable[[str], bytes]) -> None:
        """`broken` makes the entry that says what was found broken."""
        self.path = directory / MANIFEST_NAME
        self._directory = directory
        self._broken = broken

    def settle(self) -> None:
        """Make the files if they are not there, and bring what a crash left up to date."""
        try:
            with locked(self.path) as fd:
                self._settled(fd)
        except OSError as error:
            raise self._error(error) from error

    def append(self, entry: bytes) -> None:
        """Add an entry, a JSON object, durably."""
        try:
            with locked(self.path) as fd:
                head = self._add(fd, self._settled(fd), entry)
                # Why: the entry is there; the next step brings the head up, or says why not.
                with suppress(OSError):
                    replace_durably(self._directory / HEAD_NAME, head.encoded())
        except OSError as error:
            raise self._error(error) from error

    def _settled(self, fd: int) -> Head:
        """The head, in step with the file: both repaired, or what is broken written down."""
        end, last = _last_line(fd)
        if end < os.fstat(fd).st_size:
            os.ftruncate(fd, end)
            os.fsync(fd)
        head, link = read_head(self._directory), link_of(last)
        if head is None and not end and not (self._directory / HEAD_NAME).exists():
            return self._set_head(Head(0, START))
        if head is not None and (head.hash == link.hash if link else not end and not head.count):
            return head
        if head is not None and link and link.is_true and link.prev == head.hash:
            os.fsync(fd)  # Why: whoever wrote it may have died, or failed, just there
            return self._set_head(Head(head.count + 1, link.hash))
        sentence = _broken_sentence(head, end)
        known = Head(_count_lines(fd, end), link.hash if link else START)
        return self._set_head(self._add(fd, known, self._broken(sentence)))

    def _add(self, fd: int, head: Head, entry: bytes) -> Head:
        linked = entry[:-1] + b',"prev":"%s"' % head.hash.encode()
        digest = _hash(linked)
        end = os.lseek(fd, 0, os.SEEK_END)
        try:
            write_all(fd, linked + b',"hash":"%s"}\n' % digest.encode())
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, end)
            raise
        return Head(head.count + 1, digest)

    def _set_head(self, head: Head) -> Head:
        replace_durably(self._directory / HEAD_NAME, head.encoded())
        sync_directory(self._directory)
        return head

    def _error(self, error: OSError) -> LogError:
        return LogError(f"{self.path} cannot be written: {why(error)}.")


def _hash(linked: bytes) -> str:
    return hashlib.sha256(linked + b"}").hexdigest()


def _last_line(fd: int) -> tuple[int, bytes]:
    """Where the last whole line ends, and the line without its newline."""
    size = os.fstat(fd).st_size
    begin = size
    tail = b""
    while begin and tail.count(b"\n") < 2:
        begin, end = max(0, begin - _LOOK_BACK_BYTES), begin
        tail = os.pread(fd, end - begin, begin) + tail
    newline = tail.rfind(b"\n")
    return begin + newline + 1, tail[tail.rfind(b"\n", 0, max(newline, 0)) + 1 : max(newline, 0)]


def _count_lines(fd: int, end: int) -> int:
    count = 0
    for begin in range(0, end, 1 << 20):
        count += count_lines(os.pread(fd, min(1 << 20, end - begin), begin))
    return count


def _broken_sentence(head: Head | None, end: int) -> str:
    if head is None:
        return "head.json was missing or damaged."
    if not end:
        return f"The manifest was empty, though head.json knows {head.count} entries."
    return f"The manifest did not end with entry {head.count} as head.json knows it."


def encoded(entry: Struct) -> bytes:
    """An entry as `append` takes it."""
    return msgspec.json.encode(entry)
