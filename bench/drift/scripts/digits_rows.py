"""scikit-learn's pictures of digits, kept in a file; run by a Python that has it."""

import sys

import numpy as np
from sklearn.datasets import load_digits

found = load_digits()
np.savez_compressed(sys.argv[1], images=found.data.astype(np.float64), labels=found.target)
