"""What a champion's requests are like: assumed, or measured on a recorded log.

Shares of events, samples of times, means of figures, answers of the product: enough to draw
as many requests of either arm as a simulation wants. An Effect says what the challenger
would do otherwise.

Knows nothing of rollouts; `simulation` draws from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtri

from gateway.errors import OUTCOMES
from gateway.messages import Record

POINTS = 4000  # of a sample of times that stands for a distribution
MOST_RECORDS = 1_000_000

_IS_ERROR = {
    outcome.reason: outcome.fault == "upstream" or outcome.name == "upstream_4xx"
    for outcome in OUTCOMES
}
_IS_TIMEOUT = {
    outcome.reason: "timeout" in outcome.name or outcome.name == "deadline" for outcome in OUTCOMES
}


class Mean(Struct, frozen=True):
    """A figure of each request."""

    mean: float
    deviation: float


class Rated(Struct, frozen=True):
    """A signal of the product."""

    answered: float  # share of requests that get it
    positive: float  # of those: share that is good


class Traffic(Struct, frozen=True, kw_only=True):
    """The champion's requests."""

    requests_per_s: float = 20.0
    shares: dict[str, float] = {}  # of requests, by metric: errors, timeouts, …
    times_ms: dict[str, tuple[float, ...]] = {}  # sorted samples: latency, first_byte
    means: dict[str, Mean] = {}  # cost, input_tokens, output_tokens
    signals: dict[str, Rated] = {}  # accept, thumbs, task, regenerate, ticket
    source: str = "assumed"


class Effect(Struct, frozen=True, kw_only=True):
    """What the challenger does: each metric, times this; 1.0 where nothing is said."""

    name: str = "no difference"
    factors: dict[str, float] = {}  # {"errors": 2.0, "latency": 1.2, "feedback.accept": 0.92}

    def of(self, metric: str) -> float:
        return self.factors.get(metric, 1.0)


def assumed(
    *,
    requests_per_s: float = 20.0,
    error_share: float = 0.02,
    timeout_share: float = 0.005,
    latency_ms: float = 800.0,
    latency_spread: float = 0.5,
    first_byte_ms: float = 250.0,
    cost_usd: float = 0.002,
    input_tokens: float = 500.0,
    output_tokens: float = 200.0,
    accepted: float = 0.6,
    rated: float = 0.2,
) -> Traffic:
    """Stated assumptions: lognormal times with this median, figures that vary by their mean."""
    figures = {"cost": cost_usd, "input_tokens": input_tokens, "output_tokens": output_tokens}
    return Traffic(
        requests_per_s=requests_per_s,
        shares={
            "errors": error_share,
            "timeouts": timeout_share,
            "truncated": timeout_share,
            "rescued": error_share,
            "refusals": 0.01,
            "cut_off": 0.02,
            "schema_violations": 0.01,
        },
        times_ms={
            "latency": lognormal(latency_ms, latency_spread),
            "first_byte": lognormal(first_byte_ms, latency_spread),
        },
        means={name: Mean(value, value) for name, value in figures.items()},
        signals={
            "accept": Rated(rated, accepted),
            "thumbs": Rated(rated, accepted),
            "task": Rated(rated, accepted),
            "regenerate": Rated(0.05, 1.0),
            "ticket": Rated(0.005, 1.0),
        },
    )


def lognormal(median: float, sigma: float) -> tuple[float, ...]:
    """A sample that stands for the distribution: its quantiles, evenly."""
    z = ndtri((np.arange(POINTS) + 0.5) / POINTS)
    return tuple((median * np.exp(sigma * z)).tolist())


def recorded(records: Iterable[Record]) -> Traffic:
    """What a log says; ValueError where there is too little of it."""
    kept = [one for one, _ in zip(_answers(records), range(MOST_RECORDS), strict=False)]
    if len(kept) < 100:
        raise ValueError(f"expected at least 100 answered requests, found {len(kept)}")
    count = len(kept)
    figures: dict[str, list[float]] = {
        "cost": [one.cost_usd for one in kept],
        "input_tokens": [float(one.usage.input_tokens if one.usage else 0) for one in kept],
        "output_tokens": [float(one.usage.output_tokens if one.usage else 0) for one in kept],
    }
    return Traffic(
        requests_per_s=count / max(_span_s(kept), 1e-3),
        shares={
            "errors": sum(_IS_ERROR.get(one.outcome, False) for one in kept) / count,
            "timeouts": sum(_IS_TIMEOUT.get(one.outcome, False) for one in kept) / count,
            "truncated": sum(one.outcome in {"truncated", "stream_error"} for one in kept) / count,
            "refusals": sum(one.finish_reason == "filter" for one in kept) / count,
            "cut_off": sum(one.finish_reason == "length" for one in kept) / count,
        },
        times_ms={
            "latency": _sample([one.timing.total_us / 1000 for one in kept]),
            "first_byte": _sample(
                [one.timing.first_byte_us / 1000 for one in kept if one.timing.first_byte_us]
            ),
        },
        means={
            name: Mean(float(np.mean(values)), float(np.std(values)))
            for name, values in figures.items()
            if any(values)
        },
        source=f"recorded: {count:,} requests",
    )


def _answers(records: Iterable[Record]) -> Iterable[Record]:
    return (one for one in records if one.kind in {"prediction", "refusal"})


def _span_s(records: Sequence[Record]) -> float:
    times = sorted(one.time for one in records)
    ends = np.array([times[0].rstrip("Z"), times[-1].rstrip("Z")], dtype="datetime64[us]")
    return float((ends[1] - ends[0]) / np.timedelta64(1, "s"))


def _sample(values: Sequence[float]) -> tuple[float, ...]:
    """At most so many of them, evenly over their order."""
    ordered = np.sort(np.asarray(values, dtype=float))
    if ordered.size > POINTS:
        ordered = ordered[np.linspace(0, ordered.size - 1, POINTS).astype(int)]
    return tuple(ordered.tolist())


def share_above(sample: NDArray[np.float64], limit: float) -> float:
    """How many of the values are above; between two of them in proportion."""
    if not sample.size or limit <= sample[0]:
        return 1.0
    if limit >= sample[-1]:
        # Why: beyond the sample something is, though nobody knows how much.
        return float(0.5 / sample.size * (sample[-1] / limit) ** 4)
    at = float(np.interp(limit, sample, np.arange(sample.size) + 0.5))
    return 1 - at / sample.size
