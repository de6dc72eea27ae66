"""How often whylogs' KS test of sketches is below 0.05 where there is no drift; by its Python."""

import json
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
import whylogs
from whylogs.viz.utils.drift_calculations import _compute_ks_test_p_value

warnings.simplefilter("ignore")
SIZES, RUNS = json.loads(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(1)


def sketch(size: int):  # noqa: ANN201 - of its library
    view = whylogs.log(pd.DataFrame({"x": rng.normal(size=size)})).profile().view()
    return view.get_column("x").get_metric("distribution").kll.value


print(json.dumps({"version": version("whylogs")}))
for size in SIZES:
    found = sum(
        _compute_ks_test_p_value(sketch(size), sketch(size))["p_value"] <= 0.05 for _ in range(RUNS)
    )
    print(
        json.dumps(
            {"system": "whylogs: KS of sketches", "size": size, "found": int(found), "runs": RUNS}
        )
    )
