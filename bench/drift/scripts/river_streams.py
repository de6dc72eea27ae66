"""Rows of river's generators before and after a change, kept in a file; run by its Python.

Each concept is drawn once, from a seed, and long: runs take rows of it by chance.
"""

import sys

import numpy as np
from river.datasets import synth
from river.datasets.base import SyntheticDataset

ROWS = 30_000


def drawn(stream: SyntheticDataset) -> tuple[np.ndarray, np.ndarray]:
    """(features, answers)."""
    features, answers = [], []
    for x, y in stream.take(ROWS):
        features.append(list(x.values()))
        answers.append(y)
    return np.array(features, np.float64), np.array(answers, np.float64)


CONCEPTS = {
    "SEA": (synth.SEA(variant=0, noise=0.1, seed=1), synth.SEA(variant=3, noise=0.1, seed=2)),
    "Sine": (synth.Sine(0, seed=3, has_noise=False), synth.Sine(2, seed=4, has_noise=False)),
    "Agrawal": (
        synth.Agrawal(0, seed=7, perturbation=0.05),
        synth.Agrawal(2, seed=8, perturbation=0.05),
    ),
    "Friedman": (
        synth.Friedman(seed=9),
        synth.FriedmanDrift(drift_type="lea", position=(1, 2, 3), seed=10),
    ),
    "RandomRBF": (
        synth.RandomRBF(seed_model=11, seed_sample=12, n_features=3),
        synth.RandomRBF(seed_model=13, seed_sample=14, n_features=3),
    ),
    "LED": (
        synth.LEDDrift(seed=15, noise_percentage=0.1, irrelevant_features=True),
        synth.LEDDrift(seed=16, noise_percentage=0.1, irrelevant_features=True, n_drift_features=3),
    ),
}

kept = {}
for name, (before, after) in CONCEPTS.items():
    kept[f"{name}.before.x"], kept[f"{name}.before.y"] = drawn(before)
    kept[f"{name}.after.x"], kept[f"{name}.after.y"] = drawn(after)
np.savez_compressed(sys.argv[1], **kept)
