"""Fraud's inputs before and after, as `gateway drift status` would tell it."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.drift.battery import Battery
from gateway.drift.current import current_of_lines
from gateway.drift.report import as_text, report_of
from gateway.profiles.recorded import from_lines
from gateway.watch.signs import signs_of

ALPHA = 0.01  # chance of a false alarm, over all fields
AROUND = 60  # minutes, which all of the demo's records lie in


def compared(before: Sequence[bytes], after: Sequence[bytes], changed_s: float) -> str:
    """A line a field: both distributions, what the tests say; and what looks like the trouble."""
    reference = from_lines(before, "fraud", signals=(), source="the first part of the demo")
    first = int(changed_s) // 60 - AROUND
    current = current_of_lines(reference, "fraud", after, first, first + 2 * AROUND, "the rest")
    verdict = Battery(reference.profiles).look(current.profiles, ALPHA)
    text = as_text(
        report_of(
            reference,
            current.profiles,
            verdict,
            title="fraud",
            source=current.source,
            alpha=ALPHA,
            now_s=changed_s,
        )
    )
    signs = [
        f"`{name}` {signs_of(reference.profiles[name], current.profiles[name], ())[0].sentence}."
        for name in sorted(verdict.drifting)
    ]
    return "\n".join([text, *signs])
