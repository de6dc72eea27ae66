"""The gateway's tests as they watch a stream: looks at windows of several lengths.

Each length is a rule; together they may be wrong once in `FALSE_EVERY` values. The reference
is what came while the stream was warm. Windows end every STEP values.
"""

from __future__ import annotations

import numpy as np

from bench.drift.detection.streams import CHANGE, WARM, Floats
from gateway.drift.alarms import alpha_of
from gateway.drift.battery import Battery
from gateway.drift.groups import Counts
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays

STEP = 50
WINDOWS = (50, 100, 400, 1600)
LEVEL = 0.05  # of false alarms in the values between WARM and CHANGE
FALSE_EVERY = (CHANGE - WARM) / LEVEL


def alarms(values: Floats) -> list[int]:
    """After how many values there were alarms."""
    names = [f"x{at}" for at in range(values.shape[1])]
    warm = {name: values[:WARM, at].copy() for at, name in enumerate(names)}
    reference = from_arrays(warm)
    battery = Battery(reference.profiles)
    profiles = {name: Profile(one.field) for name, one in reference.profiles.items()}
    # Why sums from the start: a window's counts are the difference of two of them.
    sums = {name: _running(one.field.cells, len(values)) for name, one in profiles.items()}
    for end in range(WARM + STEP, len(values) + 1, STEP):
        for at, (name, one) in enumerate(profiles.items()):
            one.add_numbers(np.ascontiguousarray(values[end - STEP : end, at]))
            sums[name][(end - WARM) // STEP] = one.counts
    alpha = alpha_of(STEP, FALSE_EVERY) / len(WINDOWS)
    windows = {name: Profile(one.field) for name, one in profiles.items()}
    return [
        WARM + look * STEP
        for look in range(1, (len(values) - WARM) // STEP + 1)
        if any(
            _is_drift(battery, windows, sums, look, window // STEP, alpha)
            for window in WINDOWS
            if window // STEP <= look
        )
    ]


def _running(cells: int, count: int) -> Counts:
    return np.zeros(((count - WARM) // STEP + 1, cells), np.int64)


def _is_drift(
    battery: Battery,
    windows: dict[str, Profile],
    sums: dict[str, Counts],
    look: int,
    steps: int,
    alpha: float,
) -> bool:
    for name, one in windows.items():
        one.counts = sums[name][look] - sums[name][look - steps]
    verdict = battery.look(windows, alpha)
    return bool(verdict.drifting or verdict.broken)
