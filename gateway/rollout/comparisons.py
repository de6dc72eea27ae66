"""One metric of one challenger beside the champion's: evidence, interval, and what is lacking.

    found = compare(stretches, pairs, gate, metric, alpha)

Three nulls are asked at once, each by an anytime-valid test from `gateway.statistics`:
`harm` is evidence that the challenger is worse by more than the gate's margin, `fine` that
it is not, `better` that it is better than the champion. Periods are compared each within
itself, at its own shares, so that a ramp during a change of the day fools nobody. Answers
of a shadow are compared in pairs, and being about other requests, multiply the evidence.

Rule 1: evidence is a natural logarithm; 0 says nothing.
Rule 2: pure; the same sums give the same figures.

Knows nothing of verdicts; `gates` makes them of this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from gateway.config.rollouts import Gate
from gateway.rollout.counts import (
    CHAMPION,
    ArmCounts,
    PairCounts,
    Paired,
    Period,
    above,
    size,
)
from gateway.rollout.metrics import Metric, events_of, moments_of, name_of, signal_of, told
from gateway.statistics import events, means, pairs, power, proportions, scores, sequences
from gateway.statistics.means import Joint, Moments
from gateway.statistics.sequences import Interval

Side = Literal["higher", "lower"]
OPPOSITE: dict[Side, Side] = {"higher": "lower", "lower": "higher"}

# Asymptotic evidence is none before; exact evidence needs no minimum.
LEAST_OF_MEANS = 100
LATE = 0.05  # of the stake on harm is kept for later steps


class Stretch(Struct, frozen=True):
    """One period, as far as one challenger and the champion are concerned."""

    arm: str
    share: float  # the challenger's of the requests of both
    champion: ArmCounts
    challenger: ArmCounts
    period: Period


class Compared(Struct, kw_only=True):
    """What is known of one metric."""

    champion_n: int
    challenger_n: int
    share: float  # the challenger's in the last period
    harm: float = 0.0
    fine: float = 0.0
    better: float = 0.0
    ratio: Interval | None = None  # challenger over champion
    champion_value: float | None = None
    challenger_value: float | None = None
    events: int | None = None  # the challenger's, where they are counted: too few prove nothing
    deviation: float | None = None  # of one request's figure, where it is one
    words: str = ""  # both figures


def stretches_of(periods: Sequence[Period], arm: str, *, is_sticky: bool) -> list[Stretch]:
    """The periods in which a challenger and the champion were served side by side.

    Of a unit that is not the request the shares that count are those of the requests that
    came: a few units bring many.
    """
    found = []
    for period in periods:
        champion, challenger = period.evidence.arm(CHAMPION), period.evidence.arm(arm)
        own, other = period.share(arm), period.share(CHAMPION)
        if is_sticky:
            own, other = float(challenger.assigned), float(champion.assigned)
        share = own / (own + other) if own + other > 0 else 0.0
        found.append(Stretch(arm, share, champion, challenger, period))
    return found


def compare(
    stretches: Sequence[Stretch],
    paired: PairCounts,
    gate: Gate,
    metric: Metric,
    alpha: float,
) -> Compared:
    """The metric's own statistic over all periods, and over the pairs of a shadow."""
    by_statistic: dict[str, Callable[..., Compared]] = {
        "events": _events,
        "exceedance": _exceedances,
        "mean": _means,
        "proportion": _proportions,
        "ratio": _ratio,
        "disagreement": _disagreement,
    }
    found = by_statistic[metric.statistic](stretches, gate, metric, alpha, paired)
    _add_pairs(found, paired, gate, metric, alpha)
    return found


def answers_of(stretches: Sequence[Stretch]) -> tuple[int, int]:
    """Requests that ended: of the champion, and of the challenger."""
    return (
        sum(one.champion.ended for one in stretches),
        sum(one.challenger.ended for one in stretches),
    )


def _empty(stretches: Sequence[Stretch], champion: int, challenger: int) -> Compared:
    served = [one.share for one in stretches if 0 < one.share < 1]
    share = served[-1] if served else 0.5
    return Compared(champion_n=champion, challenger_n=challenger, share=share)


# -- counts of events


def _events(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, alpha: float, _paired: PairCounts
) -> Compared:
    counted = [
        events.Period(
            one.share,
            events_of(metric, one.challenger, gate),
            events_of(metric, one.champion, gate),
        )
        for one in stretches
    ]
    found = _of_events(counted, counted, stretches, gate, alpha)
    _tell_shares(found, metric)
    return found


def _of_events(
    against_margin: Sequence[events.Period],
    against_none: Sequence[events.Period],
    stretches: Sequence[Stretch],
    gate: Gate,
    alpha: float,
    *,
    margin: float | None = None,
) -> Compared:
    margin = float(gate.margin) if margin is None else margin
    found = _empty(stretches, *answers_of(stretches))
    found.harm = events.log_e_periods(against_margin, margin=margin, direction="higher", late=LATE)
    if gate.needs == "not_worse":
        found.fine = events.log_e_periods(against_margin, margin=margin, direction="lower")
    if gate.needs == "better":
        found.better = events.log_e_periods(against_none, direction="lower")
    found.events = int(sum(one.challenger for one in against_margin))
    if sum(one.challenger + one.champion for one in against_none):
        found.ratio = _rate_ratio(tuple(against_none), alpha)
    served = [one for one in stretches if one.share < 1]
    champion_n = sum(one.champion.ended for one in served)
    if champion_n:
        found.champion_value = sum(one.champion for one in against_none) / champion_n
    if found.challenger_n:
        found.challenger_value = sum(one.challenger for one in against_none) / found.challenger_n
    return found


def _tell_shares(found: Compared, metric: Metric) -> None:
    champion, challenger = found.champion_value, found.challenger_value
    if champion is not None and challenger is not None:
        found.words = f"{metric.noun} {told(metric, challenger)} against {told(metric, champion)}"


def _exceedances(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, alpha: float, _paired: PairCounts
) -> Compared:
    """Times above the quantile that the champion had before: each is an event."""
    counted = [(one, _beyond(one, gate, metric)) for one in stretches]
    known = [(one, of) for one, of in counted if of is not None]
    with_margin = [events.Period(one.share, of[1], of[0]) for one, of in known]
    without = [events.Period(one.share, of[2], of[0]) for one, of in known]
    held = [one for one, _ in known]
    found = _of_events(with_margin, without, held, gate, alpha, margin=0.0)
    found.champion_n = sum(of[3] for _, of in known)
    found.challenger_n = sum(of[4] for _, of in known)
    frozen = next((one.period.frozen[name_of(gate)] for one, of in reversed(counted) if of), None)
    if frozen is None:
        found.words = f"the champion's {gate.quantile} is not known yet"
    elif found.champion_n and found.challenger_n:
        champion = sum(of[0] for _, of in known) / found.champion_n
        challenger = sum(of[2] for _, of in known) / found.challenger_n
        found.champion_value, found.challenger_value = champion, challenger
        limit = told(metric, frozen.value_ns)
        found.words = (
            f"{metric.noun} above {limit} (the champion's {gate.quantile} before) in"
            f" {challenger * 100:.3g} % of the answers against {champion * 100:.3g} %"
        )
    return found


def _beyond(one: Stretch, gate: Gate, metric: Metric) -> tuple[int, int, int, int, int] | None:
    """Champion's above its edge; challenger's above its own, and above the champion's; all."""
    frozen = one.period.frozen.get(name_of(gate))
    if frozen is None or metric.histogram is None:
        return None
    champion, challenger = metric.histogram(one.champion), metric.histogram(one.challenger)
    nothing = (0, 0, 0)
    champions = frozen.before.get(CHAMPION, nothing)
    challengers = frozen.before.get(one.arm, nothing)
    return (
        max(above(champion, frozen.bucket) - champions[1], 0),
        max(above(challenger, frozen.margin_bucket) - challengers[2], 0),
        max(above(challenger, frozen.bucket) - challengers[1], 0),
        max(size(champion) - champions[0], 0),
        max(size(challenger) - challengers[0], 0),
    )


# -- figures of each request


def _means(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, alpha: float, _paired: PairCounts
) -> Compared:
    told_of = [
        (one.share, _moments(metric, one.champion, gate), _moments(metric, one.challenger, gate))
        for one in stretches
    ]
    both = [(champion, challenger) for _, champion, challenger in told_of]
    champion, challenger = _sum(one for one, _ in both), _sum(one for _, one in both)
    found = _empty(stretches, champion.n, challenger.n)
    _tell_means(found, metric, champion, challenger)
    worse: Side = "higher" if metric.better == "lower" else "lower"
    if metric.unit == "score":
        _weigh_scores(found, told_of, gate, worse, alpha)
    elif min(champion.n, challenger.n) >= LEAST_OF_MEANS:
        margin = float(gate.margin) * (1 if worse == "higher" else -1)
        _weigh(found, gate, worse, margin, lambda **how: means.mean_ratio(both, alpha, **how))
    return found


def _moments(metric: Metric, arm: ArmCounts, gate: Gate) -> Moments:
    found = moments_of(metric, arm, gate)
    return Moments(found.n, found.total, found.squares)


def _sum(moments: Iterable[Moments]) -> Moments:
    whole = Moments(0, 0.0, 0.0)
    for one in moments:
        whole = whole.plus(one)
    return whole


def _tell_means(found: Compared, metric: Metric, champion: Moments, challenger: Moments) -> None:
    if not champion.n or not challenger.n:
        return
    found.champion_value, found.challenger_value = champion.mean, challenger.mean
    found.deviation = math.sqrt(champion.variance) if champion.n > 1 else None
    found.words = (
        f"{metric.noun} {told(metric, challenger.mean)} against {told(metric, champion.mean)}"
    )


def _weigh(
    found: Compared,
    gate: Gate,
    worse: Side,
    margin: float,
    test: Callable[..., Interval],
) -> None:
    """Asks the three nulls of a test that takes `direction` and `margin`."""
    found.harm = test(direction=worse, margin=margin).log_e
    if gate.needs == "not_worse":
        found.fine = test(direction=OPPOSITE[worse], margin=margin).log_e
    if gate.needs == "better":
        found.better = test(direction=OPPOSITE[worse]).log_e
    found.ratio = test()


def _weigh_scores(
    found: Compared,
    told_of: Sequence[tuple[float, Moments, Moments]],
    gate: Gate,
    worse: Side,
    alpha: float,
) -> None:
    """Scores from 0 to 1: bets on each; others: differences of means. Margins are absolute."""
    margin = float(gate.margin)
    both = [(champion, challenger) for _, champion, challenger in told_of]
    if all(_is_bounded(one) for pair in both for one in pair):
        found.harm = scores.log_e_scores(told_of, margin=margin, direction=worse)
        if gate.needs == "better":
            found.better = scores.log_e_scores(told_of, direction=OPPOSITE[worse])
        if gate.needs == "not_worse":  # worse by less than the margin: better by minus that
            side = OPPOSITE[worse]
            found.fine = scores.log_e_scores(told_of, margin=-margin, direction=side)
    elif min(found.champion_n, found.challenger_n) >= LEAST_OF_MEANS:
        signed = margin if worse == "higher" else -margin
        _weigh(found, gate, worse, signed, lambda **how: means.mean_difference(both, alpha, **how))
    found.ratio = None
    if min(found.champion_n, found.challenger_n) >= LEAST_OF_MEANS:
        found.ratio = means.mean_ratio(both, alpha)


def _is_bounded(one: Moments) -> bool:
    """Whether all values can be from 0 to 1; values above have squares above themselves."""
    return -1e-9 <= one.squares <= one.total + 1e-9 and one.total <= one.n + 1e-9


def _proportions(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, alpha: float, _paired: PairCounts
) -> Compared:
    both = [(_share_of(one.champion, gate), _share_of(one.challenger, gate)) for one in stretches]
    champion = proportions.Share(sum(y.hits for y, _ in both), sum(y.n for y, _ in both))
    challenger = proportions.Share(sum(x.hits for _, x in both), sum(x.n for _, x in both))
    found = _empty(stretches, champion.n, challenger.n)
    if champion.n and challenger.n:
        found.champion_value = champion.hits / champion.n
        found.challenger_value = challenger.hits / challenger.n
        found.deviation = math.sqrt(champion.estimate.variance * champion.n)
        _tell_shares(found, metric)
    if min(champion.n, challenger.n) >= LEAST_OF_MEANS:
        worse: Side = "lower" if metric.better == "higher" else "higher"
        margin = float(gate.margin) * (1 if worse == "higher" else -1)
        _weigh(
            found, gate, worse, margin, lambda **how: proportions.share_ratio(both, alpha, **how)
        )
    return found


def _share_of(arm: ArmCounts, gate: Gate) -> proportions.Share:
    signal = signal_of(arm, gate)
    return proportions.Share(signal.positive, signal.n)


def _ratio(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, alpha: float, _paired: PairCounts
) -> Compared:
    """What one accepted answer costs: cost of all requests over accepts of all requests."""
    quotients = [
        (_quotient(one.champion, metric, gate), _quotient(one.challenger, metric, gate))
        for one in stretches
    ]
    champion = sum(signal_of(one.champion, gate).n for one in stretches)
    challenger = sum(signal_of(one.challenger, gate).n for one in stretches)
    found = _empty(stretches, champion, challenger)
    contrast = sequences.contrast(quotients)
    if contrast is not None:
        found.champion_value, found.challenger_value = contrast.champion, contrast.challenger
        _tell_shares(found, metric)
    if contrast is not None and min(champion, challenger) >= LEAST_OF_MEANS:
        margin = float(gate.margin)
        _weigh(
            found,
            gate,
            "higher",
            margin,
            lambda **how: sequences.ratio(contrast, alpha, **how),
        )
    return found


def _quotient(arm: ArmCounts, metric: Metric, gate: Gate) -> sequences.Estimate:
    accepted = signal_of(arm, gate).positive
    return means.quotient(
        _moments(metric, arm, gate), Moments(arm.ended, float(accepted), float(accepted))
    )


# -- pairs


def _disagreement(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, _alpha: float, paired: PairCounts
) -> Compared:
    """The share of pairs that disagree, against the margin as its limit."""
    disagreeing, limit = paired.compared - paired.agreeing, float(gate.margin)
    found = _empty(stretches, paired.compared, paired.compared)
    found.harm = pairs.log_e_share(disagreeing, paired.compared, limit)
    found.fine = pairs.log_e_share_below(disagreeing, paired.compared, limit) if limit else 0.0
    found.events = disagreeing
    if paired.compared:
        found.challenger_value, found.champion_value = disagreeing / paired.compared, limit
        found.words = (
            f"{metric.noun} in {told(metric, disagreeing / paired.compared)} of"
            f" {paired.compared:,} pairs, {told(metric, limit)} are allowed"
        )
    return found


def _add_pairs(
    found: Compared, paired: PairCounts, gate: Gate, metric: Metric, alpha: float
) -> None:
    """What a shadow's pairs say of the same metric multiplies the evidence."""
    if not paired.pairs or metric.statistic == "disagreement":
        return
    if metric.name in {"errors", "schema_violations"}:
        _add_outcomes(found, paired, gate, metric)
    elif metric.pair and (metric.statistic != "exceedance" or not found.challenger_n):
        # Why not both: the mean of copies' latencies says nothing of the quantile of answers.
        figures: Paired = getattr(paired, metric.pair)
        _add_figures(found, figures, gate, metric, alpha)


def _add_outcomes(found: Compared, paired: PairCounts, gate: Gate, metric: Metric) -> None:
    """Of the pairs in which one side failed, half are the challenger's (McNemar)."""
    if metric.name == "errors":
        worse, better = paired.only_champion_ok, paired.only_challenger_ok
        both, n = paired.neither_ok, paired.pairs
    else:
        worse, better = paired.only_champion_valid, paired.only_challenger_valid
        both = paired.neither_valid
        n = both + worse + better + paired.both_valid
    margin = float(gate.margin)
    found.harm += pairs.log_e_outcomes(worse, better, both, margin=margin)
    if gate.needs == "not_worse":
        found.fine += pairs.log_e_outcomes(worse, better, both, margin=margin, direction="lower")
    if gate.needs == "better":
        found.better += pairs.log_e_outcomes(worse, better, both, direction="lower")
    found.events = (found.events or 0) + worse
    if not found.challenger_n and n:
        found.champion_value, found.challenger_value = (better + both) / n, (worse + both) / n
        _tell_shares(found, metric)
    found.champion_n += n
    found.challenger_n += n


def _add_figures(
    found: Compared, figures: Paired, gate: Gate, metric: Metric, alpha: float
) -> None:
    if figures.n < LEAST_OF_MEANS:
        return
    joint = Joint(
        figures.n,
        figures.challenger,
        figures.champion,
        figures.challenger_squares,
        figures.champion_squares,
        figures.products,
    )
    seen = Compared(champion_n=figures.n, challenger_n=figures.n, share=0.5)
    margin = float(gate.margin)
    _weigh(seen, gate, "higher", margin, lambda **how: pairs.paired_ratio(joint, alpha, **how))
    found.harm += seen.harm
    found.fine += seen.fine
    found.better += seen.better
    if not found.challenger_n:
        found.ratio = seen.ratio
        scale = 1000 if metric.unit == "ns" else 1
        found.champion_value = figures.champion / figures.n * scale
        found.challenger_value = figures.challenger / figures.n * scale
        mean = " (mean)" if metric.unit == "ns" else ""
        found.words = (
            f"{metric.noun}{mean} {told(metric, found.challenger_value)} against"
            f" {told(metric, found.champion_value)} in {figures.n:,} pairs"
        )
    if found.events is not None:
        found.events += figures.higher
    found.champion_n += figures.n
    found.challenger_n += figures.n


# -- what is lacking


def requests_needed(found: Compared, gate: Gate, metric: Metric, alpha: float) -> int | None:
    """Further requests of the challenger until the gate may pass; None: nobody knows.

    Of `not_worse` if the challenger is as good as the champion, or as much better as it
    seems to be; of `better` if it is as it seems.
    """
    least = max(gate.minimum - found.challenger_n, 0)
    if found.champion_n < gate.minimum and 0 < found.share < 1:
        lacking = gate.minimum - found.champion_n
        least = max(least, math.ceil(round(lacking * found.share / (1 - found.share), 6)))
    if gate.needs == "no_harm" or metric.statistic in {"drift", "disagreement"}:
        return least
    ratio = found.ratio.estimate if found.ratio is not None else math.nan
    ratio = ratio if math.isfinite(ratio) else 1.0
    if gate.needs == "not_worse":
        ratio = min(ratio, 1.0) if metric.better == "lower" else max(ratio, 1.0)
    more = _more(found, gate, metric, alpha, ratio)
    return None if more is None else max(least, more)


def _more(found: Compared, gate: Gate, metric: Metric, alpha: float, ratio: float) -> int | None:
    margin = float(gate.margin) if gate.needs == "not_worse" else 0.0
    if metric.statistic in {"events", "exceedance"}:
        limit = 0.0 if metric.statistic == "exceedance" else margin
        rate = _rounded(found.champion_value or 0.0)
        seen = _events_seen(found)
        return _events_needed(rate, _rounded(ratio), _rounded(found.share), alpha, limit, seen)
    value = found.champion_value
    if not found.deviation or not value:
        return None
    sign = 1 if metric.better == "lower" else -1
    absolute = margin if metric.unit == "score" else margin * abs(value)
    effect = _rounded((ratio - 1) * value)
    return _means_needed(
        _rounded(found.deviation),
        effect,
        _rounded(found.share),
        alpha,
        sign * _rounded(absolute),
        "lower" if sign > 0 else "higher",
        found.challenger_n,
    )


def _events_seen(found: Compared) -> tuple[int, int]:
    champion = round((found.champion_value or 0.0) * found.champion_n)
    return found.events or 0, champion


def detectable(found: Compared, gate: Gate, metric: Metric, alpha: float) -> float | None:
    """The least relative change to the worse that would show with what is there."""
    requests = int(_rounded(found.challenger_n))
    if metric.statistic in {"events", "exceedance"}:
        rate = _rounded(found.champion_value or 0.0)
        margin = 0.0 if metric.statistic == "exceedance" else float(gate.margin)
        ratio = _events_detectable(rate, requests, _rounded(found.share), alpha, margin)
        return None if ratio is None else ratio - 1
    if not found.deviation or not found.champion_value:
        return None
    gap = _means_detectable(_rounded(found.deviation), requests, _rounded(found.share), alpha)
    margin = float(gate.margin)
    return None if gap is None else gap / abs(found.champion_value) + margin


def _rounded(value: float) -> float:
    """To two digits. Why: so that a look after the other asks the same, which is remembered."""
    return float(f"{value:.2g}") if math.isfinite(value) else 0.0


@lru_cache(maxsize=256)
def _rate_ratio(counted: tuple[events.Period, ...], alpha: float) -> Interval:
    """Why remembered: it takes milliseconds, and most looks find no new event."""
    return events.rate_ratio(counted, alpha)


@lru_cache(maxsize=1024)
def _events_needed(
    rate: float, ratio: float, share: float, alpha: float, margin: float, seen: tuple[int, int]
) -> int | None:
    return power.events_needed(
        rate, ratio, share, alpha, margin=margin, direction="lower", seen=seen
    )


@lru_cache(maxsize=1024)
def _means_needed(
    deviation: float,
    effect: float,
    share: float,
    alpha: float,
    margin: float,
    direction: Side,
    seen: int,
) -> int | None:
    return power.means_needed(
        deviation, effect, share, alpha, margin=margin, direction=direction, seen=seen
    )


@lru_cache(maxsize=1024)
def _events_detectable(
    rate: float, requests: int, share: float, alpha: float, margin: float
) -> float | None:
    return power.events_detectable(rate, requests, share, alpha, margin=margin)


@lru_cache(maxsize=1024)
def _means_detectable(deviation: float, requests: int, share: float, alpha: float) -> float | None:
    return power.means_detectable(deviation, requests, share, alpha, direction="higher")
