"""What a campaign leaves behind: one JSON file of counts and quantiles, and what was promised.

Rule: a finding of ours says what it must meet; those of other ways of testing stand for
comparison and must meet nothing.
"""

import math
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.kept import keep

FOLDER = Path(__file__).with_name("results")
MEDIAN_TOLERANCE = 1.15  # medians of some hundred runs scatter by so much


class Size(Struct, frozen=True, kw_only=True):
    """How often something alarmed, or an interval missed, though nothing was wrong."""

    test: str
    setting: str
    alpha: float
    runs: int
    looks: int
    alarms: int
    is_ours: bool = True

    @property
    def rate(self) -> float:
        """Of all runs."""
        return self.alarms / self.runs

    @property
    def limit(self) -> float:
        """Alpha and three standard errors of a rate of alpha."""
        return self.alpha + 3 * math.sqrt(self.alpha * (1 - self.alpha) / self.runs)

    @property
    def is_met(self) -> bool:
        """Whether it kept its promise."""
        return not self.is_ours or self.rate <= self.limit


class Power(Struct, frozen=True, kw_only=True):
    """After how many requests of the challenger something was told."""

    test: str
    setting: str
    alpha: float
    runs: int
    found: int
    median: float | None  # None: less than half the runs told it
    p90: float | None
    promised: float | None = None  # median to meet
    is_ours: bool = True

    @property
    def is_met(self) -> bool:
        """Whether it was no slower than promised."""
        if not self.is_ours or self.promised is None:
            return True
        return self.median is not None and self.median <= self.promised * MEDIAN_TOLERANCE


class Results(Struct, frozen=True, kw_only=True):
    """One run of the campaign."""

    date: str
    commit: str
    modified: bool  # the tree held changes that the commit does not
    seed: int
    seconds: float
    versions: dict[str, str]
    sizes: tuple[Size, ...]
    coverage: tuple[Size, ...]
    power: tuple[Power, ...]
    samples: tuple[Size, ...]
    skewed: tuple[Power, ...]

    @property
    def broken(self) -> list[str]:
        """What did not keep its promise, in words."""
        said = [
            f"{each.test}, {each.setting}: {each.rate:.3f} is above {each.limit:.3f}"
            for each in (*self.sizes, *self.coverage, *self.samples)
            if not each.is_met
        ]
        said += [
            f"{each.test}, {each.setting}: median {each.median}, promised {each.promised}"
            for each in (*self.power, *self.skewed)
            if not each.is_met
        ]
        return said


def save(results: Results, folder: Path = FOLDER) -> Path:
    """Writes the file; its name says when and of what."""
    return keep(results, folder)


def load(path: Path) -> Results:
    """Reads it back."""
    return msgspec.json.decode(path.read_bytes(), type=Results)
