"""Symptoms and alerts as looks come in: a pure state machine.

    symptom   watched ── found in `opens` of the last `of` looks ──► in an alert
              watched ── in none of the last `of` ──► forgotten
              in an alert ── not found `closes` times in a row ──► over
    alert     open ── all its symptoms are over, or somebody says so ──► resolved

What opens joins an open alert of its cause: the same `cause` where both name one; else the same
route, and either both opened within `group`, or it is farther from the source of the data
(`kinds`) than what leads the alert, and came within FOLLOWS_MS of it.

Rule 1: all is bounded; what does not fit is counted in `turned_away`.
Rule 2: nobody looks any more is no reason to stay open: after `FORGOTTEN_MS` it is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from gateway.alerts.alert import SEVERITIES, Alert, Event, Symptom, more_severe
from gateway.alerts.finding import Look, key_of
from gateway.alerts.kinds import KINDS
from gateway.config.watching import DriftAlerts, DriftRule

MOST_SYMPTOMS = 10_000
MOST_OPEN = 500
MOST_IN_ALERT = 1_000  # symptoms
FOLLOWS_MS = 3_600_000
FORGOTTEN_MS = 86_400_000
MOST_MESSAGES, MESSAGES_MS = 30, 600_000  # so many within this time; the rest waits
NS_PER_MS = 1_000_000


class Touched(Struct):
    """What was changed, and must be written down."""

    symptoms: set[str] = set()
    alerts: set[int] = set()


class Book:
    """All that is watched, and all alerts that are open, or whose end is not told."""

    def __init__(
        self,
        symptoms: dict[str, Symptom] | None = None,
        alerts: Iterable[Alert] = (),
        last_id: int = 0,
    ) -> None:
        self.symptoms = symptoms or {}  # that are in no alert
        self.alerts = {alert.id: alert for alert in alerts}
        self.last_id = last_id
        self.turned_away = 0
        self.touched = Touched()
        # By rule and route: when the latest look came, and the latest time that one was of.
        self._heard: dict[tuple[str, str], tuple[int, int]] = {}
        self._sent_ms: list[int] = []  # when the latest messages went

    # -- looks

    def take(self, look: Look, rule: DriftRule, group_ns: int, now_ms: int = 0) -> None:
        """One look; `at_ms` is set."""
        self._hear(look, now_ms)
        found = {key_of(look, finding): finding for finding in look.findings}
        for key, finding in found.items():
            symptom = self._symptom(key)
            if symptom is None:
                if len(self.symptoms) >= MOST_SYMPTOMS:
                    self.turned_away += 1
                    continue
                symptom = self.symptoms[key] = Symptom(
                    rule=look.rule,
                    route=look.route,
                    finding=finding,
                    severity=rule.severity,
                    first_ms=look.at_ms,
                    last_ms=look.at_ms,
                    looked_ms=-1,
                )
            if look.at_ms > symptom.looked_ms:
                symptom.finding, symptom.last_ms = finding, look.at_ms
                symptom.severity = finding.severity or rule.severity
                symptom.count += 1
                self._looked(key, symptom, look.at_ms, "1", max(rule.of, rule.closes))
        for key, symptom in list(self._of(look)):
            is_silent = key not in found and symptom.finding.version not in look.unjudged
            if is_silent and look.at_ms > symptom.looked_ms:
                self._looked(key, symptom, look.at_ms, "0", max(rule.of, rule.closes))
        self._settle(look, rule, group_ns // NS_PER_MS)

    def _hear(self, look: Look, now_ms: int) -> None:
        if len(self._heard) >= MOST_SYMPTOMS:
            self._heard.clear()
        where = (look.rule, look.route)
        self._heard[where] = (now_ms, max(look.at_ms, self._heard.get(where, (0, 0))[1]))

    def _age_ms(self, symptom: Symptom, now_ms: int) -> int:
        """Since when it was not looked at; by the looks' own time, where they are of the past."""
        heard_ms, at_ms = self._heard.get((symptom.rule, symptom.route), (0, 0))
        is_heard = heard_ms and now_ms - heard_ms <= FORGOTTEN_MS
        return (at_ms if is_heard else now_ms) - symptom.looked_ms

    def _symptom(self, key: str) -> Symptom | None:
        for alert in self.alerts.values():
            if alert.status == "open" and key in alert.symptoms:
                return alert.symptoms[key]
        return self.symptoms.get(key)

    def _of(self, look: Look) -> Iterator[tuple[str, Symptom]]:
        where = (look.rule, look.route)
        open_alerts = (one for one in self.alerts.values() if one.status == "open")
        for symptoms in (self.symptoms, *(alert.symptoms for alert in open_alerts)):
            for key, symptom in symptoms.items():
                is_here = (symptom.rule, symptom.route) == where
                if is_here and look.covers(symptom.finding.kind):
                    yield key, symptom

    def _looked(self, key: str, symptom: Symptom, at_ms: int, said: str, most: int) -> None:
        symptom.looked_ms = at_ms
        symptom.recent = (symptom.recent + said)[-most:]
        if symptom.alert:
            alert = self.alerts[symptom.alert]
            if said == "1":
                alert.last_ms, symptom.is_over = at_ms, False
                alert.severity = more_severe(alert.severity, symptom.severity)
            self.touched.alerts.add(symptom.alert)
        else:
            self.touched.symptoms.add(key)

    def _settle(self, look: Look, rule: DriftRule, group_ms: int) -> None:
        opening = []
        for key, symptom in list(self._of(look)):
            if symptom.alert:
                symptom.is_over = symptom.recent.endswith("0" * rule.closes)
                continue
            latest = symptom.recent[-rule.of :]
            if latest.count("1") >= rule.opens:
                opening.append((KINDS[symptom.finding.kind].rank, key))
            elif "1" not in latest:
                del self.symptoms[key]
        for _rank, key in sorted(opening):
            self._open(key, look.at_ms, group_ms)
        for alert in list(self.alerts.values()):
            if alert.status == "open" and all(one.is_over for one in alert.symptoms.values()):
                self.resolve(alert.id, look.at_ms, "")

    # -- causes

    def _open(self, key: str, at_ms: int, group_ms: int) -> None:
        symptom = self.symptoms[key]
        alert = next(
            (one for one in self._open_alerts() if _is_one_cause(one, symptom, at_ms, group_ms)),
            None,
        )
        if alert is None:
            if len(self._open_alerts()) >= MOST_OPEN:
                self.turned_away += 1
                return
            self.last_id += 1
            alert = self.alerts[self.last_id] = Alert(
                id=self.last_id,
                route=symptom.route,
                severity=symptom.severity,
                cause=symptom.finding.cause,
                lead=key,
                opened_ms=at_ms,
                last_ms=at_ms,
            )
        if len(alert.symptoms) >= MOST_IN_ALERT:
            self.turned_away += 1
            return
        del self.symptoms[key]
        alert.symptoms[key] = symptom
        symptom.alert, alert.last_ms = alert.id, max(alert.last_ms, at_ms)
        alert.severity = more_severe(alert.severity, symptom.severity)
        alert.cause = alert.cause or symptom.finding.cause
        if _rank(symptom) < _rank(alert.leader):
            alert.lead = key
        self.touched.symptoms.add(key)
        self.touched.alerts.add(alert.id)

    def _open_alerts(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.status == "open"]

    # -- people and time

    def resolve(self, number: int, at_ms: int, by: str) -> None:
        """It is over; what goes on nevertheless opens another."""
        alert = self.alerts[number]
        alert.status, alert.resolved_ms, alert.resolved_by = "resolved", at_ms, by
        self.touched.alerts.add(number)

    def silence(self, number: int, until_ms: int, by: str) -> None:
        alert = self.alerts[number]
        alert.silenced_until_ms, alert.silenced_by = until_ms, by
        self.touched.alerts.add(number)

    def forget(self, now_ms: int) -> None:
        """What nobody looks at any more: another version answers, a rule is gone."""
        for key, symptom in list(self.symptoms.items()):
            if self._age_ms(symptom, now_ms) > FORGOTTEN_MS:
                del self.symptoms[key]
                self.touched.symptoms.add(key)
        for alert in self._open_alerts():
            for symptom in alert.symptoms.values():
                symptom.is_over |= self._age_ms(symptom, now_ms) > FORGOTTEN_MS
            if all(one.is_over for one in alert.symptoms.values()):
                self.resolve(alert.id, now_ms, "nobody looks any more")

    def due(self, settings: DriftAlerts, now_ms: int) -> list[tuple[Alert, Event]]:
        """What is to be told now, the most severe first; it counts as told."""
        self._sent_ms = [at for at in self._sent_ms if now_ms - at < MESSAGES_MS]
        room = MOST_MESSAGES - len(self._sent_ms)
        due = [(alert, event) for alert in self.alerts.values()
               if (event := _event(alert, settings, now_ms))]  # fmt: skip
        due.sort(key=lambda one: (-SEVERITIES.index(one[0].severity), one[0].id))
        for alert, event in due[: max(room, 0)]:
            alert.told += 1
            alert.told_ms, alert.told_severity = now_ms, alert.severity
            alert.is_over_told = event == "resolved"
            self._sent_ms.append(now_ms)
            self.touched.alerts.add(alert.id)
        return due[: max(room, 0)]

    def drop_told(self, settings: DriftAlerts) -> list[Alert]:
        """Let go of alerts of which nothing is left to tell or do."""
        dropped = []
        for alert in list(self.alerts.values()):
            is_told = alert.is_over_told or not alert.told or not settings.resolved
            is_done = alert.is_undone or not alert.is_acted
            if alert.status == "resolved" and is_told and is_done:
                dropped.append(self.alerts.pop(alert.id))
                self.touched.alerts.discard(alert.id)
        return dropped


def _is_one_cause(alert: Alert, symptom: Symptom, at_ms: int, group_ms: int) -> bool:
    if alert.cause and symptom.finding.cause:
        return alert.cause == symptom.finding.cause
    if alert.route != symptom.route:
        return False
    age_ms = at_ms - alert.opened_ms
    is_follower = _rank(symptom) > _rank(alert.leader) and age_ms <= FOLLOWS_MS
    return age_ms <= group_ms or is_follower


def _rank(symptom: Symptom) -> int:
    return KINDS[symptom.finding.kind].rank


def _event(alert: Alert, settings: DriftAlerts, now_ms: int) -> Event | None:
    if now_ms < alert.silenced_until_ms:
        return None
    if alert.status == "resolved":
        is_news = settings.resolved and alert.told and not alert.is_over_told
        return "resolved" if is_news else None
    if not alert.told:
        return "opened" if now_ms - alert.opened_ms >= settings.group // NS_PER_MS else None
    if SEVERITIES.index(alert.severity) > SEVERITIES.index(alert.told_severity):
        return "raised"
    return "repeated" if now_ms - alert.told_ms >= settings.repeat // NS_PER_MS else None
