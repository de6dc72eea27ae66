"""How often Evidently's tests find drift where there is none; and outliers. Run by its Python."""

import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import get_stattest
from evidently.legacy.core import ColumnType

warnings.simplefilter("ignore")
SIZES, RUNS, REFERENCE = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
NUMBERS = ColumnType.Numerical
TESTS = {
    "psi": "PSI ≥ 0.1",
    "wasserstein": "Wasserstein ≥ 0.1 deviations",
    "jensenshannon": "JS ≥ 0.1",
}
rng = np.random.default_rng(1)


def told(name: str, reference: pd.Series, current: pd.Series) -> tuple[float, bool]:
    found = get_stattest(reference, current, NUMBERS, name)(reference, current, NUMBERS, None)
    return float(found.drift_score), bool(found.drifted)


print(json.dumps({"version": version("evidently")}))
for size in SIZES:
    counts = dict.fromkeys(TESTS, 0)
    for _ in range(RUNS):
        reference, current = pd.Series(rng.normal(size=REFERENCE)), pd.Series(rng.normal(size=size))
        for name in TESTS:
            counts[name] += told(name, reference, current)[1]
    for name, what in TESTS.items():
        print(
            json.dumps(
                {"system": f"Evidently: {what}", "size": size, "found": counts[name], "runs": RUNS}
            )
        )
reference, shifted = rng.normal(size=REFERENCE), rng.normal(0.5, 1, REFERENCE)
for outliers in (0, 1, 10):
    current = np.concatenate([shifted, np.full(outliers, 1000.0)])
    score, _ = told("psi", pd.Series(reference), pd.Series(current))
    print(json.dumps({"system": "Evidently", "outliers": outliers, "psi": score}))
