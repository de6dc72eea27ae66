"""NannyML's defaults on the streams of a file; run by its Python.

The rows that were warm are the reference; chunks are of CHUNK rows; an alarm is one of
Jensen-Shannon's distance, its default for numbers and categories alike.
"""

import json
import os
import sys
import warnings
from importlib.metadata import version

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would tell its makers of each call

import nannyml
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
WARM, CHANGE, CHUNK, RUNS = (int(one) for one in sys.argv[2:6])


def first_alarms(run: np.ndarray) -> tuple[int, int]:
    names = [f"x{at}" for at in range(run.shape[1])]
    table = pd.DataFrame(run, columns=names)
    few = [name for name in names if table[name].nunique() <= 2]
    table[few] = table[few].astype("category")
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=CHUNK)
    calculator.fit(table[:WARM])
    found = calculator.calculate(table[WARM:]).to_df(multilevel=True)
    told = np.zeros(len(found), bool)
    for name in names:
        told |= found[name]["jensen_shannon"]["alert"].to_numpy(bool)
    ends = WARM + CHUNK * np.flatnonzero(told) + CHUNK
    before, after = ends[ends <= CHANGE], ends[ends > CHANGE]
    return int(before[0]) if before.size else 0, int(after[0]) if after.size else 0


print(json.dumps({"version": version("nannyml")}))
streams = np.load(sys.argv[1])
for name in streams.files:
    alarms = [first_alarms(run) for run in streams[name][:RUNS]]
    print(json.dumps({"stream": name, "system": f"NannyML, chunks of {CHUNK}", "alarms": alarms}))
