"""The gateway's tests as they watch a stream: looks at windows of several lengths.

Each length is a rule whose reference is of the kind `before`: all that was counted up to the
window, and the values that fields were learned of, which are those of the warm stream. Together
the rules may be wrong once in `FALSE_EVERY` values. Windows end every STEP values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from bench.drift.detection.streams import CHANGE, WARM, Floats
from gateway.drift.alarms import alpha_of
from gateway.drift.battery import Battery
from gateway.profiles.fields import Field
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays

Profiles = Mapping[str, Profile]

STEP = 50
LEAST = 50  # rows, here or in the reference: as rules have it by default
WINDOWS = (50, 100, 400, 1600)
LEVEL = 0.05  # of false alarms in the values between WARM and CHANGE
FALSE_EVERY = (CHANGE - WARM) / LEVEL


def alarms(values: Floats) -> Iterator[int]:
    """After how many values there were alarms."""
    names = [f"x{at}" for at in range(values.shape[1])]
    warm = {name: values[:WARM, at].copy() for at, name in enumerate(names)}
    reference = from_arrays(warm)
    fields = {name: one.field for name, one in reference.profiles.items()}
    # Why sums from the start: a window's counts are the difference of two of them.
    sums = [_profiles(fields, reference.profiles)]
    for end in range(WARM + STEP, len(values) + 1, STEP):
        sums.append(_profiles(fields, sums[-1]))
        for at, one in enumerate(sums[-1].values()):
            one.add_numbers(np.ascontiguousarray(values[end - STEP : end, at]))
    alpha = alpha_of(STEP, FALSE_EVERY) / len(WINDOWS)
    for look in range(1, len(sums)):
        begins = [look - window // STEP for window in WINDOWS]
        if any(begin >= 0 and _is_drift(sums[begin], sums[look], alpha) for begin in begins):
            yield WARM + look * STEP


def _profiles(fields: Mapping[str, Field], sums: Profiles | None = None) -> Profiles:
    """Of all values so far; with `sums`, the same again."""
    found = {name: Profile(field) for name, field in fields.items()}
    for name, one in (sums or {}).items():
        found[name].merge(one)
    return found


def _is_drift(before: Profiles, upto: Profiles, alpha: float) -> bool:
    """Whether what came between the two is unlike what came before."""
    now = {name: Profile(one.field) for name, one in upto.items()}
    for name, one in now.items():
        one.counts = upto[name].counts - before[name].counts
    verdict = Battery(before, least=LEAST).look(now, alpha)
    return bool(verdict.drifting or verdict.broken)
