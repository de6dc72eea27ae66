"""river's detectors on numbers of a file; run by the Python that has it."""

import json
import sys
import time
from importlib.metadata import version

import numpy as np
from river import drift

values = np.load(sys.argv[1]).ravel()[:200_000].tolist()
print(json.dumps({"version": version("river")}))
for name, detector, count in (
    ("ADWIN", drift.ADWIN(), len(values)),
    ("PageHinkley", drift.PageHinkley(), len(values)),
    ("KSWIN", drift.KSWIN(seed=1), 3000),
):
    some = values[:count]
    began = time.process_time()
    for value in some:
        detector.update(value)
    seconds = time.process_time() - began
    print(
        json.dumps(
            {
                "what": f"{name}, one number at a time",
                "unit": "updates",
                "count": count,
                "seconds": seconds,
            }
        )
    )
