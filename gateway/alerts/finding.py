"""What a rule found in one look, as whoever looks says it.

A look also says what was *not* found: whatever the same rule found before on this route, and
does not name now, counts as quiet. `at_ms` orders the looks of a rule on a route: one that was
sent twice counts once.

Rule: texts and lists are bounded; nothing here holds text of a request.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.alerts.kinds import Kind
from gateway.config.watching import AlertSeverity

Name = Annotated[str, Meta(max_length=200)]
Sentence = Annotated[str, Meta(max_length=1_000)]
Moment = Annotated[int, Meta(ge=0, le=1 << 53)]  # milliseconds since 1970
Fact = str | int | float | bool | None
About = Literal["all", "data", "performance", "traffic"]
_ABOUT: dict[Kind, About] = {"performance_drop": "performance", "traffic_drop": "traffic"}
MOST_FINDINGS = 1_000
MOST_FACTS = 20


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of data."""

    since_ms: Moment
    until_ms: Moment


class Finding(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is not as it was."""

    kind: Kind
    field: Name = ""  # "" of the route as a whole
    model: Name = ""
    version: Name = ""  # of the model
    sentence: Sentence = ""  # for people; default: made of what follows
    cause: Name = ""  # what it comes from, where that is known, such as `upstream orders`
    severity: AlertSeverity | None = None  # default: the rule's
    test: Name = ""
    effect: float | None = None
    p: float | None = None
    log_e: float | None = None
    reference: Window | None = None
    current: Window | None = None
    evidence: Annotated[dict[Name, Fact], Meta(max_length=MOST_FACTS)] = {}
    requests: Annotated[tuple[Name, ...], Meta(max_length=3)] = ()  # ids that show it best


class Look(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one rule found on one route."""

    route: Name
    rule: Name = ""  # of `drift.rules`; "" somebody else's, by the defaults of a rule
    at_ms: Moment = 0  # default: now
    # what was looked at: labels, data and traffic of one rule are looked at apart, and what the
    # one look does not find is not over because of it
    about: About = "all"
    findings: Annotated[tuple[Finding, ...], Meta(max_length=MOST_FINDINGS)] = ()
    # versions of the model that had too few rows: nothing is said of them, not even by silence
    unjudged: Annotated[tuple[Name, ...], Meta(max_length=MOST_FINDINGS)] = ()

    def covers(self, kind: Kind) -> bool:
        """Whether its silence says that there is nothing of this kind."""
        return self.about in {"all", _ABOUT.get(kind, "data")}


def key_of(look: Look, finding: Finding) -> str:
    """What is the same thing in the next look."""
    parts = (look.rule, look.route, finding.version, finding.field, finding.kind)
    return "\x1f".join(parts)


def sentence_of(finding: Finding, title: str) -> str:
    """What is to be read first."""
    if finding.sentence:
        return finding.sentence
    figures = {"effect": finding.effect, "p": finding.p, "log e": finding.log_e}
    known = ", ".join(f"{name} {value:.3g}" for name, value in figures.items() if value is not None)
    where = f"{finding.field}: " if finding.field else ""
    how = f" by {finding.test}" if finding.test else ""
    return f"{where}{title}{how}{f' ({known})' if known else ''}."
