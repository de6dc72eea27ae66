"""whylogs on rows of a file; run by the Python that has it."""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
import pandas as pd
import whylogs
from whylogs.core import DatasetProfile

SINGLE = 1000

rows = np.load(sys.argv[1])
table = pd.DataFrame(rows, columns=[f"feature_{at}" for at in range(rows.shape[1])])
print(json.dumps({"version": version("whylogs")}))


def said(what: str, count: int, seconds: float) -> None:
    print(json.dumps({"what": what, "unit": "rows", "count": count, "seconds": seconds}))


least = float("inf")
for _ in range(3):
    began = time.process_time()
    whylogs.log(table)
    least = min(least, time.process_time() - began)
said("profile of a DataFrame of 20 columns", len(rows), least)

single = table[:SINGLE].to_dict("records")
profile = DatasetProfile()
began = time.process_time()
for row in single:
    profile.track(row)
said("profile of 20 columns, row by row", SINGLE, time.process_time() - began)
