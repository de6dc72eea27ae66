"""Tests of samples of pictures: the gateway's on what it sees, and the paper's beside them.

The gateway sees the pixels as features, the model's ten probabilities and its answer, and the
pixels as an embedding; its tests are those of gateway/drift/battery.py with their defaults. The
others are those of "Failing Loudly": Kolmogorov-Smirnov of each dimension with Bonferroni's
correction, by scipy's exact p-values, and chi-square of the answers; and what Evidently does
with a reference of a thousand rows or fewer: drift where the p-values of half the columns are
below 0.05.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.drift.detection.digits import CLASSES, Floats, Sample, Split
from gateway.drift.battery import Battery
from gateway.profiles.fields import Kind
from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference, from_arrays

SIZES = (10, 20, 50, 100, 200, 500)
ALPHA = 0.05
OURS = "gateway: "
ALL = OURS + "all it sees"
PARTS: dict[str, tuple[str, ...]] = {  # what a method is given, by the fields' first letters
    ALL: ("p", "s", "answer", "embedding"),
    OURS + "pixels": ("p",),
    OURS + "probabilities (BBSDs)": ("s",),
    OURS + "answers (BBSDh)": ("answer",),
    OURS + "embedding (MMD)": ("embedding",),
}
COMPONENTS = 16
Told = Iterator[tuple[str, int, bool]]  # method, size, whether there is drift


class Columns:
    """Numbers of a reference by column, and what scipy says of samples of them."""

    def __init__(self, reference: Floats) -> None:
        self._reference = np.sort(reference, axis=0)
        self.count = reference.shape[1]

    def gaps(self, sample: Floats) -> Iterator[tuple[int, Floats]]:
        """Kolmogorov's statistics of the first values, by how many these are."""
        n = len(self._reference)
        ranks = np.stack(
            [np.searchsorted(self._reference[:, at], sample[:, at]) for at in range(self.count)],
            axis=1,
        )
        for size in SIZES:
            below = np.sort(ranks[:size], axis=0) / n
            upto = np.arange(1, size + 1)[:, None] / size
            yield (
                size,
                np.maximum((upto - below).max(axis=0), (below - upto).max(axis=0) + 1 / size),
            )

    def p_value(self, at: int, values: Floats) -> float:
        """By scipy."""
        return float(stats.ks_2samp(self._reference[:, at], values, method="exact").pvalue)


class Critical:
    """From which statistic on a p-value is below a level, learned of scipy as it is asked.

    Rule: of samples of given sizes, p falls as the statistic rises.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, float], tuple[float, float]] = {}

    def beyond(
        self, columns: Columns, sample: Floats, gaps: Floats, alpha: float
    ) -> NDArray[np.bool_]:
        """Which of a sample's columns are."""
        key = len(sample), alpha
        for at in np.argsort(gaps):
            below, above = self._known.get(key, (0.0, 1.1))
            if below < gaps[at] < above:
                is_beyond = columns.p_value(at, sample[:, at]) <= alpha
                found = (below, float(gaps[at])) if is_beyond else (float(gaps[at]), above)
                self._known[key] = found
        return np.asarray(gaps >= self._known.get(key, (0.0, 1.1))[1])


class Sensors(NamedTuple):
    """What one seed's samples are tested with."""

    split: Split
    reference: Reference
    batteries: Mapping[str, Battery]
    columns: Mapping[str, Columns]
    turns: Mapping[str, Floats]  # pixels to components
    answers: NDArray[np.int64]
    critical: Critical


def sensors(rng: np.random.Generator, split: Split, critical: Critical) -> Sensors:
    """All that can be known before the first sample."""
    shares = split.model.probabilities(split.reference)
    given: dict[str, object] = {
        f"p{at}": split.reference[:, at].copy() for at in range(split.reference.shape[1])
    }
    given |= {f"s{at}": shares[:, at].copy() for at in range(CLASSES)}
    given |= {"answer": shares.argmax(axis=1).astype(str).tolist(), "embedding": split.reference}
    kinds: dict[str, Kind] = {f"s{at}": "score" for at in range(CLASSES)}
    reference = from_arrays(given, kinds=kinds)  # type: ignore[arg-type]
    profiles = reference.profiles
    batteries = {
        name: Battery({at: one for at, one in profiles.items() if at.rstrip("0123456789") in kept})
        for name, kept in PARTS.items()
    }
    turns = {
        "PCA": np.linalg.svd(split.reference - split.reference.mean(axis=0))[2][:COMPONENTS].T,
        "random projection": rng.choice(
            [-1.0, 0.0, 1.0], (split.reference.shape[1], COMPONENTS), p=[1 / 16, 7 / 8, 1 / 16]
        ),
    }
    columns = {"pixels": Columns(split.reference), "probabilities": Columns(shares)}
    columns |= {name: Columns(split.reference @ turn) for name, turn in turns.items()}
    answers = np.bincount(shares.argmax(axis=1), minlength=CLASSES)
    return Sensors(split, reference, batteries, columns, turns, answers, critical)


def told(by: Sensors, sample: Sample) -> Told:
    """What each method says of the first rows of a sample."""
    shares = by.split.model.probabilities(sample.images)
    yield from _ours(by, sample.images, shares)
    seen = {"pixels": sample.images, "probabilities": shares}
    seen |= {name: sample.images @ turn for name, turn in by.turns.items()}
    for name, columns in by.columns.items():
        for size, gaps in columns.gaps(seen[name]):
            first = seen[name][:size]
            alpha = ALPHA / columns.count
            yield f"KS, {name}", size, bool(by.critical.beyond(columns, first, gaps, alpha).any())
            if name in {"pixels", "probabilities"}:
                drifts = by.critical.beyond(columns, first, gaps, ALPHA)
                yield f"Evidently, {name}", size, bool(drifts.mean() >= 0.5)
                if name == "probabilities":
                    yield "Evidently, any of the probabilities", size, bool(drifts.any())
    for size in SIZES:
        counts = np.bincount(shares[:size].argmax(axis=1), minlength=CLASSES)
        yield "chi², answers", size, _chi_square(by.answers, counts) <= ALPHA


def _ours(by: Sensors, images: Floats, shares: Floats) -> Told:
    profiles = {name: Profile(one.field) for name, one in by.reference.profiles.items()}
    begin = 0
    for size in SIZES:
        for at in range(images.shape[1]):
            profiles[f"p{at}"].add_numbers(np.ascontiguousarray(images[begin:size, at]))
        for at in range(CLASSES):
            profiles[f"s{at}"].add_numbers(np.ascontiguousarray(shares[begin:size, at]))
        profiles["answer"].update(shares[begin:size].argmax(axis=1).astype(str).tolist())
        profiles["embedding"].add_vectors(images[begin:size])
        begin = size
        for name, battery in by.batteries.items():
            verdict = battery.look(profiles, ALPHA)
            yield name, size, bool(verdict.drifting or verdict.broken)


def _chi_square(then: NDArray[np.int64], now: NDArray[np.int64]) -> float:
    seen = (then + now) > 0
    return float(stats.chi2_contingency(np.stack([then, now])[:, seen], correction=False).pvalue)
