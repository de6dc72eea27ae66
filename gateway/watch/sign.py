"""A sign of trouble, and what all signs are made of: shares, and figures for people."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.alerts.finding import Fact
from gateway.alerts.kinds import Kind
from gateway.profiles.profile import Profile

Floats = NDArray[np.float64]


class Sign(Struct, frozen=True, kw_only=True):
    """A kind of trouble, in words and figures."""

    kind: Kind
    sentence: str  # what comes behind the field's name
    facts: dict[str, Fact]
    tests: tuple[str, ...] = ()  # that tell it; (): any


def share_of(profile: Profile, special: str) -> float:
    return profile.specials[special] / max(profile.rows, 1)


def shares(value: Fact, after: float, before: float) -> dict[str, Fact]:
    return {"value": value, "share": round(after, 6), "reference_share": round(before, 6)}


def by_row(profile: Profile) -> Floats:
    found: Floats = profile.counts / max(profile.rows, 1)
    return found


def percent(share: float) -> str:
    """For people; never 0% of what is there, and never 100% of what is not all."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 < share < 1:
        return ">99.9%"
    return f"{share:.1%}"
