"""The latest look of each rule on each route, and how many there were: for people and metrics.

Bounded by the configuration: a look is taken only where rule and route are in it. In memory
only: after a restart the first look of each says it again.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.alerts.finding import Finding, Look

MOST_NAMED = 5


class LookFigures(Struct, kw_only=True):
    """What one rule found on one route."""

    route: str
    rule: str  # "" somebody else's
    at_ms: int  # of the latest look: until when its data are
    looks: int = 0  # since the controller started
    found: int = 0  # of these, with a finding
    findings: int = 0  # in the latest
    named: tuple[str, ...] = ()  # fields of the latest, the first that were told


class Looked:
    """All of them."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], LookFigures] = {}

    def take(self, look: Look) -> None:
        """A look that was taken; of one that comes late only the counts."""
        key = (look.route, look.rule)
        figures = self._figures.get(key)
        if figures is None:
            figures = self._figures[key] = LookFigures(route=key[0], rule=key[1], at_ms=-1)
        figures.looks += 1
        figures.found += bool(look.findings)
        if look.at_ms >= figures.at_ms:
            figures.at_ms, figures.findings = look.at_ms, len(look.findings)
            figures.named = _named(look.findings)

    def figures(self, rules: Iterable[str], routes: Iterable[str]) -> tuple[LookFigures, ...]:
        """Of what is still configured, by route and rule."""
        known, here = {"", *rules}, set(routes)
        self._figures = {
            key: one for key, one in self._figures.items() if key[0] in here and key[1] in known
        }
        return tuple(self._figures[key] for key in sorted(self._figures))


def _named(findings: Iterable[Finding]) -> tuple[str, ...]:
    names = dict.fromkeys(one.field or one.kind for one in findings)
    return tuple(list(names)[:MOST_NAMED])
