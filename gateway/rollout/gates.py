"""The judge: what every gate of a rollout says, on all the evidence there is.

    judgement = judge(rollout, periods, now_ms)

A guardrail that fails takes the challenger back, a signal that fails or waits only holds it.
The default test of every gate is an e-process, valid however often one looks (Ville): the
chance that a challenger as good as the champion ever fails a guardrail is at most `alpha`,
kept for all guardrails of a challenger together by e-BH, whatever they have to do with each
other. So the desk may look twice a second, for weeks.

Rule 1: pure: the same evidence gives the same judgement, on any machine, in any year.
Rule 2: fewer than three events of the challenger's own prove nothing, whatever the arithmetic.
Rule 3: a p99 is judged by exceedances of the champion's own earlier p99; by its value only
        from `FEWEST_FOR_QUANTILES` requests of each arm on.
Rule 4: a gate passes only after `minimum` answers of each arm, and not while it is suspicious:
        with evidence of harm beyond the root of what fails it.

Formulas: `gateway/statistics`; which of them, and on what: `comparisons`, `options`, `likeness`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.rollouts import Gate, Rollout
from gateway.rollout import options
from gateway.rollout.comparisons import (
    Compared,
    Stretch,
    answers_of,
    compare,
    detectable,
    requests_needed,
    stretches_of,
)
from gateway.rollout.counts import PairCounts, Period
from gateway.rollout.likeness import LARGE, LEAST, likeness
from gateway.rollout.metrics import Metric, metric_of, name_of
from gateway.rollout.quantile_figures import ratio_of
from gateway.rollout.ratios import ratios
from gateway.rollout.verdict import Judgement, RatioVerdict, Verdict
from gateway.statistics.families import e_bh
from gateway.statistics.sequences import Interval

FEWEST_EVENTS = 3
FEWEST_FOR_QUANTILES = 2000


class _Asked(Struct, frozen=True):
    """One gate, about one challenger."""

    gate: Gate
    metric: Metric
    arm: str
    alpha: float
    stretches: Sequence[Stretch]
    paired: PairCounts
    rate_per_s: float  # of the challenger's requests now


def judge(rollout: Rollout, periods: Sequence[Period], now_ms: int) -> Judgement:
    """All gates of all challengers, the ratios at every hop, and what is waited for."""
    is_sticky = rollout.unit != "request"
    verdicts: list[Verdict] = []
    for arm in rollout.arms:
        stretches = stretches_of(periods, arm, is_sticky=is_sticky)
        found = [_verdict(rollout, gate, arm, stretches, periods) for gate in rollout.gates]
        verdicts += _together(rollout, found)
    srm = ratios(periods, list(rollout.arms), is_sticky=is_sticky)
    fails = tuple(one for one in verdicts if one.verdict == "fail")
    slowest = max(verdicts, key=_wait_of, default=None)
    return Judgement(
        at_ms=now_ms,
        verdicts=tuple(verdicts),
        srm=srm,
        fails=fails,
        next_needs=_needs(verdicts, srm),
        needs_requests=slowest.needs_requests if slowest else 0,
        needs_s=slowest.needs_s if slowest else 0.0,
    )


def _wait_of(verdict: Verdict) -> tuple[float, int]:
    return verdict.needs_s, verdict.needs_requests


def _needs(verdicts: Sequence[Verdict], srm: Sequence[RatioVerdict]) -> str:
    """What keeps it from going on, the longest first."""
    bad = next((one.sentence for one in srm if one.verdict == "fail"), "")
    waiting = [one for one in verdicts if one.verdict in {"not_enough_data", "inconclusive"}]
    slowest = max(waiting, key=_wait_of, default=None)
    return bad or (slowest.sentence if slowest else "")


# -- all guardrails of a challenger together


def _together(rollout: Rollout, found: Sequence[Verdict]) -> list[Verdict]:
    """e-BH over the sequential guardrails: which of them fail when all are looked at."""
    weights = family_of(rollout)
    rejected = e_bh([_weighed(found[at], by) for at, by in weights.items()], float(rollout.alpha))
    judged = list(found)
    for at, is_rejected in zip(weights, rejected, strict=True):
        if judged[at].verdict == "fail" and not is_rejected:
            sentence = judged[at].sentence.replace(
                "fails", f"would fail by itself, of {len(weights)} guardrails not yet", 1
            )
            judged[at] = replace(judged[at], verdict="inconclusive", sentence=sentence)
    return judged


def family_of(rollout: Rollout) -> dict[int, float]:
    """The guardrails that are looked at together: by place, what is added to their evidence.

    Weights are fixed beforehand and average 1 (Wang & Ramdas 2022, section 5): errors, which
    all else turns into in the end, weigh twice as much as the others. A gate with an alpha of
    its own is weighed by that too.
    """
    family = [
        at
        for at, gate in enumerate(rollout.gates)
        if gate.kind == "guardrail" and gate.test == "sequential"
    ]
    weights = [2.0 if rollout.gates[at].metric == "errors" else 1.0 for at in family]
    whole = sum(weights)
    return {
        at: math.log(weight * len(family) / whole)
        + math.log(float(rollout.gates[at].alpha or rollout.alpha) / float(rollout.alpha))
        for at, weight in zip(family, weights, strict=True)
    }


def _weighed(verdict: Verdict, by: float) -> float:
    # Why: what may not fail yet (too few events) must not lend its weight to the others.
    return verdict.log_e + by if verdict.verdict == "fail" else min(verdict.log_e, 0.0)


# -- one gate


def _verdict(
    rollout: Rollout,
    gate: Gate,
    arm: str,
    stretches: Sequence[Stretch],
    periods: Sequence[Period],
) -> Verdict:
    metric = metric_of(gate.metric)
    base = Verdict(gate=name_of(gate), arm=arm, metric=gate.metric, kind=gate.kind)
    if metric is None:
        return replace(base, verdict="inconclusive", sentence=f"There is no metric {gate.metric}.")
    paired = PairCounts()
    for period in periods:
        if arm in period.evidence.pairs:
            paired = paired.plus(period.evidence.pairs[arm])
    asked = _Asked(
        gate=gate,
        metric=metric,
        arm=arm,
        alpha=float(gate.alpha or rollout.alpha),
        stretches=stretches,
        paired=paired,
        rate_per_s=_rate(periods, arm, metric),
    )
    if gate.test == "kayenta":
        judged, minutes = options.judged_by_kayenta(rollout, periods, arm)
        return _by_option(base, asked, None, options.by_kayenta(judged, minutes, gate))
    if metric.statistic == "drift":
        return _of_drift(base, asked)
    found = compare(stretches, paired, gate, metric, asked.alpha)
    if gate.test == "group_sequential":
        option = options.group_sequential(found, gate, metric, asked.alpha)
        return _by_option(base, asked, found, option)
    if gate.test == "bayesian":
        return _by_option(base, asked, found, options.bayesian(found, gate, metric, asked.alpha))
    return _sequential(base, asked, found)


def _rate(periods: Sequence[Period], arm: str, metric: Metric) -> float:
    """Answers of the challenger a second, of late; of the feedback if that is what counts."""
    if not periods:
        return 0.0
    last = periods[-1]
    counts = last.evidence.arm(arm)
    n = counts.ended
    if metric.signal and metric.statistic != "events":
        n = counts.feedback[metric.signal].n if metric.signal in counts.feedback else 0
    elif metric.statistic == "disagreement":
        n = last.evidence.pairs[arm].compared if arm in last.evidence.pairs else 0
    seconds = (last.until_ms - last.since_ms) / 1000
    return n / seconds if seconds > 0 else 0.0


def _sequential(base: Verdict, asked: _Asked, found: Compared) -> Verdict:
    """The anytime-valid verdict."""
    gate, bar = asked.gate, -math.log(asked.alpha)
    verdict = _told_figures(base, asked, found)
    is_proof = found.events is None or found.events >= FEWEST_EVENTS
    if _is_alone(asked) and not asked.paired.pairs:
        sentence = "The champion serves nobody beside it: there is nothing to compare with."
        return replace(verdict, verdict="pass", sentence=sentence)
    if found.harm >= bar and is_proof:
        sentence = f"`{asked.arm}` fails: {found.words}; {_odds(found.harm)} it is chance."
        return replace(verdict, verdict="fail", sentence=sentence)
    good = {"no_harm": math.inf, "not_worse": found.fine, "better": found.better}[gate.needs]
    needed = requests_needed(found, gate, asked.metric, asked.alpha)
    if good >= bar and needed_least(found, gate) == 0:
        if found.harm >= bar / 2:
            sentence = f"Suspicious: {found.words}; {_odds(found.harm)} it is chance."
            return replace(verdict, verdict="inconclusive", sentence=sentence)
        sentence = f"{_capital(found.words or asked.metric.noun)}{_margin(gate, asked.metric)}."
        return replace(verdict, verdict="pass", sentence=sentence)
    if 0 < gate.maximum <= found.challenger_n:
        sentence = f"Inconclusive after {found.challenger_n:,} answers: {found.words}."
        return replace(verdict, verdict="inconclusive", sentence=sentence)
    return _waiting(verdict, asked, found, needed)


def _is_alone(asked: _Asked) -> bool:
    """Whether the challenger was switched to at once, as in a blue-green rollout."""
    shares = [one.share for one in asked.stretches]
    return bool(shares) and shares[-1] >= 1 and not any(0 < share < 1 for share in shares)


def needed_least(found: Compared, gate: Gate) -> int:
    """Answers that an arm lacks before anything may pass."""
    return max(gate.minimum - min(found.champion_n, found.challenger_n), 0)


def _waiting(verdict: Verdict, asked: _Asked, found: Compared, needed: int | None) -> Verdict:
    """Not enough data, and how much would be."""
    figures = f" ({found.words})" if found.words else ""
    if needed is None:
        wanted = "better" if asked.gate.needs == "better" else "no worse"
        sentence = f"Not enough data: as it stands nothing shows that it is {wanted}{figures}."
        return replace(verdict, sentence=sentence)
    needed = max(needed, 1)
    unit = "pairs" if asked.metric.statistic == "disagreement" else "requests"
    if asked.metric.signal and asked.metric.statistic != "events":
        unit = "signals"
    seconds = needed / asked.rate_per_s if asked.rate_per_s > 0 else 0.0
    when = f", about {told_s(seconds)} at this rate" if seconds else ", and none are coming"
    sentence = f"Not enough data: {needed:,} more {unit}{when}{figures}."
    return replace(verdict, sentence=sentence, needs_requests=needed, needs_s=seconds)


def _told_figures(base: Verdict, asked: _Asked, found: Compared) -> Verdict:
    """Estimate, interval and the least change that would show: all relative to the champion."""
    interval = found.ratio
    if asked.metric.statistic == "exceedance":
        interval = _of_quantiles(asked) or interval
    relative = _relative(interval)
    least = detectable(found, asked.gate, asked.metric, asked.alpha)
    return replace(
        base,
        log_e=_finite(found.harm),
        log_e_better=_finite(found.better if asked.gate.needs == "better" else found.fine),
        estimate=relative[0],
        low=relative[1],
        high=relative[2],
        detectable=least,
    )


def _of_quantiles(asked: _Asked) -> Interval | None:
    """The quantiles' own ratio, for reading; None below the number that it needs."""
    if asked.metric.histogram is None:
        return None
    return ratio_of(asked.stretches, asked.gate, asked.metric, FEWEST_FOR_QUANTILES)


def _relative(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    if interval is None or not math.isfinite(interval.estimate):
        return None, None, None
    low, high = interval.low - 1, interval.high - 1
    return (
        interval.estimate - 1,
        low if math.isfinite(low) else None,
        high if math.isfinite(high) else None,
    )


def _finite(log_e: float) -> float:
    return max(min(log_e, 1e6), -1e6)


def _odds(log_e: float) -> str:
    """How unlikely it is that chance alone would ever show as much."""
    if log_e > 30:
        return "by less than one in a million million"
    return f"by one in {math.exp(max(log_e, 0.0)):,.0f} at most"


def _margin(gate: Gate, metric: Metric) -> str:
    if gate.needs == "better":
        return ", which is better"
    if gate.needs == "not_worse":
        points = "" if metric.unit != "score" else " points"
        return f", worse by less than {gate.margin}{points}"
    return ", no sign of harm"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def told_s(seconds: float) -> str:
    """A time to wait, as people say it."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


# -- other tests


def _by_option(
    base: Verdict, asked: _Asked, found: Compared | None, option: options.Found
) -> Verdict:
    """The verdict of a named option, in its own words."""
    if found is not None:
        base = replace(_told_figures(base, asked, found), log_e=0.0, log_e_better=0.0)
        is_short = min(found.champion_n, found.challenger_n) < asked.gate.minimum
        if option.verdict == "pass" and is_short:
            return _waiting(base, asked, found, needed_least(found, asked.gate))
    seconds = option.needs_s
    if option.needs_requests and asked.rate_per_s > 0:
        seconds = option.needs_requests / asked.rate_per_s
    words = found.words if found is not None and found.words else asked.metric.noun
    needs = f"; {option.needs_requests:,} more requests" if option.needs_requests else ""
    needs += f", about {told_s(seconds)}" if seconds else ""
    name = asked.gate.test.replace("_", " ")
    verb = {"pass": "passes", "fail": "fails"}.get(option.verdict, option.verdict.replace("_", " "))
    return replace(
        base,
        verdict=option.verdict,
        sentence=f"{_capital(words)}: {verb} by the test {name} ({option.because}){needs}.",
        needs_requests=option.needs_requests,
        needs_s=seconds,
    )


def _of_drift(base: Verdict, asked: _Asked) -> Verdict:
    """Drift that is both significant and large fails; what is only large is not yet anything."""
    gate = asked.gate
    found = likeness(asked.stretches)
    champion, challenger = answers_of(asked.stretches)
    least = max(gate.minimum, LEAST)
    if not found or min(champion, challenger) < least:
        lacking = Compared(champion_n=champion, challenger_n=challenger, share=_last_share(asked))
        needed = max(least - challenger, 0)
        if 0 < lacking.share < 1:
            needed = max(
                needed, math.ceil((least - champion) * lacking.share / (1 - lacking.share))
            )
        return _waiting(base, asked, lacking, needed)
    limit = float(gate.margin) or LARGE
    worst = next((one for one in found if one.log_e >= -math.log(asked.alpha)), found[0])
    figures = f"PSI {max(worst.excess, 0.0):.3f} of {worst.what}, {limit:g} is allowed"
    base = replace(base, log_e=_finite(worst.log_e) if worst.excess >= limit else 0.0)
    base = replace(base, estimate=worst.excess)
    if worst.excess >= limit and worst.log_e >= -math.log(asked.alpha):
        sentence = f"`{asked.arm}` fails: it has drifted from the champion: {figures}."
        return replace(base, verdict="fail", sentence=sentence)
    if worst.excess >= limit:
        return replace(
            base, verdict="inconclusive", sentence=f"Perhaps drifting: {figures}, by chance or not."
        )
    return replace(base, verdict="pass", sentence=f"Like the champion: {figures}.")


def _last_share(asked: _Asked) -> float:
    return asked.stretches[-1].share if asked.stretches else 0.0
