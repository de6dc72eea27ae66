"""What a run leaves behind: one JSON file of figures."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from bench.kept import keep

FOLDER = Path(__file__).with_name("results")


class Rate(Struct, frozen=True, kw_only=True):
    """How much of something one core did in a second; the best of some repetitions."""

    system: str
    what: str
    unit: str  # rows, records, updates, looks
    count: int  # of one repetition
    seconds: float
    is_ours: bool = True

    @property
    def per_s(self) -> float:
        """Units a second."""
        return self.count / self.seconds


class Memory(Struct, frozen=True, kw_only=True):
    """How large the state is after so many rows, and how much larger the process became."""

    rows: int
    state_bytes: int
    grown_bytes: int


class Target(Struct, frozen=True, kw_only=True):
    """What was promised of ours, and what it is."""

    what: str
    promised: float
    measured: float
    at_least: bool  # or at most

    @property
    def is_met(self) -> bool:
        """Whether it keeps the promise."""
        if self.at_least:
            return self.measured >= self.promised
        return self.measured <= self.promised


class Results(Struct, frozen=True, kw_only=True):
    """All of a run."""

    date: str
    commit: str
    modified: bool
    cpu: str
    load: float  # average of the minute before: others' work takes from these figures
    versions: dict[str, str]
    rates: tuple[Rate, ...]
    memory: tuple[Memory, ...]
    targets: tuple[Target, ...]
    absent: tuple[str, ...] = ()  # peers, and why they are not here


def save(results: Results, folder: Path = FOLDER) -> Path:
    """Keeps a run by date and commit."""
    return keep(results, folder)


def load(path: Path) -> Results:
    """A run that was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
