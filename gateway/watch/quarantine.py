"""Lines that were put aside, kept for people to look at: `state/drift/quarantine.ndjson`.

One object a line: when, why, what about it, and the line itself or its beginning. They are
samples: how many lines were put aside is counted elsewhere (`gateway_drift_lines_total`).

Rule 1: this file and the one before it, `quarantine.old.ndjson`, are a MiB at most.
Rule 2: what cannot be written is no reason to stop counting.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.log.files import write_all
from gateway.watch.changes import Sample

FILE, OLD_FILE = "quarantine.ndjson", "quarantine.old.ndjson"
MOST_BYTES = 512 * 1024  # of each

log = logging.getLogger(__name__)


class Quarantined(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of them."""

    time: str  # when it was put aside
    reason: str  # one of tally.RESULTS
    line: str  # undecodable bytes as U+FFFD
    about: str = ""


class Quarantine:
    """The files in one directory."""

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._error = ""

    def put(self, samples: Iterable[Sample], time: str) -> None:
        """Append them; where that cannot be, it is logged once."""
        content = b"".join(_encoded(sample, time) for sample in samples)
        if not content:
            return
        try:
            self._append(content[: self._most_bytes])
        except OSError as error:
            sentence = f"cannot keep lines that were put aside: {error.strerror}"
            if sentence != self._error:
                log.error("%s", sentence)
            self._error = sentence
        else:
            self._error = ""

    def _append(self, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / FILE
        if path.exists() and path.stat().st_size + len(content) > self._most_bytes:
            path.replace(self._directory / OLD_FILE)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            write_all(descriptor, content)
        finally:
            os.close(descriptor)


def _encoded(sample: Sample, time: str) -> bytes:
    line = sample.line.decode("utf-8", "replace")
    kept = Quarantined(time=time, reason=sample.reason, line=line, about=sample.about)
    return msgspec.json.encode(kept) + b"\n"
