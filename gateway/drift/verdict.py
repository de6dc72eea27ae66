"""What tests say: statistics, p-values and effects, and what is drift by them.

A field drifts where one of its tests is significant, the family of all fields taken into
account, and that test's effect is large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.profiles.fields import Field, Floats

Test = Literal[
    "psi",
    "ks",
    "wasserstein",
    "js",
    "hellinger",
    "chi_square",
    "l_infinity",
    "one_category",
    "mmd",
]
NUMERIC: tuple[Test, ...] = ("psi", "ks", "wasserstein")
NAMED: tuple[Test, ...] = ("psi", "chi_square", "l_infinity", "one_category")
EMBEDDING: tuple[Test, ...] = ("mmd",)
LEAST = 10  # values of each sample: below it no test is made


class Limits(Struct, frozen=True, kw_only=True):
    """From where an effect is large. Each is what is left of the statistic beyond chance."""

    psi: float = 0.1  # 0.25 is what folklore calls major
    ks: float = 0.1  # of the distribution's height
    wasserstein: float = 0.1  # of the reference's standard deviations
    js: float = 0.1  # distance, base 2
    hellinger: float = 0.1
    chi_square: float = 0.1  # in units of PSI
    l_infinity: float = 0.1  # of one category's share
    one_category: float = (
        0.025  # its part in PSI: 10 % that become 5.6 % or 15.7 %, 1 % that is gone
    )
    mmd: float = 0.005  # of the reference's spread in feature space
    share: float = 0.01  # of null, NaN, unseen, another type, zero, out of range


class Finding(Struct, frozen=True, kw_only=True):
    """One test of one field."""

    field: str
    test: str  # a Test, or one of QUALITIES
    statistic: float
    effect: float
    limit: float
    p: float  # of this test alone
    adjusted: float  # with all fields in account
    reference: int  # values
    current: int
    is_significant: bool
    is_large: bool

    @property
    def is_drift(self) -> bool:
        """Both."""
        return self.is_significant and self.is_large


class Measured(NamedTuple):
    """One test of a group of fields, an element a field."""

    statistic: Floats
    effect: Floats
    p: Floats


class Outcome(NamedTuple):
    """What a group's tests say."""

    fields: tuple[Field, ...]
    tests: Mapping[Test, Measured]
    n: Floats
    m: Floats
    p: Floats  # of a field's tests together; 1 where values lack
    each: Floats  # what the p-value of one of them is multiplied by for that

    def drifting(self, alpha: float, adjusted: Floats, limits: Limits) -> NDArray[np.bool_]:
        """Fields that are unlike the reference by a test that is significant and large."""
        found = np.zeros(len(self.fields), np.bool_)
        for test, measured in self.tests.items():
            found |= self._significant(measured, alpha, adjusted) & (
                measured.effect >= getattr(limits, test)
            )
        return found

    def _significant(self, measured: Measured, alpha: float, adjusted: Floats) -> NDArray[np.bool_]:
        """Where this test alone would be enough: at the level its family leaves its field."""
        # Why: the field is rejected at the level its least p-value was; others must reach it.
        own = np.minimum(measured.p * self.each, 1.0)
        raised = np.where(self.p > 0, adjusted / np.maximum(self.p, 1e-300), 1.0)
        return (own * np.maximum(raised, 1.0) <= alpha) & (adjusted <= alpha)


class Verdict(NamedTuple):
    """What one look says of all fields."""

    alpha: float  # of the values
    limits: Limits
    outcomes: tuple[Outcome, ...]
    adjusted: tuple[Floats, ...]  # by outcome, by field
    drifting: frozenset[str]  # names of fields whose values are unlike the reference's
    broken: Mapping[str, tuple[str, ...]]  # by field: qualities whose shares are
    qualities: tuple[Finding, ...]  # those that are significant

    def findings(self) -> list[Finding]:
        """Every test of every field, and the qualities that changed; the surest first."""
        found = list(self.qualities)
        for outcome, adjusted in zip(self.outcomes, self.adjusted, strict=True):
            found += _findings(outcome, adjusted, self.alpha, self.limits)
        return sorted(found, key=lambda one: (not one.is_drift, one.adjusted, -one.effect))


def _findings(outcome: Outcome, adjusted_: Floats, alpha: float, limits: Limits) -> list[Finding]:
    found: list[Finding] = []
    for test, measured in outcome.tests.items():
        significant = outcome._significant(measured, alpha, adjusted_)  # noqa: SLF001 - of this module
        for at, field in enumerate(outcome.fields):
            limit = float(getattr(limits, test))
            found.append(
                Finding(
                    field=field.name,
                    test=test,
                    statistic=float(measured.statistic[at]),
                    effect=float(measured.effect[at]),
                    limit=limit,
                    p=float(measured.p[at]),
                    adjusted=float(adjusted_[at]),
                    reference=int(outcome.n[at]),
                    current=int(outcome.m[at]),
                    is_significant=bool(significant[at]),
                    is_large=bool(measured.effect[at] >= limit),
                )
            )
    return found
