"""Evidently's defaults on the streams of a file, or on pairs of samples; run by its Python.

Of each stream the rows that were warm are the reference and every WINDOW rows a current sample;
the test of a column is what Evidently chooses for it, and there is drift where half the
columns have it. Of pairs (the file alone is given), whether that is what we took it for.
"""

import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType

warnings.simplefilter("ignore")
WARM, CHANGE, WINDOW, RUNS = (int(one) for one in sys.argv[2:6] or (0, 0, 0, 0))


def kind_of(values: np.ndarray) -> ColumnType:
    """As it would be of a data set: numbers of few values are categories."""
    few = len(np.unique(values)) <= 2
    return ColumnType.Categorical if few else ColumnType.Numerical


def is_drift(reference: np.ndarray, current: np.ndarray) -> bool:
    drifted = 0
    for at in range(reference.shape[1]):
        then, now = pd.Series(reference[:, at]), pd.Series(current[:, at])
        kind = kind_of(reference[:, at])
        drifted += bool(get_stattest(then, now, kind, None)(then, now, kind, None).drifted)
    return drifted >= 0.5 * reference.shape[1]


def first_alarms(run: np.ndarray) -> tuple[int, int]:
    before = 0
    for end in range(WARM + WINDOW, len(run) + 1, WINDOW):
        if end <= CHANGE and before:
            continue
        if is_drift(run[:WARM], run[end - WINDOW : end]):
            if end > CHANGE:
                return before, end
            before = end
    return before, 0


print(json.dumps({"version": version("evidently")}))
given = np.load(sys.argv[1])
for name in given.files if RUNS else ():
    alarms = [first_alarms(run) for run in given[name][:RUNS]]
    print(
        json.dumps({"stream": name, "system": f"Evidently, windows of {WINDOW}", "alarms": alarms})
    )
if not RUNS:
    pairs = zip(*(given[name] for name in ("reference", "current", "size", "said")), strict=True)
    agreed = sum(is_drift(then, now[:size]) == said for then, now, size, said in pairs)
    print(json.dumps({"agreed": int(agreed), "of": len(given["size"])}))
