"""What gates can look at: one table of metrics.

For each: what is counted, of what, which way is better, which statistic finds a difference,
what must be there for anything to be counted, and how a figure is told.

Rule: a metric that is not in the table does not exist; `feedback.SIGNAL` is one for each
signal of the product that has a better and a worse.

Knows nothing of rollouts and of where numbers come from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from gateway.config.rollouts import Gate
from gateway.rollout.counts import ArmCounts, Histogram, SignalCounts

Statistic = Literal[
    "events",  # something happens to a request or not; what is compared is to whose
    "exceedance",  # a time is above the champion's frozen quantile or not
    "mean",  # a figure of each request
    "proportion",  # of those that were judged, so many were judged well
    "ratio",  # one sum for each unit of another
    "disagreement",  # pairs of answers that are not the same
    "drift",  # histograms of the same minutes
]
Need = Literal["log", "feedback", "shadow", "usage", "price", "schema"]
Better = Literal["lower", "higher"]
Unit = Literal["share", "ns", "usd", "tokens", "score"]

FEEDBACK = "feedback."


class Moments3(Struct, frozen=True):
    """Number, sum and sum of squares."""

    n: int
    total: float
    squares: float


class Metric(Struct, frozen=True, kw_only=True):
    """One thing that a gate can look at."""

    name: str
    noun: str  # in sentences: "errors", "cost of a request"
    statistic: Statistic
    better: Better = "lower"
    unit: Unit = "share"
    needs: tuple[Need, ...] = ()
    # what is read of an arm; which of these depends on the statistic
    events: Callable[[ArmCounts], int] | None = None
    moments: Callable[[ArmCounts], Moments3] | None = None
    histogram: Callable[[ArmCounts], Histogram] | None = None
    signal: str = ""  # of feedback
    pair: str = ""  # of shadow pairs: the figure that is compared


def _cost(arm: ArmCounts) -> Moments3:
    return Moments3(arm.ended, arm.cost_nano_usd * 1e-9, arm.cost_squares_usd2)


def _input(arm: ArmCounts) -> Moments3:
    return Moments3(arm.ended, float(arm.input_tokens), arm.input_squares)


def _output(arm: ArmCounts) -> Moments3:
    return Moments3(arm.ended, float(arm.output_tokens), arm.output_squares)


def _feedback(signal: str, noun: str, statistic: Statistic, better: Better, unit: Unit) -> Metric:
    return Metric(
        name=FEEDBACK + signal,
        noun=noun,
        statistic=statistic,
        better=better,
        unit=unit,
        needs=("log", "feedback"),
        signal=signal,
    )


def _table(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


METRICS: dict[str, Metric] = _table(
    Metric(name="errors", noun="errors", statistic="events", events=lambda arm: arm.errors),
    Metric(name="timeouts", noun="timeouts", statistic="events", events=lambda arm: arm.timeouts),
    Metric(
        name="truncated",
        noun="broken-off answers",
        statistic="events",
        events=lambda arm: arm.truncated,
    ),
    Metric(
        name="rescued", noun="rescued requests", statistic="events", events=lambda arm: arm.rescued
    ),
    Metric(
        name="refusals",
        noun="refusals",
        statistic="events",
        events=lambda arm: arm.refusals,
        needs=("usage",),
    ),
    Metric(
        name="cut_off",
        noun="answers cut off at the length limit",
        statistic="events",
        events=lambda arm: arm.cut_off,
        needs=("usage",),
    ),
    Metric(
        name="schema_violations",
        noun="schema violations",
        statistic="events",
        events=lambda arm: arm.schema_violations,
        needs=("schema",),
    ),
    Metric(
        name="latency",
        noun="latency",
        statistic="exceedance",
        unit="ns",
        histogram=lambda arm: arm.total_ns,
        pair="latency_us",
    ),
    Metric(
        name="first_byte",
        noun="time to the first byte",
        statistic="exceedance",
        unit="ns",
        histogram=lambda arm: arm.first_byte_ns,
        pair="first_byte_us",
    ),
    Metric(
        name="cost",
        noun="cost of a request",
        statistic="mean",
        unit="usd",
        moments=_cost,
        needs=("price",),
        pair="cost_usd",
    ),
    Metric(
        name="cost_per_accept",
        noun="cost of an accepted answer",
        statistic="ratio",
        unit="usd",
        moments=_cost,
        needs=("price", "log", "feedback"),
        signal="accept",
    ),
    Metric(
        name="input_tokens",
        noun="input tokens of a request",
        statistic="mean",
        unit="tokens",
        moments=_input,
        needs=("usage",),
    ),
    Metric(
        name="output_tokens",
        noun="output tokens of a request",
        statistic="mean",
        unit="tokens",
        moments=_output,
        needs=("usage",),
        pair="output_tokens",
    ),
    Metric(
        name="disagreement",
        noun="disagreement with the champion",
        statistic="disagreement",
        needs=("log", "shadow"),
    ),
    Metric(name="drift", noun="drift against the champion", statistic="drift"),
    _feedback("accept", "acceptance", "proportion", "higher", "share"),
    _feedback("thumbs", "thumbs up", "proportion", "higher", "share"),
    _feedback("task", "completed tasks", "proportion", "higher", "share"),
    _feedback("edit", "edit distance", "mean", "lower", "score"),
    _feedback("regenerate", "regenerated answers", "events", "lower", "share"),
    _feedback("ticket", "tickets", "events", "lower", "share"),
    _feedback("score", "score", "mean", "higher", "score"),
)


def metric_of(name: str) -> Metric | None:
    """The metric; `feedback.score.NAME` is a score of that name. None: there is none."""
    if name.startswith("feedback.score.") and len(name) > len("feedback.score."):
        score = METRICS["feedback.score"]
        return Metric(
            name=name,
            noun=f"score {name[15:]}",
            statistic=score.statistic,
            better=score.better,
            unit=score.unit,
            needs=score.needs,
            signal=f"score.{name[15:]}",
        )
    return METRICS.get(name)


def name_of(gate: Gate) -> str:
    """What a gate is called."""
    return gate.name or gate.metric


def signal_key(gate: Gate) -> str:
    """Under which name the gate's signal is counted: what must mature is counted apart."""
    metric = metric_of(gate.metric)
    signal = metric.signal if metric else ""
    return f"{signal}@{gate.matured // 10**9}" if signal and gate.matured else signal


def signal_of(arm: ArmCounts, gate: Gate) -> SignalCounts:
    """What the product said of an arm, as the gate wants it."""
    return arm.feedback.get(signal_key(gate)) or SignalCounts()


def events_of(metric: Metric, arm: ArmCounts, gate: Gate) -> int:
    """How often it happened."""
    if metric.signal:
        return signal_of(arm, gate).n
    if metric.events is None:
        raise ValueError(f"{metric.name} is no event")
    return metric.events(arm)


def moments_of(metric: Metric, arm: ArmCounts, gate: Gate) -> Moments3:
    """The figure over all requests that have it."""
    if metric.moments is not None:
        return metric.moments(arm)
    signal = signal_of(arm, gate)
    return Moments3(signal.n, signal.total, signal.squares)


def told(metric: Metric, value: float) -> str:
    """A figure as it stands in a sentence."""
    if metric.unit == "share":
        return f"{value * 100:.3g} %"
    if metric.unit == "usd":
        return f"${value:.3g}"
    if metric.unit == "ns":
        return told_time(value)
    return f"{value:.3g}"


def told_time(ns: float) -> str:
    """Nanoseconds as people say them."""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.0f} ns"
