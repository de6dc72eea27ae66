"""Writes one process's stream of the log: brings segments in time, takes full ones away.

Lines go into memory that `_fast.segment` has mapped; everything that takes time (making a
file, allocating its blocks, bringing its pages into memory, letting an old one go) happens in
a thread of its own, ahead of what is written. What a process wrote is sealed by the shipper,
never here.

Rule 1: a file becomes `.open` only when it is allocated and locked, so that whoever finds
        an unlocked one knows that its writer has gone.
Rule 2: nothing here raises into the data plane. What is wrong is one sentence in `fault`,
        tried again every RETRY_S; lines that find no room meanwhile are dropped and
        counted, or, where the plan says `shed`, not asked for.

Knows nothing of what the lines say, but for `append`.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway._fast import Segment, Stream, monotonic_ns
from gateway.errors import GatewayError, StateError
from gateway.log.files import LogError, sync_directory
from gateway.log.names import SegmentName, new_stream
from gateway.log.quota import make_room, used_bytes
from gateway.log.spares import take
from gateway.messages import Feedback
from gateway.plan import LogPlan

RETRY_NS = 1_000_000_000
AHEAD_LOOKS = 20  # so many times what came since the last look: about a second of traffic
AHEAD_BYTES = (256 << 10, 8 << 20)  # of pages in memory, at least and at most

log = logging.getLogger(__name__)


class NoRoom(GatewayError):
    """A line could not be kept."""

    reason = "log_full"


class Full(Exception):
    """The log has reached its limit, and nothing may be dropped."""


class Writer:
    """Owner of a Stream; `look` must be called some twenty times a second."""

    def __init__(
        self, plan: LogPlan, prefix: str, *, slot: int = 0, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._plan, self._slot, self._clock = plan, slot, clock
        self._directory = Path(plan.directory)
        self._number = 0
        self._thread: threading.Thread | None = None
        self._made: Segment | None = None
        self._retry_ns = 0
        self._seen_bytes = 0
        self.fault = ""
        self.stream = Stream(new_stream(prefix), always_sync=plan.syncs_always)

    def start(self) -> None:
        """Bring the first segment; StateError where the directory cannot be used at all."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(
                f"cannot write the log to {self._directory}: {error.strerror}"
            ) from None
        self._bring()
        self._take()
        self.look()

    def follow(self, plan: LogPlan) -> None:
        """Sizes and limits of this plan from the next segment on."""
        self._plan = plan

    def append(self, entry: Feedback) -> int:
        """One line made here, with its place in the stream filled in; its `seq`. NoRoom."""
        seq = self.stream.seq + 1
        whole = msgspec.structs.replace(
            entry, gateway=self._plan.gateway, worker=self._slot, stream=self.stream.name, seq=seq
        )
        if not self.stream.add(msgspec.json.encode(whole), self._clock()):
            raise NoRoom("the prediction log has no room; retry later")
        return seq

    def look(self) -> None:
        """Begin and finish what has to be done; returns at once."""
        now_ns = self._clock()
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            self._take()
        self.stream.roll_if_older(max(0, now_ns - self._plan.segment_age_ns))
        full = self.stream.take_full()
        wants = self.stream.spare is None and now_ns >= self._retry_ns
        ahead = self._ahead()
        if full or wants or ahead:
            self._thread = threading.Thread(
                target=self._work, args=(ahead, full, wants), name="log", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Nothing more is written; the shipper may seal what is here."""
        if self._thread is not None:
            self._thread.join()
            self._take()
        self.stream.close()
        for segment in self.stream.take_full():
            segment.close()

    def _take(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            self.stream.attach(made)

    def _ahead(self) -> list[tuple[Segment, int]]:
        """Segments with the place up to which their pages should be in memory."""
        seen, self._seen_bytes = self._seen_bytes, self.stream.written_bytes
        least, most = AHEAD_BYTES
        wished = min(max(least, AHEAD_LOOKS * (self._seen_bytes - seen)), most)
        current, spare = self.stream.current, self.stream.spare
        if current is None:
            return []
        covered = current.touched - current.used
        if current.touched == current.size and spare is not None:
            covered += spare.touched
        if covered >= wished // 2:
            return []
        end = current.used + wished
        places = [(current, min(end, current.size))]
        if spare is not None and end > current.size:
            places.append((spare, min(end - current.size, spare.size)))
        return [(segment, place) for segment, place in places if segment.touched < place]

    def _work(self, ahead: list[tuple[Segment, int]], full: list[Segment], wants: bool) -> None:
        for segment, end in ahead:
            segment.touch(end)
        for segment in full:
            segment.close()
        if wants:
            self._bring()

    def _bring(self) -> None:
        fault = ""
        try:
            self._made = self._allocate()
        except LogError as error:
            fault = str(error)
        except Full:
            fault = f"the log has reached its limit of {self._plan.max_bytes} bytes (log.max_size)"
        except OSError as error:
            fault = f"no room for the log in {self._directory}: {error.strerror or error}"
        if fault:
            self._retry_ns = self._clock() + RETRY_NS
        if fault and fault != self.fault:
            log.error("%s", fault)
        elif self.fault and not fault:
            log.info("the log has room again")
        self.fault = fault

    def _allocate(self) -> Segment:
        plan = self._plan
        name = SegmentName(self.stream.name, self._number + 1, "new")
        path = self._directory / name.file_name
        fd = take(self._directory, path, plan.segment_bytes)
        if fd is None:
            self._make_room(plan)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._number += 1
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            allocate(fd, plan.segment_bytes)
            segment = Segment(fd, self._number)
        except BaseException:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        path.rename(self._directory / name.as_state("open").file_name)
        sync_directory(self._directory)  # Why: after a power cut its lines must be found
        return segment

    def _make_room(self, plan: LogPlan) -> None:
        used = used_bytes(self._directory)
        if used + plan.segment_bytes <= plan.max_bytes:
            return
        if plan.sheds:
            raise Full
        make_room(self._directory, plan.max_bytes, plan.segment_bytes, set())


def allocate(fd: int, size_bytes: int) -> None:
    """Give the file all its blocks now, so that no later write can find the disk full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size_bytes)
        return
    zeros = bytes(1 << 20)
    while size_bytes > 0:
        size_bytes -= os.write(fd, zeros[:size_bytes])
