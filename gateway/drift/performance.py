"""How good predictions were: figures of rows whose labels are known, each with an interval.

    class         accuracy, balanced accuracy, macro F1; with a positive class precision, recall, F1
    probability   log loss, Brier score, ECE, bias, AUC; at a threshold accuracy, precision, recall,
                  F1. Of several classes: log loss, Brier score, accuracy and ECE of the likeliest
    number        MAE, RMSE, bias (mean error)
    signal        mean of a figure of the business; of a yes or no its share

Intervals: shares by Wilson; balanced accuracy by the recovered variances of the recalls; F1 by
Wilson's of TP of TP + FP + FN, of which it is a function; macro F1 by the delta method on the
logit; AUC by DeLong's variance on the logit; means by Student's t; RMSE by the logarithm of the
mean square; ECE by the noise of its bins, which is conservative. None is a
bootstrap. Measured: docs/performance.md.

Rule: rows count as independent. Where one request asks for many, they are not quite.
Knows nothing of records and stores: `gateway.watch` brings the rows.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from gateway.statistics import calibration, ranking
from gateway.statistics.intervals import (
    UNKNOWN,
    Bounds,
    Scale,
    combined,
    normal_quantile,
    on_scale,
    scaled,
    student,
    wilson,
)

Floats: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]
Better = Literal["higher", "lower", "nearer 0"]

CONFIDENCE = 0.95
MOST_CLASSES = 500  # of more, only the accuracy is measured
SMALLEST = 1e-15  # a probability in a log loss, as scikit-learn and NannyML have it


class Figure(Struct, frozen=True, kw_only=True):
    """One figure of one sample."""

    name: str
    value: float
    low: float
    high: float
    n: int  # rows it rests on
    method: str  # of the interval
    better: Better
    hits: int | None = None  # of a share: so many of n
    deviation: float = math.nan  # standard error, on this scale
    scale: Scale = "plain"
    excess: float = 0.0  # of the value, that may be chance: an error of calibration is never less


# What is measured, by what it is of. Samples are arrays of equal length.


def of_classes(
    predicted: Numbers,
    truth: Numbers,
    classes: int,
    positive: int | None = None,
    confidence: float = CONFIDENCE,
) -> list[Figure]:
    """Classes as numbers from 0; `positive` is one of them, or -1 where no row has it."""
    n = predicted.size
    if classes > MOST_CLASSES:
        return [share("accuracy", int((predicted == truth).sum()), n, confidence)]
    table = np.bincount(truth * classes + predicted, minlength=classes * classes)
    confusion = table.reshape(classes, classes).astype(np.float64)
    hits, rows, columns = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    figures = [share("accuracy", int(hits.sum()), n, confidence)]
    recalls = [wilson(h, r, confidence) for h, r in zip(hits, rows, strict=True) if r]
    if recalls:
        figures.append(_balanced(recalls, rows, hits, n))
        figures.append(_macro_f1(confusion, rows + columns, n, confidence))
    if positive is not None:
        tp = int(hits[positive]) if positive >= 0 else 0
        fp = int(columns[positive]) - tp if positive >= 0 else 0
        fn = int(rows[positive]) - tp if positive >= 0 else 0
        figures += _of_positive(tp, fp, fn, confidence)
    return figures


def of_probabilities(
    scores: Floats, truth: Flags, threshold: float = 0.5, confidence: float = CONFIDENCE
) -> list[Figure]:
    """Probabilities of the positive class."""
    y = truth.astype(np.float64)
    safe = np.clip(scores, SMALLEST, 1 - SMALLEST)
    area = ranking.auc(scores, truth)
    bounds = ranking.interval(area, confidence)
    said = (scores >= threshold).astype(np.int64)
    return [
        mean("log_loss", -np.log(np.where(truth, safe, 1 - safe)), "lower", confidence),
        mean("brier", (scores - y) ** 2, "lower", confidence),
        _ece(scores, y, confidence),
        mean("bias", scores - y, "nearer 0", confidence),
        _figure(
            "auc",
            bounds,
            scores.size,
            "DeLong, logit",
            "higher",
            deviation=ranking.logit_deviation(area),
            scale="logit",
        ),
        *(
            one
            for one in of_classes(said, truth.astype(np.int64), 2, 1, confidence)
            if one.name != "f1_macro"
        ),
    ]


def of_class_probabilities(
    scores: Floats, truth: Numbers, confidence: float = CONFIDENCE
) -> list[Figure]:
    """A column a class; `truth` is a column, -1 a class that has none."""
    rows, classes = scores.shape
    known = np.maximum(truth, 0)
    chosen = np.where(truth >= 0, scores[np.arange(rows), known], 0.0)
    squares = (scores**2).sum(axis=1) - 2 * chosen + 1
    said = scores.argmax(axis=1)
    is_right = (said == truth).astype(np.float64)
    wide = np.where(truth >= 0, truth, classes)
    return [
        mean("log_loss", -np.log(np.clip(chosen, SMALLEST, 1.0)), "lower", confidence),
        mean("brier", squares, "lower", confidence),
        _ece(scores.max(axis=1), is_right, confidence),
        *of_classes(said, wide, classes + 1, None, confidence),
    ]


def of_numbers(predicted: Floats, truth: Floats, confidence: float = CONFIDENCE) -> list[Figure]:
    """Errors are prediction minus truth."""
    errors = predicted - truth
    return [
        mean("mae", np.abs(errors), "lower", confidence),
        _rmse(errors, confidence),
        mean("bias", errors, "nearer 0", confidence),
    ]


def of_signal(name: str, values: Floats, confidence: float = CONFIDENCE) -> Figure:
    """The mean of a figure of the business; more is better."""
    if values.size and np.isin(values, (0.0, 1.0)).all():
        return share(name, int(values.sum()), values.size, confidence)
    return mean(name, values, "higher", confidence)


# Figures and their intervals.


def share(
    name: str, hits: int, n: int, confidence: float = CONFIDENCE, better: Better = "higher"
) -> Figure:
    bounds = wilson(hits, n, confidence)
    likely = (hits + 0.5) / (n + 1)
    deviation = math.sqrt(likely * (1 - likely) / n) if n else math.nan
    return _figure(name, bounds, n, "Wilson", better, hits=hits, deviation=deviation)


def mean(name: str, values: Floats, better: Better, confidence: float = CONFIDENCE) -> Figure:
    n = int(values.size)
    if not n:
        return _figure(name, UNKNOWN, 0, "Student", better)
    variance = float(values.var(ddof=1)) if n > 1 else math.nan
    bounds = student(n, float(values.mean()), variance, confidence)
    return _figure(name, bounds, n, "Student", better, deviation=math.sqrt(variance / n))


def _rmse(errors: Floats, confidence: float) -> Figure:
    n, squares = int(errors.size), errors**2
    if n < 2:
        return _figure("rmse", UNKNOWN, n, "log, delta", "lower")
    middle = float(squares.mean())
    root = math.sqrt(middle)
    deviation = math.sqrt(float(squares.var(ddof=1)) / n) / (2 * middle) if middle else math.nan
    bounds = on_scale(root, deviation, "log", normal_quantile(confidence))
    return _figure("rmse", bounds, n, "log, delta", "lower", deviation=deviation, scale="log")


def _ece(scores: Floats, labels: Floats, confidence: float) -> Figure:
    if not scores.size:
        return _figure("ece", UNKNOWN, 0, "noise of bins", "lower")
    found = calibration.ece(calibration.bins_of(scores, labels), confidence)
    n, method = int(scores.size), "noise of bins"
    figure = _figure("ece", found.bounds, n, method, "lower", deviation=found.deviation)
    return replace(figure, excess=found.excess)


def _balanced(recalls: list[Bounds], rows: Floats, hits: Floats, n: int) -> Figure:
    weights = [1 / len(recalls)] * len(recalls)
    likely = [(h + 0.5) / (r + 1) for h, r in zip(hits, rows, strict=True) if r]
    variances = (p * (1 - p) / r for p, r in zip(likely, rows[rows > 0], strict=True))
    deviation = math.sqrt(math.fsum(variances)) / len(recalls)
    bounds = combined(recalls, weights)
    name, method = "balanced_accuracy", "MOVER of Wilson"
    return _figure(name, bounds, n, method, "higher", deviation=deviation)


def _macro_f1(confusion: Floats, totals: Floats, n: int, confidence: float) -> Figure:
    """Mean of F = 2 TP / (rows + columns) over classes that occur; Takahashi et al. 2022."""
    occurs = totals > 0
    totals, hits = totals / n, np.diag(confusion) / n
    f1 = np.divide(2 * hits, totals, out=np.zeros_like(hits), where=occurs)
    per = np.divide(f1, totals, out=np.zeros_like(hits), where=occurs)
    slopes = -(per[:, None] + per[None, :])
    slopes[np.diag_indices_from(slopes)] += np.divide(
        2.0, totals, out=np.zeros_like(hits), where=occurs
    )
    slopes /= occurs.sum()
    p = confusion / n
    middle = float((p * slopes).sum())
    variance = (float((p * slopes**2).sum()) - middle**2) / n
    value = float(f1.sum() / occurs.sum())
    deviation = math.sqrt(max(variance, 0.0)) / (value * (1 - value)) if 0 < value < 1 else math.nan
    bounds = on_scale(value, deviation, "logit", normal_quantile(confidence))
    if not math.isfinite(bounds.low):
        bounds = wilson(value * n, n, confidence)
    method = "logit, delta"
    return _figure("f1_macro", bounds, n, method, "higher", deviation=deviation, scale="logit")


def _of_positive(tp: int, fp: int, fn: int, confidence: float) -> list[Figure]:
    union = tp + fp + fn
    jaccard = wilson(tp, union, confidence)
    bounds = Bounds(*(2 * each / (1 + each) for each in jaccard))
    # Why a scale of its own: F1 / (2 - F1) is a share of TP + FP + FN.
    likely = (tp + 0.5) / (union + 1)
    spread = math.sqrt(likely * (1 - likely) / union) if union else math.nan
    deviation = spread * 2 / (1 + likely) ** 2
    return [
        share("precision", tp, tp + fp, confidence),
        share("recall", tp, tp + fn, confidence),
        _figure("f1", bounds, union, "Wilson of TP/(TP+FP+FN)", "higher", deviation=deviation),
    ]


def _figure(
    name: str,
    bounds: Bounds,
    n: int,
    method: str,
    better: Better,
    *,
    hits: int | None = None,
    deviation: float = math.nan,
    scale: Scale = "plain",
) -> Figure:
    return Figure(
        name=name,
        value=bounds.value,
        low=bounds.low,
        high=bounds.high,
        n=n,
        method=method,
        better=better,
        hits=hits,
        deviation=deviation,
        scale=scale,
    )


def position(figure: Figure) -> float:
    """Its value on the scale that its deviation is on."""
    return scaled(figure.value, figure.scale)
