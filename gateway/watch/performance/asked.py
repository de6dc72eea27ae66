"""What one rule asks of one route at one moment: which figures, and compared with when."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.config.watching import DriftLabels, DriftReference, DriftRule
from gateway.drift.performance import Figure
from gateway.drift.performance_drops import LEAST
from gateway.store.moments import to_us

NS_PER_US = 1000
SECOND_US = 10**6
HOUR_US = 3600 * SECOND_US
WEEK_US = 7 * 24 * HOUR_US
BEFORE_US = 28 * 24 * HOUR_US
ENOUGH = 200  # labels that a look wants by default


class Asked:
    """One rule on one route at one moment."""

    def __init__(
        self,
        rule: DriftRule,
        route: str,
        labels: DriftLabels,
        reference: DriftReference | None,
        now_us: int,
    ) -> None:
        self.rule, self.route, self.labels, self.now_us = rule, route, labels, now_us
        self._reference = reference
        self.least = max(rule.minimum or ENOUGH, LEAST)
        self.threshold = float(labels.threshold)

    def names(self, prefix: str) -> bool:
        """Whether the rule's fields may name something of this family."""
        return any(
            pattern.startswith(prefix) or fnmatch.fnmatchcase(prefix, pattern)
            for pattern in self.rule.fields
        )

    def chosen(self, figures: Sequence[Figure], prefix: str) -> list[Figure]:
        """Those that the rule's fields name."""
        return [
            one
            for one in figures
            if any(fnmatch.fnmatchcase(prefix + one.name, pattern) for pattern in self.rule.fields)
        ]

    def reference_of(self, first_us: int) -> tuple[int, int]:
        """The stretch that rows from `first_us` on are compared with."""
        kind = self._reference.kind if self._reference else ""
        if kind == "pinned" and self._reference:
            return _moment_us(self._reference.since), _moment_us(self._reference.until)
        # Why steps: the figures of a reference are made once for many looks.
        step = min(max(self.rule.window // NS_PER_US, SECOND_US), HOUR_US)
        until = first_us // step * step
        if kind == "last_week":
            width = max(self.rule.window // NS_PER_US, step)
            return until - WEEK_US, until - WEEK_US + width
        return until - BEFORE_US, until


def _moment_us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
