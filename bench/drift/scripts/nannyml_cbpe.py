"""NannyML's CBPE on the sample of tests/drift/test_performance_estimates.py, without correction.

Run in NannyML's own environment, which `python -m bench.drift --install` makes.
"""

import warnings

import nannyml
import numpy as np
import pandas as pd

METRICS = ["roc_auc", "f1", "precision", "recall", "accuracy"]

warnings.filterwarnings("ignore")
rng = np.random.default_rng(5)
scores = rng.beta(1.2, 2.5, 3000)
truth = (rng.random(3000) < scores).astype(int)
reference = pd.DataFrame({"s": scores, "y": truth, "p": (scores >= 0.5).astype(int)})
now = rng.beta(2.5, 2.0, 1000)
current = pd.DataFrame({"s": now, "p": (now >= 0.5).astype(int)})
estimator = nannyml.CBPE(
    problem_type="classification_binary",
    y_pred_proba="s",
    y_pred="p",
    y_true="y",
    metrics=METRICS,
    chunk_size=1000,
)
estimator.fit(reference)
estimator.needs_calibration = False
found = estimator.estimate(current).filter(period="analysis").to_df()
print(nannyml.__version__, {name: float(found[name, "value"].iloc[0]) for name in METRICS})
