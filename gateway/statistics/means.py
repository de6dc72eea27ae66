"""Means and ratios of sums, of two arms, from sums that add up.

What is kept of an arm is a count, a sum and a sum of squares (with two quantities: their
products, too); any number of workers, seconds and periods are added. The tests are the
asymptotic sequences of `sequences`. A ratio of sums, such as cost per accepted answer, has
the delta method's variance (Var S - 2 R Cov(S, N) + R² Var N) / (K N̄²).

Rule: units are independent. Where users stay on one side, the unit is the user.
"""

import math
from typing import NamedTuple, TypeAlias

from gateway.statistics.sequences import Estimate, arms_difference, arms_ratio


class Moments(NamedTuple):
    """Count, sum and sum of squares."""

    n: int
    total: float
    squares: float

    def plus(self, other: "Moments") -> "Moments":
        """Both together."""
        return Moments(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def minus(self, other: "Moments") -> "Moments":
        """What came since."""
        return Moments(self.n - other.n, self.total - other.total, self.squares - other.squares)

    @property
    def mean(self) -> float:
        """Of nothing, nan."""
        return self.total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Of one value; nan of less than two. Never negative, whatever rounding says."""
        return _covariance(self.squares, self.total, self.total, self.n, floor=0.0)

    @property
    def estimate(self) -> Estimate:
        """The mean, to be compared."""
        return Estimate(self.mean, self.variance / self.n if self.n else math.nan, self.n)


class Joint(NamedTuple):
    """Sums of two quantities of the same units, for the ratio of their totals."""

    n: int
    top: float
    bottom: float
    top_squares: float
    bottom_squares: float
    products: float

    def plus(self, other: "Joint") -> "Joint":
        """Both together."""
        return Joint(self.n + other.n, *(a + b for a, b in zip(self[1:], other[1:], strict=True)))

    def minus(self, other: "Joint") -> "Joint":
        """What came since."""
        return Joint(self.n - other.n, *(a - b for a, b in zip(self[1:], other[1:], strict=True)))

    @property
    def estimate(self) -> Estimate:
        """The ratio, to be compared; not known while the lower sum is 0."""
        if self.n < 2 or self.bottom <= 0:
            return Estimate(math.nan, math.nan, self.n)
        found = self.top / self.bottom
        spread = (
            _covariance(self.top_squares, self.top, self.top, self.n)
            - 2 * found * _covariance(self.products, self.top, self.bottom, self.n)
            + found**2 * _covariance(self.bottom_squares, self.bottom, self.bottom, self.n)
        )
        return Estimate(found, max(spread, 0.0) * self.n / self.bottom**2, self.n)


def quotient(top: Moments, bottom: Moments) -> Estimate:
    """A ratio of means whose products nobody summed, taken as independent of each other.

    Cost per request over accepts per rated answer: conservative if dear answers please more.
    """
    if top.n < 2 or bottom.n < 2 or bottom.total <= 0:
        return Estimate(math.nan, math.nan, min(top.n, bottom.n))
    found = top.mean / bottom.mean
    variance = top.variance / top.n + found**2 * bottom.variance / bottom.n
    return Estimate(found, variance / bottom.mean**2, min(top.n, bottom.n))


JointPair: TypeAlias = tuple[Joint, Joint]  # champion, challenger: of one period

# Of Moments; of Joint, the same for ratios of sums.
mean_difference, mean_ratio = arms_difference, arms_ratio
quotient_difference, quotient_ratio = arms_difference, arms_ratio


def _covariance(products: float, a: float, b: float, n: int, *, floor: float = -math.inf) -> float:
    """Of n pairs, from the sums of their products and of each; nan of less than two."""
    return max((products - a * (b / n)) / (n - 1), floor) if n > 1 else math.nan
