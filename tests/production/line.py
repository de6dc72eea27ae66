"""A history of configurations to ask about: one change a minute, or as told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gateway.production.figures import Counted, Figures, Span, Tally
from gateway.production.production import InForce
from gateway.state.history import Entry, Result
from tests.config.texts import varied

T0 = 1_790_000_000.0  # 2026-09-21T14:13:20Z
MINUTE = 60.0


class Line:
    """Stands for the history; time goes on with each change."""

    def __init__(self, state: Path) -> None:
        self.entries: list[Entry] = []
        self.now_s = T0
        self.environ: dict[str, str] = {}
        self.figures: FakeFigures | None = None
        self._state = state

    def change(
        self, changes: dict[str, Any] | None = None, by: str = "ada", outcome: Result = "applied"
    ) -> Entry:
        """Another configuration, a minute after the last one."""
        text = yaml.safe_dump(varied(changes), sort_keys=False)
        return self.put(text, by, outcome)

    def put(self, text: str, by: str = "ada", outcome: Result = "applied") -> Entry:
        self.now_s += MINUTE
        entry = Entry(
            id=len(self.entries) + 1,
            at_ms=int(self.now_s * 1000),
            author=by,
            hash=f"{hash(text) & (1 << 63) - 1:064x}",
            outcome=outcome,
            text=text,
        )
        self.entries.append(entry)
        return entry

    def latest(self, limit: int = 50) -> list[Entry]:
        return self.entries[::-1][:limit]

    def in_force(self) -> InForce:
        return InForce(
            self._state,
            self,
            environ=self.environ,
            figures=self.figures,
            now_s=lambda: self.now_s,
        )


class FakeFigures:
    """Counts what it is told to; remembers what it was asked."""

    def __init__(
        self, counted: Counted | None = None, *, by_span: dict[Span, Counted] | None = None
    ) -> None:
        self.counted, self.by_span = counted or {}, by_span
        self.failure: Exception | None = None
        self.spans: list[Span] = []

    def over(self, spans: Any, routes: Any) -> Tally:
        self.spans = list(spans)
        if self.failure:
            raise self.failure
        by_span = self.by_span or dict.fromkeys(spans, self.counted)
        return Tally(by_span, "counted by hand")


def figures(requests: int = 100, **members: Any) -> Figures:
    return Figures(requests=requests, **members)
