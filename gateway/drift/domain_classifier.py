"""Whether a model can tell the rows of now from those of the reference: all fields at once.

A domain classifier (scikit-learn's histogram gradient boosting, the extra `drift`) learns from one
half of both samples which is which, and orders the other half. If nothing changed, its area under
the ROC curve there is one half, and the p-value is that of DeLong's test against it: rows that were
learnt from are not judged, so it errs no oftener than it says. It sees what the tests of single
fields cannot: fields that are as they were, each alone, and no longer go together.

`share` of a field is how much of the area is lost when the field's values are shuffled.

Cost: about a second for 2 x 5,000 rows of 20 fields. Rows are needed, not profiles: it is asked
for, and never runs by itself. Needs about 1,000 rows of each (Rabanser et al. 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import special

from gateway.drift.performance import Figure, Floats
from gateway.errors import ConfigError, Problem
from gateway.statistics import ranking

ROWS = 10_000  # of each sample, at most
LEAST = 100
CATEGORIES = 250  # of a field; the rest count as one
LARGE = 0.55  # an area from which the difference matters, as Evidently has it
SHOWN = 10


class Separated(Struct, frozen=True, kw_only=True):
    """How well both samples can be told apart."""

    auc: Figure
    p: float
    is_drift: bool  # significant, and large
    fields: tuple[tuple[str, float], ...]  # by how much of the area rests on them


def separated(
    reference: Mapping[str, Sequence[Any]],
    current: Mapping[str, Sequence[Any]],
    *,
    alpha: float = 0.01,
    seed: int = 1,
) -> Separated:
    """Of columns by name; a column that only one of them has is left out."""
    names = [name for name in reference if name in current]
    sizes = [min((len(each[name]) for name in names), default=0) for each in (reference, current)]
    if not names or min(sizes) < LEAST:
        sentence = f"a domain classifier needs {LEAST} rows of each, with fields in common"
        raise ConfigError((Problem(sentence),))
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.permutation(size)[:ROWS]) for size in sizes]
    columns = [
        _numbered(
            [reference[name][at] for at in chosen[0]], [current[name][at] for at in chosen[1]]
        )
        for name in names
    ]
    rows = np.column_stack([values for values, _is_named in columns])
    is_named = [is_named for _values, is_named in columns]
    truth = np.arange(len(rows)) >= chosen[0].size
    return _judged(rows, is_named, truth, names, alpha, rng)


def _judged(
    rows: Floats,
    is_named: list[bool],
    truth: NDArray[np.bool_],
    names: list[str],
    alpha: float,
    rng: np.random.Generator,
) -> Separated:
    order = rng.permutation(len(rows))
    learnt, kept = order[::2], order[1::2]
    model = _fitted(rows[learnt], truth[learnt], is_named)

    def area_of(values: Floats) -> ranking.Auc:
        return ranking.auc(model(values), truth[kept])

    found = area_of(rows[kept])
    lost = []
    for at in range(len(names)):
        shuffled = rows[kept].copy()
        shuffled[:, at] = rng.permutation(shuffled[:, at])
        lost.append((names[at], round(found.value - area_of(shuffled).value, 4)))
    lost.sort(key=lambda one: -one[1])
    bounds = ranking.interval(found)
    z = (found.value - 0.5) / math.sqrt(found.variance) if found.variance else math.inf
    p = float(special.ndtr(-z)) if found.value > 0.5 else 1.0
    auc = Figure(
        name="auc",
        value=found.value,
        low=bounds.low,
        high=bounds.high,
        n=int(kept.size),
        method="DeLong, logit",
        better="lower",
    )
    is_drift = p <= alpha and found.value >= LARGE
    return Separated(auc=auc, p=p, is_drift=is_drift, fields=tuple(lost[:SHOWN]))


def _fitted(
    rows: Floats, truth: NDArray[np.bool_], is_named: list[bool]
) -> Callable[[Floats], Floats]:
    """Chances of rows to be of now."""
    try:
        from sklearn.ensemble import (  # noqa: PLC0415  an extra, and slow
            HistGradientBoostingClassifier,
        )
        from threadpoolctl import threadpool_limits  # noqa: PLC0415  comes with it
    except ImportError:
        sentence = "a domain classifier needs: pip install 'inference-gateway[drift]'"
        raise ConfigError((Problem(sentence),)) from None
    model = HistGradientBoostingClassifier(
        max_iter=60,
        max_leaf_nodes=15,
        min_samples_leaf=20,
        learning_rate=0.1,
        early_stopping=False,
        categorical_features=is_named,
        random_state=0,
    )
    with threadpool_limits(1):  # Why: it would spin on every core, beside those who serve
        model.fit(rows, truth)

    def chances(values: Floats) -> Floats:
        with threadpool_limits(1):
            found: Floats = model.predict_proba(values)[:, 1]
        return found

    return chances


def _numbered(before: Sequence[Any], after: Sequence[Any]) -> tuple[Floats, bool]:
    """One column of both samples as numbers, nan where there is none; and whether it has names."""
    values = [*before, *after]
    known = [one for one in values if one is not None and one is not ...]
    if all(isinstance(one, int | float | np.number) for one in known):
        return np.array([_number(one) for one in values]), False
    counts: dict[str, int] = {}
    for one in known:
        counts[str(one)] = counts.get(str(one), 0) + 1
    order = sorted(counts, key=lambda name: (-counts[name], name))[:CATEGORIES]
    numbers = {name: float(at) for at, name in enumerate(order)}
    made = [
        math.nan if one is None or one is ... else numbers.get(str(one), float(CATEGORIES))
        for one in values
    ]
    return np.array(made), True


def _number(one: Any) -> float:
    return float(one) if isinstance(one, int | float | np.number) else math.nan
