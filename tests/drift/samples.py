"""Profiles of drawn values, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, from_arrays

Floats = NDArray[np.float64]


def reference_of(**columns: Any) -> Reference:
    return from_arrays(columns)


def profiles_of(reference: Reference, columns: Mapping[str, Any]) -> dict[str, Profile]:
    """What is counted of these columns."""
    made = {name: Profile(one.field) for name, one in reference.profiles.items()}
    for name, values in columns.items():
        made[name].update(values)
    return made
