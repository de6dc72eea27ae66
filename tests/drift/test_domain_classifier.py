"""The domain classifier: what it tells apart, what it does not, and how often it is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.drift.domain_classifier import separated
from gateway.errors import ConfigError


def rows(seed: int, n: int = 600, tie: float = 0.0) -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    a, noise = rng.normal(size=n), rng.normal(size=n)
    return {
        "a": a.tolist(),
        "b": (tie * a + (1 - tie**2) ** 0.5 * noise).tolist(),
        "kind": rng.choice(["x", "y", "z"], n).tolist(),
        "gap": [None if at % 5 == 0 else float(at % 7) for at in range(n)],
    }


def test_fields_that_go_together_no_longer_are_told_apart() -> None:
    """Each alone is as it was: no test of single fields can see it."""
    found = separated(rows(1, tie=0.9), rows(2))
    assert found.is_drift
    assert found.auc.low > 0.6
    assert {name for name, _share in found.fields[:2]} == {"a", "b"}


def test_new_category_is_told_apart() -> None:
    now = rows(2)
    now["kind"] = ["new" if at % 4 == 0 else kind for at, kind in enumerate(now["kind"])]
    found = separated(rows(1), now)
    assert found.is_drift
    assert found.fields[0][0] == "kind"


def test_equal_samples_are_told_apart_no_oftener_than_said() -> None:
    wrong = [
        separated(rows(2 * seed, 150), rows(2 * seed + 1, 150), alpha=0.1).p <= 0.1
        for seed in range(12)
    ]
    assert sum(wrong) <= 4


@pytest.mark.parametrize("other", [{"c": [1.0] * 600}, {"a": [1.0] * 50}])
def test_too_little_in_common_is_a_sentence(other: dict[str, list[Any]]) -> None:
    with pytest.raises(ConfigError, match="needs 100 rows of each"):
        separated(rows(1), other)
