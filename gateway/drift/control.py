"""Many fields at once: what keeps false findings at the level of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from gateway.profiles.fields import Floats
from gateway.statistics import families

Control = Literal["bh", "by", "bonferroni"]
FAMILIES = {"numeric": 0, "text": 0, "score": 1, "boolean": 2, "category": 2, "embedding": 3}


def adjusted(p: Floats, control: Control) -> Floats:
    """p-values with the family in account."""
    if control == "bonferroni":
        return np.minimum(p * p.size, 1.0)
    return families.adjusted(p, dependent=control == "by")


def factor(control: Control, count: int) -> float:
    """What Benjamini & Yekutieli multiply by, so that tests may depend on each other."""
    return float(np.sum(1 / np.arange(1, count + 1))) if control == "by" else 1.0


def family_shares(families: Sequence[int]) -> Floats:
    """How much larger a family is than the average: what its p-values are multiplied by.

    Weights after Genovese, Roeder & Wasserman 2006: a hundred features do not take from the
    one embedding, nor from the model's ten scores, which see most shifts first.
    """
    sizes = np.bincount(families, minlength=1)
    return np.asarray(sizes[families] * np.count_nonzero(sizes) / max(len(families), 1))
