"""How often NannyML's defaults find drift where there is none; run by its Python."""

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
SIZES, RUNS, REFERENCE = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
COLUMNS = 10
rng = np.random.default_rng(1)
names = [f"x{at}" for at in range(COLUMNS)]

print(json.dumps({"version": version("nannyml")}))
for size in SIZES:
    calculator = nannyml.UnivariateDriftCalculator(column_names=names, chunk_size=size)
    calculator.fit(pd.DataFrame(rng.normal(size=(REFERENCE, COLUMNS)), columns=names))
    chunks = RUNS // COLUMNS
    current = pd.DataFrame(rng.normal(size=(size * chunks, COLUMNS)), columns=names)
    found = calculator.calculate(current).to_df(multilevel=True)
    alerts = sum(int(found[name]["jensen_shannon"]["alert"].sum()) for name in names)
    print(
        json.dumps(
            {
                "system": "NannyML: JS above 3 deviations of chunks",
                "size": size,
                "found": alerts,
                "runs": chunks * COLUMNS,
            }
        )
    )
