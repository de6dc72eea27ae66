"""One figure of the campaign, with the range that it must be in."""

import math

from msgspec import Struct


class Row(Struct, frozen=True, kw_only=True):
    """A cell of a table: what was measured and what it may be."""

    table: str  # title
    case: str  # the table's row
    figure: str  # the table's column
    measured: float
    least: float = -math.inf
    most: float = math.inf

    @property
    def is_met(self) -> bool:
        """Whether it is in its range; what could not be measured is not."""
        return self.least <= self.measured <= self.most


def above(chance: float, runs: int) -> float:
    """A rate that so many runs with this chance pass once in a thousand times."""
    return chance + 3 * math.sqrt(chance * (1 - chance) / runs)


def below(chance: float, runs: int) -> float:
    """The same on the other side."""
    return chance - 3 * math.sqrt(chance * (1 - chance) / runs)
