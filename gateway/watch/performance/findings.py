"""What a look at labels found, as alerts have it: words, evidence, the worst requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from gateway.alerts.finding import Finding, Window
from gateway.drift.error_streams import Change, StreamTest
from gateway.drift.performance import Floats
from gateway.drift.performance_drops import Drop
from gateway.watch.performance.rows import Cohort, errors_of

PERFORMANCE, ESTIMATED, FEEDBACK = "performance.", "estimated.", "feedback."
ERROR = "performance.error"
SHOWN = 3  # requests
LONGEST = 200  # characters of a version
US_PER_MS, SECOND_US = 1000, 10**6


class Found(NamedTuple):
    """What was found of a route, and the versions of which nothing can be said."""

    findings: tuple[Finding, ...] = ()
    unjudged: tuple[str, ...] = ()

    def __add__(self, other: Found) -> Found:  # type: ignore[override]
        return Found(self.findings + other.findings, self.unjudged + other.unjudged)


def found_of(prefix: str, compared: Sequence[Drop], cohort: Cohort, version: str = "") -> Found:
    """Of all figures that could be compared; of a version without one nothing can be said."""
    if version and not compared:
        return Found(unjudged=(version[:LONGEST],))
    dropped = (drop for drop in compared if drop.is_drop)
    return Found(tuple(finding_of(prefix, drop, cohort, version) for drop in dropped))


def finding_of(prefix: str, drop: Drop, cohort: Cohort, version: str = "") -> Finding:
    """Of one figure; `version` where the model's versions are looked at apart."""
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
        version=version[:LONGEST],
        test="fisher" if now.hits is not None and then.hits is not None else "difference",
        effect=drop.effect if math.isfinite(drop.effect) else None,
        p=drop.p,
        sentence=_sentence(prefix, drop, version[:LONGEST]),
        # Why not its version: of the route as a whole one that comes or goes makes no other.
        evidence={
            "versions": ", ".join(versions)[:200],
            **{name: value for name, value in figures.items() if not math.isnan(value)},
        },
        requests=_worst(cohort),
        current=Window(
            since_ms=int(times[0]) // US_PER_MS, until_ms=int(times[-1]) // US_PER_MS + 1
        ),
    )


def _sentence(prefix: str, drop: Drop, version: str = "") -> str:
    now, then, name = drop.current, drop.reference, drop.name.replace("_", " ")
    which = "estimated" if prefix == ESTIMATED else "labelled"
    verb = "went" if now.better == "nearer 0" else "fell" if now.better == "higher" else "rose"
    whose = f"{name} of version `{version}`" if version else name
    text = f"{whose} {verb} from {then.value:.4g} to {now.value:.4g}"
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
