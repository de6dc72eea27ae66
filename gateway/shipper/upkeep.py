"""What has to be done to the log's files while they are shipped, in one thread, in turns.

    sync      what open segments hold goes to the disk, so often as `log.sync` says
    seal      what nobody writes any more becomes a sealed segment
    remove    what every sink has is unlinked
    room      above `log.max_size`, the oldest sealed segments are unlinked: `drop_oldest`
    look      the picture that the sinks ship from
    let go    what no sink reads soon is on the disk alone, and not in memory

Rule 1: a segment is removed as delivered only when every wanted sink's checkpoint behind it
        is durable.
Rule 2: a step that fails is told and tried again at the next turn; the others are done.
Rule 3: this is the only writer of the manifest.

Knows nothing of sinks but how far they are. Blocking.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from gateway.errors import GatewayError
from gateway.log.files import LogError, forget_pages, why
from gateway.log.manifest import DELIVERED, DROPPED, AnyEntry, Manifest, Removed, Sealed
from gateway.log.quota import make_room, used_bytes
from gateway.log.sealer import Counts, Sealer
from gateway.shipper.checkpoint import NO_SPACE
from gateway.shipper.progress import Progress, delivered, distant
from gateway.shipper.shelf import Extent, Shelf, Surveyor

log = logging.getLogger(__name__)


class Rules(Struct, frozen=True, kw_only=True):
    """What the configuration says of the files."""

    max_bytes: int
    drops_oldest: bool
    sync_s: float = 0.0  # how often; 0 never here, `log.sync: always` is the writers' own work


class Upkeep:
    """The files of one directory; `turn` does all that is due."""

    def __init__(self, directory: Path, rules: Rules) -> None:
        self.rules = rules
        self.shelf = Shelf()
        self.error = ""  # of the latest turn
        self.used_bytes = 0
        self.removed = self.made_room = 0  # segments, since the start
        self._let_go_of: set[str] = set()  # segments
        self._directory = directory
        self._manifest = Manifest(directory)
        self._sealer = Sealer(directory)
        self._surveyor = Surveyor(directory)
        for entry in self._manifest.entries():
            self._note(entry)

    @property
    def sealed(self) -> Counts:
        """What the sealer did since the start."""
        return self._sealer.counts

    def turn(self, progress: Progress) -> Shelf:
        """One round, in an order in which each step sees what the one before did."""
        steps: list[Callable[[], None]] = [
            self._sync,
            self._seal,
            functools.partial(self._remove, progress),
            functools.partial(self._make_room, progress),
            self._look,
            functools.partial(self._let_go, progress),
        ]
        problems = [problem for step in steps if (problem := _problem_of(step))]
        if problems and problems[0] != self.error:
            log.error("upkeep of the log: %s", problems[0])
        self.error = problems[0] if problems else ""
        return self.shelf

    def sync(self) -> None:
        """Only the first step, for in between."""
        problem = _problem_of(self._sync)
        if problem:
            self.error = problem

    def close(self) -> None:
        self._surveyor.close()

    # -- steps

    def _sync(self) -> None:
        if self.rules.sync_s:
            self._surveyor.sync()

    def _seal(self) -> None:
        for entry in self._sealer.seal_ready():
            self._note(entry)
        if self._sealer.problem:
            raise LogError(self._sealer.problem)

    def _note(self, entry: AnyEntry) -> None:
        if isinstance(entry, Sealed):
            self._surveyor.know(entry.segment, extent_of(entry))
        elif isinstance(entry, Removed):
            self._surveyor.forget(entry.segment, is_delivered=entry.reason != DROPPED)

    def _remove(self, progress: Progress) -> None:
        for item in delivered(self.shelf, progress):
            self._note(self._removed(item.name.segment, item.extent.records))
            self.removed += 1

    def _removed(self, segment: str, records: int) -> Removed:
        try:
            return self._manifest.remove(segment, records, DELIVERED)
        except LogError as error:
            if not is_for_want_of_space(error):
                raise
        # Why: on a full disk the file itself is the room that its entry needs.
        self._manifest.unlink(segment)
        return self._manifest.remove(segment, records, DELIVERED)

    def _make_room(self, progress: Progress) -> None:
        self.used_bytes = used_bytes(self._directory)
        if not self.rules.drops_oldest or self.used_bytes <= self.rules.max_bytes:
            return
        gone = make_room(self._directory, self.rules.max_bytes, 0, progress.in_use)
        for entry in gone:
            self._note(entry)
        self.made_room += len(gone)
        if gone:
            log.warning("records were dropped to make room", extra={"segments": len(gone)})

    def _look(self) -> None:
        self.shelf = self._surveyor.look()

    def _let_go(self, progress: Progress) -> None:
        """Why: a backlog fills memory with what is read last, and each new segment takes more."""
        far = {item.name.segment: item.path for item in distant(self.shelf, progress)}
        for segment in far.keys() - self._let_go_of:
            with contextlib.suppress(FileNotFoundError):
                forget_pages(far[segment])
        self._let_go_of = set(far)


def extent_of(entry: Sealed) -> Extent:
    """What the manifest says that the segment holds."""
    return Extent(
        first_seq=entry.first_seq,
        last_seq=entry.last_seq,
        records=entry.records,
        bytes=entry.bytes,
    )


def is_for_want_of_space(error: LogError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in NO_SPACE


def _problem_of(step: Callable[[], None]) -> str:
    """What went wrong, as a sentence; "" nothing did."""
    try:
        step()
    except OSError as error:
        return f"{error.filename or 'the log'}: {why(error)}"
    except GatewayError as error:
        return str(error)
    return ""
