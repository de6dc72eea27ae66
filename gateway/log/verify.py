"""Whether everything that the manifest has seen is as it was then, and where not.

In this order, which is the order of the findings: each line of the manifest and its link to
the one before; the end of the manifest against `head.json`; then each segment that should
be here, or in the store, against its latest hash; then what is here and in no manifest.

What a running gateway or a crash leaves is no finding: a head that lags by one line, an
unfinished last line, one sealed segment that is not in the manifest yet, files that are
written. It is told as a note.

Rule 1: one altered, missing or added byte in a segment, the manifest or the head is a finding.
Rule 2: nothing is written here, and nothing locked.

The chain has no key: whoever can write to the directory can make all of it anew. Keep a
copy of `head.json` elsewhere to be told of that as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gateway.log.chain import HEAD_NAME, MANIFEST_NAME, START, Head, link_of, read_head
from gateway.log.files import LogError, pieces, why
from gateway.log.manifest import (
    Broken,
    Forgotten,
    Listed,
    Manifest,
    Sealed,
    entry_of,
)
from gateway.log.names import DAMAGED, list_segments
from gateway.log.tally import Tally


class SegmentLines(Protocol):
    """Where the lines of delivered segments are: the store."""

    def lines_of(self, segment: str) -> Iterator[bytes] | None:
        """The lines without newlines, in their order; None where the segment is not there."""


class Finding(Struct, frozen=True):
    """One broken link."""

    file: str  # a segment, the manifest or head.json
    line: int  # from 1; 0: the file as a whole
    sentence: str


class Report(Struct, frozen=True, kw_only=True):
    """What was looked at, and what was found, the first broken link first."""

    entries: int  # of the manifest
    segments: int  # whose lines were read, here and in the store
    records: int
    unsealed: int  # segments that are written, or wait to be sealed; nothing is known of them yet
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # what is worth knowing, but not broken

    @property
    def is_good(self) -> bool:
        return not self.findings


def verify(log_directory: Path, store: SegmentLines | None = None) -> Report:
    """Read all of it; segments that were delivered are only checked where a store is given."""
    if not log_directory.is_dir():
        raise LogError(f"There is no log in {log_directory}.")
    try:
        return _Verification(log_directory, store).report()
    except OSError as error:
        raise LogError(f"The log in {log_directory} cannot be read: {why(error)}.") from None


class _Verification:
    """One pass over a directory."""

    def __init__(self, directory: Path, store: SegmentLines | None) -> None:
        self._directory = directory
        self._store = store
        self._findings: list[Finding] = []
        self._notes: list[str] = []
        self._records = self._segments = 0

    def report(self) -> Report:
        entries = self._check_chain()
        manifest = Manifest(self._directory)
        for segment, listed in manifest.live().items():
            self._check_segment(segment, listed, manifest)
        self._check_unlisted(manifest)
        self._note_put_aside()
        return Report(
            entries=entries,
            segments=self._segments,
            records=self._records,
            unsealed=sum(name.state == "open" for name, _ in list_segments(self._directory)),
            findings=tuple(self._findings),
            notes=tuple(self._notes),
        )

    # the manifest

    def _check_chain(self) -> int:
        # Why in this order: a running gateway appends, then replaces the head.
        head = read_head(self._directory)
        content = b""
        if (self._directory / MANIFEST_NAME).exists():
            content = (self._directory / MANIFEST_NAME).read_bytes()
        *lines, rest = content.split(b"\n")
        if rest:
            self._notes.append(
                f"The manifest ends with {len(rest)} bytes of an unfinished line, as a crash "
                "leaves them; the next start cuts them off."
            )
        hashes = [START]
        known: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            hashes.append(self._check_link(number, line, hashes[-1], known))
        self._check_head(head, hashes)
        return len(lines)

    def _check_link(self, number: int, line: bytes, before: str, known: dict[str, str]) -> str:
        """The hash that the next line must name."""
        link = link_of(line)
        if link is None:
            self._find(MANIFEST_NAME, number, "is no entry of a manifest.")
            # Why: the line behind it names the hash that stood here.
            return ""
        if not link.is_true:
            self._find(MANIFEST_NAME, number, "is not as it was written: its hash differs.")
        elif before and link.prev != before:
            self._find(
                MANIFEST_NAME,
                number,
                "does not follow the line before it: lines were removed, added or moved there.",
            )
        else:
            self._check_entry(number, line, known)
        return link.hash

    def _check_entry(self, number: int, line: bytes, known: dict[str, str]) -> None:
        entry = entry_of(line)
        if isinstance(entry, Broken):
            self._find(
                MANIFEST_NAME, number, f"says what was found at {entry.at}: {entry.sentence}"
            )
        elif isinstance(entry, Sealed):
            if entry.segment in known:
                self._find(MANIFEST_NAME, number, f"seals {entry.segment} a second time.")
            known[entry.segment] = entry.sha256
        elif isinstance(entry, Forgotten):
            if known.get(entry.segment) != entry.was:
                self._find(
                    MANIFEST_NAME, number, f"replaces lines of {entry.segment} as it never was."
                )
            known[entry.segment] = entry.sha256

    def _check_head(self, head: Head | None, hashes: list[str]) -> None:
        count = len(hashes) - 1
        if head is None:
            self._check_missing_head(count)
        elif head.count > count and hashes[-1] and head.hash == hashes[-1]:
            self._find(HEAD_NAME, 0, f"says {head.count} lines, with the hash of line {count}.")
        elif head.count > count:
            self._find(
                MANIFEST_NAME,
                count + 1,
                f"is missing: {HEAD_NAME} says that there are {head.count} lines.",
            )
        elif head.hash != hashes[head.count] and hashes[head.count]:
            self._find(HEAD_NAME, 0, f"does not fit line {head.count} of the manifest.")
        elif count - head.count > 1 and read_head(self._directory) == head:
            self._find(
                HEAD_NAME, 0, f"knows {head.count} lines of the manifest, which has {count}."
            )

    def _check_missing_head(self, count: int) -> None:
        if (self._directory / HEAD_NAME).exists():
            self._find(HEAD_NAME, 0, "is damaged.")
        elif count:
            self._find(HEAD_NAME, 0, "is missing.")

    # the segments

    def _check_segment(self, segment: str, listed: Listed, manifest: Manifest) -> None:
        if listed.is_delivered:
            self._check_stored(segment, listed, manifest)
            return
        try:
            fd = os.open(self._directory / segment, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._check_gone(segment, manifest)
            return
        try:
            size = os.fstat(fd).st_size
            self._check_content(segment, listed, _lines_of_file(fd, size))
        finally:
            os.close(fd)

    def _check_gone(self, segment: str, manifest: Manifest) -> None:
        """The file is not there; a running gateway may have removed it meanwhile."""
        listed = manifest.find(segment)
        if listed and listed.is_delivered:
            self._check_stored(segment, listed, manifest)
        elif listed:
            self._find(segment, 0, "is missing, and the manifest does not say that it was removed.")

    def _check_stored(self, segment: str, listed: Listed, manifest: Manifest) -> None:
        if self._store is None:
            return
        lines = self._store.lines_of(segment)
        if lines is not None:
            self._check_content(segment, listed, _bundled(lines))
        elif manifest.find(segment):
            self._find(segment, 0, "is missing in the store, and the manifest does not say why.")

    def _check_content(self, segment: str, listed: Listed, content: Iterable[bytes]) -> None:
        sealed = listed.sealed
        has_gaps = sealed.last_seq - sealed.first_seq + 1 != sealed.records
        tally = Tally(sealed.stream, sealed.first_seq - 1, is_gapless=not has_gaps)
        wrong = ""
        for lines in content:
            wrong = tally.add(lines)
            if wrong:
                break
        self._segments += 1
        self._records += tally.records
        if wrong:
            what = f"{wrong}: it was altered, or lines were removed, added or moved."
            self._find(segment, tally.records + 1, what)
        elif tally.content().sha256 != listed.sha256:
            self._find(segment, *_difference(tally, listed))

    # what else is there

    def _check_unlisted(self, manifest: Manifest) -> None:
        sealed = [
            name.segment for name, _ in list_segments(self._directory) if name.state == "sealed"
        ]
        unknown = [
            segment
            for segment in sealed
            if manifest.find(segment) is None
            and not manifest.is_removed(segment)
            and (self._directory / segment).exists()
        ]
        if len(unknown) == 1 and (self._directory / MANIFEST_NAME).exists():
            self._notes.append(
                f"{unknown[0]} is not in the manifest yet; the shipper lists it when it starts."
            )
        elif unknown:
            self._find(
                unknown[0], 0, f"is not in the manifest, nor are {len(unknown) - 1} other segments."
            )

    def _note_put_aside(self) -> None:
        aside = sorted(path.name for path in self._directory.glob(f"*{DAMAGED}"))
        if aside:
            self._notes.append(
                f"{len(aside)} segments were damaged by a crash; what could not be kept is in "
                f"{aside[0]}{' and others' if aside[1:] else ''}."
            )

    def _find(self, file: str, line: int, what: str) -> None:
        place = f"{file}, line {line}," if line else file
        self._findings.append(Finding(file, line, f"{place} {what}"))


def _difference(tally: Tally, listed: Listed) -> tuple[int, str]:
    """The line where lines differ from those that were sealed, and how."""
    sealed = listed.sealed
    if tally.records < sealed.records:
        missing = sealed.records - tally.records
        return tally.records + 1, f"is missing: {missing} of {sealed.records} lines were removed."
    if tally.records > sealed.records:
        return sealed.records + 1, f"was added: the manifest knows {sealed.records} lines."
    number = tally.altered_line(listed.check)
    if number:
        return number, "was altered: its bytes are not those that were sealed."
    return 0, "was altered in several lines: its bytes are not those that were sealed."


def _lines_of_file(fd: int, size: int) -> Iterator[bytes]:
    """Whole lines in pieces; what stands behind the last newline comes last, as it is."""
    rest = b""
    for piece in pieces(fd, 0, size):
        data = rest + piece
        end = data.rfind(b"\n") + 1
        rest = data[end:]
        if end:
            yield data[:end]
    if rest:
        yield rest


def _bundled(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines without newlines as pieces of whole lines."""
    bundle: list[bytes] = []
    for line in lines:
        bundle.append(line)
        if len(bundle) == 1000:
            yield b"\n".join(bundle) + b"\n"
            bundle.clear()
    if bundle:
        yield b"\n".join(bundle) + b"\n"
