"""What a look at labels found, as alerts have it: words, evidence, the worst requests."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from gateway.alerts.finding import Finding, Window
from gateway.drift.error_streams import Change, StreamTest
from gateway.drift.performance import Floats
from gateway.drift.performance_drops import Drop
from gateway.watch.performance.rows import Cohort, errors_of

PERFORMANCE, ESTIMATED, FEEDBACK = "performance.", "estimated.", "feedback."
ERROR = "performance.error"
SHOWN = 3  # requests
US_PER_MS, SECOND_US = 1000, 10**6


def finding_of(prefix: str, drop: Drop, cohort: Cohort) -> Finding:
    now, then = drop.current, drop.reference
    versions = sorted(set(cohort.versions))
    times = cohort.at_us
    figures: Mapping[str, float] = {
        drop.name: now.value,
        "low": now.low,
        "high": now.high,
        "reference": then.value,
        "reference low": then.low,
        "reference high": then.high,
        "rows": now.n,
        "reference rows": then.n,
        "large from": drop.limit,
    }
    return Finding(
        kind="performance_drop",
        field=f"{prefix}{drop.name}",
        test="fisher" if now.hits is not None and then.hits is not None else "difference",
        effect=drop.effect if math.isfinite(drop.effect) else None,
        p=drop.p,
        sentence=_sentence(prefix, drop),
        # Why no version of the finding: one that comes or goes would make it another.
        evidence={
            "versions": ", ".join(versions)[:200],
            **{name: value for name, value in figures.items() if not math.isnan(value)},
        },
        requests=_worst(cohort),
        current=Window(
            since_ms=int(times[0]) // US_PER_MS, until_ms=int(times[-1]) // US_PER_MS + 1
        ),
    )


def _sentence(prefix: str, drop: Drop) -> str:
    now, then, name = drop.current, drop.reference, drop.name.replace("_", " ")
    which = "estimated" if prefix == ESTIMATED else "labelled"
    verb = "went" if now.better == "nearer 0" else "fell" if now.better == "higher" else "rose"
    text = f"{name} {verb} from {then.value:.4g} to {now.value:.4g}"
    return (
        f"{text} (95 % interval {now.low:.4g} to {now.high:.4g}), of {now.n:,} {which} predictions."
    )


def signal_finding(drop: Drop, window: Window) -> Finding:
    return Finding(
        kind="performance_drop",
        field=f"{FEEDBACK}{drop.name}",
        test="fisher" if drop.current.hits is not None else "difference",
        effect=drop.effect,
        p=drop.p,
        sentence=_sentence(PERFORMANCE, drop).replace("predictions", "requests"),
        evidence={"mean": drop.current.value, "reference": drop.reference.value},
        current=window,
    )


def _worst(cohort: Cohort) -> tuple[str, ...]:
    """Requests whose prediction was most wrong."""
    errors = errors_of(cohort)
    known = np.flatnonzero(~np.isnan(errors))
    order = known[np.argsort(-errors[known], kind="stable")]
    return tuple(dict.fromkeys(cohort.requests[at] for at in order[: 10 * SHOWN]))[:SHOWN]


def stream_finding(test: StreamTest, change: Change, cohort: Cohort, errors: Floats) -> Finding:
    """Errors got worse; the requests are the worst of the latest."""
    at = datetime.fromtimestamp(change.at_us / SECOND_US, UTC)
    order = np.argsort(-errors, kind="stable")[:SHOWN]
    return Finding(
        kind="performance_drop",
        field=ERROR,
        test=test,
        effect=change.after - change.before,
        sentence=(
            f"The mean error rose from {change.before:.4g} to {change.after:.4g}; seen at"
            f" {at:%Y-%m-%dT%H:%M:%SZ}."
        ),
        evidence={"error": change.after, "error before": change.before},
        requests=tuple(dict.fromkeys(cohort.requests[place] for place in order)),
    )
