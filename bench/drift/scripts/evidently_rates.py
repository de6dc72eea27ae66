"""Evidently on rows of a file; run by the Python that has it."""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

ROWS = 20_000

rows = np.load(sys.argv[1])[:ROWS]
table = pd.DataFrame(rows, columns=[f"feature_{at}" for at in range(rows.shape[1])])
print(json.dumps({"version": version("evidently")}))
for method in ("psi", "ks"):
    least = float("inf")
    for _ in range(2):
        began = time.process_time()
        Report([DataDriftPreset(method=method)]).run(table, table).dict()
        least = min(least, time.process_time() - began)
    print(
        json.dumps(
            {
                "what": f"DataDriftPreset({method}), 20 columns",
                "unit": "rows",
                "count": len(rows),
                "seconds": least,
            }
        )
    )
