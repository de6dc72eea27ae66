"""What figures will be, before labels come: from scores that are probabilities.

A calibrated score says how likely its row is positive, and with it every figure has an expected
value (confidence-based performance estimation, as NannyML has it). `Calibration.fitted` learns from
rows with labels what scores mean, and tells, on the half of them that it did not learn from,
whether they mean it.

Interval: the variance of the labels, Σ slope² p (1 - p) over rows, and that of the calibration,
Σ (Σ slope)² p (1 - p) / n over bins of the rows it was learnt from, where slope is the derivative
of the figure by a label. It is where the figure of these rows will be once they are labelled.

Rule: it holds while labels follow scores as before. Inputs may drift; if what they mean
      drifts, only labels show it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from gateway.drift.performance import CONFIDENCE, SMALLEST, Figure, Flags, Floats, mean
from gateway.statistics import calibration, ranking
from gateway.statistics.calibration import Ece, Isotonic
from gateway.statistics.intervals import Scale, normal_quantile, on_scale

METHOD = "expected by calibrated scores"
LEAST = 200  # rows with labels, below which nothing is learnt
SOUND = 0.05  # a calibration error from which an estimate is not to be relied on
BINS = 20  # of the rows that were learnt from


class Calibration(Struct, frozen=True, kw_only=True):
    """What scores mean, and how sure that is."""

    steps: Isotonic | None  # None: scores are probabilities as they are
    before: Ece  # of the scores
    after: Ece  # of what is made of them
    edges: Floats  # of bins of scores
    spreads: Floats  # variance of the share of positives in each bin

    @classmethod
    def fitted(cls, scores: Floats, truth: Flags) -> Calibration | None:
        """Of rows in order of time; None of too few, or where one class is not there."""
        labels = truth.astype(np.float64)
        if scores.size < LEAST or labels.min() == labels.max():
            return None
        seen, kept = slice(0, None, 2), slice(1, None, 2)
        before = calibration.ece(calibration.bins_of(scores[kept], labels[kept]))
        learnt = calibration.isotonic(scores[seen], labels[seen])
        made = learnt(scores[kept])
        after = calibration.ece(calibration.bins_of(made, labels[kept]))
        is_better = before.bounds.low > 0 and after.bounds.value < before.bounds.value
        edges = np.unique(np.quantile(scores, np.arange(1, BINS) / BINS))
        at = np.searchsorted(edges, scores)
        rows = np.bincount(at, minlength=edges.size + 1).astype(np.float64)
        share = (np.bincount(at, weights=labels, minlength=edges.size + 1) + 0.5) / (rows + 1)
        return cls(
            steps=calibration.isotonic(scores, labels) if is_better else None,
            before=before,
            after=after if is_better else before,
            edges=edges,
            spreads=share * (1 - share) / np.maximum(rows, 1.0),
        )

    @property
    def is_sound(self) -> bool:
        """Whether estimates may be relied on."""
        return self.after.bounds.value < SOUND

    def chances(self, scores: Floats) -> Floats:
        """Of being positive."""
        return self.steps(scores) if self.steps else np.clip(scores, 0.0, 1.0)

    def variance(self, scores: Floats, chances: Floats, slopes: Floats) -> float:
        """Of a figure whose derivatives by the labels these are."""
        at = np.searchsorted(self.edges, scores)
        together = np.bincount(at, weights=slopes, minlength=self.spreads.size)
        labels = float(np.dot(slopes**2, chances * (1 - chances)))
        return labels + float(np.dot(together**2, self.spreads))


def estimated(
    scores: Floats,
    known: Calibration,
    threshold: float = 0.5,
    confidence: float = CONFIDENCE,
) -> list[Figure]:
    """Of probabilities of the positive class."""
    if not scores.size:
        return []
    chances = known.chances(scores)
    quantile = normal_quantile(confidence)
    found = []
    for name, value, slopes in _expected(scores, chances, threshold):
        deviation = math.sqrt(known.variance(scores, chances, slopes))
        found.append(_figure(name, value, deviation, scores.size, quantile))
    return found


def estimated_accuracy(
    likeliest: Floats, known: Calibration, confidence: float = CONFIDENCE
) -> list[Figure]:
    """Of the likeliest of several classes; `known` was fitted to whether it was right."""
    both = estimated(likeliest, known, -math.inf, confidence)
    return [one for one in both if one.name == "accuracy"]


def expected_figures(scores: Floats, known: Calibration, threshold: float = 0.5) -> list[Figure]:
    """Means of what is expected of each row, to be compared with those of other rows.

    They differ from `estimated` in the interval, which is that of a sample of rows.
    """
    chances = known.chances(scores)
    said = scores >= threshold
    right = np.where(said, chances, 1 - chances)
    brier = scores**2 - 2 * scores * chances + chances
    return [mean("accuracy", right, "higher"), mean("brier", brier, "lower")]


def _expected(scores: Floats, p: Floats, threshold: float) -> Iterator[tuple[str, float, Floats]]:
    n, said = scores.size, (scores >= threshold).astype(np.float64)
    signs = 2 * said - 1
    yield "accuracy", float(np.where(said > 0, p, 1 - p).mean()), signs / n
    hits, named, positives = float(said @ p), float(said.sum()), float(p.sum())
    if named:
        yield "precision", hits / named, said / named
    if positives:
        recall = hits / positives
        yield "recall", recall, (said - recall) / positives
        f1 = 2 * hits / (named + positives)
        yield "f1", f1, (2 * said - f1) / (named + positives)
    value, slopes = ranking.expected_auc(scores, p)
    yield "auc", value, slopes
    brier = scores**2 - 2 * scores * p + p
    yield "brier", float(brier.mean()), (1 - 2 * scores) / n
    safe = np.clip(scores, SMALLEST, 1 - SMALLEST)
    miss, hit = -np.log1p(-safe), -np.log(safe)
    yield "log_loss", float((p * hit + (1 - p) * miss).mean()), (hit - miss) / n


def _figure(name: str, value: float, deviation: float, n: int, quantile: float) -> Figure:
    is_loss = name in {"brier", "log_loss"}
    scale: Scale = "log" if is_loss else "logit"
    width = value if is_loss else value * (1 - value)
    deviation = deviation / width if width > 0 else math.nan
    bounds = on_scale(value, deviation, scale, quantile)
    return Figure(
        name=name,
        value=value,
        low=bounds.low,
        high=bounds.high,
        n=n,
        method=METHOD,
        better="lower" if is_loss else "higher",
        deviation=deviation,
        scale=scale,
    )
