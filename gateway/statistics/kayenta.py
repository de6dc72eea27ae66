"""Kayenta's judge, so that a canary configuration can be carried over as it is.

The same verdicts as Spinnaker's NetflixACAJudge (from its sources: the interval of
the Hodges-Lehmann shift at 98 %, a quarter of the shift as tolerance, the effect size, the
weighted score), checked against the cases that its own test suites publish.

Rule: it judges series of points, such as one error rate a minute, at one look. It is weak
where errors are few and does not see a change of variance; `events` is what to use. It is
here for those who have tuned it.
Rule: pure. Where both series are constant Kayenta adds random noise of 1e-5 of the value to
break ties; here the noise is fixed (normal scores), so that a decision can be replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import copysign, isnan, nan, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Values = NDArray[np.float64]
Direction = Literal["increase", "decrease", "either"]
Label = Literal["Pass", "High", "Low", "Nodata", "NodataFailMetric", "Error"]
Grade = Literal["Pass", "Marginal", "Fail"]

TOLERANCE = 0.25  # part of the estimated shift that its interval must clear
CONFIDENCE = 0.98
NOISE = 1e-5
NODATA_PERCENT = 50  # of the metrics without data fail the canary
ROOT_TOLERANCE = 1e-4  # absolute: so coarse that shifts below it are noise, as in R


class Rule(NamedTuple):
    """What Kayenta's `analysisConfigurations.canary` says of a metric; None is its default."""

    direction: Direction = "either"
    nan_strategy: Literal["remove", "replace"] = "remove"
    outliers: Literal["keep", "remove"] = "keep"
    outlier_factor: float = 3.0
    critical: bool = False
    must_have_data: bool = False
    muted: bool = False
    measure: Literal["meanRatio", "cles"] = "meanRatio"
    allowed_increase: float | None = None
    allowed_decrease: float | None = None
    critical_increase: float | None = None
    critical_decrease: float | None = None


DEFAULT = Rule()


class Series(NamedTuple):
    """One metric: its points in both arms and how to judge them."""

    name: str
    champion: ArrayLike
    challenger: ArrayLike
    rule: Rule = DEFAULT
    groups: tuple[str, ...] = ()


class Shift(NamedTuple):
    """By how much the challenger's values lie above the champion's."""

    low: float
    high: float
    estimate: float


class Classified(NamedTuple):
    """What became of one metric."""

    name: str
    label: Label
    reason: str = ""
    deviation: float = 1.0  # challenger's mean over champion's; NaN where one of them is 0
    critical: bool = False  # and it fails the whole canary
    muted: bool = False
    groups: tuple[str, ...] = ()


class Score(NamedTuple):
    """The canary's score of 100."""

    score: float
    groups: dict[str, float]
    reason: str = ""


class Judged(NamedTuple):
    """The canary's verdict with what led to it."""

    grade: Grade
    score: Score
    metrics: tuple[Classified, ...]


def judge(
    series: Sequence[Series],
    weights: Mapping[str, float] | None = None,
    *,
    pass_score: float = 95.0,
    marginal_score: float = 75.0,
) -> Judged:
    """The whole judge: each metric, the groups' weighted sum, the thresholds."""
    metrics = tuple(judge_metric(each) for each in series)
    scored = score([each for each in metrics if not each.muted], weights or {})
    return Judged(grade_of(scored.score, pass_score, marginal_score), scored, metrics)


def grade_of(score: float, pass_score: float, marginal_score: float) -> Grade:
    """Where the score stands."""
    if score >= pass_score:
        return "Pass"
    return "Marginal" if score >= marginal_score else "Fail"


def judge_metric(series: Series) -> Classified:
    """One metric, cleaned and classified; what cannot be computed is an Error, as there."""
    rule = series.rule
    champion, challenger = (cleaned(each, rule) for each in (series.champion, series.challenger))
    try:
        result = classify(champion, challenger, rule, name=series.name)
    except ArithmeticError:
        result = Classified(series.name, "Error", "Metric Classification Failed")
    return result._replace(muted=rule.muted, groups=series.groups)


def cleaned(values: ArrayLike, rule: Rule) -> Values:
    """Without NaN (or with 0 in its place), and without outliers where asked."""
    raw = np.asarray(values, dtype=np.float64)
    missing = np.isnan(raw)
    kept = raw[~missing] if rule.nan_strategy == "remove" else np.where(missing, 0.0, raw)
    if rule.outliers == "remove":
        return kept[~outliers(kept, rule.outlier_factor, lenient=True)]
    return kept


def outliers(values: Values, factor: float, *, lenient: bool = False) -> NDArray[np.bool_]:
    """Which values lie beyond Tukey's fences; lenient: and beyond the 1st and 99th percentile."""
    if not values.size:
        return np.zeros(0, dtype=np.bool_)
    p1, p25, p75, p99 = np.percentile(values, [1, 25, 75, 99])
    low, high = p25 - factor * (p75 - p25), p75 + factor * (p75 - p25)
    if lenient:
        low, high = min(p1, low), max(p99, high)
    beyond: NDArray[np.bool_] = (values < low) | (values > high)
    return beyond


def classify(
    champion: ArrayLike,
    challenger: ArrayLike,
    rule: Rule = DEFAULT,
    *,
    name: str = "metric",
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
) -> Classified:
    """High, Low or Pass, by the shift's interval and the size of the effect."""
    control = np.asarray(champion, dtype=np.float64)
    experiment = np.asarray(challenger, dtype=np.float64)
    if not (control.size and experiment.size):
        return _without_data(rule, name)
    if np.array_equal(np.sort(experiment), np.sort(control)):
        return Classified(name, "Pass", "The Canary and Baseline data are identical")
    values = np.unique(np.concatenate((experiment, control)))
    if len(values) == 1:
        return Classified(name, "Pass")
    if np.ptp(experiment) == 0 and np.ptp(control) == 0:
        experiment, control = _with_noise(experiment), _with_noise(control)
    label, effect = _compared(control, experiment, rule, tolerance, confidence)
    critical = rule.critical and _is_beyond(label, effect, _critical_bounds(rule))
    reasons = f"{name} was classified as {label}" + " (Critical)" * critical
    reason = "" if label == "Pass" else reasons
    return Classified(name, label, reason, mean_ratio(control, experiment), critical)


def _without_data(rule: Rule, name: str) -> Classified:
    if rule.nan_strategy == "replace":
        return Classified(name, "Pass")
    label: Label = "NodataFailMetric" if rule.must_have_data and not rule.critical else "Nodata"
    return Classified(name, label, f"Missing data for {name}", critical=rule.critical)


def _compared(
    control: Values, experiment: Values, rule: Rule, tolerance: float, confidence: float
) -> tuple[Label, float]:
    shift = location_shift(experiment, control, confidence)
    bound = tolerance * abs(shift.estimate)
    measure = common_language if rule.measure == "cles" else mean_ratio
    effect = measure(control, experiment)
    allowed = _bounds(rule, rule.allowed_decrease, rule.allowed_increase)
    for label, wanted, is_shifted in (
        ("High", "increase", shift.low > bound),
        ("Low", "decrease", shift.high < -bound),
    ):
        is_asked = rule.direction in {wanted, "either"}
        if is_asked and is_shifted and _is_beyond(label, effect, allowed):
            return label, effect  # type: ignore[return-value]
    return "Pass", effect


def _bounds(rule: Rule, low: float | None, high: float | None) -> tuple[float, float]:
    none = 0.5 if rule.measure == "cles" else 1.0
    return (none if low is None else low), (none if high is None else high)


def _critical_bounds(rule: Rule) -> tuple[float, float]:
    return _bounds(rule, rule.critical_decrease, rule.critical_increase)


def _is_beyond(label: str, effect: float, bounds: tuple[float, float]) -> bool:
    """Whether the effect is large enough for the label; one that cannot be had is ignored."""
    if label not in {"High", "Low"}:
        return False
    if isnan(effect):
        return True
    return effect >= bounds[1] if label == "High" else effect <= bounds[0]


def _with_noise(values: Values) -> Values:
    scores: Values = special.ndtri((np.arange(values.size) + 0.5) / values.size)
    return values * (1 + NOISE * scores)


def mean_ratio(control: Values, experiment: Values) -> float:
    """The means' ratio; NaN where either is 0."""
    base, other = float(np.mean(control)), float(np.mean(experiment))
    return nan if base == 0 or other == 0 else other / base


def common_language(control: Values, experiment: Values) -> float:
    """The share of pairs where the challenger's value is the greater, ties half."""
    return _excess(np.sort(control), experiment) / (control.size * experiment.size) + 0.5


def _excess(ordered: Values, values: Values) -> float:
    """Mann and Whitney's U of `values`, less its mean."""
    below = np.searchsorted(ordered, values, side="left")
    through = np.searchsorted(ordered, values, side="right")
    return float(np.sum(below + through)) / 2 - values.size * ordered.size / 2


def location_shift(experiment: ArrayLike, control: ArrayLike, confidence: float) -> Shift:
    """The Hodges-Lehmann shift with its interval, as R's wilcox.test has it for large samples.

    The roots, in the shift d, of the standardised rank sum of `experiment - d`.
    """
    x = np.asarray(experiment, dtype=np.float64)
    y = np.sort(np.asarray(control, dtype=np.float64))
    least, most = float(x.min() - y[-1]), float(x.max() - y[0])
    z = -float(special.ndtri((1 - confidence) / 2))

    def root(quantile: float) -> float:
        at_least = standardised(least, quantile, x, y)
        at_most = standardised(most, quantile, x, y)
        if quantile and at_least <= 0:
            return least
        if quantile and at_most >= 0:
            return most
        return _zero(lambda d: standardised(d, quantile, x, y), least, most, at_least, at_most)

    return Shift(root(z), root(-z), root(0.0))


def standardised(shift: float, quantile: float, x: Values, y: Values) -> float:
    """The rank sum of `x - shift` among `y` (in order), in standard errors, less a quantile."""
    n, m = x.size, y.size
    moved = x - shift
    excess = _excess(y, moved)
    ties = np.unique(np.concatenate((moved, y)), return_counts=True)[1].astype(np.float64)
    both = n + m
    variance = n * m / 12 * (both + 1 - float(np.sum(ties**3 - ties)) / (both * (both - 1)))
    if variance <= 0:
        raise ZeroDivisionError("All values are tied: the shift has no interval.")
    return (excess - (copysign(0.5, excess) if excess else 0.0)) / sqrt(variance) - quantile


def _zero(function: Callable[[float], float], a: float, b: float, fa: float, fb: float) -> float:
    """Brent's root of a function that changes sign between a and b.

    Why by hand: the rank sum is a staircase, and where its step is below the tolerance the
    verdict hangs on which end the search stops at. R and Kayenta use Brent's own algorithm
    (1973, chapter 4) with an absolute tolerance of 1e-4; scipy's is another one.
    """
    if fa == 0:
        return a
    if fb == 0:
        return b
    # b is the best guess so far, a the one before, c on the other side of the root.
    c, fc = a, fa
    for _ in range(1000):
        before = b - a
        if abs(fc) < abs(fb):
            a, b, c = b, c, b
            fa, fb, fc = fb, fc, fb
        near = 2 * np.finfo(float).eps * abs(b) + ROOT_TOLERANCE / 2
        step = (c - b) / 2
        if abs(step) <= near or fb == 0:
            return b
        if abs(before) >= near and abs(fa) > abs(fb):
            step = _interpolated(step, before, near, (a, b, c), (fa, fb, fc))
        if abs(step) < near:
            step = copysign(near, step)
        a, fa = b, fb
        b += step
        fb = function(b)
        if fb * fc > 0:
            c, fc = a, fa
    return b


def _interpolated(
    half: float,
    before: float,
    near: float,
    at: tuple[float, float, float],
    values: tuple[float, float, float],
) -> float:
    """The step by secant or inverse parabola where it stays inside; else half the interval."""
    (a, b, c), (fa, fb, fc) = at, values
    span, s = c - b, fb / fa
    if a == c:
        p, q = span * s, 1 - s
    else:
        t, r = fa / fc, fb / fc
        p = s * (span * t * (t - r) - (b - a) * (r - 1))
        q = (t - 1) * (r - 1) * (s - 1)
    if p > 0:
        q = -q
    p = abs(p)
    is_inside = p < 0.75 * span * q - abs(near * q) / 2 and p < abs(before * q / 2)
    return p / q if is_inside else half


def score(metrics: Sequence[Classified], weights: Mapping[str, float]) -> Score:
    """The groups' weighted sum; 0 for a critical failure or where half the metrics lack data."""
    labels: dict[str, Counter[str]] = {}
    for metric in metrics:
        for group in metric.groups:
            labels.setdefault(group, Counter())[metric.label] += 1
    shares = {group: _share(counts) for group, counts in labels.items()}
    groups = {group: 0.0 if share is None else share for group, share in shares.items()}
    failed = next((each for each in metrics if each.critical and each.label != "Pass"), None)
    if failed:
        return Score(0.0, groups, f"Canary Failed: {failed.reason}")
    missing = sum(each.label == "Nodata" for each in metrics)
    if metrics and missing / len(metrics) * 100 >= NODATA_PERCENT:
        return Score(
            0.0, groups, f"Canary Failed: {NODATA_PERCENT}% or more metrics returned NODATA"
        )
    return Score(_weighted(shares, weights), groups)


def _share(counts: Counter[str]) -> float | None:
    total = sum(counts[label] for label in ("Pass", "High", "Low", "NodataFailMetric"))
    return counts["Pass"] / total * 100 if total else None


def _weighted(shares: Mapping[str, float | None], weights: Mapping[str, float]) -> float:
    """Groups without a weight share what is left of 100; groups without data count in full."""
    others = [group for group in shares if group not in weights]
    left = (100 - sum(weights.values())) / len(others) if others else 0.0
    total = sum(
        (100.0 if share is None else share) * weights.get(group, left) / 100
        for group, share in shares.items()
    )
    return float(Decimal(repr(total)).quantize(Decimal("0.01"), ROUND_HALF_UP))
