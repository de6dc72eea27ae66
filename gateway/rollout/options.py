"""The named tests beside the sequential ones: group sequential, Bayesian, Kayenta's.

    group_sequential   most power where `maximum` requests are planned; looks cost nothing,
                       more requests than planned do
    bayesian           chance to beat the champion; no error rate, and peeking raises it
    kayenta            one point a minute, Mann-Whitney, a score; see STATISTICS in the docs

Rule: none of them is evidence that multiplies; a fail of theirs stands by itself and is not
      weighed against the other gates'.

Knows nothing of sentences; `gates` words what is found here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from gateway.config.rollouts import Gate, Rollout
from gateway.rollout.comparisons import OPPOSITE, Compared, Side
from gateway.rollout.counts import CHAMPION, Period
from gateway.rollout.metrics import Metric, metric_of, name_of
from gateway.rollout.verdict import Value
from gateway.statistics import bayes, kayenta
from gateway.statistics.sequential_groups import continuous_boundary

LEAST_POINTS = 10  # minutes, before Kayenta's judge is asked


class Found(Struct, frozen=True, kw_only=True):
    """What a test says."""

    verdict: Value
    because: str
    needs_requests: int = 0
    needs_s: float = 0.0


def group_sequential(found: Compared, gate: Gate, metric: Metric, alpha: float) -> Found:
    """A z that must reach a boundary, which is high at first and falls to the plan's end."""
    part = found.challenger_n / max(gate.maximum, 1)
    left = max(gate.maximum - found.challenger_n, 0)
    percent = min(part, 1.0) * 100
    plan = f"{percent:.0f} % of the planned {gate.maximum:,} answers"
    if part <= 0:
        return Found(verdict="not_enough_data", because=plan, needs_requests=left)
    bound = continuous_boundary(part, alpha)
    ended: Value = "pass" if gate.needs == "no_harm" else "inconclusive"
    if math.isinf(bound):
        return Found(verdict=ended, because=f"more than the planned {gate.maximum:,} answers")
    worse: Side = "higher" if metric.better == "lower" else "lower"
    harm = _z(found, metric, worse, float(gate.margin))
    reached = f"z {harm:.2f} of {bound:.2f} at {plan}"
    if harm >= bound:
        return Found(verdict="fail", because=reached)
    if gate.needs != "no_harm":
        margin = float(gate.margin) if gate.needs == "not_worse" else 0.0
        good = _z(found, metric, OPPOSITE[worse], margin)
        reached = f"z {good:.2f} of {bound:.2f} at {plan}"
        if good >= bound and found.challenger_n >= gate.minimum:
            return Found(verdict="pass", because=reached)
    if left:
        return Found(verdict="not_enough_data", because=reached, needs_requests=left)
    return Found(verdict=ended, because=reached)


def _z(found: Compared, metric: Metric, side: Side, margin: float) -> float:
    """How many standard errors the challenger is beyond the champion and the margin."""
    champion, challenger = found.champion_value, found.challenger_value
    if champion is None or challenger is None or not found.champion_n or not found.challenger_n:
        return 0.0
    worse_is_more = metric.better == "lower"
    is_absolute = metric.unit == "score"
    shift = margin if is_absolute else margin * abs(champion)
    if metric.statistic == "exceedance":
        shift = 0.0  # the margin is in the edge that the challenger is held against
    limit = champion + (shift if worse_is_more else -shift)
    variance = _variance(found, champion) / found.champion_n
    variance += _variance(found, challenger) / found.challenger_n
    z = (challenger - limit) / math.sqrt(variance) if variance > 0 else 0.0
    return z if side == "higher" else -z


def _variance(found: Compared, value: float) -> float:
    """Of one request's figure."""
    if found.deviation is not None:
        return found.deviation**2
    share = min(max(value, 0.0), 1.0)
    return share * (1 - share)


def bayesian(found: Compared, gate: Gate, metric: Metric, alpha: float) -> Found:
    """The chance that the challenger is the better one, and what it costs if it is not."""
    least = max(gate.minimum - min(found.champion_n, found.challenger_n), 0)
    belief = _belief(found, metric)
    if belief is None or least:
        return Found(
            verdict="not_enough_data", because="too few answers for a belief", needs_requests=least
        )
    champion = abs(found.champion_value or 0.0)
    loss = belief.loss / champion if champion else 0.0
    chance = (
        f"chance {belief.chance * 100:.1f} % to be better, expected loss {loss * 100:.2g} %"
        " (a belief, not an error rate)"
    )
    if belief.chance <= alpha and loss > gate.margin:
        return Found(verdict="fail", because=chance)
    wanted = {
        "no_harm": True,
        "not_worse": loss <= gate.margin,
        "better": belief.chance >= 1 - alpha,
    }
    if wanted[gate.needs]:
        return Found(verdict="pass", because=chance)
    is_over = 0 < gate.maximum <= found.challenger_n
    return Found(verdict="inconclusive" if is_over else "not_enough_data", because=chance)


def _belief(found: Compared, metric: Metric) -> bayes.Belief | None:
    champion, challenger = found.champion_value, found.challenger_value
    if champion is None or challenger is None or not found.champion_n or not found.challenger_n:
        return None
    if metric.statistic in {"events", "exceedance", "proportion"}:
        hits = [
            (round(value * n), n)
            for value, n in ((champion, found.champion_n), (challenger, found.challenger_n))
        ]
        return bayes.shares(hits[0], hits[1], better=metric.better)
    if found.deviation is None:
        return None
    error = found.deviation * math.sqrt(1 / found.champion_n + 1 / found.challenger_n)
    return bayes.means(challenger - champion, error, better=metric.better)


def kayenta_gates(rollout: Rollout) -> list[Gate]:
    """The gates that Kayenta's judge scores together."""
    return [gate for gate in rollout.gates if gate.test == "kayenta"]


def judged_by_kayenta(
    rollout: Rollout, periods: Sequence[Period], arm: str
) -> tuple[kayenta.Judged | None, int]:
    """The judgement of all its gates, and how many minutes each side has at least."""
    series = [_series(gate, periods, arm) for gate in kayenta_gates(rollout)]
    shortest = min(
        (min(len(one.champion), len(one.challenger)) for one in series),  # type: ignore[arg-type]
        default=0,
    )
    if shortest < LEAST_POINTS:
        return None, shortest
    return kayenta.judge(series), shortest


def _series(gate: Gate, periods: Sequence[Period], arm: str) -> kayenta.Series:
    """The minutes of a gate's metric, of every period that served both."""
    points: dict[str, list[float]] = {CHAMPION: [], arm: []}
    for period in periods:
        minutes = period.points.get(name_of(gate), {})
        for name, values in points.items():
            values.extend(minutes.get(name, ()))
    metric = metric_of(gate.metric)
    is_lower = metric is None or metric.better == "lower"
    rule = kayenta.Rule(
        direction="increase" if is_lower else "decrease",
        allowed_increase=1 + float(gate.margin) if gate.margin else None,
        allowed_decrease=1 - float(gate.margin) if gate.margin else None,
    )
    return kayenta.Series(
        name=name_of(gate),
        champion=points[CHAMPION],
        challenger=points[arm],
        rule=rule,
        groups=("all",),
    )


def by_kayenta(judged: kayenta.Judged | None, minutes: int, gate: Gate) -> Found:
    """One gate's part in the common score."""
    if judged is None:
        lacking = LEAST_POINTS - minutes
        because = f"{minutes} of at least {LEAST_POINTS} minutes"
        return Found(verdict="not_enough_data", because=because, needs_s=60.0 * lacking)
    score = judged.score.score
    grade = kayenta.grade_of(score, gate.pass_score, gate.marginal_score)
    verdicts: dict[str, Value] = {"Pass": "pass", "Marginal": "inconclusive", "Fail": "fail"}
    label = next((one.label for one in judged.metrics if one.name == name_of(gate)), "Nodata")
    return Found(verdict=verdicts[grade], because=f"score {score:g} of 100; this metric: {label}")
