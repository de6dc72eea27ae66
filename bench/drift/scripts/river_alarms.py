"""river's detectors on the streams of a file; run by its Python.

One detector a column with its defaults; an alarm of any is one. KSWIN's p-values are scipy's
for its two samples of thirty, kept by the statistic they depend on alone.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from river import drift
from river.drift import kswin
from scipy import stats

WARM, CHANGE = int(sys.argv[2]), int(sys.argv[3])


class Kept:
    """`ks_2samp` of samples of one size, each p-value computed once."""

    def __init__(self) -> None:
        self.known: dict[float, object] = {}

    def ks_2samp(self, one: list[float], other: list[float], method: str) -> object:
        first, second = np.sort(one), np.sort(other)
        both = np.concatenate([first, second])
        apart = np.abs(
            np.searchsorted(first, both, "right") / 30 - np.searchsorted(second, both, "right") / 30
        ).max()
        key = round(apart * 30)
        if key not in self.known:
            self.known[key] = stats.ks_2samp(one, other, method=method)
        return self.known[key]


kswin.stats = Kept()
DETECTORS = {
    "ADWIN": lambda _: drift.ADWIN(),
    "PageHinkley": lambda _: drift.PageHinkley(),
    "KSWIN": lambda seed: drift.KSWIN(seed=seed),
}
MOST = {"KSWIN": int(sys.argv[4])}  # runs; it is a thousand times slower


def first_alarms(
    make: Callable[[int], Any], seed: int, columns: list[list[float]]
) -> tuple[int, int]:
    """After how many values; before the change and after it, 0 for never."""
    before = after = 0
    for column in columns:
        detector = make(seed)
        for at, value in enumerate(column, 1):
            detector.update(value)
            if not detector.drift_detected or at <= WARM:
                continue
            if at > CHANGE:
                after = min(after or at, at)
                break
            before = min(before or at, at)
    return before, after


print(json.dumps({"version": version("river")}))
streams = np.load(sys.argv[1])
for name in streams.files:
    for detector, make in DETECTORS.items():
        began = time.process_time()
        runs = streams[name][: MOST.get(detector)]
        alarms = [first_alarms(make, seed, run.T.tolist()) for seed, run in enumerate(runs)]
        seconds = time.process_time() - began
        print(
            json.dumps({"stream": name, "system": detector, "alarms": alarms, "seconds": seconds}),
            flush=True,
        )
