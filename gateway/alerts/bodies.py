"""An alert as JSON for programs, as Slack reads it, as Alertmanager does, and as an e-mail.

Rule: texts are cut, and Slack's own signs in them escaped, so that no name of a field can make
      a link or call a channel; nor can one end a header of an e-mail.
"""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

import msgspec

from gateway.alerts.alert import Event
from gateway.alerts.views import AlertView, SymptomView
from gateway.config.watching import DriftEmail

VERSION = 1
MOST_SHOWN = 10  # followers and facts, for people
LONGEST_TEXT = 2_000

_COLOURS = {"info": "#2e7d32", "warning": "#f9a825", "critical": "#c62828"}
_WORDS = {"opened": "", "raised": "worse: ", "repeated": "still: ", "resolved": "resolved: "}


def body_of(alert: AlertView, event: Event, form: str, key: str) -> bytes:
    """The body; `key` tells this message from all others, however often it is sent."""
    return _FORMS[form](alert, event, key)


def email_of(body: bytes, settings: DriftEmail) -> EmailMessage:
    """The message of a body in JSON."""
    said = msgspec.json.decode(body)
    alert = msgspec.convert(said["alert"], AlertView)
    message = EmailMessage()
    message["Subject"] = _plain(_head(alert, said["event"]))
    message["From"], message["To"] = settings.sender, ", ".join(settings.to)
    message["Message-ID"] = f"<{said['id']}@inference-gateway>"
    message.set_content("\n\n".join(_paragraphs(alert)))
    return message


def _json(alert: AlertView, event: Event, key: str) -> bytes:
    return msgspec.json.encode({"v": VERSION, "id": key, "event": event, "alert": alert})


def _slack(alert: AlertView, event: Event, _key: str) -> bytes:
    head, *rest = _head(alert, event), *_paragraphs(alert)
    said = "\n".join([f"*{_escaped(head)}*", *(_escaped(_cut(text)) for text in rest)])
    block = {"type": "mrkdwn", "text": _cut(said), "verbatim": True}
    attachment = {
        "color": _COLOURS["info" if event == "resolved" else alert.severity],
        "fallback": _escaped(head),
        "blocks": [{"type": "section", "text": block}],
    }
    return msgspec.json.encode({"text": _escaped(head), "attachments": [attachment]})


def _alertmanager(alert: AlertView, event: Event, _key: str) -> bytes:
    """What `POST /api/v2/alerts` takes; the labels name the alert, so they never change."""
    labels = {"alertname": "GatewayDrift", "alert": str(alert.id), "route": alert.route}
    one: dict[str, Any] = {
        "labels": labels,
        "annotations": {
            "summary": _head(alert, event),
            "description": _cut("\n".join(_paragraphs(alert))),
            "severity": alert.severity,
            "runbook_url": alert.runbook,
        },
        "startsAt": alert.opened_at,
    }
    if event == "resolved":
        one["endsAt"] = alert.resolved_at
    return msgspec.json.encode([one])


_FORMS: dict[str, Callable[[AlertView, Event, str], bytes]] = {
    "json": _json,
    "slack": _slack,
    "alertmanager": _alertmanager,
}


def _head(alert: AlertView, event: Event) -> str:
    return f"[{alert.severity}] {alert.route}: {_WORDS[event]}{alert.title}"


def _paragraphs(alert: AlertView) -> list[str]:
    """What people read below the head."""
    found = [alert.lead.sentence, _figures(alert.lead)]
    if alert.cause:
        found.append(f"Cause: {alert.cause}")
    if alert.followers:
        shown = ", ".join(map(_short, alert.followers[:MOST_SHOWN]))
        more = len(alert.followers) + alert.followers_left_out - MOST_SHOWN
        found.append(f"What follows: {shown}{f' and {more} more' if more > 0 else ''}")
    if alert.lead.requests:
        found.append(f"Requests that show it: {', '.join(alert.lead.requests)}")
    found.append(f"Found {alert.count} times since {alert.opened_at}. What to do: {alert.runbook}")
    return [text for text in found if text]


def _figures(symptom: SymptomView) -> str:
    facts = list(symptom.evidence.items())[:MOST_SHOWN]
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in facts
    )


def _short(symptom: SymptomView) -> str:
    return f"{symptom.field or 'route'} ({symptom.kind.replace('_', ' ')})"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:200]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
