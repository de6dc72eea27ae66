"""What is kept: the symptoms that are watched, and the alerts they became."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gateway.alerts.finding import Finding
from gateway.config.watching import AlertSeverity

SEVERITIES: tuple[AlertSeverity, ...] = ("info", "warning", "critical")

Status = Literal["open", "resolved"]
Event = Literal["opened", "raised", "repeated", "resolved"]


class Symptom(Struct, kw_only=True, omit_defaults=True):
    """One thing that a rule found at least once of late."""

    rule: str
    route: str
    finding: Finding  # the latest
    severity: AlertSeverity
    first_ms: int
    last_ms: int  # of the latest finding
    looked_ms: int  # of the latest look
    recent: str = ""  # of the last looks, the latest last: `1` found it, `0` did not
    count: int = 0  # findings
    alert: int = 0  # that it belongs to; 0: none yet
    is_over: bool = False  # its alert is still open because of others


class Alert(Struct, kw_only=True, omit_defaults=True):
    """One cause and what follows from it; times are milliseconds since 1970."""

    id: int
    status: Status = "open"
    route: str
    severity: AlertSeverity
    cause: str = ""
    lead: str  # key of the symptom nearest to the cause
    symptoms: dict[str, Symptom] = {}  # by key
    opened_ms: int
    last_ms: int
    resolved_ms: int = 0
    resolved_by: str = ""  # "" it went away by itself
    silenced_until_ms: int = 0
    silenced_by: str = ""
    told_ms: int = 0  # 0: not told yet
    told_severity: AlertSeverity = "info"
    told: int = 0  # messages
    is_over_told: bool = False
    is_acted: bool = False  # what its rules ask for was begun
    asked: tuple[tuple[str, str], ...] = ()  # all that was begun or refused: action and target
    is_undone: bool = False  # and what does not outlive it was taken back
    pending: tuple[tuple[str, str], ...] = ()  # action and target: begun, and not done yet
    switched: tuple[str, ...] = ()  # kill switches that it holds off
    held: tuple[tuple[str, str], ...] = ()  # what it changes on its route: action and target

    @property
    def leader(self) -> Symptom:
        return self.symptoms[self.lead]

    @property
    def count(self) -> int:
        return sum(one.count for one in self.symptoms.values())


def more_severe(one: AlertSeverity, other: AlertSeverity) -> AlertSeverity:
    return max(one, other, key=SEVERITIES.index)
